"""Files out of the console. Every section's button leads here:

    hand_out(request, actor, office, Wanted(title, file_name, subject, needs, personal), make, reason=…, key=…)

``make(path)`` writes the file at ``path`` (its name ends as ``file_name`` does) and returns how many rows it holds.
Without personal data the answer is the file. With them (names, numbers, phones in full) the request waits for a
second person on 我的下载, and the answer leads there. The form for it is ``download_form`` in download-form.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Path, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.faults import carry_out, seen_at
from api.console.language import mark, say
from api.console.rendering import render
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.downloads import Downloads, FileOut, State, Wanted
from matcher.downloads.packing import Make

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
_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".zip": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
}

Number = Annotated[str, Path(pattern=r"^[0-9]{8}-[2-9A-Z]{6}$")]
Line = Annotated[str, Form(max_length=300)]


def hand_out(
    request: Request, actor: Actor, office: Office, wanted: Wanted, make: Make, *, reason: str, key: str
) -> Response:
    """The file itself, or the way to 我的下载. ``key``: the form's one-time key, 32 hexadecimal digits.

    Raises NotAllowed, TextNotPlain (no reason, or an ID number in it), DownloadTooLarge, and what ``make`` raises.
    """
    downloads = Downloads(office)
    if not wanted.personal:
        return send_file(downloads.take(actor, wanted, make, reason=reason))
    number = downloads.ask(actor, wanted, make, reason=reason, key=key)
    return RedirectResponse(f"/downloads?done=asked#d-{number}", status_code=303)


def send_file(file: FileOut) -> Response:
    kind = _TYPES.get(file.name[file.name.rfind(".") :], "application/octet-stream")
    named = f"attachment; filename*=UTF-8''{quote(file.name)}"
    return Response(file.content, media_type=kind, headers={"Content-Disposition": named})


@router.get("/downloads")
def show(request: Request, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """What others wait for, and what became of one's own."""
    return _show(request, actor, office, done=DONE.get(done, ""))


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
        request, "downloads.html", title=say(request, "我的下载"), own=downloads.list_own(actor), states=STATES,
        waiting=downloads.list_waiting(actor), done=say(request, done), problems=problems, typed=typed or {},
        status=status,
    )  # fmt: skip
