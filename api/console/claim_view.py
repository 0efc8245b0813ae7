"""What the pages of one claim have in common, and the words for its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.console.language import mark, say
from api.console.names import county_names
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.exceptions import KINDS
from matcher.claims.service import Claims
from matcher.states import CLAIM

STEP_WORDS: Mapping[str, tuple[str, str]] = {
    "freeze": (
        mark("冻结明细"),
        mark("重新计息到昨天，把到期且已付清利息的行冻结。冻结后不再改动，差错在以后的申报中以更正行处理。"),
    ),
    "check": (mark("银行核对"), mark("确认冻结的明细与本行账务一致。须由冻结者以外的人办理。")),
    "audit": (mark("审计完成"), mark("确认抽查已全部有结论。须由冻结、核对者以外的人办理。")),
    "submit": (mark("提交申报"), mark("送县财政受理。提交前每一项待处理事项都须有说明。")),
    "take-up": (mark("受理"), mark("县财政开始审核。须由提交者以外的人办理。")),
    "return": (
        mark("退回银行"),
        mark("退回银行补充说明后重新提交；须写明原因。明细仍然冻结，差错在以后的申报中更正。"),
    ),
    "approve": (mark("县级审核通过"), mark("确认金额。须由提交、受理者以外的人办理。")),
    "pass-on": (mark("上报省财政"), mark("送省财政审批。")),
    "grant": (mark("省级批准"), mark("批准拨付。须由县级各步以外的人办理。")),
    "pay": (mark("记录拨付"), mark("资金已拨付后记录。须由批准者以外的人办理。")),
    "close": (mark("办结"), mark("这份申报到此结束，不再变动。")),
}
"""What a step is called, and what it does."""
WAITS: Mapping[str, tuple[str, str]] = {
    "reconciliation": (mark("先上传本行自己的数字，与明细比对"), "exceptions"),
    "sample": (mark("先抽取审计样本"), "sample"),
    "findings": (mark("抽查还有 %(count)s 行没有结论"), "sample"),
    "exceptions": (mark("还有 %(count)s 项待处理事项没有说明"), "exceptions"),
}
"""What has to be done before, and on which of the claim's pages."""
TABS: Mapping[str, str] = {
    "": mark("概览"),
    "lines": mark("明细"),
    "totals": mark("汇总"),
    "exceptions": mark("待处理事项"),
    "sample": mark("审计抽查"),
}
CONFLICTS: Mapping[str, str] = {
    "person_in_two_households": mark("同一人在两户"),
    "labels_differ": mark("成员标签不一致"),
    "too_many_members": mark("匹配人数多于家庭人数"),
    "two_names_for_one_number": mark("同号不同名"),
    "label_changed": mark("名单标签已改变"),
}


def claim_page(
    request: Request,
    actor: Actor,
    office: Office,
    claim_id: int,
    tab: str,
    *,
    done: str = "",
    problems: Sequence[tuple[str, str]] = (),
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """One of a claim's pages, with its head. Raises NotAllowed, ClaimUnknown."""
    found = Claims(office).head(actor, claim_id)
    claim = found.summary
    return render(
        request,
        f"claim-{tab or 'overview'}.html",
        title=say(request, "%(year)s 年贴息申报") % {"year": claim.year},
        crumbs=[(say(request, "申报"), "/claims")],
        status=status,
        claim=claim,
        steps=found.steps,
        county=county_names(office).get(claim.county, claim.county),
        tab=tab,
        tabs=TABS,
        states={state: words for state, words in CLAIM.words.items() if state != "RETURNED"},
        step_words=STEP_WORDS,
        done=say(request, done),
        problems=list(problems),
        sees_households=actor.may(Permission.SEE_HOUSEHOLDS),
        sees_loans=actor.may(Permission.SEE_LOANS),
        exception_words=KINDS,
        may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
        **values,
    )
