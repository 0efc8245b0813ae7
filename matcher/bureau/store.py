"""The bureau's store: whom it trusts, what banks handed over, and the households found.

One SQLite file, explained in docs/reference/bureau-store.md. ID numbers and names are
sealed row by row; listings show them masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys.clock import Clock
from keys.database import write_transaction
from keys.identity import PublicIdentity
from keys.receipts import ReceiptKeys
from matcher.bureau.imports import Import, import_handover, list_year
from matcher.bureau.office import Office
from matcher.canaries import CanaryList
from matcher.handover import Handover
from matcher.masking import mask_name
from matcher.rows import fetch_all, fetch_first, fetch_records
from psi.errors import InputError
from psi.identifiers import mask


class BankConflict(InputError):
    """Another bank is registered under this name."""

    code = "bank_conflict"


class ReceiptKeyConflict(InputError):
    """Another receipt key is stored for this division and epoch already."""

    code = "receipt_key_conflict"


@dataclass(frozen=True)
class Household:
    """A household that candidates were grouped into; ``members_found`` counts the candidates."""

    household_id: int
    dataset: str
    household_no: str
    state: str
    household_size: str
    division: str
    expanding: str
    reasons: str
    members_found: int
    has_conflict: bool


@dataclass(frozen=True)
class Candidate:
    """A person handed over, as a listing shows them: ``item`` and ``name`` are masked."""

    candidate_id: int
    household_no: str
    item: str
    name: str
    division: str
    expanding: str
    reasons: str
    banks: int


class BureauStore:
    """Everything the bureau keeps. ``divisions`` are its own counties, six digits each."""

    def __init__(
        self,
        home: Path,
        secret: bytes,
        clock: Clock,
        divisions: Sequence[str],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.office = office = Office(home, secret, clock, divisions, random_bytes)
        self._database = office.database
        self._sealer = office.personal.sealer
        self._divisions = office.divisions
        self.alarms = office.alarms

    def close(self) -> None:
        self.office.close()

    # Whom the bureau trusts

    def add_bank(self, bank: PublicIdentity) -> None:
        """Trust a bank's hand-overs from now on; again it changes nothing. Raises InputError, BankConflict."""
        if bank.kind != "bank":
            raise InputError("not the identity of a bank", kind=bank.kind)
        with write_transaction(self._database):
            known = fetch_first(self._database, "SELECT fingerprint FROM bank WHERE name = ?", [bank.name])
            if known is not None and known[0] != bank.fingerprint:
                raise BankConflict("another key is registered under this name", name=bank.name, fingerprint=known[0])
            self._database.execute(
                "INSERT INTO bank VALUES (?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING",
                [bank.fingerprint, bank.name, bank.to_json().decode(), self._now()],
            )

    def list_banks(self) -> list[PublicIdentity]:
        """The registered banks, by name."""
        rows = fetch_all(self._database, "SELECT document FROM bank ORDER BY name")
        return [PublicIdentity.from_json(document) for (document,) in rows]

    def add_receipt_keys(self, keys: ReceiptKeys) -> None:
        """Store what the province sent; again it changes nothing.

        Raises InputError if a division is not the bureau's own, ReceiptKeyConflict if another key is known.
        """
        foreign = sorted(set(keys.keys) - self._divisions)
        if foreign:
            raise InputError("receipt keys of divisions that are not ours", divisions=foreign)
        with write_transaction(self._database):
            self._database.execute(
                "INSERT INTO epoch (dataset, epoch, list_year) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [keys.dataset, keys.epoch, list_year(keys.epoch, self.office.today())],
            )
            known = self._receipt_keys(keys.dataset, keys.epoch)
            epoch_no = self._epoch_no(keys.dataset, keys.epoch)
            for division, key in keys.keys.items():
                if known.get(division, key) != key:
                    raise ReceiptKeyConflict("another receipt key is stored", epoch=keys.epoch, division=division)
                sealed = self._sealer.seal(key, "receipt_key", "sealed", f"{epoch_no}/{division}")
                self._database.execute(
                    "INSERT INTO receipt_key VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [epoch_no, division, sealed, self._now()],
                )

    def add_canaries(self, canaries: CanaryList) -> int:
        """Recognise these households from now on; again it changes nothing. Returns how many were new."""
        new = sorted(set(canaries.households) - set(self._canaries(canaries.dataset)))
        with write_transaction(self._database):
            for household in new:
                cursor = self._database.execute(
                    "INSERT INTO canary (dataset, sealed, received_at) VALUES (?, x'', ?)",
                    [canaries.dataset, self._now()],
                )
                sealed = self._sealer.seal(household.encode(), "canary", "sealed", str(cursor.lastrowid))
                self._database.execute("UPDATE canary SET sealed = ? WHERE canary_id = ?", [sealed, cursor.lastrowid])
        return len(new)

    # Hand-overs

    def import_handover(self, handover: Handover, operator: str, *, dry_run: bool = False) -> Import:
        """Check every row's receipt and store the sound ones, in one transaction.

        A row whose receipt fails, or whose division is not the bureau's, is refused and recorded, with an
        alarm; the others are imported, because each receipt stands for its own row and one bad row must not
        hold up a county. The same file again changes nothing, and neither does ``dry_run``.
        Raises BankUntrusted, ReceiptKeyMissing.
        """
        return import_handover(
            self.office,
            handover,
            operator=operator,
            receipt_keys=self._receipt_keys(handover.header.dataset, handover.header.epoch),
            canaries=self._canaries(handover.header.dataset),
            dry_run=dry_run,
        )

    def list_handovers(self) -> list[dict[str, Any]]:
        """The newest first: bank, run_id, dataset, epoch, edition, rows, accepted, refused, imported_at, operator."""
        return fetch_records(
            self._database,
            "SELECT handover_id, bank.name AS bank, run_id, dataset, epoch, edition, rows, accepted,"
            " rows - accepted AS refused, imported_at, operator"
            " FROM handover JOIN epoch USING (epoch_no) JOIN bank ON bank.fingerprint = handover.bank"
            " ORDER BY handover_id DESC",
        )

    def list_refused(self, handover_id: int) -> list[dict[str, Any]]:
        """row, reason and masked_item of a hand-over's refused rows."""
        return fetch_records(
            self._database,
            "SELECT row, reason, masked_item FROM refused_row WHERE handover_id = ? ORDER BY row",
            [handover_id],
        )

    # Households and candidates

    def count(self) -> dict[str, int]:
        """How many households, candidates, conflicts, hand-overs and waiting alarms there are."""
        tables = ("household", "candidate", "conflict", "handover")
        counts = {name: fetch_all(self._database, f"SELECT COUNT(*) FROM {name}")[0][0] for name in tables}  # noqa: S608
        return {**counts, "waiting_alarms": len(self.alarms.list_waiting())}

    def iterate_households(self) -> Iterator[Household]:
        """By division and number."""
        rows = fetch_records(
            self._database,
            "SELECT household_id, dataset, household_no, state, household_size, division, expanding, reasons,"
            " (SELECT COUNT(*) FROM candidate WHERE candidate.household_id = household.household_id) AS members_found,"
            " EXISTS (SELECT 1 FROM conflict WHERE conflict.household_id = household.household_id) AS has_conflict"
            " FROM household ORDER BY division, household_no",
        )
        for row in rows:
            yield Household(**{**row, "has_conflict": bool(row["has_conflict"])})

    def iterate_candidates(self, household_id: int | None = None) -> Iterator[Candidate]:
        """Masked, by household; of one household or of all."""
        rows = fetch_records(
            self._database,
            "SELECT candidate_id, household_no, item_ref, sealed_person, candidate.division, candidate.expanding,"
            " candidate.reasons, (SELECT COUNT(DISTINCT bank) FROM candidate_source JOIN handover USING (handover_id)"
            "  WHERE candidate_source.candidate_id = candidate.candidate_id) AS banks"
            " FROM candidate JOIN household USING (household_id)"
            " WHERE ?1 IS NULL OR household_id = ?1 ORDER BY household_no, candidate_id",
            [household_id],
        )
        for row in rows:
            sealed, reference = row.pop("sealed_person"), row.pop("item_ref")
            item, name = json.loads(self._sealer.open(sealed, "candidate", "sealed_person", reference.hex()))
            yield Candidate(item=mask(item), name=mask_name(name), **row)

    def list_conflicts(self) -> list[dict[str, Any]]:
        """kind, household_no, found_at; for person_in_two_households there is a row for each household."""
        return fetch_records(
            self._database,
            "SELECT kind, household_no, found_at, conflict.handover_id FROM conflict JOIN household"
            " USING (household_id) ORDER BY conflict_id",
        )

    def _receipt_keys(self, dataset: str, epoch: str) -> dict[str, bytes]:
        """By division; empty if the epoch is unknown."""
        rows = fetch_all(
            self._database,
            "SELECT epoch_no, division, sealed FROM receipt_key JOIN epoch USING (epoch_no)"
            " WHERE dataset = ? AND epoch = ?",
            [dataset, epoch],
        )
        return {
            division: self._sealer.open(sealed, "receipt_key", "sealed", f"{epoch_no}/{division}")
            for epoch_no, division, sealed in rows
        }

    def _canaries(self, dataset: str) -> list[str]:
        """Household numbers."""
        rows = fetch_all(self._database, "SELECT canary_id, sealed FROM canary WHERE dataset = ?", [dataset])
        return [self._sealer.open(sealed, "canary", "sealed", str(number)).decode() for number, sealed in rows]

    def _epoch_no(self, dataset: str, epoch: str) -> int:
        ((epoch_no,),) = fetch_all(
            self._database, "SELECT epoch_no FROM epoch WHERE dataset = ? AND epoch = ?", [dataset, epoch]
        )
        return int(epoch_no)

    def _now(self) -> str:
        return self.office.now()
