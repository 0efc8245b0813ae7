"""What the page of one household shows, put together for the account that looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.console.language import mark
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.checks.service import DepartmentAnswer, DepartmentChecks
from matcher.households import Households
from matcher.households.showing import HouseholdDetails
from matcher.loans import Loans
from matcher.loans.listing import Filter, LoanRow
from matcher.policy import PolicyUnknown
from matcher.reasons import describe
from matcher.reviews import Reviews
from matcher.reviews.evidence import assessment_as_json
from matcher.reviews.files import CaseFile
from matcher.reviews.records import VERDICT_WORDS
from matcher.states import HOUSEHOLD, VISIT
from matcher.visits.model import FAILURES, VisitDetails, VisitMove
from matcher.visits.service import Visits
from matcher.visits.showing import VisitFilter

# What a rule of matcher.eligibility is called, and which facts it looks at.
_RULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "age": (mark("年龄"), ("born_on",)),
    "income": (mark("家庭年收入"), ("income", "members")),
    "groups": (mark("排除对象"), ()),
    "residence": (mark("固定住所"), ("is_resident",)),
    "credit": (mark("信用状况"), ("has_good_credit",)),
    "capacity": (mark("行为能力"), ("has_full_capacity",)),
}
_ANSWERED = {"confirmed": mark("复核确认"), "sent_back": mark("退回提出人"), "withdrawn": mark("撤回")}


@dataclass(frozen=True)
class RuleLine:
    """One rule. ``sources``: (kind, reference, day) of the facts it looked at. While a proposal waits, ``text`` and
    ``outcome`` are as the first person saw them; ``now`` is today's (outcome, text) where that is another."""

    name: str
    text: str
    outcome: str
    clause: str
    sources: tuple[tuple[str, str, str], ...]
    now: tuple[str, str] | None = None


@dataclass(frozen=True)
class Change:
    """A fact that is not what it was when the proposal was made."""

    fact: str
    before: str
    now: str


@dataclass(frozen=True)
class Event:
    """One line of the timeline: when (stored time), who, what kind of thing, its words (states or a verdict), and why:
    reason codes, and a remark."""

    at: str
    who: str
    kind: str
    words: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class HouseholdView:
    """``file`` is None for those who neither review nor decide, ``loans`` for those who may not see any, ``rules``
    empty while no policy is in force."""

    details: HouseholdDetails
    file: CaseFile | None
    rules: tuple[RuleLine, ...]
    near_misses: tuple[str, ...]
    verdict: str
    changes: tuple[Change, ...]
    answers: tuple[DepartmentAnswer, ...]
    visits: tuple[VisitDetails, ...]
    loans: tuple[LoanRow, ...] | None
    timeline: tuple[Event, ...]

    @property
    def member_names(self) -> dict[int, str]:
        """Masked, by number: the departments' answers name members by it."""
        return {member.member_id: member.name for member in self.details.members}


def view(office: Office, actor: Actor, household_id: int) -> HouseholdView:
    """Raises NotAllowed, HouseholdUnknown."""
    households, visits = Households(office), Visits(office)
    details = households.show(actor, household_id)
    reviews = actor.may(Permission.REVIEW) or actor.may(Permission.DECIDE)
    file = Reviews(office).files.show(actor, household_id) if reviews else None
    shown, now = _evidence(office, actor, household_id, file)
    made = visits.list_visits(actor, VisitFilter(household_id=household_id))
    visited = tuple(visits.show(actor, one.visit_id) for one in made)
    return HouseholdView(
        details=details,
        file=file,
        rules=tuple(_rules(shown, now)) if shown else (),
        near_misses=tuple(shown["assessment"]["near_misses"]) if shown else (),
        verdict=shown["assessment"]["verdict"] if shown else "",
        changes=tuple(_changes(shown, now)) if shown and now else (),
        answers=tuple(DepartmentChecks(office).list_answers(actor, household_id)),
        visits=visited,
        loans=_loans(office, actor, household_id),
        timeline=tuple(_timeline(details, file, visited)),
    )


def _loans(office: Office, actor: Actor, household_id: int) -> tuple[LoanRow, ...] | None:
    if not actor.may(Permission.SEE_LOANS):
        return None
    return tuple(Loans(office).find(actor, Filter(household_id=household_id)))


def _evidence(
    office: Office, actor: Actor, household_id: int, file: CaseFile | None
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """What the rules are shown by; and today's, if what is shown was frozen by an open proposal."""
    if file is not None:
        return (file.proposal.evidence, file.evidence) if file.proposal else (file.evidence, None)
    try:
        found = Households(office).assess(actor, household_id)
    except PolicyUnknown:
        return None, None
    return {"assessment": assessment_as_json(found.assessment), "known": found.known.to_json()}, None


def _rules(shown: Mapping[str, Any], now: Mapping[str, Any] | None) -> Iterator[RuleLine]:
    """In the policy's order; then those that are only there today, such as a reason that a department gave since."""
    sources = shown["known"]["sources"]
    today = {rule["rule"]: rule for rule in now["assessment"]["rules"]} if now else {}
    for rule in shown["assessment"]["rules"]:
        other = today.pop(rule["rule"], None)
        differs = now is not None and (other is None or _said(other) != _said(rule))
        present = (_said(other) if other else ("", mark("已不适用"))) if differs else None
        yield _line(rule, sources, present)
    for rule in today.values():
        yield _line({**rule, "text": mark("提出时没有这一项"), "outcome": ""}, now["known"]["sources"], _said(rule))  # type: ignore[index]


def _line(rule: Mapping[str, Any], sources: Mapping[str, Any], now: tuple[str, str] | None) -> RuleLine:
    is_flag = rule["rule"].startswith("flag")
    name, facts = _RULES.get(rule["rule"], (mark("标签标记") if is_flag else mark("排除对象"), ()))
    wanted = facts or ((rule["reason"],) if rule["reason"] else ())
    found = dict.fromkeys(tuple(sources[fact]) for fact in wanted if fact in sources)
    return RuleLine(name, rule["text"], rule["outcome"], rule["clause"], tuple(found), now)


def _said(rule: Mapping[str, Any]) -> tuple[str, str]:
    return rule["outcome"], rule["text"]


def _changes(shown: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    before, after = shown["known"]["facts"], now["known"]["facts"]
    for fact in before:
        if before[fact] != after.get(fact):
            yield Change(fact, _fact(fact, before[fact]), _fact(fact, after.get(fact)))


def _fact(name: str, value: object) -> str:
    if value is None:
        return mark("未知")
    if isinstance(value, bool):
        return mark("是") if value else mark("否")
    if isinstance(value, list):
        return describe(value) or mark("无")
    if name == "income" and isinstance(value, int):
        return f"{value // 100:,}.{value % 100:02d} 元"
    return str(value)


def _timeline(details: HouseholdDetails, file: CaseFile | None, visits: Sequence[VisitDetails]) -> list[Event]:
    """The newest first."""
    events = [
        Event(step.at, step.account, mark("走访"), (VISIT.words[step.to_state],), (), _why_of(step))
        for visit in visits
        for step in visit.moves
    ]
    events += [  # in the same second a household follows its visit
        Event(
            move.at,
            move.account,
            mark("家庭"),
            (HOUSEHOLD.words[move.from_state], HOUSEHOLD.words[move.to_state]),
            tuple(move.reasons),
            move.remark.strip(),
        )
        for move in details.moves
    ]
    if file is not None:
        events += _decided(file)
    return sorted(reversed(events), key=lambda event: event.at, reverse=True)


def _why_of(step: VisitMove) -> str:
    return " ".join(filter(None, [FAILURES.get(step.outcome or "", ""), step.remark]))


def _decided(file: CaseFile) -> Iterator[Event]:
    for one in file.decisions:
        verdict = VERDICT_WORDS[one.verdict]
        yield Event(one.proposed_at, one.proposed_by, mark("提出意见"), (verdict,), tuple(one.reasons))
        if one.decided_at and one.decided_by:
            answer = file.answers.get(one.decision_id, "")
            yield Event(one.decided_at, one.decided_by, _ANSWERED[one.state], (verdict,), (), answer)
