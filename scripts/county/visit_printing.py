"""How ``mingce visit`` shows a visit, what became of it, and where two forms differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from matcher.attachments import KINDS as IMAGE_WORDS
from matcher.states import VISIT
from matcher.visits.model import KINDS, OUTCOMES, Difference, Visit, VisitDetails, VisitState
from scripts.language import say
from scripts.messages import explain_code
from scripts.output import print_result


def print_state(done: VisitState, *, as_json: bool) -> None:
    word = say(VISIT.words[done.state], done.state)
    line = say(
        f"走访任务 {done.visit_id}：{word}（第 {done.version} 版）",
        f"visit {done.visit_id}: {word} (version {done.version})",
    )
    print_result(asdict(done), [line], as_json=as_json)


def print_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    lines = [say(f"{len(found)} 处不同（现存 → 提交）", f"{len(found)} fields differ (stored → offered)")]
    lines += [
        f"  {difference.heading}：{difference.stored or '-'} → {difference.offered or '-'}" for difference in found
    ]
    print_result({"differences": [asdict(difference) for difference in found]}, lines, as_json=as_json)


def row_of(visit: Visit) -> tuple[object, ...]:
    return (
        visit.visit_id, visit.household_no, visit.division, say(KINDS[visit.kind], visit.kind),
        say(VISIT.words[visit.state], visit.state), date.fromisoformat(visit.planned_for), visit.manager or "-",
        visit.attempt, visit.version,
    )  # fmt: skip


def lines_of(details: VisitDetails) -> Sequence[str]:
    visit = details.visit
    lines = [
        say(
            f"走访任务 {visit.visit_id}：家庭 {visit.household_no}，{KINDS[visit.kind]}第 {visit.attempt} 次，"
            f"{VISIT.words[visit.state]}（第 {visit.version} 版）",
            f"visit {visit.visit_id}: household {visit.household_no}, {visit.kind} {visit.attempt}, {visit.state} "
            f"(version {visit.version})",
        )
    ]
    if visit.remark:
        lines.append(say(f"备注：{visit.remark}", f"remark: {visit.remark}"))
    lines += [f"! {note}" for note in details.notes]
    if details.missing:
        words = explain_code("visit_incomplete", "", {"visit": visit.visit_id, "missing": list(details.missing)})[0]
        lines.append(words)
    if details.form is not None:
        lines.append(json.dumps(details.form, ensure_ascii=False, indent=1))
    for image in details.attachments:
        kind = say(IMAGE_WORDS[image.kind], image.kind)
        lines.append(f"[{image.attachment_id}] {kind} {image.width}×{image.height} SHA-256 {image.sha256}")
    for move in details.moves:
        outcome = f" {say(OUTCOMES[move.outcome], move.outcome)}" if move.outcome else ""
        states = " → ".join(say(VISIT.words[state], state) for state in (move.from_state, move.to_state))
        lines.append(f"{move.at} {move.account}: {states}{outcome}{' ' + move.remark if move.remark else ''}")
    return lines
