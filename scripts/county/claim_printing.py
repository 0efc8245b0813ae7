"""What ``mingce claim`` prints: for a person, and as JSON."""

from __future__ import annotations

from typing import Any

from matcher.claims.exceptions import KINDS, ClaimException
from matcher.claims.explaining import Explanation
from matcher.claims.queries import ClaimLine, ClaimSummary
from matcher.claims.reconciliation import AMOUNTS, Difference
from matcher.states import CLAIM
from matcher.subsidy.arithmetic import Parts
from matcher.subsidy.lines import plain_yuan, yuan
from scripts.county.subsidy import NAMES
from scripts.language import say
from scripts.output import print_result

WHY = {
    "": ("计入", "counted"),
    "graduated": (
        "跃迁后的提款不贴息（还款先抵最早的提款）",
        "drawn after graduation (the oldest draw is repaid first)",
    ),
    "cap": ("超过家庭贷款总额上限的部分不贴息", "above the household's cap"),
    "overdue": ("逾期期间不贴息", "overdue"),
    "extension": ("展期期间不贴息", "extended"),
    "suspension": ("暂停期间不贴息", "suspended"),
    "off_list": ("家庭被暂停或移出名单期间不贴息", "the household was off the list"),
    "stop": ("已停止贴息", "stopped"),
}
CHANGES = {
    "": ("据以计算的记录后来有变动", "the records have changed"),
    "unpaid": ("利息后来不再算付清", "the interest is not paid any more"),
    "no_period": ("该结息期不再存在", "the loan ended before this period"),
}


def print_verified(summary: ClaimSummary, *, as_json: bool) -> None:
    """``intact`` is null of a claim that is not frozen: nothing was written down that it could differ from."""
    amounts, is_frozen = summary.amounts, summary.digest is not None
    total = yuan(amounts.excess)
    lines = [
        say(
            f"完好：申报 {summary.claim_id} 的 {summary.lines:,} 行与冻结时一致，超出部分合计 {total} 元"
            f"（财政 {yuan(amounts.fiscal)} 元，银行 {yuan(amounts.bank)} 元）",
            f"Intact: the {summary.lines:,} lines of claim {summary.claim_id} are those that were frozen, "
            f"excess {total} yuan in total (finance {yuan(amounts.fiscal)}, bank {yuan(amounts.bank)})",
        )
        if is_frozen
        else say(
            f"申报 {summary.claim_id} 还没有冻结，没有可对照的；目前 {summary.lines:,} 行，超出部分合计 {total} 元",
            f"Claim {summary.claim_id} is not frozen, so there is nothing to hold it against; "
            f"at present {summary.lines:,} lines, excess {total} yuan in total",
        )
    ]
    print_result({**summary_document(summary), "intact": True if is_frozen else None}, lines, as_json=as_json)


def print_summary(summary: ClaimSummary, *, as_json: bool) -> None:
    amounts = summary.amounts
    of = f"{summary.county}, {summary.bank_name}, {state_word(summary.state)}"
    lines = [
        say(
            f"申报 {summary.claim_id}：{summary.year} 年，{of}",
            f"Claim {summary.claim_id}: {summary.year}, {of}",
        ),
        say(
            f"{summary.lines:,} 行，超出部分 {yuan(amounts.excess)} 元：财政 {yuan(amounts.fiscal)}"
            f"（省 {yuan(amounts.province)}，地方 {yuan(amounts.local)}），银行 {yuan(amounts.bank)}",
            f"{summary.lines:,} lines, excess {yuan(amounts.excess)} yuan: finance {yuan(amounts.fiscal)} "
            f"(province {yuan(amounts.province)}, local {yuan(amounts.local)}), bank {yuan(amounts.bank)}",
        ),
    ]
    if summary.left_out or summary.open_exceptions:
        lines.append(
            say(
                f"利息未付清未计入 {summary.left_out:,} 行；未处理事项 {summary.open_exceptions:,} 项",
                f"{summary.left_out:,} lines left out, not paid; {summary.open_exceptions:,} exceptions open",
            )
        )
    print_result(summary_document(summary), lines, as_json=as_json)


def state_word(state: str) -> str:
    return say(CLAIM.words[state], state)


def _amounts(parts: Parts) -> dict[str, str]:
    """Yuan with two places, as text."""
    return {name: plain_yuan(amount) for name, amount in vars(parts).items()}


def summary_document(summary: ClaimSummary) -> dict[str, Any]:
    return {**vars(summary), "amounts": _amounts(summary.amounts)}


def line_document(line: ClaimLine) -> dict[str, Any]:
    return {**vars(line), "amounts": _amounts(line.amounts)}


def exception_line(exception: ClaimException) -> str:
    done = f"  {exception.settled_by}：{exception.settlement}" if exception.settled_by else ""
    kind = say(KINDS[exception.kind], exception.kind)
    return f"[{exception.exception_id}] {kind}  {exception.contract_no or ''}  {exception.detail}{done}"


def difference_line(found: Difference) -> str:
    words = {"missing_theirs": ("银行没有此行", "not at the bank"), "missing_ours": ("申报没有此行", "not claimed")}
    pairs = zip(AMOUNTS, found.ours or (), found.theirs or (), strict=False)
    differ = "，".join(f"{say(*NAMES[n])} {yuan(a)} ≠ {yuan(b)}" for n, a, b in pairs if a != b)
    said = say(*words[found.kind]) if found.kind in words else differ
    return f"  {found.contract_no}  {found.period_start}  {said}"


def explanation_document(told: Explanation) -> dict[str, Any]:
    return {
        **vars(told),
        "period": vars(told.period),
        "pieces": [piece._asdict() for piece in told.pieces],
        "steps": [vars(step) for step in told.steps],
        "target": _amounts(told.target),
        "earlier": [{**each._asdict(), "parts": _amounts(each.parts)} for each in told.earlier],
        "amounts": _amounts(told.amounts),
    }


def explanation_lines(told: Explanation) -> list[str]:
    period = told.period
    days = f"{period.start} – {period.end}"
    lines = [
        say(
            f"行 {told.line_id}，合同 {told.contract_no}：{days}（不含），{period.settled_on} 结息",
            f"Line {told.line_id}, {told.contract_no}: {days} (not included), due {period.settled_on}",
        ),
        f"{told.policy_title} {told.policy_version}（{told.policy_sha256[:16]}）",
        *told.clauses,
    ]
    for piece in told.pieces:
        length = (piece.end - piece.start).days
        amounts = f"{yuan(piece.counted)} / {yuan(piece.balance)}"
        lines.append(f"  {piece.start} – {piece.end}  {length} × {amounts}  {say(*WHY[piece.why])}")
    lines += [f"  {say(*NAMES[step.name])}　{step.formula} = {yuan(step.amount)}" for step in told.steps]
    if told.kind == "adjustment":
        lines.append(f"{say('更正：', 'Correction: ')}{say(*CHANGES[told.reason])}")
        lines += [f"  − {each.line_id}（{each.claim_year}）　{yuan(each.parts.fiscal)}" for each in told.earlier]
        lines.append(f"  {say('本行财政贴息', 'finance, this line')} = {yuan(told.amounts.fiscal)}")
    paid = f"{yuan(told.interest_paid)} / {yuan(told.interest_due)}"
    return [*lines, say(f"客户已付利息 / 应付：{paid}", f"Interest paid / due: {paid}")]
