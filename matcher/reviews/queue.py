"""Who works on what: the households that wait for somebody, the longest waiting first, and who has claimed them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from keys.clock import format_time, parse_time
from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.cases import care_of
from matcher.masking import mask_name
from matcher.personal.fields import shown_reasons
from matcher.reviews.cases import Case, read_case, read_case_for, require_any
from matcher.reviews.errors import ClaimedByOther
from matcher.rows import fetch_all, fetch_records
from matcher.states import MoveInvalid
from psi.errors import InputError

Stage = Literal["to_propose", "to_confirm", "approved", "confirming", "not_met"]
CLAIMED = r"^(all|mine|nobody|@[a-z][a-z0-9._-]{1,31})$"
"""Who has a household in hand: anybody or nobody at all, whoever asks, nobody, or ``@`` and an account."""
REVIEW_STATES = ("PENDING_REVIEW", "IN_REVIEW")
LARGEST_PAGE = 200
TOWNSHIP_DIGITS = 9

_PLACE = re.compile(r"([0-9TZ:-]{0,20})/([0-9]{1,15})")

_NOT_PROPOSED = (
    "NOT EXISTS (SELECT 1 FROM decision WHERE decision.household_id = household.household_id"
    " AND decision.state = 'proposed')"
)
# A visit failed since it waits, and no other is planned. From the failed visits to their households (CROSS JOIN keeps
# the order): they are few beside those that wait for a first visit.
_FAILED = (
    "(SELECT household_id, MAX(created_at) AS failed_at FROM visit WHERE state = 'FAILED'"
    " OR (state = 'CANCELLED' AND attempt > 1) GROUP BY household_id) failed"
    " CROSS JOIN household ON household.household_id = failed.household_id"
)
_NOT_MET = (
    "household.state IN ('TO_VISIT', 'RETURNED') AND failed_at >= household.state_since"
    " AND NOT EXISTS (SELECT 1 FROM visit WHERE visit.household_id = household.household_id"
    " AND visit.state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED'))"
)
# Each stage's tables, condition, and the moment from which a household waits. One entry for a state of those that are
# read in the order of an index.
_SOURCES: Mapping[Stage, tuple[tuple[str, str, str], ...]] = {
    "to_propose": tuple(
        ("household", f"household.state = '{state}' AND {_NOT_PROPOSED}", "household.state_since")
        for state in REVIEW_STATES
    ),
    "to_confirm": (
        ("decision JOIN household USING (household_id)", "decision.state = 'proposed'", "decision.proposed_at"),
    ),
    "approved": (("household", "household.state = 'APPROVED'", "household.state_since"),),
    "confirming": (("household", "household.state = 'CONFIRMING'", "household.state_since"),),
    "not_met": ((_FAILED, f"{_NOT_MET} AND {_NOT_PROPOSED}", "household.state_since"),),
}
_ITEMS = """
    SELECT household.household_id, household_no, household_size AS members, township, household.state,
        household.reasons, claimed_by, claimed_at, decision.decision_id, verdict, digest, proposed_by,
        ends_on,
        (SELECT member_id || ':' || hex(sealed) FROM member
         WHERE member.household_id = household.household_id AND left_at IS NULL
         ORDER BY is_applicant DESC, member_id LIMIT 1) AS applicant
    FROM json_each(?) wanted JOIN household ON household.household_id = wanted.value
    LEFT JOIN decision ON decision.household_id = household.household_id AND decision.state = 'proposed'
    LEFT JOIN confirmation ON confirmation.household_id = household.household_id AND closed_at IS NULL
    ORDER BY wanted.key
"""


@dataclass(frozen=True)
class QueueFilter:
    """``township``: the first digits of a division; ``claimed``: as CLAIMED says; ``reason``: a code of the label;
    ``state``: of the household, '' for every one that the stage has.
    From ``late_after_days`` on a household counts as late: no plan says so, the office chooses."""

    stage: Stage = "to_propose"
    township: str = ""
    claimed: str = "all"
    reason: str = ""
    late_after_days: int = 15
    late_only: bool = False
    state: str = ""


@dataclass(frozen=True)
class QueueItem:
    """One household that waits. ``applicant`` is masked; ``decision_id`` and the next three are of the open proposal,
    ``ends_on`` is of the running confirmation."""

    household_id: int
    household_no: str
    applicant: str
    members: str
    township: str
    state: str
    reasons: tuple[str, ...]
    waits_since: str
    waits_days: int
    is_late: bool
    claimed_by: str | None
    claimed_at: str | None
    decision_id: int | None
    verdict: str | None
    digest: str | None
    proposed_by: str | None
    ends_on: str | None


@dataclass(frozen=True)
class QueuePage:
    """``total`` of the filter; ``next`` is what to ask for after this page, None at the end."""

    items: tuple[QueueItem, ...]
    total: int
    next: str | None


class Queue:
    """The queues of the review. ``household.claimed_by`` and ``claimed_at`` are its own columns."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._households = Households(office)

    def page(self, actor: Actor, wanted: QueueFilter, *, after: str | None = None, size: int = 50) -> QueuePage:
        """What waits longest comes first. Raises NotAllowed, InputError for an ``after`` that no page gave."""
        total = self.count(actor, wanted)
        size = min(max(size, 1), LARGEST_PAGE)
        place = _parse_place(after)
        rows: list[tuple[str, int]] = []
        for source, since, values in self._sources(actor, wanted):
            rows += fetch_all(
                self._office.database,
                f"SELECT {since}, household.household_id {source} AND ({since}, household.household_id) > (?, ?)"
                f" ORDER BY {since}, household.household_id LIMIT ?",
                [*values, *place, size + 1],
            )
        rows.sort()
        following = f"{rows[size - 1][0]}/{rows[size - 1][1]}" if len(rows) > size else None
        return QueuePage(self._items(actor, wanted, rows[:size]), total, following)

    def count(self, actor: Actor, wanted: QueueFilter) -> int:
        """How many households wait there. Raises NotAllowed."""
        is_decided = wanted.stage in ("approved", "confirming")
        require_any(actor, Permission.REVIEW, Permission.DECIDE, *([Permission.OBJECT] if is_decided else []))
        return sum(
            int(fetch_all(self._office.database, f"SELECT COUNT(*) {source}", values)[0][0])
            for source, _, values in self._sources(actor, wanted)
        )

    def list_claimants(self, actor: Actor) -> list[str]:
        """The accounts that have households in hand within this one's care, by name. Raises NotAllowed."""
        require_any(actor, Permission.REVIEW, Permission.DECIDE)
        care, bound = care_of(actor)
        rows = fetch_all(
            self._office.database,
            "SELECT DISTINCT claimed_by FROM household WHERE state = 'IN_REVIEW' AND claimed_by IS NOT NULL"  # noqa: S608
            f" AND {care} ORDER BY 1",
            bound,
        )
        return [name for (name,) in rows]

    def claim(self, actor: Actor, household_id: int) -> Case:
        """Take a household in hand, which opens its review; again it changes nothing.

        Raises NotAllowed, HouseholdUnknown, ClaimedByOther, MoveInvalid.
        """
        with self._office.writing():
            self.claim_within(actor, household_id)
            return read_case(self._office, household_id)

    def claim_many(self, actor: Actor, household_ids: Sequence[int], *, key: str | None = None) -> list[Outcome]:
        """:meth:`claim` for many in one transaction; those that cannot be are left as they were."""

        def claim(household_id: int) -> int:
            self.claim_within(actor, household_id)
            return household_id

        request = {"operation": "review.claim_many", "ids": list(household_ids)}
        return Idempotency(self._office).run_each(actor, key, request, household_ids, claim)

    def claim_within(self, actor: Actor, household_id: int) -> None:
        """:meth:`claim` in the caller's transaction."""
        case = read_case_for(self._office, actor, household_id, Permission.REVIEW)
        if case.state not in REVIEW_STATES:
            raise MoveInvalid("not in review", what="household", present=case.state, wanted="IN_REVIEW")
        _require_free(case, actor)
        if case.state == "PENDING_REVIEW":
            self._households.move_within(actor, household_id, "IN_REVIEW")
        if case.claimed_by is None:
            self._set_claim(household_id, actor.name)
            self._office.record_within(actor, "review.claim", f"household/{household_id}")

    def release(self, actor: Actor, household_id: int) -> None:
        """Give a household back: one's own, or as a checker anybody's; again it changes nothing.

        Raises NotAllowed, HouseholdUnknown, ClaimedByOther.
        """
        with self._office.writing():
            self.release_within(actor, household_id)

    def release_within(self, actor: Actor, household_id: int) -> None:
        """:meth:`release` in the caller's transaction."""
        case = read_case_for(self._office, actor, household_id, Permission.REVIEW, Permission.DECIDE)
        if case.claimed_by is None:
            return
        if not actor.may(Permission.DECIDE):
            _require_free(case, actor)
        self._set_claim(household_id, None)
        self._office.record_within(actor, "review.release", f"household/{household_id}", claimed_by=case.claimed_by)

    def release_many(self, actor: Actor, household_ids: Sequence[int], *, key: str | None = None) -> list[Outcome]:
        """:meth:`release` for many in one transaction; those that cannot be are left as they were."""

        def release(household_id: int) -> int:
            self.release_within(actor, household_id)
            return household_id

        request = {"operation": "review.release_many", "ids": list(household_ids)}
        return Idempotency(self._office).run_each(actor, key, request, household_ids, release)

    def end_claim_within(self, household_id: int) -> None:
        """The review is over, in the caller's transaction, which records why."""
        self._set_claim(household_id, None)

    def _set_claim(self, household_id: int, account: str | None) -> None:
        self._office.database.execute(
            "UPDATE household SET claimed_by = ?, claimed_at = ? WHERE household_id = ?",
            [account, self._office.now() if account else None, household_id],
        )

    def _sources(self, actor: Actor, wanted: QueueFilter) -> Iterator[tuple[str, str, list[object]]]:
        """SQL from FROM on with its values, and the column of the moment from which a household waits."""
        for tables, condition, since in _SOURCES[wanted.stage]:
            more, values = self._conditions(actor, wanted, since)
            yield f"FROM {tables} WHERE {condition}{more}", since, values

    def _conditions(self, actor: Actor, wanted: QueueFilter, since: str) -> tuple[str, list[object]]:
        """SQL after the source's own, with its values. An account of some townships sees those only."""
        sql, values = "", list[object]()
        for prefixes in (actor.townships, (wanted.township,)):
            if any(prefixes):
                sql += f" AND ({' OR '.join(map(_in_area, prefixes))})"
                values += [bound for prefix in prefixes for bound in (prefix, prefix + ":")]  # ':' follows '9'
        if wanted.claimed != "all":
            sql += " AND claimed_by IS ?"
            values.append({"mine": actor.name, "nobody": None}.get(wanted.claimed, wanted.claimed.removeprefix("@")))
        if wanted.state:
            sql += " AND household.state = ?"
            values.append(wanted.state)
        if wanted.reason:
            actor.require(Permission.SEE_SENSITIVE)  # a filter tells as much as a column
            sql += " AND instr(',' || household.reasons || ',', ?)"
            values.append(f",{wanted.reason},")
        if wanted.late_only:
            sql += f" AND {since} <= ?"
            values.append(format_time(self._office.clock.now() - timedelta(days=wanted.late_after_days)))
        return sql, values

    def _items(self, actor: Actor, wanted: QueueFilter, rows: Sequence[tuple[str, int]]) -> tuple[QueueItem, ...]:
        now = self._office.clock.now()
        found = fetch_records(self._office.database, _ITEMS, [json.dumps([number for _, number in rows])])
        return tuple(
            self._item(actor, row, since, now, wanted.late_after_days)
            for row, (since, _) in zip(found, rows, strict=True)
        )

    def _item(self, actor: Actor, row: dict[str, Any], since: str, now: datetime, late_after_days: int) -> QueueItem:
        reasons = shown_reasons(actor, filter(None, row.pop("reasons").split(",")))
        days = (now - parse_time(since)).days
        return QueueItem(
            **{**row, "applicant": self._masked_name(row["applicant"])},
            reasons=reasons,
            waits_since=since,
            waits_days=days,
            is_late=days >= late_after_days,
        )

    def _masked_name(self, found: str | None) -> str:
        if found is None:
            return ""
        member_id, _, sealed = found.partition(":")
        return mask_name(self._office.personal.open(bytes.fromhex(sealed), "member", "sealed", member_id)["name"])


def _in_area(prefix: str) -> str:
    """A village is more than a township's nine digits, which the index holds."""
    column = "township" if len(prefix) <= TOWNSHIP_DIGITS else "household.division"
    return f"{column} >= ? AND {column} < ?"


def _require_free(case: Case, actor: Actor) -> None:
    if case.claimed_by not in (None, actor.name):
        raise ClaimedByOther("somebody else works on it", by=case.claimed_by, since=case.claimed_at)


def _parse_place(after: str | None) -> tuple[str, int]:
    found = _PLACE.fullmatch(after or "/0")
    if found is None:
        raise InputError("not the place of a page")
    return found[1], int(found[2])
