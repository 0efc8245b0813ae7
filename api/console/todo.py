"""待办: what waits for whoever is signed in, as a number in the bar and as a page that leads there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.language import mark, say
from api.console.rendering import render
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.waiting import list_waiting

router = APIRouter()

KEPT_S = 30.0
"""So long a number may be behind what others did; one's own step makes it new at once."""
KINDS: Mapping[str, tuple[str, str]] = {
    "own": (mark("我领取的，待提出意见"), "/queue?stage=to_propose&claimed=mine"),
    "propose": (mark("无人领取的审核"), "/queue?stage=to_propose&claimed=nobody"),
    "not_met": (mark("走访未见到人，待再安排"), "/queue?stage=not_met"),
    "confirm": (mark("待复核的意见"), "/queue?stage=to_confirm"),
    "end": (mark("最终名单变更待复核"), "/households/final?stays=waiting"),
    "begin": (mark("审核通过，待开始确认"), "/queue?stage=approved"),
    "tell": (mark("确认期中，待告知家庭"), "/households/confirmations?waits_for=sms"),
    "refusal": (mark("审核不通过，待告知家庭"), "/households/confirmations#untold-title"),
    "village": (mark("确认期中，待村小组评议"), "/households/confirmations?waits_for=village"),
    "close": (mark("确认期满，待列入最终名单"), "/households/confirmations?waits_for=close"),
    "conflict": (mark("名单冲突待处理"), "/households/conflicts"),
    "visit": (mark("我的走访"), "/visits"),
    "accept": (mark("走访结果待采纳"), "/visits"),
    "claim": (mark("贴息申报待办理"), "/claims"),
    "download": (mark("下载待同意"), "/downloads"),
    "policy": (mark("政策待采用"), "/policies"),
    "account": (mark("新账号待审批"), "/accounts"),
    "reset": (mark("口令重置待审批"), "/accounts"),
}
"""In the order of the page: what one has begun oneself comes first."""


class Todo:
    """How much waits for each account, remembered for half a minute: every page shows it."""

    def __init__(self, office: Office, now: Callable[[], float] = time.monotonic) -> None:
        self._office = office
        self._now = now
        self._known: dict[str, tuple[float, int]] = {}

    def count(self, actor: Actor) -> int:
        at, found = self._known.get(actor.name, (0.0, None))
        if found is None or self._now() - at > KEPT_S:
            found = sum(one.count for one in list_waiting(self._office, actor))
            self._known[actor.name] = (self._now(), found)
        return found

    def last(self, actor: Actor) -> int | None:
        """Without asking the store: what was found last, if anything was."""
        return self._known.get(actor.name, (0.0, None))[1]

    def forget(self, actor: Actor) -> None:
        """The account does something now."""
        self._known.pop(actor.name, None)


@router.get("/todo")
def show(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """Each kind with its number, and where it is done."""
    found = {one.kind: one.count for one in list_waiting(office, actor)}
    rows = [(words, found[kind], address) for kind, (words, address) in KINDS.items() if kind in found]
    return render(request, "todo.html", title=say(request, "待办"), rows=rows)
