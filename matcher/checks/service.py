"""Department checks in the case work: results of matches taken over, answers on paper entered by hand.

Each answer stands for one member and one department, with the day that it is of. What a policy asks for and a
household still lacks is in matcher.checks.coverage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
from sqlite_utils import Database

from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.checks.coverage import MissingCheck, find_missing
from matcher.checks.results import CheckResult, iterate_results
from matcher.personal.fields import require_plain
from matcher.personal.reveal import MemberUnknown
from matcher.policy.model import Checks
from matcher.rows import fetch_all, fetch_first, fetch_records
from matcher.schemas import ListSchema
from matcher.tables import CustomerList
from matcher.tables.checks import check_labels
from psi.blindindex import REFERENCE_BYTES, blind_index
from psi.columns import data_of, fixed
from psi.errors import InputError
from psi.identifiers import ITEM_BYTES, Verdict

LONGEST_DOCUMENT_NO = 60
UNDER_WAY = ("TO_VISIT", "VISITED", "PENDING_REVIEW", "IN_REVIEW", "RETURNED")
"""States in which a household still needs its checks."""
_INSERT = (
    "INSERT INTO department_check (household_id, member_id, department, source, listed, sealed_label, reasons, as_of,"
    " origin, run_id, entered_by, entered_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (member_id, department, origin, as_of) DO NOTHING"
)


class CheckEntryInvalid(InputError):
    """A department's answer cannot be entered so; params: ``field`` (a heading of the schema), ``reason``."""

    code = "check_entry_invalid"


class CheckConflict(InputError):
    """The same document is entered already for this member, with another answer; params: ``document``."""

    code = "check_conflict"


@dataclass(frozen=True)
class Taken:
    """What became of a run's results: ``people`` asked, ``listed`` of them, ``unknown`` who are no member any more;
    ``added`` answers (one for each household that a person is in) and ``present`` that were there before."""

    run_id: str
    department: str
    origin: str
    people: int
    listed: int
    unknown: int
    added: int
    present: int


@dataclass(frozen=True)
class DepartmentAnswer:
    """One answer as a page shows it. Without Permission.SEE_SENSITIVE the last three are None and ``origin`` is empty:
    also that somebody is not on a list of the poor says something."""

    check_id: int
    member_id: int
    department: str
    source: str
    as_of: str
    origin: str
    entered_by: str
    entered_at: str
    listed: bool | None
    label: Mapping[str, str] | None = field(repr=False)
    reasons: tuple[str, ...] | None = field(repr=False)


class DepartmentChecks:
    """The table ``department_check``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._database: Database = office.database

    def list_people(self) -> CustomerList:
        """Every present member of every household, each person once, to be checked; ``rows`` are member ids."""
        rows = fetch_all(
            self._database,
            "SELECT MIN(member_id), sealed FROM member WHERE left_at IS NULL GROUP BY item_ref ORDER BY 1",
        )
        people = [(number, open_member(self._office.personal, number, sealed)) for number, sealed in rows]
        return CustomerList(
            rows=pa.array([number for number, _ in people], pa.int64()),
            items=pa.py_buffer("".join(person.item for _, person in people).encode("ascii")),
            verdicts=pa.py_buffer(bytes([Verdict.OK]) * len(people)),
            rejects=[],
            names=pa.array([person.name for _, person in people], pa.string()),
        )

    def take(
        self,
        actor: Actor,
        department: str,
        store: BankStore,
        run: Run,
        schema: ListSchema,
        *,
        dry_run: bool = False,
    ) -> Taken:
        """Take over a finished run's results, in one transaction. The same run again adds nothing.

        People are found by their numbers, so a run over a file counts for whoever of it is a member.
        Raises NotAllowed, RunNotFound, RunStateInvalid.
        """
        actor.require(Permission.CHECK_DEPARTMENT)
        store.runs.require_finished(run.run_id)
        origin = f"{run.dataset}/{run.epoch}/{run.edition}"
        known = self._people()
        counts = dict.fromkeys(("people", "listed", "unknown", "answers"), 0)
        now = self._office.now()

        def rows() -> Iterator[tuple[object, ...]]:
            for result, reference in self._with_references(iterate_results(store, run)):
                members = known.get(reference, ())
                counts["people"] += 1
                counts["listed"] += result.listed
                counts["unknown"] += not members
                counts["answers"] += len(members)
                reasons = _reasons(schema, result.label)
                for household_id, member_id in members:
                    place = _place(member_id, department, origin, result.checked_on)
                    sealed = self._office.personal.seal(result.label, "department_check", "sealed_label", place)
                    yield (
                        household_id, member_id, department, "match", result.listed, sealed, reasons,
                        result.checked_on, origin, run.run_id, actor.name, now,
                    )  # fmt: skip

        if dry_run:
            added = sum(not self._is_present(row) for row in rows())
        else:
            with self._office.writing() as database:
                before = database.conn.total_changes
                database.conn.executemany(_INSERT, rows())
                added = database.conn.total_changes - before
                if added:
                    self._office.record_within(
                        actor, "check.take", f"check_run/{run.run_id}", department=department, origin=origin,
                        people=counts["people"], listed=counts["listed"], added=added,
                    )  # fmt: skip
        people, listed, unknown, answers = counts.values()
        return Taken(run.run_id, department, origin, people, listed, unknown, added, answers - added)

    def enter(
        self,
        actor: Actor,
        member_id: int,
        department: str,
        schema: ListSchema,
        *,
        label: Mapping[str, str] | None,
        as_of: date,
        document_no: str,
    ) -> int:
        """Enter a department's answer on paper: ``label`` by field name, in the words of a file; None for a person
        who is not on its list. Returns the check's number; the same entry again returns the same.

        Raises NotAllowed, MemberUnknown, CheckEntryInvalid, CheckConflict, TextNotPlain.
        """
        with self._office.writing():
            number, _ = self.enter_within(
                actor, member_id, department, schema, label=label, as_of=as_of, document_no=document_no
            )
        return number

    def enter_within(
        self,
        actor: Actor,
        member_id: int,
        department: str,
        schema: ListSchema,
        *,
        label: Mapping[str, str] | None,
        as_of: date,
        document_no: str,
    ) -> tuple[int, bool]:
        """:meth:`enter` in the caller's transaction: the check's number, and whether it is new."""
        actor.require_answer_of(department)
        document = require_plain(document_no, "document_no", longest=LONGEST_DOCUMENT_NO)
        if as_of > self._office.today():
            raise CheckEntryInvalid("a day to come", field="as_of", reason="future")
        values = {} if label is None else _parse_label(schema, label)
        row = fetch_first(
            self._database,
            "SELECT household_id, household.division FROM member JOIN household USING (household_id)"
            " WHERE member_id = ? AND left_at IS NULL",
            [member_id],
        )
        if row is None:
            raise MemberUnknown("no such member", member=member_id)
        household_id, division = row
        actor.require(Permission.ENTER_CHECK, division=division)
        known = self._find_entry(member_id, department, document, as_of)
        if known is not None:
            if known[1:] != (label is not None, values):
                raise CheckConflict("entered already, with another answer", document=document)
            return known[0], False
        place = _place(member_id, department, document, as_of.isoformat())
        sealed = self._office.personal.seal(values, "department_check", "sealed_label", place)
        cursor = self._database.execute(
            _INSERT,
            [
                household_id, member_id, department, "manual", label is not None, sealed, _reasons(schema, values),
                as_of.isoformat(), document, None, actor.name, self._office.now(),
            ],
        )  # fmt: skip
        self._office.record_within(
            actor, "check.enter", f"household/{household_id}", member=member_id, department=department,
            document=document, as_of=as_of.isoformat(), after={"listed": label is not None, **values},
        )  # fmt: skip
        return int(cursor.lastrowid or 0), True

    def list_answers(self, actor: Actor, household_id: int) -> list[DepartmentAnswer]:
        """A household's answers, the newest first. Raises MemberUnknown, NotAllowed."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        row = fetch_first(self._database, "SELECT division, bank FROM household WHERE household_id = ?", [household_id])
        if row is None:
            raise MemberUnknown("nobody's: no household has this number", household=household_id)
        division, bank = row
        actor.require(Permission.SEE_HOUSEHOLDS, division=division, bank=bank)
        rows = fetch_records(
            self._database,
            "SELECT check_id, member_id, department, source, as_of, origin, entered_by, entered_at, listed,"
            " sealed_label, reasons FROM department_check WHERE household_id = ? ORDER BY as_of DESC, check_id DESC",
            [household_id],
        )
        return [self.shown(actor, row) for row in rows]

    def list_missing(
        self, actor: Actor, county: str, checks: Checks, on: date, household_ids: Sequence[int] = ()
    ) -> list[MissingCheck]:
        """What a county's households still lack by its policy: those named, or else all that are under way, in the
        actor's care. Raises NotAllowed.
        """
        actor.require(Permission.SEE_HOUSEHOLDS)
        rows = fetch_all(
            self._database,
            "SELECT household_id, division, bank FROM household WHERE substr(division, 1, 6) = ?1"
            " AND (household_id IN (SELECT value FROM json_each(?2))"
            " OR (json_array_length(?2) = 0 AND state IN (SELECT value FROM json_each(?3)))) ORDER BY household_id",
            [county, json.dumps(list(household_ids)), json.dumps(UNDER_WAY)],
        )
        cared_for = [one for one, division, bank in rows if actor.cares_for(division) and actor.bank in (None, bank)]
        return find_missing(self._database, cared_for, checks, on)

    def shown(self, actor: Actor, row: dict[str, Any]) -> DepartmentAnswer:
        """A row of the table with its answer's columns, as the account may see it."""
        sealed, listed, reasons = row.pop("sealed_label"), row.pop("listed"), row.pop("reasons")
        if not actor.may(Permission.SEE_SENSITIVE):
            row["origin"] = ""  # a document's number may tell
            return DepartmentAnswer(**row, listed=None, label=None, reasons=None)
        place = _place(row["member_id"], row["department"], row["origin"], row["as_of"])
        label = self._office.personal.open(sealed, "department_check", "sealed_label", place)
        return DepartmentAnswer(
            **row, listed=bool(listed), label=label, reasons=tuple(filter(None, reasons.split(",")))
        )

    def _people(self) -> dict[bytes, list[tuple[int, int]]]:
        """By blind index the (household, member) of every present member."""
        found: dict[bytes, list[tuple[int, int]]] = {}
        for reference, *place in fetch_all(
            self._database, "SELECT item_ref, household_id, member_id FROM member WHERE left_at IS NULL"
        ):
            found.setdefault(bytes(reference), []).append((place[0], place[1]))
        return found

    def _with_references(self, results: Iterable[CheckResult]) -> Iterator[tuple[CheckResult, bytes]]:
        """Each result with the blind index of its number: a block at a time, for the kernel's speed."""
        for block in _blocks(results):
            items = "".join(result.item for result in block).encode("ascii")
            data = data_of(blind_index(self._office.personal.reference_key, fixed(items, ITEM_BYTES))).to_pybytes()
            for place, result in enumerate(block):
                yield result, data[place * REFERENCE_BYTES : (place + 1) * REFERENCE_BYTES]

    def _is_present(self, row: tuple[object, ...]) -> bool:
        place = (row[1], row[2], row[8], row[7])
        found = fetch_first(
            self._database,
            "SELECT 1 FROM department_check WHERE (member_id, department, origin, as_of) = (?, ?, ?, ?)",
            place,
        )
        return found is not None

    def _find_entry(
        self, member_id: int, department: str, document: str, as_of: date
    ) -> tuple[int, bool, dict[str, str]] | None:
        row = fetch_first(
            self._database,
            "SELECT check_id, listed, sealed_label FROM department_check"
            " WHERE (member_id, department, origin, as_of) = (?, ?, ?, ?)",
            [member_id, department, document, as_of.isoformat()],
        )
        if row is None:
            return None
        place = _place(member_id, department, document, as_of.isoformat())
        label = self._office.personal.open(row[2], "department_check", "sealed_label", place)
        return row[0], bool(row[1]), label


def _place(member_id: int, department: str, origin: str, as_of: str) -> str:
    """What a sealed label is bound to: the row's natural key."""
    return f"{member_id}/{department}/{origin}/{as_of}"


def _parse_label(schema: ListSchema, cells: Mapping[str, str]) -> dict[str, str]:
    """The label as the department's dataset would hold it. Raises CheckEntryInvalid naming the first faulty field."""
    for name in cells:
        if schema.find_field(name) is None:
            raise CheckEntryInvalid("the department has no such field", field=name, reason="unknown")
    columns = {one.name: pa.array([cells.get(one.name, "")], pa.string()) for one in schema.fields}
    kept, faults = check_labels(schema)({"number": pa.array([""], pa.string()), **columns})
    fault = faults[0].as_py()
    if fault is not None:
        reason, _, heading = fault.partition("/")
        raise CheckEntryInvalid("no such value", field=heading, reason=reason)
    return {one.name: kept[one.name][0].as_py() for one in schema.fields}


def _reasons(schema: ListSchema, label: Mapping[str, str]) -> str:
    """The reason codes that follow from a label, joined by ``,``."""
    codes = {code for one in schema.fields if one.name in label for code in one.reasons_of(label[one.name])}
    return ",".join(sorted(codes))


def _blocks(results: Iterable[CheckResult], rows: int = 8_192) -> Iterator[list[CheckResult]]:
    block: list[CheckResult] = []
    for result in results:
        block.append(result)
        if len(block) == rows:
            yield block
            block = []
    if block:
        yield block
