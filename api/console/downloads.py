"""下载: what others wait for, what became of one's own files, and the fetching of one that was agreed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.exporting import CurrentTaking, ListOut, hand_out_list, send_file
from api.console.faults import carry_out, seen_at
from api.console.language import mark, say
from api.console.rendering import moment, render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import Downloads, State

router = APIRouter()

STATES: Mapping[State, tuple[str, str]] = {
    "asked": (mark("待同意"), "warn"),
    "agreed": (mark("可下载"), "good"),
    "refused": (mark("未同意"), "bad"),
    "fetched": (mark("已下载"), "plain"),
    "expired": (mark("已过期"), "plain"),
}
"""In words, and the kind of the mark that shows it."""
DONE = {
    "asked": mark("已提出。另一人同意后，文件在这里领取一次。"),
    "agreed": mark("已同意，申请人可在规定时间内领取一次。"),
    "refused": mark("已记为不同意，文件已删除。"),
}
TITLE = mark("我的下载")
COLUMNS = (
    "编号", "内容", "文件名", "含个人信息", "状态", "用途", "行数", "申请时间", "答复人", "答复说明", "办结时间",
    "文件摘要（SHA-256）",
)  # fmt: skip

Number = Annotated[str, Path(pattern=r"^[0-9]{8}-[2-9A-Z]{6}$")]
Line = Annotated[str, Form(max_length=300)]


@router.get("/downloads")
def show(request: Request, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """What others wait for, and what became of one's own."""
    return _show(request, actor, office, done=DONE.get(done, ""))


@router.post("/downloads/export")
def export(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """One's own list, as the page shows it."""
    out = ListOut(TITLE, "downloads", Permission.EXPORT, COLUMNS)

    def make_rows() -> list[tuple[str, ...]]:
        return [
            (one.number, one.title, one.file_name, "是" if one.personal else "否", STATES[one.state][0], one.reason,
             str(one.row_count), moment(one.asked_at), one.decided_by or "", one.remark, moment(one.ended_at),
             one.sha256)
            for one in Downloads(office).list_own(actor)
        ]  # fmt: skip

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/downloads")


@router.post("/downloads/{number}/decide")
def decide(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    number: Number,
    answer: Annotated[str, Form(pattern="^(agree|refuse)$")],
    remark: Line = "",
) -> Response:
    """A second person's answer; a refusal says why."""

    def step() -> Response:
        Downloads(office).decide(actor, number, agreed=answer == "agree", remark=remark)
        return seen_at("/downloads", "agreed" if answer == "agree" else "refused")

    at = f"r-{number}"
    again = partial(_show, request, actor, office, typed={at: remark})
    return carry_out(request, step, again, form=at, fields={"text_not_plain": at})


@router.post("/downloads/{number}/fetch")
def fetch(actor: CurrentActor, office: CurrentOffice, number: Number) -> Response:
    """Once: afterwards the file is no more. A form and no link, so that nothing fetches it ahead of time."""
    return send_file(Downloads(office).fetch(actor, number))


def _show(
    request: Request,
    actor: Actor,
    office: Office,
    *,
    done: str = "",
    problems: Sequence[tuple[str, str]] = (),
    typed: Mapping[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``problems`` and ``typed`` by the id of the remark's field."""
    downloads = Downloads(office)
    return render(
        request, "downloads.html", title=say(request, TITLE), own=downloads.list_own(actor), states=STATES,
        waiting=downloads.list_waiting(actor), done=say(request, done), problems=problems, typed=typed or {},
        status=status, key=office.random_bytes(16).hex(),
    )  # fmt: skip
