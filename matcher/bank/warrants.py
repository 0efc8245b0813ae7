"""Warrants: what a bank may ask, why, and until when, signed by two of its operators.

A run asks under exactly one warrant and keeps its SHA-256 (of the signed payload). Two persons
authorise in advance (GB/T 22239 separation of duties; PIPL 6, 13), so that a nightly job can run
under a standing warrant without them. docs/reference/signed-documents.md has the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlite_utils import Database

from keys.clock import Clock, format_time, parse_time
from keys.database import write_transaction
from keys.envelope import (
    EnvelopeInvalid,
    SignaturesMissing,
    SignerUnknown,
    add_signature,
    claimed_signers,
    sign_envelope,
    unverified_payload,
)
from keys.epochs import check_name
from keys.identity import Identity
from keys.operators import OperatorNotAllowed, Operators
from keys.strictjson import JsonInvalid, parse_object, require_text
from matcher.rows import fetch_records
from psi.errors import InputError, MingceError

WARRANT_TYPE = "application/vnd.mingce.warrant+json"
REVOCATION_TYPE = "application/vnd.mingce.warrant-revocation+json"
WARRANT_FORMAT = "mingce-warrant/1"
REVOCATION_FORMAT = "mingce-warrant-revocation/1"
MAX_WARRANT_BYTES = 64 * 1024
MAX_DIVISIONS = 200
MAX_CUSTOMERS = 2**32  # as many evaluations as one key is good for
_TEXT_LIMIT = 500


class WarrantInvalid(InputError):
    """Terms, or a document holding them, are no warrant."""

    code = "warrant_invalid"


class WarrantUnknown(InputError):
    """No warrant has this id, or more than one begins so."""

    code = "warrant_unknown"


class WarrantMissing(MingceError):
    """Nothing signed by two operators allows a run over this dataset."""

    code = "warrant_missing"


class WarrantNotInForce(MingceError):
    """The warrant does not hold; params ``reason``: unsigned, revoked, over, not_begun, signer_gone, another_bank."""

    code = "warrant_not_in_force"


class WarrantExceeded(MingceError):
    """The run goes beyond the warrant; params ``field``, ``allowed``, ``wanted``."""

    code = "warrant_exceeded"


@dataclass(frozen=True)
class Terms:
    """What two operators sign. ``max_new_customers`` counts all runs under the warrant together."""

    purpose: str
    legal_basis: str
    agreement_no: str
    dataset: str
    divisions: tuple[str, ...]
    max_new_customers: int
    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        for name in ("purpose", "legal_basis", "agreement_no"):
            value = getattr(self, name)
            if not value.strip() or len(value) > _TEXT_LIMIT or not value.isprintable():
                raise WarrantInvalid(f"{name}: 1 to {_TEXT_LIMIT} printable characters", field=name)
        check_name(self.dataset, "dataset")
        sound = all(len(code) == 6 and code.isascii() and code.isdigit() for code in self.divisions)
        if not sound or list(self.divisions) != sorted(set(self.divisions)) or not self.divisions:
            raise WarrantInvalid("divisions: six digits each, sorted, none twice", field="divisions")
        if len(self.divisions) > MAX_DIVISIONS:
            raise WarrantInvalid(f"divisions: at most {MAX_DIVISIONS}", field="divisions")
        if not 1 <= self.max_new_customers <= MAX_CUSTOMERS:
            raise WarrantInvalid("max_new_customers: 1 to 2**32", field="max_new_customers")
        if self.not_before >= self.not_after:
            raise WarrantInvalid("a warrant begins before it ends", field="not_after")


@dataclass(frozen=True)
class Warrant:
    """Terms that two operators signed. Only :meth:`Warrants.require` makes one for a run."""

    terms: Terms
    sha256: str
    signers: tuple[str, ...]

    def require_covers(self, dataset: str, divisions: Sequence[str], now: datetime) -> None:
        """Raises WarrantNotInForce (the time), WarrantExceeded (dataset or division)."""
        if not self.terms.not_before <= now <= self.terms.not_after:
            reason = "not_begun" if now < self.terms.not_before else "over"
            raise WarrantNotInForce("not within its time", warrant=self.sha256[:12], reason=reason)
        if dataset != self.terms.dataset:
            self._refuse("dataset", self.terms.dataset, dataset)
        if beyond := sorted(set(divisions) - set(self.terms.divisions)):
            self._refuse("division", ", ".join(self.terms.divisions), ", ".join(beyond))

    def require_customers(self, wanted: int) -> None:
        """Raises WarrantExceeded if all runs under this warrant would have asked for more than it allows."""
        if wanted > self.terms.max_new_customers:
            self._refuse("max_new_customers", self.terms.max_new_customers, wanted)

    def _refuse(self, field: str, allowed: object, wanted: object) -> None:
        raise WarrantExceeded(
            f"beyond the warrant: {field}", warrant=self.sha256[:12], field=field, allowed=allowed, wanted=wanted
        )


@dataclass(frozen=True)
class WarrantRecord:
    """One row of ``warrant``, for showing: nothing of it is verified. ``signers`` are fingerprints."""

    sha256: str
    terms: Terms
    state: str  # PROPOSED, SIGNED, REVOKED
    signers: tuple[str, ...]
    proposed_at: str


class Warrants:
    """The table ``warrant``, with the operators who may sign and the bank (its fingerprint) they sign for."""

    def __init__(self, database: Database, clock: Clock, operators: Operators, bank: str) -> None:
        self._database = database
        self._clock = clock
        self._operators = operators
        self._bank = bank

    def propose(self, terms: Terms, signer: Identity) -> WarrantRecord:
        """Store a warrant with its first signature. Raises OperatorNotAllowed."""
        self._operators.require(signer.public.fingerprint, "propose")
        proposed_at = format_time(self._clock.now())
        payload = _encode(terms, self._bank, proposed_at)
        sha256 = hashlib.sha256(payload).hexdigest()
        row = [sha256, sign_envelope(signer, WARRANT_TYPE, payload), proposed_at]
        with write_transaction(self._database):
            self._database.execute(
                "INSERT OR IGNORE INTO warrant (sha256, state, envelope, proposed_at) VALUES (?, 'PROPOSED', ?, ?)", row
            )
        return self.get(sha256)

    def sign(self, warrant: str, signer: Identity) -> WarrantRecord:
        """Add the second signature.

        Raises WarrantUnknown, WarrantNotInForce (revoked, or another bank's), AlreadySigned,
        OperatorNotAllowed, and what verifying the first signature raises.
        """
        self._operators.require(signer.public.fingerprint, "approve")
        with write_transaction(self._database):
            row = self._get_row(warrant)
            self._operators.open_proposal(row["envelope"], WARRANT_TYPE)
            signed = {**row, "envelope": add_signature(row["envelope"], signer)}
            self._in_force(signed)
            self._database.execute(
                "UPDATE warrant SET state = 'SIGNED', envelope = ?, signed_at = ? WHERE sha256 = ?",
                [signed["envelope"], format_time(self._clock.now()), row["sha256"]],
            )
        return self.get(row["sha256"])

    def revoke(self, warrant: str, signer: Identity) -> WarrantRecord:
        """Take a warrant back at once and for good; one operator is enough.

        Raises WarrantUnknown, OperatorNotAllowed.
        """
        if self._operators.find(signer.public.fingerprint) is None:
            raise OperatorNotAllowed("no active operator of this home", role="propose")
        sha256, at = self._get_row(warrant)["sha256"], format_time(self._clock.now())
        payload = _canonical({"format": REVOCATION_FORMAT, "warrant_sha256": sha256, "at": at})
        revocation = sign_envelope(signer, REVOCATION_TYPE, payload)
        with write_transaction(self._database):
            self._database.execute(
                "UPDATE warrant SET state = 'REVOKED', revocation = ?, revoked_at = ?"
                " WHERE sha256 = ? AND state <> 'REVOKED'",
                [revocation, at, sha256],
            )
        return self.get(sha256)

    def require(self, dataset: str, divisions: Sequence[str], warrant: str | None = None) -> Warrant:
        """The warrant to run under now: the one named, else the newest that covers the run.

        Every signature is verified anew. Raises WarrantMissing, WarrantUnknown, WarrantNotInForce,
        WarrantExceeded; a VerificationError if a stored warrant was tampered with.
        """
        named = warrant is not None
        rows = [self._get_row(warrant)] if warrant is not None else self._list_rows("state <> 'REVOKED'")
        refusals: list[MingceError] = []
        for row in reversed(rows):
            try:
                found = self._in_force(row)
                found.require_covers(dataset, divisions, self._clock.now())
                return found
            except (WarrantNotInForce, WarrantExceeded) as error:
                refusals.append(error)
        if refusals and (named or len(refusals) == 1):
            raise refusals[0]
        raise WarrantMissing("no warrant covers this run", dataset=dataset, reasons=[one.detail for one in refusals])

    def list_all(self) -> list[WarrantRecord]:
        """Every warrant, the newest first."""
        return [_record(row) for row in reversed(self._list_rows("1"))]

    def get(self, warrant: str) -> WarrantRecord:
        """By its id or how it begins. Raises WarrantUnknown."""
        return _record(self._get_row(warrant))

    def _in_force(self, row: Mapping[str, Any]) -> Warrant:
        """A row's warrant, if it is signed and not revoked; its time is not looked at."""
        place = {"warrant": row["sha256"][:12]}
        if row["state"] == "REVOKED":
            raise WarrantNotInForce("revoked", **place, reason="revoked")
        try:
            opened = self._operators.open_decision(row["envelope"], WARRANT_TYPE)
        except SignaturesMissing:
            raise WarrantNotInForce("a second operator has not signed", **place, reason="unsigned") from None
        except (SignerUnknown, OperatorNotAllowed):
            gone = "a signer is no operator any more, or lacks the role"
            raise WarrantNotInForce(gone, **place, reason="signer_gone") from None
        if hashlib.sha256(opened.payload).hexdigest() != row["sha256"]:
            raise EnvelopeInvalid("the stored warrant is another one")
        terms, bank, _ = _decode(opened.payload)
        if bank != self._bank:
            raise WarrantNotInForce("another bank's", **place, reason="another_bank")
        return Warrant(terms, row["sha256"], tuple(signer.name for signer in opened.signers))

    def _get_row(self, warrant: str) -> dict[str, Any]:
        found = [row for row in self._list_rows("1") if warrant and row["sha256"].startswith(warrant)]
        if len(found) != 1:
            raise WarrantUnknown("no warrant, or more than one, begins so")
        return found[0]

    def _list_rows(self, condition: Literal["1", "state <> 'REVOKED'"]) -> list[dict[str, Any]]:
        return fetch_records(self._database, f"SELECT * FROM warrant WHERE {condition} ORDER BY rowid")  # noqa: S608


def _record(row: Mapping[str, Any]) -> WarrantRecord:
    terms, _, _ = _decode(unverified_payload(row["envelope"]))
    return WarrantRecord(
        row["sha256"], terms, row["state"], tuple(claimed_signers(row["envelope"])), row["proposed_at"]
    )


def _encode(terms: Terms, bank: str, proposed_at: str) -> bytes:
    return _canonical(
        {
            "format": WARRANT_FORMAT,
            "bank": bank,
            "purpose": terms.purpose,
            "legal_basis": terms.legal_basis,
            "agreement_no": terms.agreement_no,
            "dataset": terms.dataset,
            "divisions": list(terms.divisions),
            "max_new_customers": terms.max_new_customers,
            "not_before": format_time(terms.not_before),
            "not_after": format_time(terms.not_after),
            "proposed_at": proposed_at,
        }
    )


_MEMBERS = ("format", "bank", "proposed_at", *Terms.__dataclass_fields__)


def _decode(payload: bytes) -> tuple[Terms, str, str]:
    """(terms, the bank's fingerprint, when it was proposed). Raises WarrantInvalid."""
    try:
        found = parse_object(payload, _MEMBERS, max_bytes=MAX_WARRANT_BYTES)
        divisions, customers = found["divisions"], found["max_new_customers"]
        if found["format"] != WARRANT_FORMAT or not isinstance(divisions, list) or type(customers) is not int:
            raise WarrantInvalid("not a mingce-warrant/1 document")
        terms = Terms(
            purpose=require_text(found["purpose"]),
            legal_basis=require_text(found["legal_basis"]),
            agreement_no=require_text(found["agreement_no"]),
            dataset=require_text(found["dataset"]),
            divisions=tuple(require_text(division) for division in divisions),
            max_new_customers=customers,
            not_before=parse_time(require_text(found["not_before"])),
            not_after=parse_time(require_text(found["not_after"])),
        )
        return terms, require_text(found["bank"]), require_text(found["proposed_at"])
    except JsonInvalid as error:
        raise WarrantInvalid(error.detail) from None
    except ValueError:
        raise WarrantInvalid("a time is not of the form 2026-01-05T09:00:00Z") from None


def _canonical(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
