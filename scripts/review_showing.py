"""How ``mingce review`` shows a queue, a household's file and a decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from matcher.reviews.files import CaseFile
from matcher.reviews.queue import QueueItem
from matcher.reviews.records import VERDICT_WORDS, Decision
from matcher.states import HOUSEHOLD
from scripts.language import say
from scripts.output import print_result, print_table

REFERENCE_DIGITS = 12
_STATES: Mapping[str, tuple[str, str]] = {
    "proposed": ("待复核", "waits for a second person"),
    "confirmed": ("已复核", "confirmed"),
    "sent_back": ("已退回提出人", "sent back"),
}
_OUTCOMES: Mapping[str, tuple[str, str]] = {
    "met": ("符合", "met"),
    "not_met": ("不符合", "not met"),
    "unknown": ("未知", "unknown"),
    "flagged": ("请核实", "look at it"),
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
    lines += [say(f"  还缺：{what}", f"  wanting: {what}") for what in file.lacks]
    lines += _proposal_lines(file)
    lines += [
        f"  {reference(one)}  {_verdict(one.verdict)}  {say(*_STATES[one.state])}  {one.decided_by}  {one.decided_at}"
        for one in file.decisions
        if one.state != "proposed"
    ]
    if file.confirmation is not None:
        ends_on = file.confirmation.ends_on
        lines.append(say(f"  确认期至 {ends_on}", f"  objections until {ends_on}"))
    lines += [f"  {one.effective_from} - {one.effective_to or ''}  {one.ended_as or ''}" for one in file.listings]
    return lines


def _evidence_lines(evidence: Mapping[str, Any]) -> Iterator[str]:
    assessment = evidence["assessment"]
    for rule in assessment["rules"]:
        yield f"  [{say(*_OUTCOMES[rule['outcome']])}] {rule['text']}（{rule['clause']}）"
    yield from (f"  {line}" for line in assessment["near_misses"])
    for name, (_, origin, as_of) in evidence["known"]["sources"].items():
        fact = say(*_FACTS[name]) if name in _FACTS else name
        yield say(f"  依据 {fact}：{origin}，{as_of}", f"  source of {fact}: {origin}, {as_of}")


def _proposal_lines(file: CaseFile) -> Iterator[str]:
    if file.proposal is None:
        return
    proposal, decision = file.proposal, file.proposal.decision
    words = " ".join([_verdict(decision.verdict), *decision.reasons])
    yield say(
        f"待复核 {reference(decision)}：{words}，{decision.proposed_by} 提出",
        f"waiting {reference(decision)}: {words}, by {decision.proposed_by}",
    )
    if proposal.remark:
        yield say(f"  说明：{proposal.remark}", f"  remark: {proposal.remark}")
    if proposal.changed:
        changed = ", ".join(proposal.changed)
        yield say(f"  提出后有变化：{changed}", f"  changed since: {changed}")


def _verdict(verdict: str) -> str:
    return say(VERDICT_WORDS[verdict], verdict)
