"""Households as people see them: within the account's care, numbers and names masked, sensitive reasons merged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.households.cases import care_of
from matcher.households.errors import HouseholdUnknown
from matcher.households.supplementing import Conflict, list_conflicts
from matcher.masking import mask_name
from matcher.personal.fields import shown_reasons
from matcher.rows import fetch_all, fetch_records
from psi.identifiers import mask

MAX_PAGE = 500
_ROW = (
    "SELECT household_id, household_no, list_year, state, state_since, division, township, household_size, expanding,"
    " reasons, bank.name AS bank, claimed_by,"
    " (SELECT COUNT(*) FROM member WHERE member.household_id = household.household_id AND left_at IS NULL) AS members,"
    " (SELECT COUNT(*) FROM conflict WHERE conflict.household_id = household.household_id AND settled_at IS NULL)"
    " AS open_conflicts FROM household LEFT JOIN bank ON bank.fingerprint = household.bank"
)


@dataclass(frozen=True)
class HouseholdFilter:
    """What a list shows: each given value narrows it. ``area`` is a prefix of the division, ``reason`` a code of the
    label, ``bank`` the fingerprint of the bank whose manager visits."""

    area: str = ""
    state: str = ""
    list_year: int | None = None
    with_conflict: bool = False
    reason: str = ""
    bank: str = ""

    def conditions(self) -> Iterator[tuple[str, list[object]]]:
        if self.area:
            yield "household.division GLOB ? || '*'", [self.area]
        if self.state:
            yield "household.state = ?", [self.state]
        if self.list_year is not None:
            yield "list_year = ?", [self.list_year]
        if self.with_conflict:
            yield "household_id IN (SELECT household_id FROM conflict WHERE settled_at IS NULL)", []
        if self.reason:
            yield "instr(',' || household.reasons || ',', ?)", [f",{self.reason},"]
        if self.bank:
            yield "household.bank = ?", [self.bank]


@dataclass(frozen=True)
class HouseholdRow:
    """One household in a list. ``members`` are known ones; ``household_size`` is the label's, and may differ."""

    household_id: int
    household_no: str
    list_year: int
    state: str
    state_since: str
    division: str
    township: str
    household_size: str
    members: int
    expanding: bool
    reasons: tuple[str, ...]
    open_conflicts: int
    bank: str | None
    claimed_by: str | None

    @property
    def size_differs(self) -> bool:
        """Fewer members than the label says is usual: not all are customers. It is shown all the same."""
        return self.household_size != str(self.members)


@dataclass(frozen=True)
class MemberRow:
    """A member, masked. ``source``: match, form or county."""

    member_id: int
    number: str
    name: str
    relation: str
    is_applicant: bool
    source: str
    left_at: str | None


@dataclass(frozen=True)
class MoveRow:
    """A household's way so far; ``reasons`` as the account may see them."""

    from_state: str
    to_state: str
    at: str
    account: str
    reasons: tuple[str, ...]
    remark: str


@dataclass(frozen=True)
class LinkRow:
    """Another case of the same people; ``shared`` says how many they have in common."""

    household_id: int
    household_no: str
    list_year: int
    state: str
    shared: int


@dataclass(frozen=True)
class MatchRow:
    """Where a member's label comes from: the edition matched against and the run of the bank that asked. Its receipt
    was checked with the province's key when the hand-over was taken in; a row without a sound one never gets here."""

    member_id: int
    dataset: str
    epoch: str
    edition: int
    bank: str
    run_id: str
    imported_at: str
    receipt: str  # 32 hex digits


@dataclass(frozen=True)
class HouseholdDetails:
    """One household with what belongs to it."""

    household: HouseholdRow
    members: tuple[MemberRow, ...]
    matches: tuple[MatchRow, ...]
    conflicts: tuple[Conflict, ...]
    links: tuple[LinkRow, ...]
    moves: tuple[MoveRow, ...]


def list_page(
    office: Office, actor: Actor, wanted: HouseholdFilter, *, after: int = 0, size: int = 50
) -> list[HouseholdRow]:
    """See Households.list."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    where, values = _where(actor, wanted)
    rows = fetch_records(
        office.database,
        f"{_ROW} WHERE {where} AND household_id > ? ORDER BY household_id LIMIT ?",
        [*values, after, max(1, min(size, MAX_PAGE))],
    )
    return [_shown(actor, row) for row in rows]


def count_states(office: Office, actor: Actor, wanted: HouseholdFilter) -> dict[str, int]:
    """How many households in the account's care stand where; states without any are left out."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    where, values = _where(actor, wanted)
    sql = f"SELECT state, COUNT(*) FROM household WHERE {where} GROUP BY state"  # noqa: S608
    return dict(fetch_all(office.database, sql, values))


def count_by_township(office: Office, actor: Actor, county: str, states: Sequence[str]) -> dict[str, dict[str, int]]:
    """See Households.count_by_township. The statement goes by state and division: an index holds both."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_all(
        office.database,
        "SELECT state, division, COUNT(*) FROM household WHERE state IN (SELECT value FROM json_each(?))"  # noqa: S608
        f" AND division >= ? AND division < ? AND {care} GROUP BY state, division",
        [json.dumps(list(states)), county, county + ":", *values],  # ':' follows '9'
    )
    found: dict[str, dict[str, int]] = {}
    for state, division, count in sorted(rows, key=lambda row: row[1]):
        counts = found.setdefault(division[:9], {})
        counts[state] = counts.get(state, 0) + count
    return found


def list_townships(office: Office, actor: Actor) -> list[str]:
    """See Households.list_townships."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    where, values = _where(actor, HouseholdFilter())
    sql = (  # one household of a township is enough
        "SELECT township FROM (SELECT DISTINCT township FROM household) every WHERE EXISTS"  # noqa: S608
        f" (SELECT 1 FROM household WHERE household.township = every.township AND {where}) ORDER BY township"
    )
    return [township for (township,) in fetch_all(office.database, sql, values)]


def list_years(office: Office, actor: Actor) -> list[int]:
    """See Households.list_years."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    return [year for (year,) in fetch_all(office.database, "SELECT list_year FROM epoch GROUP BY 1 ORDER BY 1 DESC")]


def list_banks(office: Office, actor: Actor) -> dict[str, str]:
    """See Households.list_banks."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    rows = fetch_all(
        office.database,
        "SELECT fingerprint, name FROM bank WHERE ?1 IS NULL OR fingerprint = ?1 ORDER BY name, fingerprint",
        [actor.bank],
    )
    return dict(rows)


def find_numbers(office: Office, actor: Actor, numbers: Sequence[str]) -> list[HouseholdRow]:
    """See Households.find_numbers."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_records(
        office.database,
        f"{_ROW} WHERE household_no IN (SELECT value FROM json_each(?)) AND {care}"  # noqa: S608 (fixed texts)
        " ORDER BY household_no, list_year DESC",
        [json.dumps(list(numbers)), *values],
    )
    return [_shown(actor, row) for row in rows]


def list_named(office: Office, actor: Actor, household_ids: Sequence[int]) -> list[HouseholdRow]:
    """See Households.list_named."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_records(
        office.database,
        f"{_ROW} WHERE household_id IN (SELECT value FROM json_each(?)) AND {care}",  # noqa: S608 (fixed texts)
        [json.dumps(list(household_ids)), *values],
    )
    return [_shown(actor, row) for row in rows]


def show(office: Office, actor: Actor, household_id: int) -> HouseholdDetails:
    """See Households.show."""
    found = list_page(office, actor, HouseholdFilter(), after=household_id - 1, size=1)
    if not found or found[0].household_id != household_id:
        raise HouseholdUnknown("no such household in this account's care", household=household_id)
    return HouseholdDetails(
        found[0],
        tuple(_members(office, household_id)),
        tuple(_matches(office, actor, household_id)),
        tuple(list_conflicts(office, actor, household_id=household_id, settled=True)),
        tuple(_links(office, household_id)),
        tuple(_moves(office, actor, household_id)),
    )


def _shown(actor: Actor, row: dict[str, Any]) -> HouseholdRow:
    reasons = shown_reasons(actor, filter(None, row["reasons"].split(",")))
    return HouseholdRow(**{**row, "expanding": row["expanding"] == "1", "reasons": reasons})


def _members(office: Office, household_id: int) -> Iterator[MemberRow]:
    rows = fetch_all(
        office.database,
        "SELECT member_id, sealed, is_applicant, source, left_at FROM member WHERE household_id = ? ORDER BY member_id",
        [household_id],
    )
    for member_id, sealed, is_applicant, source, left_at in rows:
        person = open_member(office.personal, member_id, sealed)
        yield MemberRow(
            member_id, mask(person.item), mask_name(person.name), person.relation, bool(is_applicant), source, left_at
        )


def _matches(office: Office, actor: Actor, household_id: int) -> Iterator[MatchRow]:
    """By member; a bank's own people see what their bank handed over."""
    rows = fetch_records(
        office.database,
        "SELECT member_id, dataset, epoch, candidate.edition, bank.name AS bank, run_id, imported_at,"
        " lower(hex(receipt)) AS receipt FROM candidate JOIN member USING (candidate_id)"
        " JOIN epoch ON epoch.epoch_no = candidate.epoch_no JOIN candidate_source USING (candidate_id)"
        " JOIN handover USING (handover_id) JOIN bank ON bank.fingerprint = handover.bank"
        " WHERE candidate.household_id = ?1 AND (?2 IS NULL OR handover.bank = ?2)"
        " ORDER BY member_id, handover_id",
        [household_id, actor.bank],
    )
    for row in rows:
        yield MatchRow(**row)


def _links(office: Office, household_id: int) -> Iterator[LinkRow]:
    """Earlier and later cases alike."""
    rows = fetch_records(
        office.database,
        "SELECT household.household_id, household_no, list_year, state, shared FROM household_link link"
        " JOIN household ON household.household_id = iif(link.household_id = ?1, earlier_id, link.household_id)"
        " WHERE ?1 IN (link.household_id, earlier_id) ORDER BY list_year, household.household_id",
        [household_id],
    )
    for row in rows:
        yield LinkRow(**row)


def _moves(office: Office, actor: Actor, household_id: int) -> Iterator[MoveRow]:
    rows = fetch_records(
        office.database,
        "SELECT from_state, to_state, at, account, reasons, remark FROM household_move WHERE household_id = ?"
        " ORDER BY move_id",
        [household_id],
    )
    for row in rows:
        yield MoveRow(**{**row, "reasons": shown_reasons(actor, filter(None, row["reasons"].split(",")))})


def _where(actor: Actor, wanted: HouseholdFilter) -> tuple[str, list[object]]:
    """What was asked for, of what is in the account's care. Raises NotAllowed: a filter tells as much as a column."""
    if wanted.reason:
        actor.require(Permission.SEE_SENSITIVE)
    conditions = [*wanted.conditions(), care_of(actor)]
    return " AND ".join(one for one, _ in conditions), [value for _, given in conditions for value in given]
