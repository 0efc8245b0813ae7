"""What the page of one loan shows, put together for the account that looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from api.console.balance_chart import BalanceChart, Step, draw
from api.console.language import mark
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.views import ClaimViews, LoanLine
from matcher.households.policies import Policies
from matcher.loans import Loans
from matcher.loans.listing import LoanDetail
from matcher.policy import Policy
from matcher.states import SUBSIDY
from matcher.subsidy.arithmetic import NOTHING, Parts

ENTRY_WORDS: Mapping[str, str] = {"drawdown": mark("放款"), "repayment": mark("还本"), "interest": mark("还息")}
SPAN_WORDS: Mapping[str, str] = {
    "overdue": mark("逾期"),
    "extension": mark("展期"),
    "suspension": mark("暂停贴息"),
    "stop": mark("停止贴息"),
}


@dataclass(frozen=True)
class Entry:
    """One movement; ``balance`` (分) after it, None for interest and for what was reversed."""

    reference: str
    kind: str
    on_day: str
    amount: int
    reversed_on: str | None
    balance: int | None


@dataclass(frozen=True)
class Event:
    """One line of the timeline."""

    day: str
    words: str
    detail: str = ""


@dataclass(frozen=True)
class LoanView:
    """``policy`` is that of the contract's signing, with its SHA-256 in ``detail.policy``. ``acts``: what the account
    may decide of the subsidy now: suspend, resume, stop. ``claimed`` sums up the lines that stand in claims."""

    detail: LoanDetail
    policy: Policy | None
    product: str
    entries: tuple[Entry, ...]
    chart: BalanceChart | None
    lines: tuple[LoanLine, ...]
    claimed: Parts
    total: Parts
    events: tuple[Event, ...]
    acts: tuple[str, ...]


def view(office: Office, actor: Actor, loan_id: int) -> LoanView:
    """Raises NotAllowed, LoanUnknown."""
    detail = Loans(office).show(actor, loan_id)
    loan = detail.loan
    policy = Policies(office).by_sha256(detail.policy).policy if detail.policy else None
    lines = tuple(ClaimViews(office).of_loan(actor, loan_id))
    entries = tuple(_entries(detail))
    return LoanView(
        detail=detail,
        policy=policy,
        product=product_names(office).get(loan.product, loan.product),
        entries=entries,
        chart=_chart(detail, entries, office.today()),
        lines=lines,
        claimed=sum((one.line.amounts for one in lines if one.claim_id is not None), NOTHING),
        total=sum((one.line.amounts for one in lines), NOTHING),
        events=tuple(_events(detail)),
        acts=_acts(actor, detail),
    )


def product_names(office: Office) -> dict[str, str]:
    """Of every policy that was adopted here, by code; a later policy's name counts."""
    policies = Policies(office)
    adopted = [record for record in reversed(policies.list()) if record.state == "adopted"]
    loaded = [policies.by_sha256(record.sha256) for record in adopted]
    return {product.code: product.name for one in loaded for product in one.policy.loan.products}


def _entries(detail: LoanDetail) -> Iterator[Entry]:
    owed = 0
    # Of one day, draws first: as they count.
    rows = sorted(detail.entries, key=lambda one: (one["on_day"], one["kind"] != "drawdown"))
    for one in rows:
        balance = None
        if one["reversed_on"] is None and one["kind"] != "interest":
            owed += one["amount"] if one["kind"] == "drawdown" else -one["amount"]
            balance = owed
        yield Entry(**one, balance=balance)


def _chart(detail: LoanDetail, entries: tuple[Entry, ...], today: date) -> BalanceChart | None:
    steps = [Step(date.fromisoformat(one.on_day), one.balance) for one in entries if one.balance is not None]
    until = date.fromisoformat(detail.loan.ended_on) if detail.loan.ended_on else today
    bare = [
        (date.fromisoformat(span["from_day"]), date.fromisoformat(span["to_day"]) if span["to_day"] else until)
        for span in detail.spans
    ]
    return draw(steps, until, bare)


def _events(detail: LoanDetail) -> Iterator[Event]:
    """From the first on; what moved stands in its own table."""
    loan = detail.loan
    found = [
        (loan.applied_on, mark("申请"), ""),
        (detail.facility_agreed_on, mark("授信"), detail.facility_no or ""),
        (detail.commitment_signed_on, mark("签署身份承诺书"), detail.commitment_no or ""),
        (loan.signed_on, mark("签订合同"), loan.contract_no),
        (loan.starts_on, mark("起息"), ""),
    ]
    for span in detail.spans:
        found.append((span["from_day"], SPAN_WORDS[span["kind"]], span["remark"]))
        if span["to_day"]:
            found.append((span["to_day"], _ENDED[span["kind"]], ""))
    found.append((loan.ended_on, _LAST.get(loan.state, mark("结清")), ""))
    days = [(day, words, about) for day, words, about in found if day]
    yield from (Event(day, words, about) for day, words, about in sorted(days, key=lambda one: one[0]))


_ENDED: Mapping[str, str] = {
    "overdue": mark("逾期结束"),
    "extension": mark("展期结束"),
    "suspension": mark("恢复贴息"),
    "stop": mark("停止贴息"),
}
_LAST: Mapping[str, str] = {"EARLY_SETTLED": mark("提前结清"), "WRITTEN_OFF": mark("核销")}


def _acts(actor: Actor, detail: LoanDetail) -> tuple[str, ...]:
    loan = detail.loan
    if not actor.may(Permission.LIST_END) or not actor.cares_for(loan.division) or loan.starts_on is None:
        return ()
    stopped = any(span["kind"] == "stop" for span in detail.spans)
    return tuple(
        act
        for act, to_state in (("suspend", "SUSPENDED"), ("resume", "ELIGIBLE"), ("stop", "STOPPED"))
        if SUBSIDY.allows(loan.subsidy_state, to_state)
        or (act == "stop" and loan.subsidy_state == "COMPLETED" and not stopped)
    )
