"""Importing a hand-over: check every row's receipt, group the sound rows into households, note conflicts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlite_utils import Database

from keys.database import write_transaction
from matcher.alarms import Alarms
from matcher.handover import BankUntrusted, Handover, whole_column
from matcher.rows import fetch_first
from matcher.sealing import Sealer
from psi.blindindex import blind_index
from psi.columns import fixed
from psi.errors import MingceError, VerificationError
from psi.identifiers import mask
from psi.receipts import find_sound_receipts

FOREIGN_DIVISION = "foreign_division"
RECEIPT_INVALID = "receipt_invalid"
CANARY = "canary"
_ROWS_AT_ONCE = 8_192

# ?1 is the hand-over, ?2 the time. "touched" are the candidates it named, and below their households.
_REFRESH_HOUSEHOLDS = """
    WITH touched AS (SELECT candidate_id FROM candidate_source WHERE handover_id = ?1)
    UPDATE household SET updated_at = ?2, (household_size, division, expanding, reasons) = (
        SELECT household_size, division, expanding, reasons FROM candidate
        WHERE candidate.household_id = household.household_id
        ORDER BY epoch_no DESC, edition DESC, row_version DESC, candidate_id LIMIT 1)
    WHERE household_id IN (SELECT household_id FROM candidate JOIN touched USING (candidate_id))
"""
_NOTE_CONFLICTS = (
    # The same person in another household of the same dataset.
    """
    WITH touched AS (SELECT candidate_id FROM candidate_source WHERE handover_id = ?1)
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT 'person_in_two_households', one.household_id, one.item_ref, ?1, ?2
    FROM candidate one JOIN household home USING (household_id)
    WHERE one.item_ref IN (SELECT item_ref FROM candidate JOIN touched USING (candidate_id)) AND EXISTS (
        SELECT 1 FROM candidate other JOIN household elsewhere USING (household_id)
        WHERE other.item_ref = one.item_ref AND other.household_id <> one.household_id
        AND elsewhere.dataset = home.dataset)
    ON CONFLICT DO NOTHING
    """,
    # Members of one household whose labels of one epoch disagree about it.
    """
    WITH touched AS (SELECT candidate_id FROM candidate_source WHERE handover_id = ?1)
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT DISTINCT 'labels_differ', household_id, x'', ?1, ?2 FROM candidate
    WHERE household_id IN (SELECT household_id FROM candidate JOIN touched USING (candidate_id))
    GROUP BY household_id, epoch_no
    HAVING COUNT(DISTINCT household_size || '/' || division || '/' || expanding) > 1
    ON CONFLICT DO NOTHING
    """,
    # More people than the household has. Fewer is usual: not every member is a bank's customer.
    """
    WITH touched AS (SELECT candidate_id FROM candidate_source WHERE handover_id = ?1)
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT 'too_many_members', household_id, x'', ?1, ?2 FROM household
    WHERE household_id IN (SELECT household_id FROM candidate JOIN touched USING (candidate_id))
    AND CAST(household_size AS INTEGER) BETWEEN 1 AND
        (SELECT COUNT(*) FROM candidate WHERE candidate.household_id = household.household_id) - 1
    ON CONFLICT DO NOTHING
    """,
)


class ReceiptKeyMissing(MingceError):
    """The province's receipt keys for these divisions have not been stored yet; nothing was imported."""

    code = "receipt_key_missing"


class RowsRefused(VerificationError):
    """Rows of a hand-over were refused; the others were imported. Only ever an alarm, never raised."""

    code = "handover_rows_refused"


class CanaryFound(VerificationError):
    """A hand-over holds canaries with the province's own receipts: the bank asked for numbers of no customer.

    Only ever an alarm, never raised; those rows were refused.
    """

    code = "canary_found"


class _DryRun(Exception):
    """Rolls a transaction back when its result is known."""


@dataclass(frozen=True)
class Import:
    """What an import did. ``already_imported``: this very file was imported before, and nothing was changed."""

    handover_id: int
    already_imported: bool
    rows: int
    accepted: int
    refused: Mapping[str, int] = field(default_factory=dict)  # by reason
    new_households: int = 0
    new_candidates: int = 0
    conflicts: int = 0


def refusals(
    handover: Handover, own: frozenset[str], receipt_keys: Mapping[str, bytes], canaries: Collection[str]
) -> pa.Array[Any]:
    """For each row why it is refused, or null. Raises ReceiptKeyMissing.

    A canary's row is one only if its receipt is sound: nobody can blame a bank without the province's own mark.
    """
    records, header = handover.records, handover.header
    counties = pc.utf8_slice_codeunits(whole_column(records, "division"), 0, 6)
    needed = own.intersection(str(county) for county in counties.unique().to_pylist())
    missing = sorted(needed - set(receipt_keys)) if receipt_keys else sorted(own)
    if missing:
        raise ReceiptKeyMissing(
            "receipt keys are missing", dataset=header.dataset, epoch=header.epoch, divisions=missing
        )
    labels = fixed(handover.labels, header.label_width)
    sound: list[pa.Array[Any]] = [pa.array([], pa.uint64())]
    for division in sorted(needed):
        rows = pc.indices_nonzero(pc.equal(counties, pa.scalar(division)))
        part = records.take(rows)
        is_sound = find_sound_receipts(
            receipt_keys[division],
            whole_column(part, "item"),
            whole_column(part, "row_version"),
            labels.take(rows),
            whole_column(part, "receipt"),
            dataset=header.dataset,
            epoch=header.epoch,
        )
        sound.append(rows.filter(is_sound))
    everything = pa.array(range(records.num_rows), pa.uint64())
    is_own = pc.is_in(counties, value_set=pa.array(sorted(own), pa.string()))
    reason = pc.if_else(is_own, pa.scalar(RECEIPT_INVALID), pa.scalar(FOREIGN_DIVISION))
    accepted = pc.is_in(everything, value_set=pa.concat_arrays(sound))
    households = whole_column(records, "household_no")
    is_canary = pc.is_in(households, value_set=pa.array(sorted(canaries), pa.string()))
    sound_reason = pc.if_else(is_canary, pa.scalar(CANARY), pa.scalar(None, pa.string()))
    refused: pa.Array[Any] = pc.if_else(accepted, sound_reason, reason)
    return refused


def import_handover(
    database: Database,
    handover: Handover,
    *,
    operator: str,
    now: str,
    divisions: frozenset[str],
    receipt_keys: Mapping[str, bytes],
    canaries: Collection[str],
    reference_key: bytes,
    sealer: Sealer,
    alarms: Alarms,
    dry_run: bool,
) -> Import:
    """See BureauStore.import_handover."""
    if fetch_first(database, "SELECT 1 FROM bank WHERE fingerprint = ?", [handover.bank.fingerprint]) is None:
        raise BankUntrusted("signed by a bank that is not registered here", found=handover.bank.fingerprint)
    reasons = refusals(handover, divisions, receipt_keys, canaries)
    accepted = handover.records.filter(pc.is_null(reasons))
    references = blind_index(reference_key, whole_column(accepted, "item"))
    with suppress(_DryRun), write_transaction(database):
        known = fetch_first(
            database, "SELECT handover_id, rows, accepted FROM handover WHERE sha256 = ?", [handover.sha256]
        )
        if known is not None:
            return Import(known[0], True, known[1], known[2])
        work = _Work(database, handover, sealer, operator, now, accepted.num_rows)
        refused = work.record_refused(reasons, alarms)
        for row in _rows(accepted, references):
            work.store_row(row)
        work.refresh_households()
        work.find_conflicts()
        if dry_run:
            raise _DryRun
    return Import(
        work.handover_id,
        False,
        handover.header.rows,
        accepted.num_rows,
        refused,
        work.new_households,
        work.new_candidates,
        work.conflicts,
    )


def _rows(accepted: pa.Table, references: pa.FixedSizeBinaryArray) -> Iterator[dict[str, Any]]:
    table = accepted.append_column("item_ref", references)
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


class _Work:
    """One import inside its transaction."""

    def __init__(
        self, database: Database, handover: Handover, sealer: Sealer, operator: str, now: str, accepted: int
    ) -> None:
        self._database = database
        self._header = header = handover.header
        self._records = handover.records
        self._sealer = sealer
        self._now = now
        self._households: dict[str, int] = {}
        self.new_households = self.new_candidates = self.conflicts = 0
        (self._epoch_no,) = database.execute(
            "SELECT epoch_no FROM epoch WHERE dataset = ? AND epoch = ?", [header.dataset, header.epoch]
        ).fetchone()
        cursor = database.execute(
            "INSERT INTO handover (sha256, bank, run_id, epoch_no, edition, envelope, rows, accepted, imported_at,"
            " operator) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                handover.sha256,
                handover.bank.fingerprint,
                header.run_id,
                self._epoch_no,
                header.edition,
                handover.envelope,
                header.rows,
                accepted,
                now,
                operator,
            ],
        )
        self.handover_id = int(cursor.lastrowid or 0)

    def record_refused(self, reasons: pa.Array[Any], alarms: Alarms) -> dict[str, int]:
        """Write down the refused rows and sound one alarm for each reason; returns the counts."""
        table = self._records.append_column("reason", reasons).append_column(
            "row", pa.array(range(1, len(reasons) + 1), pa.int64())
        )
        counts: Counter[str] = Counter()
        for refused in table.filter(pc.is_valid(reasons)).select(["row", "reason", "item"]).to_pylist():
            counts[refused["reason"]] += 1
            masked = mask(refused["item"].decode("ascii", "replace"))
            self._database.execute(
                "INSERT INTO refused_row VALUES (?, ?, ?, ?)",
                [self.handover_id, refused["row"], refused["reason"], masked],
            )
        for reason, rows in counts.items():
            kind = CanaryFound if reason == CANARY else RowsRefused
            error = kind("rows of a hand-over were refused", reason=reason, rows=rows, bank=self._header.bank)
            alarms.sound_within(error, str(self.handover_id))
        return dict(counts)

    def store_row(self, row: dict[str, Any]) -> None:
        """Add a candidate, or renew its label if this one is newer."""
        household_id = self._household(row)
        known = self._database.execute(
            "SELECT candidate_id, epoch_no, row_version FROM candidate WHERE item_ref = ? AND household_id = ?",
            [row["item_ref"], household_id],
        ).fetchone()
        if known is None:
            candidate_id = self._add_candidate(row, household_id)
        else:
            candidate_id = known[0]
            if (self._epoch_no, row["row_version"]) > (known[1], known[2]):
                self._renew_candidate(row, candidate_id)
        self._database.execute(
            "INSERT INTO candidate_source VALUES (?, ?) ON CONFLICT DO NOTHING", [candidate_id, self.handover_id]
        )

    def refresh_households(self) -> None:
        """Each touched household shows what the newest label of its members says."""
        self._database.execute(_REFRESH_HOUSEHOLDS, [self.handover_id, self._now])

    def find_conflicts(self) -> None:
        """Note what a person has to settle. Nothing is settled here: both sides of a conflict are kept."""
        for statement in _NOTE_CONFLICTS:
            self.conflicts += self._database.execute(statement, [self.handover_id, self._now]).rowcount

    def _household(self, row: dict[str, Any]) -> int:
        """The id of the row's household, which is created if it is new."""
        number = row["household_no"]
        if number not in self._households:
            known = self._database.execute(
                "SELECT household_id FROM household WHERE dataset = ? AND household_no = ?",
                [self._header.dataset, number],
            ).fetchone()
            self._households[number] = known[0] if known is not None else self._add_household(row)
        return self._households[number]

    def _add_household(self, row: dict[str, Any]) -> int:
        self.new_households += 1
        cursor = self._database.execute(
            "INSERT INTO household (dataset, household_no, state, household_size, division, expanding, reasons,"
            " township, created_at, updated_at, state_since)"
            " VALUES (?, ?, 'IMPORTED', ?, ?, ?, ?, substr(?, 1, 9), ?, ?, ?)",
            [self._header.dataset, row["household_no"], *_label(row), row["division"], self._now, self._now, self._now],
        )
        household_id = int(cursor.lastrowid or 0)
        self._database.execute("UPDATE household SET state = 'MATCHED' WHERE household_id = ?", [household_id])
        return household_id

    def _add_candidate(self, row: dict[str, Any], household_id: int) -> int:
        self.new_candidates += 1
        person = json.dumps([row["item"].decode("ascii"), row["name"]], ensure_ascii=False).encode()
        cursor = self._database.execute(
            "INSERT INTO candidate (item_ref, household_id, epoch_no, edition, row_version, household_size, division,"
            " expanding, reasons, receipt, sealed_person, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                row["item_ref"],
                household_id,
                *self._provenance(row),
                *_label(row),
                row["receipt"],
                self._sealer.seal(person, "candidate", "sealed_person", row["item_ref"].hex()),
                self._now,
                self._now,
            ],
        )
        return int(cursor.lastrowid or 0)

    def _renew_candidate(self, row: dict[str, Any], candidate_id: int) -> None:
        self._database.execute(
            "UPDATE candidate SET epoch_no = ?, edition = ?, row_version = ?, household_size = ?, division = ?,"
            " expanding = ?, reasons = ?, receipt = ?, updated_at = ? WHERE candidate_id = ?",
            [*self._provenance(row), *_label(row), row["receipt"], self._now, candidate_id],
        )

    def _provenance(self, row: dict[str, Any]) -> tuple[int, int, int]:
        return self._epoch_no, self._header.edition, row["row_version"]


def _label(row: dict[str, Any]) -> tuple[str, str, str, str]:
    return row["household_size"], row["division"], row["expanding"], row["reasons"]
