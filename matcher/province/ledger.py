"""The province's ledger: who may ask what, what was asked, and which edition is served.

One SQLite file. Every change is one durable transaction together with its audit row.
docs/reference/province-store.md explains the tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from keys.clock import Clock, format_time
from keys.epochs import check_name
from keys.identity import PublicIdentity
from matcher.province.audit import AuditHead, verify_chain
from matcher.province.records import (
    AnswerDiffers,
    Budget,
    BudgetExhausted,
    Dataset,
    EditionNotRising,
    EditionRecord,
    Grant,
    IdempotencyMismatch,
    NotGranted,
    Party,
    PartyConflict,
    PartyState,
    Replayed,
    UnknownRecord,
)
from matcher.province.store import ProvinceStore
from psi.errors import InputError

DIVISION_PATTERN = re.compile(r"[0-9]{6}")
MAX_BUDGET = 2**32  # as many evaluations as one key is good for
NONCE_MARGIN = timedelta(days=3)  # so long a nonce outlives its window: a clock set back by two days replays nothing

_PARTY_BY_FINGERPRINT = "SELECT * FROM party WHERE fingerprint = ?"


class Ledger:
    """A party is named by its fingerprint. ``actor`` goes into the audit row: who did it.

    Threads may share a ledger. Every method may raise DatabaseBusy (the write lock stayed
    taken) or DatabaseUnavailable (the disk is full or fails); nothing was changed then.
    """

    def __init__(self, store: ProvinceStore) -> None:
        self._store = store

    @classmethod
    def open(cls, home: Path, clock: Clock) -> Ledger:
        """Open or create ``<home>/province.sqlite``. Raises what keys.database.open_database raises."""
        return cls(ProvinceStore(home, clock))

    def close(self) -> None:
        self._store.close()

    # Parties, datasets, grants

    def register_party(self, identity: PublicIdentity, *, actor: str = "province") -> Party:
        """Register a bank or bureau; again with the same key it changes nothing.

        Raises PartyConflict if the name stands for another key or the key for another
        name or kind: a changed key is a new party under a new name.
        """
        with self._store.writing() as db:
            known = self._store.find_row(_PARTY_BY_FINGERPRINT, identity.fingerprint)
            if known is None:
                if self._store.find_row("SELECT 1 FROM party WHERE name = ?", identity.name):
                    raise PartyConflict("the name belongs to another key", name=identity.name)
                row = (
                    identity.fingerprint,
                    identity.name,
                    identity.kind,
                    identity.verify_key,
                    "active",
                    self._store.now(),
                )
                db.execute("INSERT INTO party VALUES (?, ?, ?, ?, ?, ?)", row)
                self._store.audit(actor, "register_party", identity.fingerprint, name=identity.name, kind=identity.kind)
            elif (known["name"], known["kind"]) != (identity.name, identity.kind):
                raise PartyConflict("the key belongs to another name or kind", name=known["name"])
            return self._get_party(identity.fingerprint)

    def set_party_state(self, fingerprint: str, state: PartyState, *, actor: str = "province") -> None:
        """``suspended`` shuts a party out at once, ``active`` lets it in again. Raises UnknownRecord."""
        with self._store.writing() as db:
            self._get_party(fingerprint)
            db.execute("UPDATE party SET state = ? WHERE fingerprint = ?", (state, fingerprint))
            self._store.audit(actor, "set_party_state", fingerprint, state=state)

    def find_party_by_fingerprint(self, fingerprint: str) -> Party | None:
        with self._store.reading():
            row = self._store.find_row(_PARTY_BY_FINGERPRINT, fingerprint)
        return Party.from_row(row) if row else None

    def get_party(self, name: str) -> Party:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_party(name, by="SELECT * FROM party WHERE name = ?")

    def list_parties(self) -> list[Party]:
        with self._store.reading() as db:
            return [Party.from_row(row) for row in db.query("SELECT * FROM party ORDER BY name")]

    def register_dataset(
        self, name: str, *, title: str, label_schema: Mapping[str, object], actor: str = "province"
    ) -> Dataset:
        """Create a dataset. Raises InputError if the name is not usable or is taken."""
        check_name(name, "dataset")
        with self._store.writing() as db:
            if self._store.find_row("SELECT 1 FROM dataset WHERE name = ?", name):
                raise InputError("the dataset exists already", dataset=name)
            schema = json.dumps(label_schema, ensure_ascii=False)
            db.execute("INSERT INTO dataset VALUES (?, ?, ?, NULL, ?)", (name, title, schema, self._store.now()))
            self._store.audit(actor, "register_dataset", name, label_schema=label_schema)
            return self._get_dataset(name)

    def set_current_epoch(self, dataset: str, epoch: str, *, actor: str = "province") -> None:
        """Name the epoch that callers should use. Raises UnknownRecord."""
        check_name(epoch, "epoch")
        with self._store.writing() as db:
            self._get_dataset(dataset)
            db.execute("UPDATE dataset SET current_epoch = ? WHERE name = ?", (epoch, dataset))
            self._store.audit(actor, "set_current_epoch", dataset, epoch=epoch)

    def get_dataset(self, name: str) -> Dataset:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_dataset(name)

    def list_datasets(self, *, granted_to: str | None = None) -> list[Dataset]:
        """All datasets, or those granted to one party (its fingerprint)."""
        with self._store.reading() as db:
            rows = db.query(
                "SELECT * FROM dataset WHERE :party IS NULL"
                " OR name IN (SELECT dataset FROM grant WHERE party = :party) ORDER BY name",
                {"party": granted_to},
            )
            return [Dataset.from_row(row) for row in rows]

    def grant(self, party: str, dataset: str, *, divisions: Sequence[str] | None, actor: str = "province") -> None:
        """Let a party (its fingerprint) use a dataset: slices of these divisions, or of all (None).

        Replaces an earlier grant. Raises UnknownRecord, InputError.
        """
        for division in divisions or ():
            if not DIVISION_PATTERN.fullmatch(division):
                raise InputError("a division is six digits", division=division)
        listed = None if divisions is None else sorted(set(divisions))
        with self._store.writing() as db:
            self._get_party(party)
            self._get_dataset(dataset)
            row = (party, dataset, None if listed is None else json.dumps(listed), self._store.now())
            db.execute("INSERT OR REPLACE INTO grant VALUES (?, ?, ?, ?)", row)
            self._store.audit(actor, "grant", party, dataset=dataset, divisions=listed)

    def revoke(self, party: str, dataset: str, *, actor: str = "province") -> None:
        """Take a grant back. Raises UnknownRecord if there is none."""
        with self._store.writing() as db:
            if db.execute("DELETE FROM grant WHERE party = ? AND dataset = ?", (party, dataset)).rowcount != 1:
                raise UnknownRecord("no such grant", dataset=dataset)
            self._store.audit(actor, "revoke", party, dataset=dataset)

    def find_grant(self, party: str, dataset: str) -> Grant | None:
        with self._store.reading():
            row = self._store.find_row("SELECT * FROM grant WHERE party = ? AND dataset = ?", party, dataset)
        return Grant.from_row(row) if row else None

    # Budgets and evaluations

    def set_budget(self, party: str, dataset: str, epoch: str, limit: int, *, actor: str = "province") -> None:
        """Set how many elements a party may have evaluated in an epoch, at most 2**32; what is used stays used.

        Raises UnknownRecord, InputError.
        """
        check_name(epoch, "epoch")
        if not 0 <= limit <= MAX_BUDGET:
            raise InputError("a budget is 0 to 2**32 elements", limit=limit)
        with self._store.writing() as db:
            self._get_party(party)
            self._get_dataset(dataset)
            db.execute(
                "INSERT INTO budget VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET lim = excluded.lim",
                (party, dataset, epoch, limit),
            )
            self._store.audit(actor, "set_budget", party, dataset=dataset, epoch=epoch, limit=limit)

    def find_budget(self, party: str, dataset: str, epoch: str) -> Budget | None:
        with self._store.reading():
            row = self._store.find_row(
                "SELECT lim, used FROM budget WHERE party = ? AND dataset = ? AND epoch = ?", party, dataset, epoch
            )
        return Budget(limit=row["lim"], used=row["used"]) if row else None

    def charge(self, *, party: str, dataset: str, epoch: str, idempotency_key: str, body_sha256: bytes, n: int) -> bool:
        """Charge n elements and remember the idempotency key, in one transaction.

        True if the charge is new, False if this very request was charged before (it is then free).
        Raises IdempotencyMismatch if the key was used with another body or place, NotGranted
        without a budget in this epoch, BudgetExhausted if n is more than is left.
        """
        request = {"dataset": dataset, "epoch": epoch, "body_sha256": body_sha256.hex(), "n": n}
        place = {"party": party, "dataset": dataset, "epoch": epoch, "n": n}
        with self._store.writing() as db:
            known = self._store.find_row(
                "SELECT dataset, epoch, body_sha256, n FROM charge WHERE party = ? AND idempotency_key = ?",
                party,
                idempotency_key,
            )
            if known is not None:
                if known != request:
                    raise IdempotencyMismatch("the idempotency key was used with another request")
                return False
            charged = db.execute(
                "UPDATE budget SET used = used + :n"
                " WHERE party = :party AND dataset = :dataset AND epoch = :epoch AND used + :n <= lim",
                place,
            )
            if charged.rowcount != 1:
                if self.find_budget(party, dataset, epoch) is None:
                    raise NotGranted("no budget in this epoch", dataset=dataset, epoch=epoch)
                raise BudgetExhausted("more elements than the budget has left", dataset=dataset, epoch=epoch)
            db.execute(
                "INSERT INTO charge (party, idempotency_key, dataset, epoch, body_sha256, n, charged_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (party, idempotency_key, dataset, epoch, body_sha256.hex(), n, self._store.now()),
            )
            self._store.audit(party, "charge", dataset, epoch=epoch, n=n, body_sha256=body_sha256.hex())
        return True

    def record_answer(self, *, party: str, idempotency_key: str, answer_sha256: bytes) -> None:
        """Remember the digest of the answer to a charged request.

        Raises AnswerDiffers if the same request was answered with other bytes before.
        """
        with self._store.writing() as db:
            recorded = db.execute(
                "UPDATE charge SET answered_at = COALESCE(answered_at, :at), answer_sha256 = :digest"
                " WHERE party = :party AND idempotency_key = :key AND COALESCE(answer_sha256, :digest) = :digest",
                {"at": self._store.now(), "digest": answer_sha256.hex(), "party": party, "key": idempotency_key},
            )
            if recorded.rowcount != 1:
                raise AnswerDiffers("not charged, or answered with other bytes before")

    def use_nonce(self, keyid: str, nonce: str, *, expires_at: datetime) -> None:
        """Raises Replayed if this key has used this nonce before."""
        with self._store.writing() as db:
            row = (keyid, nonce, format_time(expires_at))
            if db.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?, ?)", row).rowcount != 1:
                raise Replayed("the nonce was used before")

    def prune(self, now: datetime) -> int:
        """Forget the nonces whose window closed three days ago; returns how many. For a nightly job."""
        with self._store.writing() as db:
            return db.execute("DELETE FROM nonce WHERE expires_at < ?", (format_time(now - NONCE_MARGIN),)).rowcount

    # Editions

    def record_edition(
        self,
        *,
        dataset: str,
        epoch: str,
        edition: int,
        manifest_sha256: str,
        folder: str,
        rows: int,
        counts: Mapping[str, int],
        actor: str = "province",
    ) -> EditionRecord:
        """Make a finished folder the current edition of its epoch, in one transaction.

        ``manifest_sha256`` is over the file manifest.json, ``folder`` relative to the home.
        Raises UnknownRecord, EditionNotRising.
        """
        with self._store.writing() as db:
            self._get_dataset(dataset)
            (last,) = db.execute(
                "SELECT COALESCE(MAX(edition), 0) FROM edition WHERE dataset = ? AND epoch = ?", (dataset, epoch)
            ).fetchone()
            if edition <= last:
                raise EditionNotRising("edition numbers only rise", edition=edition, last=last)
            db.execute(
                "UPDATE edition SET state = 'superseded' WHERE dataset = ? AND epoch = ? AND state = 'current'",
                (dataset, epoch),
            )
            db.execute(
                "INSERT INTO edition VALUES (?, ?, ?, ?, ?, 'current', ?, ?, ?)",
                (dataset, epoch, edition, manifest_sha256, folder, self._store.now(), rows, json.dumps(dict(counts))),
            )
            detail = {"edition": edition, "rows": rows, "counts": dict(counts), "manifest_sha256": manifest_sha256}
            self._store.audit(actor, "publish_edition", dataset, epoch=epoch, **detail)
            return self._get_edition(dataset, epoch, edition)

    def current_edition(self, dataset: str, epoch: str) -> EditionRecord | None:
        """The edition served, or None before the first publication."""
        with self._store.reading():
            row = self._store.find_row(
                "SELECT * FROM edition WHERE dataset = ? AND epoch = ? AND state = 'current'", dataset, epoch
            )
        return EditionRecord.from_row(row) if row else None

    def get_edition(self, dataset: str, epoch: str, edition: int) -> EditionRecord:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_edition(dataset, epoch, edition)

    def list_editions(self, dataset: str, epoch: str) -> list[EditionRecord]:
        with self._store.reading() as db:
            rows = db.query("SELECT * FROM edition WHERE dataset = ? AND epoch = ? ORDER BY edition", (dataset, epoch))
            return [EditionRecord.from_row(row) for row in rows]

    # Audit

    def record_refusal(self, *, actor: str, subject: str, code: str, **detail: object) -> None:
        """One audit row for one refused act. Neither ``subject`` nor ``detail`` may repeat what the caller sent."""
        with self._store.writing():
            self._store.audit(actor, "refused", subject, code=code, **detail)

    def verify_audit(self) -> AuditHead:
        """Recompute the audit chain; returns its head. Raises AuditBroken naming the first bad row."""
        with self._store.reading() as db:
            return verify_chain(db)

    def _get_party(self, value: str, *, by: str = _PARTY_BY_FINGERPRINT) -> Party:
        row = self._store.find_row(by, value)
        if row is None:
            raise UnknownRecord("no such party")
        return Party.from_row(row)

    def _get_dataset(self, name: str) -> Dataset:
        row = self._store.find_row("SELECT * FROM dataset WHERE name = ?", name)
        if row is None:
            raise UnknownRecord("no such dataset")
        return Dataset.from_row(row)

    def _get_edition(self, dataset: str, epoch: str, edition: int) -> EditionRecord:
        row = self._store.find_row(
            "SELECT * FROM edition WHERE dataset = ? AND epoch = ? AND edition = ?", dataset, epoch, edition
        )
        if row is None:
            raise UnknownRecord("no such edition")
        return EditionRecord.from_row(row)
