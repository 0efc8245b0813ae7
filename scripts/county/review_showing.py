"""How ``mingce review`` shows a queue, a household's file and a decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from matcher.reasons import REASONS
from matcher.reviews.files import CaseFile
from matcher.reviews.queue import QueueItem
from matcher.reviews.records import VERDICT_WORDS, Decision
from matcher.states import HOUSEHOLD
from matcher.visits.model import FAILURES
from scripts.county.household import CONFLICT_WORDS, OUTCOME_WORDS
from scripts.language import say
from scripts.output import print_result, print_table

REFERENCE_DIGITS = 12
_STATES: Mapping[str, tuple[str, str]] = {
    "proposed": ("待复核", "waits for a second person"),
    "confirmed": ("已复核", "confirmed"),
    "sent_back": ("已退回提出人", "sent back"),
    "withdrawn": ("提出人已撤回", "withdrawn"),
}
_KINDS: Mapping[str, tuple[str, str]] = {"appeal": ("申诉", "appeal"), "objection": ("异议", "objection")}
_LACKS: Mapping[str, tuple[str, str]] = {
    "visit": ("已采纳的走访", "an accepted visit"),
    "conflict": ("名单冲突待处理", "a conflict to settle:"),
    "check": ("部门核验", "the answer of"),
}
_CHANGES: Mapping[str, tuple[str, str]] = {
    "visit_id": ("走访", "the visit"),
    "form_digest": ("信息采集表", "the form"),
    "facts": ("认定依据", "the facts"),
    "failures": ("又有走访未成功", "another visit failed"),
}
_FACTS: Mapping[str, tuple[str, str]] = {
    "born_on": ("出生日期", "birth date"),
    "members": ("家庭人数", "members"),
    "income": ("家庭年收入", "income"),
    "is_resident": ("固定住所", "residence"),
    "has_good_credit": ("信用状况", "credit"),
    "has_full_capacity": ("行为能力", "capacity"),
}


def reference(decision: Decision) -> str:
    """By what a decision is confirmed: its number and the first digits of its digest."""
    return f"{decision.decision_id}@{decision.digest[:REFERENCE_DIGITS]}"


def print_decision(decision: Decision, *, as_json: bool) -> None:
    words = f"{_verdict(decision.verdict)}, {say(*_STATES[decision.state])}"
    line = say(f"决定 {reference(decision)}：{words}", f"Decision {reference(decision)}: {words}")
    print_result({**asdict(decision), "reference": reference(decision)}, [line], as_json=as_json)


def print_queue(items: Sequence[QueueItem]) -> None:
    rows = [
        [
            item.household_id,
            item.household_no,
            item.applicant,
            item.township,
            HOUSEHOLD.words[item.state],
            f"{item.waits_days}" + (say(" 超期", " late") if item.is_late else ""),
            item.claimed_by or "",
            _verdict(item.verdict) if item.verdict else "",
            f"{item.decision_id}@{(item.digest or '')[:REFERENCE_DIGITS]}" if item.decision_id else "",
            item.ends_on or "",
        ]
        for item in items
    ]
    headings = [
        say("编号", "number"), say("家庭编号", "household"), say("户主", "applicant"), say("乡镇", "township"),
        say("状态", "state"), say("停留天数", "days"), say("领取人", "claimed by"), say("提出", "proposed"),
        say("决定@摘要", "decision@digest"), say("确认期至", "objections until"),
    ]  # fmt: skip
    print_table(say("审核队列", "Queue"), headings, rows)


def file_lines(file: CaseFile) -> list[str]:
    """A household's file for a person: the rules, where the facts come from, what is wanting, what was decided."""
    case = file.case
    lines = [f"{case.household_id}  {case.household_no}  {HOUSEHOLD.words[case.state]}  {case.division}"]
    if file.evidence is None:
        lines.append(say("今天没有生效的政策。", "No policy is in force today."))
    else:
        lines += _evidence_lines(file.evidence)
    lines += [say(f"  还缺：{_lack(what)}", f"  wanting: {_lack(what)}") for what in file.lacks]
    lines += _proposal_lines(file)
    for decision in file.decisions:
        lines += _answered_lines(decision, file.answers.get(decision.decision_id, ""))
    lines += [
        f"  {say(*_KINDS[one.kind])}（{one.who}，{one.received_on}）：{one.why}  "
        + (_verdict(one.outcome) if one.outcome else say("待答复", "not answered yet"))
        for one in file.objections
    ]
    if file.confirmation is not None:
        ends_on = file.confirmation.ends_on
        lines.append(say(f"  确认期至 {ends_on}", f"  objections until {ends_on}"))
    lines += [f"  {one.effective_from} - {one.effective_to or ''}  {one.ended_as or ''}" for one in file.listings]
    return lines


def _evidence_lines(evidence: Mapping[str, Any]) -> Iterator[str]:
    assessment = evidence["assessment"]
    for rule in assessment["rules"]:
        yield f"  [{say(*OUTCOME_WORDS[rule['outcome']])}] {rule['text']}（{rule['clause']}）"
    yield from (f"  {line}" for line in assessment["near_misses"])
    for name, (_, origin, as_of) in evidence["known"]["sources"].items():
        fact = say(*_FACTS[name]) if name in _FACTS else name
        yield say(f"  依据 {fact}：{origin}，{as_of}", f"  source of {fact}: {origin}, {as_of}")
    for day, outcome in evidence["failures"]:
        yield say(f"  走访未成功 {day}：{FAILURES[outcome]}", f"  visit failed {day}: {outcome}")


def _proposal_lines(file: CaseFile) -> Iterator[str]:
    if file.proposal is None:
        return
    proposal, decision = file.proposal, file.proposal.decision
    words = " ".join([_verdict(decision.verdict), *(f"{code} {say(*_reason(code))}" for code in decision.reasons)])
    yield say(
        f"待复核 {reference(decision)}：{words}，{decision.proposed_by} 提出",
        f"waiting {reference(decision)}: {words}, by {decision.proposed_by}",
    )
    if proposal.remark:
        yield say(f"  说明：{proposal.remark}", f"  remark: {proposal.remark}")
    if proposal.changed:
        changed = ", ".join(say(*_CHANGES[part]) for part in proposal.changed)
        yield say(f"  提出后有变化：{changed}", f"  changed since: {changed}")


def _answered_lines(decision: Decision, remark: str) -> Iterator[str]:
    if decision.state == "proposed":
        return
    said = f"{_verdict(decision.verdict)}  {say(*_STATES[decision.state])}"
    yield f"  {reference(decision)}  {said}  {decision.decided_by}  {decision.decided_at}"
    if remark:
        yield say(f"    说明：{remark}", f"    remark: {remark}")
    if (decision.verdict, decision.state) == ("reject", "confirmed"):
        day = (decision.told_at or "")[:10]
        yield (
            say(f"    已于 {day} 告知家庭", f"    told on {day}")
            if day
            else say("    尚未告知家庭", "    not told yet")
        )


def _lack(what: str) -> str:
    kind, _, detail = what.partition(":")
    about = say(*CONFLICT_WORDS[detail]) if kind == "conflict" else detail
    return " ".join(filter(None, [say(*_LACKS[kind]), about]))


def _reason(code: str) -> tuple[str, str]:
    return REASONS[code].zh, REASONS[code].en


def _verdict(verdict: str) -> str:
    return say(VERDICT_WORDS[verdict], verdict)
