"""Pages of what households lack and of what departments answered, for people who work on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, NamedTuple

from matcher.bureau.actors import Actor, NotAllowed, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.checks.coverage import MissingCheck, find_missing
from matcher.checks.service import UNDER_WAY, DepartmentAnswer, DepartmentChecks
from matcher.masking import mask_name
from matcher.personal.reveal import MemberUnknown, SearchInvalid
from matcher.policy.model import Checks
from matcher.rows import fetch_all, fetch_records
from psi.identifiers import mask, normalise_one

# Of the next ?6 of a county's households under way those that lack a fresh answer of one of the departments, in the
# order of their numbers, and last of all the number of the last one looked at: ?1 county, ?2 area, ?3 after, ?4 the
# oldest day that counts, ?5 how many. Those looked at are read from an index alone (':' follows '9') and sorted first;
# members are looked at only until a page is full.
_LACKING = f"""
    WITH looked_at AS MATERIALIZED (
        SELECT household_id FROM household
        WHERE state IN ({", ".join(f"'{state}'" for state in UNDER_WAY)}) AND division >= ?1 AND division < ?1 || ':'
        AND division >= ?2 AND division < ?2 || ':' AND household_id > ?3 AND {{care}}
        ORDER BY household_id LIMIT ?6)
    SELECT * FROM (SELECT household_id, 0 FROM looked_at household WHERE {{lacks}} LIMIT ?5)
    UNION ALL SELECT MAX(household_id), COUNT(*) FROM looked_at
"""  # noqa: S608  our own words
_ANSWER = (
    "EXISTS (SELECT 1 FROM department_check answer WHERE answer.member_id = member.member_id"
    " AND answer.department = ?{place}"
)
_WHY = {
    "": f"NOT {_ANSWER} AND answer.as_of >= ?4)",
    "never": f"NOT {_ANSWER})",
    "too_old": f"{_ANSWER}) AND NOT {_ANSWER} AND answer.as_of >= ?4)",
}
_LACKS = (
    "EXISTS (SELECT 1 FROM member WHERE member.household_id = household.household_id AND left_at IS NULL AND {why})"
)


@dataclass(frozen=True)
class MissingFilter:
    """``area`` is a prefix of the division, ``department`` one of those that the policy asks for, or '' for all."""

    county: str
    area: str = ""
    department: str = ""
    why: Literal["", "never", "too_old"] = ""


@dataclass(frozen=True)
class MissingRow:
    """What one member lacks, masked."""

    household_id: int
    household_no: str
    township: str
    state: str
    member_id: int
    name: str
    number: str
    lacks: MissingCheck


@dataclass(frozen=True)
class MissingPage:
    """``next`` is what to ask for after this page, None at the end; a page may be short or empty, and not the last.

    A household is never cut in two.
    """

    rows: tuple[MissingRow, ...]
    next: int | None


@dataclass(frozen=True)
class MissingCounts:
    """``households``: by department how many lack it; ``whole``: nobody under way was left out."""

    households: Mapping[str, int]
    whole: bool


@dataclass(frozen=True)
class AnswerFilter:
    area: str = ""
    department: str = ""
    source: Literal["", "match", "manual"] = ""
    listed: Literal["", "yes", "no"] = ""


@dataclass(frozen=True)
class AnswerRow:
    """``days`` is how old the answer is."""

    household_id: int
    household_no: str
    township: str
    member_name: str
    days: int
    answer: DepartmentAnswer


@dataclass(frozen=True)
class OwnEntry:
    """What an account entered itself, without what the department said."""

    check_id: int
    member_id: int
    department: str
    document: str
    as_of: str
    entered_at: str


@dataclass(frozen=True)
class MemberOfFile:
    """A present member, masked, to whom an answer is to be entered."""

    member_id: int
    household_id: int
    name: str = field(repr=False)
    number: str = field(repr=False)


class _Lacking(NamedTuple):
    """Numbers of households that lack something, of so many that were looked at; ``last`` is the last of these."""

    households: Sequence[int]
    looked_at: int
    last: int | None


class CheckLists:
    """Read only: the tables ``department_check`` and ``member``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._database = office.database

    def page_missing(
        self, actor: Actor, wanted: MissingFilter, checks: Checks, on: date, *, after: int = 0, size: int = 50,
        look_at: int = -1,
    ) -> MissingPage:  # fmt: skip
        """What up to ``size`` households that are under way still lack on a day, in the account's care.

        ``look_at``: a page ends after so many households, however few of them lack anything. Raises NotAllowed.
        """
        actor.require(Permission.SEE_HOUSEHOLDS)
        required = tuple(one for one in checks.required if wanted.department in ("", one))
        asked = checks.model_copy(update={"required": required})
        found = self._lacking(actor, wanted, asked, on, after, size, look_at)
        lacking = find_missing(self._database, found.households, asked, on)
        rows = self._missing_rows([one for one in lacking if wanted.why in ("", one.why)])
        if len(found.households) == size:
            return MissingPage(tuple(rows), found.households[-1])
        return MissingPage(tuple(rows), found.last if found.looked_at == look_at else None)

    def count_missing(
        self, actor: Actor, wanted: MissingFilter, checks: Checks, on: date, *, most: int, look_at: int = -1
    ) -> MissingCounts:
        """No count goes beyond ``most``, nor beyond the first ``look_at`` households. Raises NotAllowed."""
        actor.require(Permission.SEE_HOUSEHOLDS)
        found = {
            one: self._lacking(actor, wanted, checks.model_copy(update={"required": (one,)}), on, 0, most, look_at)
            for one in checks.required
        }
        return MissingCounts(
            {department: len(one.households) for department, one in found.items()},
            not any(one.looked_at == look_at for one in found.values()),
        )

    def page_answers(
        self, actor: Actor, wanted: AnswerFilter, *, before: int | None = None, size: int = 50
    ) -> list[AnswerRow]:
        """The answers entered last first; ``before`` is an answer's number. Raises NotAllowed.

        Whether somebody is listed is a filter for those alone who may see it.
        """
        actor.require(Permission.SEE_HOUSEHOLDS)
        if actor.bank is not None:
            raise NotAllowed("departments' answers stay on the government side", permission="check.see")
        if wanted.listed:
            actor.require(Permission.SEE_SENSITIVE)  # a filter tells as much as a column
        care, values = _care_of(actor)
        rows = fetch_records(
            self._database,
            "SELECT check_id, department_check.household_id, household_no, township, member_id, member.sealed,"  # noqa: S608
            " department, department_check.source, as_of, origin, entered_by, entered_at, listed, sealed_label,"
            " department_check.reasons FROM department_check JOIN household USING (household_id)"
            " JOIN member USING (member_id) WHERE (?1 = '' OR department = ?1)"
            " AND (?2 = '' OR department_check.source = ?2) AND (?3 = '' OR household.division GLOB ?3 || '*')"
            " AND (?4 = '' OR listed = (?4 = 'yes')) AND (?5 IS NULL OR check_id < ?5)"
            f" AND {care} ORDER BY check_id DESC LIMIT ?6",
            [wanted.department, wanted.source, wanted.area, wanted.listed, before, size, *values],
        )
        today = self._office.today()
        return [self._answer_row(actor, row, today) for row in rows]

    def list_own(self, actor: Actor, limit: int = 50) -> list[OwnEntry]:
        """What the account entered by hand, the newest first. Raises NotAllowed."""
        actor.require(Permission.ENTER_CHECK)
        rows = fetch_records(
            self._database,
            "SELECT check_id, member_id, department, origin AS document, as_of, entered_at FROM department_check"
            " WHERE entered_by = ? AND source = 'manual' ORDER BY check_id DESC LIMIT ?",
            [actor.name, limit],
        )
        return [OwnEntry(**row) for row in rows]

    def find_member(self, actor: Actor, member_id: int) -> MemberOfFile:
        """Whom an answer is to be entered for. Raises NotAllowed, MemberUnknown."""
        actor.require(Permission.ENTER_CHECK)
        for one in self._members(actor, "member_id", member_id):
            return one
        raise MemberUnknown("no such member", member=member_id)

    def find_by_number(self, actor: Actor, number: str) -> list[MemberOfFile]:
        """The same by ID number, as a person may type it; one for each household that the person is in.

        The log says that somebody was looked for. Raises NotAllowed, SearchInvalid.
        """
        actor.require(Permission.ENTER_CHECK)
        item, verdict = normalise_one(number)
        if item is None:
            raise SearchInvalid("not an ID number", reason=verdict.code)
        found = self._members(actor, "item_ref", self._office.personal.item_reference(item))
        with self._office.writing():
            self._office.record_within(
                actor, "person.search", "search/number", after={"number": item}, found=len(found)
            )
        return found

    def list_departments(self) -> list[str]:
        """Those that have answered about anybody."""
        rows = fetch_all(
            self._database,
            # One step through the index for each name, however many answers there are.
            "WITH RECURSIVE known (name) AS (SELECT MIN(department) FROM department_check UNION ALL"
            " SELECT (SELECT MIN(department) FROM department_check WHERE department > name) FROM known"
            " WHERE name IS NOT NULL) SELECT name FROM known WHERE name IS NOT NULL",
        )
        return [name for (name,) in rows]

    def _lacking(
        self, actor: Actor, wanted: MissingFilter, checks: Checks, on: date, after: int, size: int, look_at: int
    ) -> _Lacking:
        if not checks.required:
            return _Lacking([], 0, None)
        care, values = _care_of(actor, first=7)
        first = 7 + len(values)
        whys = [_WHY[wanted.why].format(place=first + number) for number in range(len(checks.required))]
        lacks = " OR ".join(_LACKS.format(why=why) for why in whys)
        oldest = (on - timedelta(days=checks.max_age_days)).isoformat()
        rows = fetch_all(
            self._database,
            _LACKING.format(care=care, lacks=lacks),
            [wanted.county, wanted.area, after, oldest, size, look_at, *values, *checks.required],
        )
        *lacking, (last, looked_at) = rows
        return _Lacking([household for household, _ in lacking], looked_at, last)

    def _members(self, actor: Actor, column: Literal["member_id", "item_ref"], value: object) -> list[MemberOfFile]:
        rows = fetch_all(
            self._database,
            "SELECT member_id, household_id, sealed, household.division FROM member JOIN household"  # noqa: S608
            f" USING (household_id) WHERE {column} = ? AND left_at IS NULL ORDER BY household_id",
            [value],
        )
        people = [(row, open_member(self._office.personal, row[0], row[2])) for row in rows if actor.cares_for(row[3])]
        return [MemberOfFile(row[0], row[1], mask_name(one.name), mask(one.item)) for row, one in people]

    def _missing_rows(self, lacking: Sequence[MissingCheck]) -> list[MissingRow]:
        members = {
            row["member_id"]: row
            for row in fetch_records(
                self._database,
                "SELECT member_id, household_id, household_no, township, state, sealed FROM json_each(?) wanted"
                " JOIN member ON member.member_id = wanted.value JOIN household USING (household_id)",
                [json.dumps(sorted({one.member_id for one in lacking}))],
            )
        }
        rows = []
        for one in lacking:
            row = dict(members[one.member_id])
            person = open_member(self._office.personal, one.member_id, row.pop("sealed"))
            rows.append(MissingRow(**row, name=mask_name(person.name), number=mask(person.item), lacks=one))
        return rows

    def _answer_row(self, actor: Actor, row: dict[str, object], today: date) -> AnswerRow:
        sealed, number = row.pop("sealed"), row["member_id"]
        household_id, household_no, township = (row.pop(name) for name in ("household_id", "household_no", "township"))
        name = ""
        if isinstance(sealed, bytes) and sealed and isinstance(number, int):
            name = mask_name(open_member(self._office.personal, number, sealed).name)
        answer = DepartmentChecks(self._office).shown(actor, row)
        days = (today - date.fromisoformat(answer.as_of)).days
        return AnswerRow(int(str(household_id)), str(household_no), str(township), name, days, answer)


def _care_of(actor: Actor, first: int = 7) -> tuple[str, list[object]]:
    """A condition on ``household``, its values numbered from ``first`` on: the account's townships and bank."""
    conditions, values = ["1"], list[object]()
    if actor.townships:
        places = range(first, first + len(actor.townships))
        conditions.append("(" + " OR ".join(f"household.division GLOB ?{place} || '*'" for place in places) + ")")
        values += actor.townships
    if actor.bank is not None:
        conditions.append(f"household.bank = ?{first + len(values)}")
        values.append(actor.bank)
    return " AND ".join(conditions), values
