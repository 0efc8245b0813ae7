"""Files out of the console: every section's button leads here. A list, as a page's filters show it:

    @router.post("/conflicts/export")
    def export(request, actor, office, taking: CurrentTaking, kind: … = "") -> Response:
        out = ListOut(mark("名单冲突"), "conflicts", Permission.SEE_HOUSEHOLDS, ("种类", "家庭编号"))
        return hand_out_list(request, actor, office, taking, out, lambda: [(…, …), …], back="/conflicts")

The button for it is ``download_form`` in download-form.html. Cells are masked by whoever makes the rows. Any other
file goes through :func:`hand_out_file`; one with names or numbers in full waits for a second person (downloads.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

import pyarrow as pa
from fastapi import Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.console.faults import carry_out
from api.console.language import say
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import Downloads, FileOut, Wanted
from matcher.downloads.packing import Make
from matcher.exports import write_export

MOST_EXPORTED = 100_000
"""Rows of a list that only grows; one with more of them is narrowed by its filters first."""
_Row = TypeVar("_Row")
_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".zip": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True)
class Taking:
    """What every download form asks: ``key``, the form's one-time key, 32 hexadecimal digits; ``reason``, what the
    file is for."""

    key: str
    format: Literal["xlsx", "csv"]
    reason: str


def _taking(
    key: Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")],
    format: Annotated[Literal["xlsx", "csv"], Form()] = "xlsx",
    reason: Annotated[str, Form(max_length=300)] = "",
) -> Taking:
    return Taking(key, format, reason)


CurrentTaking = Annotated[Taking, Depends(_taking)]


@dataclass(frozen=True)
class ListOut:
    """A list as a file. ``title``: Chinese, marked for translation, and the file's name with ``part`` behind it;
    ``subject``: as the audit log has it; ``needs``: what it takes to see the list; ``columns``: the headings;
    ``numbers``: those that hold amounts, whose minus signs stay."""

    title: str
    subject: str
    needs: Permission
    columns: Sequence[str]
    part: str = ""
    numbers: Sequence[str] = ()


def hand_out_list(
    request: Request,
    actor: Actor,
    office: Office,
    taking: Taking,
    out: ListOut,
    make_rows: Callable[[], Iterable[Sequence[str | None]]],
    *,
    back: str,
) -> Response:
    """The list as a file without personal data. ``make_rows``: cells in the order of the columns; ``back``: the list.

    Raises NotAllowed, DownloadTooLarge, and what ``make_rows`` raises.
    """
    title, named = (" ".join(filter(None, (one, out.part))) for one in (say(request, out.title), out.title))

    def make(path: Path) -> int:
        rows = list(make_rows())
        columns = {
            heading: pa.array([row[place] for row in rows], pa.string()) for place, heading in enumerate(out.columns)
        }
        write_export(path, columns, format=taking.format, number_columns=out.numbers)
        return len(rows)

    wanted = Wanted(title, f"{named.replace(' ', '-')}.{taking.format}", out.subject, out.needs, personal=False)
    return hand_out_file(request, actor, office, taking, wanted, make, back=back, back_words=say(request, out.title))


def hand_out_file(
    request: Request,
    actor: Actor,
    office: Office,
    taking: Taking,
    wanted: Wanted,
    make: Make,
    *,
    back: str,
    back_words: str,
) -> Response:
    """The file that ``make`` writes, or the way to 我的下载; without a reason, a page that says so and leads back.

    Raises what :func:`hand_out` does, but for what stands against the form.
    """
    again = partial(_refused, request, back=back, back_words=back_words)
    step = partial(hand_out, request, actor, office, wanted, make, reason=taking.reason, key=taking.key)
    return carry_out(request, step, again, form="reason")


def hand_out(
    request: Request, actor: Actor, office: Office, wanted: Wanted, make: Make, *, reason: str, key: str
) -> Response:
    """The file itself, or the way to 我的下载. ``make(path)`` writes the file at ``path``, which ends as its name will,
    and returns how many rows it holds; ``key``: the form's one-time key, 32 hexadecimal digits.

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


def walk(read: Callable[[_Row | None], Sequence[_Row]], *, most: int | None = None) -> list[_Row]:
    """All rows of a list that is read by the page: ``read(last)`` gives those after ``last``, at first after None,
    and none at the end; at most ``most`` of them."""
    rows: list[_Row] = []
    while more := read(rows[-1] if rows else None):
        rows += more
        if most is not None and len(rows) >= most:
            return rows[:most]
    return rows


def count_through(read: Callable[[int], Sequence[_Row]]) -> Iterator[_Row]:
    """The same of a list that is read by places: ``read(first)`` gives rows from that place on."""
    first = 0
    while rows := read(first):
        yield from rows
        first += len(rows)


def first_of(actor: Actor, *permissions: Permission) -> Permission:
    """Where one of several lets an account see a list: the one that it has, or the first for the refusal."""
    return next((one for one in permissions if actor.may(one)), permissions[0])


def _refused(request: Request, *, back: str, back_words: str, problems: list[tuple[str, str]], status: int) -> Response:
    return render(
        request, "export-refused.html", title=say(request, "没有生成文件"), crumbs=[(back_words, back)],
        problem=problems[0][1], back=back, back_words=back_words, status=status,
    )  # fmt: skip
