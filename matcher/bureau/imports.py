"""Importing a hand-over: check every row's receipt, group the sound rows into households, note conflicts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from matcher.bureau.actors import Actor
from matcher.bureau.conflicts import note_conflicts, note_links, note_two_names, refresh_households
from matcher.bureau.members import MemberWriter, Person
from matcher.bureau.office import Office
from matcher.bureau.refusals import CANARY, CanaryFound, RowsRefused, find_refusals
from matcher.handover import BankUntrusted, Handover, whole_column
from matcher.rows import fetch_first
from psi.blindindex import blind_index
from psi.identifiers import mask

_ROWS_AT_ONCE = 8_192

# States in which a case has ended: next year's list opens a new one.
_ENDED = frozenset({"REFINED_OUT", "REJECTED", "GRADUATED", "REMOVED"})
_YEAR = re.compile(r"20\d\d")


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
    links: int = 0  # with cases of an earlier year


def list_year(epoch: str, today: date) -> int:
    """Of the base list that an epoch belongs to: the year in its name, else this one."""
    found = _YEAR.search(epoch)
    return int(found[0]) if found else today.year


def import_handover(
    office: Office,
    handover: Handover,
    *,
    operator: str,
    receipt_keys: Mapping[str, bytes],
    canaries: Collection[str],
    dry_run: bool,
) -> Import:
    """See BureauStore.import_handover."""
    bank = handover.bank.fingerprint
    if fetch_first(office.database, "SELECT 1 FROM bank WHERE fingerprint = ?", [bank]) is None:
        raise BankUntrusted("signed by a bank that is not registered here", found=bank)
    reasons = find_refusals(handover, office.divisions, receipt_keys, canaries)
    accepted = handover.records.filter(pc.is_null(reasons))
    references = blind_index(office.personal.reference_key, whole_column(accepted, "item"))
    with suppress(_DryRun), office.writing() as database:
        known = fetch_first(
            database, "SELECT handover_id, rows, accepted FROM handover WHERE sha256 = ?", [handover.sha256]
        )
        if known is not None:
            return Import(known[0], True, known[1], known[2])
        work = _Work(office, handover, operator, accepted)
        refused = work.record_refused(reasons)
        for row in _rows(accepted, references):
            work.store_row(row)
        work.finish()
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
        work.links,
    )


def _rows(accepted: pa.Table, references: pa.FixedSizeBinaryArray) -> Iterator[dict[str, Any]]:
    table = accepted.append_column("item_ref", references)
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


class _Work:
    """One import inside its transaction."""

    def __init__(self, office: Office, handover: Handover, operator: str, accepted: pa.Table) -> None:
        self._database = database = office.database
        self._personal = office.personal
        self._alarms = office.alarms
        self._header = header = handover.header
        self._records = handover.records
        self._bank = handover.bank.fingerprint
        self._operator = operator
        self._now = office.now()
        names = [name.as_py() for name in whole_column(accepted, "name").unique()]
        self._members = MemberWriter(database, office.personal, self._now, names)
        self._households: dict[str, int] = {}
        self.new_households = self.new_candidates = self.conflicts = self.links = 0
        self._epoch_no, self._list_year = database.execute(
            "SELECT epoch_no, list_year FROM epoch WHERE dataset = ? AND epoch = ?", [header.dataset, header.epoch]
        ).fetchone()
        cursor = database.execute(
            "INSERT INTO handover (sha256, bank, run_id, epoch_no, edition, envelope, rows, accepted, imported_at,"
            " operator) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                handover.sha256,
                self._bank,
                header.run_id,
                self._epoch_no,
                header.edition,
                handover.envelope,
                header.rows,
                accepted.num_rows,
                self._now,
                operator,
            ],
        )
        self.handover_id = int(cursor.lastrowid or 0)
        self._audit_seq = office.record_within(
            Actor(operator, frozenset()),
            "handover.import",
            f"handover/{self.handover_id}",
            purpose=header.purpose,
            sha256=handover.sha256,
            bank=self._bank,
            rows=header.rows,
            accepted=accepted.num_rows,
        )

    def record_refused(self, reasons: pa.Array[Any]) -> dict[str, int]:
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
            error = kind("rows of a hand-over were refused", reason=reason, rows=rows, bank=self._bank)
            self._alarms.sound_within(error, str(self.handover_id))
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
        self._put_member(row, household_id, candidate_id)

    def finish(self) -> None:
        """Once every row is stored: what the households show now, and what a person has to look at."""
        self.conflicts += refresh_households(self._database, self.handover_id, self._now)
        self.conflicts += note_conflicts(self._database, self.handover_id, self._now)
        self.links = note_links(self._database, self.handover_id, self._now)

    def _put_member(self, row: dict[str, Any], household_id: int, candidate_id: int) -> None:
        person = Person(row["item"].decode("ascii"), row["name"])
        _, other_name = self._members.put(household_id, person, "match", candidate_id, row["item_ref"])
        if other_name is not None:
            self.conflicts += note_two_names(
                self._database,
                self._personal,
                household_id,
                person.item,
                (other_name, person.name),
                handover_id=self.handover_id,
                now=self._now,
            )

    def _household(self, row: dict[str, Any]) -> int:
        """The id of the row's household, which is created if it is new."""
        number = row["household_no"]
        if number not in self._households:
            known = self._known_household(number)
            self._households[number] = self._add_household(row) if known is None else known
        return self._households[number]

    def _known_household(self, number: str) -> int | None:
        """The case of this year's list; else the present one, unless it ended in an earlier year."""
        cases = self._database.execute(
            "SELECT household_id, list_year, state FROM household WHERE dataset = ? AND household_no = ?"
            " ORDER BY list_year DESC",
            [self._header.dataset, number],
        ).fetchall()
        for household_id, year, _ in cases:
            if year == self._list_year:
                return int(household_id)
        if not cases:
            return None
        household_id, year, state = cases[0]
        return None if year < self._list_year and state in _ENDED else int(household_id)

    def _add_household(self, row: dict[str, Any]) -> int:
        self.new_households += 1
        cursor = self._database.execute(
            "INSERT INTO household (dataset, household_no, list_year, state, household_size, division, expanding,"
            " reasons, township, bank, created_at, updated_at, state_since)"
            " VALUES (?, ?, ?, 'IMPORTED', ?, ?, ?, ?, substr(?, 1, 9), ?, ?, ?, ?)",
            [
                self._header.dataset,
                row["household_no"],
                self._list_year,
                *_label(row),
                row["division"],
                self._bank,
                self._now,
                self._now,
                self._now,
            ],
        )
        household_id = int(cursor.lastrowid or 0)
        self._database.execute("UPDATE household SET state = 'MATCHED' WHERE household_id = ?", [household_id])
        self._database.execute(
            "INSERT INTO household_move (household_id, from_state, to_state, at, account, reasons, remark, audit_seq)"
            " VALUES (?, 'IMPORTED', 'MATCHED', ?, ?, '', '', ?)",
            [household_id, self._now, self._operator, self._audit_seq],
        )
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
                self._personal.sealer.seal(person, "candidate", "sealed_person", row["item_ref"].hex()),
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
