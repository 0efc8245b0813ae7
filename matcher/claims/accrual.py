"""T+1: the stored lines made equal to the computed ones.

All loans are computed from their records every time; what is written is only what differs, so a run changes nothing
if nothing changed. A line that a claim froze stays: where it should be otherwise now, an adjustment line beside it
carries the difference into the next claim that is not frozen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlite_utils import Database

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.claims.computing import ComputedLine, LoanRecord, compute_household
from matcher.claims.lines import PARTS, digest_lines, pieces_json, terms_json
from matcher.claims.records import Owner, read_families
from matcher.rows import fetch_first
from matcher.subsidy.arithmetic import NOTHING
from matcher.subsidy.periods import MovementsInvalid

# Everything of a line that its inputs decide, in the order of a stored row.
_COMPUTED = (
    "period_end", "settled_on", "claim_year", "balance_days", "pieces", "terms", "policy", *PARTS,
    "interest_due", "interest_paid", "claimable", "reason",
)  # fmt: skip
_COLUMNS = ("loan_id", "kind", "adjusts", "period_start", *_COMPUTED, "computed_at")
_INSERT = f"INSERT INTO interest_line ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_UPDATE = (
    f"UPDATE interest_line SET {', '.join(f'{name} = ?' for name in _COMPUTED)}, computed_at = ? WHERE line_id = ?"  # noqa: S608
)
_SELECT = (
    "SELECT line_id, loan_id, kind, adjusts, period_start, "  # noqa: S608
    + ", ".join(f"interest_line.{name}" for name in _COMPUTED)
    + ", claim_id IS NOT NULL FROM interest_line ORDER BY line_id"
)
_Row = tuple[Any, ...]
_AT = {name: place for place, name in enumerate(_COMPUTED)}


@dataclass(frozen=True)
class Fault:
    """A household whose loans cannot be computed: their lines stay as they were, and an alarm sounds."""

    household_id: int
    code: str
    params: dict[str, object]


@dataclass(frozen=True)
class Accrual:
    """What a run did. ``through``: the day up to which all interest is accrued now; ``digest``: of all lines."""

    through: date
    loans: int
    lines: int
    added: int
    changed: int
    removed: int
    faults: tuple[Fault, ...]
    digest: str


@dataclass
class _Stored:
    """One loan's stored lines: ``(line_id, row of _COMPUTED)``."""

    free: dict[str, tuple[int, _Row]] = field(default_factory=dict)  # regular, by period_start
    frozen: dict[str, tuple[int, _Row]] = field(default_factory=dict)
    adjusted: dict[int, list[_Row]] = field(default_factory=lambda: defaultdict(list))  # by line; frozen
    open: dict[int, tuple[int, _Row]] = field(default_factory=dict)  # adjustment not claimed, by line


class _Changes:
    """What has to be written."""

    def __init__(self, now: str) -> None:
        self.now = now
        self.inserts: list[tuple[Any, ...]] = []
        self.updates: list[tuple[Any, ...]] = []
        self.deletes: list[tuple[int]] = []

    def put(self, key: tuple[Any, ...], row: _Row, stored: tuple[int, _Row] | None) -> None:
        """``key``: loan_id, kind, adjusts, period_start."""
        if stored is None:
            self.inserts.append((*key, *row, self.now))
        elif stored[1] != row:
            self.updates.append((*row, self.now, stored[0]))

    def write(self, database: Database) -> None:
        # Deletes first: a period may have moved to where another one stood.
        database.conn.executemany("DELETE FROM interest_line WHERE line_id = ?", self.deletes)
        database.conn.executemany(_UPDATE, self.updates)
        database.conn.executemany(_INSERT, self.inserts)


def accrue_within(office: Office, actor: Actor, day: date) -> Accrual:
    """Accrue up to the end of ``day``, or of the latest day accrued before if that is later."""
    database = office.database
    latest = fetch_first(database, "SELECT MAX(day) FROM accrual")
    through = max(day, date.fromisoformat(latest[0])) if latest and latest[0] else day
    changes, faults, loans = _Changes(office.now()), list[Fault](), 0
    stored = _read_stored(database)
    frozen_years = _frozen_years(database)
    for family in read_families(database):
        loans += len(family.loans)
        try:
            computed = compute_household(family.loans, through)
        except MovementsInvalid as error:
            faults.append(Fault(family.household_id, error.code, dict(error.params)))
            office.alarms.sound_once_within(error, f"household/{family.household_id}")
            continue
        for loan in family.loans:
            first_open_year = frozen_years.get(family.owners[loan.loan_id], 0) + 1
            known = stored.get(loan.loan_id, _Stored())
            _Comparison(loan, through, first_open_year, changes).run(computed[loan.loan_id], known)
    changes.write(database)
    digest, lines = digest_lines(database, "1 = 1", ())
    done = Accrual(
        through=through,
        loans=loans,
        lines=lines,
        added=len(changes.inserts),
        changed=len(changes.updates),
        removed=len(changes.deletes),
        faults=tuple(faults),
        digest=digest,
    )
    _record_run(office, actor, done)
    return done


class _Comparison:
    """One loan's lines as they should be against those stored."""

    def __init__(self, loan: LoanRecord, through: date, first_open_year: int, changes: _Changes) -> None:
        self._loan_id = loan.loan_id
        self._terms = (terms_json(loan), loan.policy_sha256)
        self._within = loan.policy.subsidy.paid_within
        self._through = through
        self._first_open_year = first_open_year
        self._changes = changes

    def run(self, lines: Sequence[ComputedLine], stored: _Stored) -> None:
        changes = self._changes
        by_start = {line.period.start.isoformat(): line for line in lines}
        for start, line in by_start.items():
            if start not in stored.frozen:
                changes.put((self._loan_id, "regular", None, start), self._regular(line), stored.free.get(start))
        changes.deletes += [(line_id,) for start, (line_id, _) in stored.free.items() if start not in by_start]
        for start, (line_id, frozen) in stored.frozen.items():
            before = stored.open.get(line_id)
            found = before[1] if before else None
            row = self._adjustment([frozen, *stored.adjusted[line_id]], by_start.get(start), found)
            if row is not None:
                changes.put((self._loan_id, "adjustment", line_id, start), row, before)
            elif before is not None:
                changes.deletes.append((before[0],))

    def _regular(self, line: ComputedLine) -> _Row:
        is_due = line.period.settled_on <= self._through
        return (
            line.period.end.isoformat(),
            line.period.settled_on.isoformat(),
            line.period.settled_on.year,
            line.balance_days,
            pieces_json(line),
            *self._terms,
            *vars(line.parts).values(),
            line.interest_due,
            line.interest_paid,
            int(is_due and line.parts.excess != 0 and line.is_paid(self._within)),
            "",
        )

    def _adjustment(self, claimed: Sequence[_Row], wanted: ComputedLine | None, found: _Row | None) -> _Row | None:
        """What stands in no claim yet, or None if that is nothing.

        ``claimed``: the frozen line and its frozen adjustments; ``wanted``: the period as it is now; ``found``: this
        adjustment as it is stored, which keeps the day on which it was found first.
        """

        def since(name: str, now: int) -> int:
            return now - sum(int(earlier[_AT[name]]) for earlier in claimed)

        is_paid = wanted is not None and wanted.is_paid(self._within)
        parts = wanted.parts if wanted is not None and is_paid else NOTHING
        difference = [since(name, getattr(parts, name)) for name in PARTS]
        if not any(difference):
            return None
        return (
            wanted.period.end.isoformat() if wanted else claimed[0][_AT["period_end"]],
            found[_AT["settled_on"]] if found else self._through.isoformat(),
            max(found[_AT["claim_year"]] if found else 0, self._first_open_year),
            since("balance_days", wanted.balance_days if wanted is not None and is_paid else 0),
            pieces_json(wanted) if wanted else "[]",
            *self._terms,
            *difference,
            since("interest_due", wanted.interest_due if wanted else 0),
            since("interest_paid", wanted.interest_paid if wanted else 0),
            1,
            "" if is_paid else "unpaid" if wanted else "no_period",
        )


def _read_stored(database: Database) -> dict[int, _Stored]:
    stored: defaultdict[int, _Stored] = defaultdict(_Stored)
    for line_id, loan_id, kind, adjusts, start, *row, is_frozen in database.execute(_SELECT).fetchall():
        loan, values = stored[loan_id], tuple(row)
        if kind == "regular":
            (loan.frozen if is_frozen else loan.free)[start] = line_id, values
        elif is_frozen:
            loan.adjusted[adjusts].append(values)
        else:
            loan.open[adjusts] = line_id, values
    return stored


def _frozen_years(database: Database) -> dict[Owner, int]:
    """The last year that is frozen, by bank and county."""
    rows = database.execute("SELECT bank, county, MAX(year) FROM claim WHERE state <> 'ACCRUING' GROUP BY bank, county")
    return {Owner(bank, county): year for bank, county, year in rows.fetchall()}


def _record_run(office: Office, actor: Actor, done: Accrual) -> None:
    day = done.through.isoformat()
    office.database.execute(
        "INSERT INTO accrual VALUES (?, ?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET ran_at = excluded.ran_at,"
        " loans = excluded.loans, lines = excluded.lines, digest = excluded.digest",
        [day, office.now(), done.loans, done.lines, done.digest],
    )
    office.record_within(
        actor,
        "claim.accrue",
        f"accrual/{day}",
        lines=done.lines,
        added=done.added,
        changed=done.changed,
        removed=done.removed,
        faults=len(done.faults),
        digest=done.digest,
    )
