"""A bank's daily file: looked at first, entered then, and each row that was not with its place and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.errors import words_of_problem
from api.console.exporting import MOST_EXPORTED, CurrentTaking, ListOut, hand_out_file, hand_out_list, walk
from api.console.faults import carry_out
from api.console.language import language_of, mark, say
from api.console.paging import Page
from api.console.rendering import moment, render
from api.console.uploads import read_table_upload
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import Wanted
from matcher.loans import Loans
from matcher.loans.exporting import write_rejects
from matcher.loans.file_import import RowReject
from matcher.loans.held_files import HeldFile
from matcher.loans.imported_files import ImportedFile, ImportedFiles
from matcher.rejects import ROW_REASONS

router = APIRouter(prefix="/loans/files")

PAGE = 100
FILES = 50
_FIELD = "file"
COLUMNS = ("编号", "业务日期", "银行", "行数", "已登记", "未登记", "登记人", "登记时间", "文件摘要（SHA-256）")
"""Of the list as a file."""
Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=200)]
DONE: Mapping[str, str] = {
    "entered": mark("已登记。"),
    "again": mark("这份文件此前已全部登记，没有任何改动。"),
}


@dataclass(frozen=True)
class RejectLine:
    """One rejected row in words: what stands against it, and what to do."""

    reject: RowReject
    why: str
    next: str


@router.get("")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    before: Annotated[int, Query(ge=1, le=2**53)] = 2**53,
) -> HTMLResponse:
    """The files that were entered, the newest first, and the form for the next one."""
    return _list_page(request, actor, office, before)


@router.post("/preview")
def preview(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """What entering the file would do; nothing is entered yet."""

    def look() -> Response:
        loans = Loans(office)
        content, suffix = read_table_upload(file)
        name, done = loans.preview_file(actor, HeldFile(loans.bank(actor), suffix, content))
        reasons = Counter(reject.reason for reject in done.rejects)
        rejects = in_words(request, done.rejects[:PAGE])
        return render(
            request, "loan-file-preview.html", title=say(request, "预览"), crumbs=_crumbs(request), done=done,
            held=name, file_name=(file.filename if file else "") or "", reasons=reasons.most_common(),
            total=len(done.rejects), examples=_examples(rejects), rejects=rejects,
        )  # fmt: skip

    return carry_out(request, look, partial(_list_page, request, actor, office, 2**53), form=_FIELD)


@router.post("/enter")
def enter(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    held: Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")],
) -> Response:
    """Enter the very file that was looked at."""

    def enter_it() -> Response:
        done = Loans(office).enter_held_file(actor, held)
        said = "again" if done.already_imported else "entered"
        return RedirectResponse(f"/loans/files/{done.file_id}?done={said}&new={done.new}", status_code=303)

    return carry_out(request, enter_it, partial(_list_page, request, actor, office, 2**53), form=_FIELD)


@router.get("/{file}")
def show(
    request: Request,
    file: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
    done: str = "",
    new: Annotated[int, Query(ge=0, le=10**7)] = 0,
) -> HTMLResponse:
    """One file, and every row of it that was not entered."""
    files = ImportedFiles(office)
    found = files.get(actor, file)
    shown = Page(page, PAGE, found.rejected)
    rejects = in_words(request, files.rejects(actor, file, first=shown.first, count=PAGE))
    return render(
        request, "loan-file.html", title=say(request, "第 %(number)s 号文件") % {"number": file},
        crumbs=_crumbs(request), file=found, done=say(request, DONE.get(done, "")), new=new, page=shown,
        reasons=files.reasons(actor, file).items(), examples=_examples(rejects), rejects=rejects,
        address=lambda number: with_query(request, page=number), may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.post("/export")
def export_list(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """Every file that the list shows, the newest first."""
    out = ListOut(mark("银行日报文件"), "loan_file", Permission.SEE_LOANS, COLUMNS)
    files = ImportedFiles(office)

    def read(last: ImportedFile | None) -> Sequence[ImportedFile]:
        return files.list(actor, before=last.file_id if last else 2**53, limit=1_000)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(one) for one in walk(read, most=MOST_EXPORTED)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/loans/files")


@router.post("/{file}/export")
def export(
    request: Request, file: Number, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking
) -> Response:
    """The rows that were not entered, ID numbers masked: for whoever mends the file."""
    rejects = ImportedFiles(office).rejects(actor, file)

    def make(path: FilePath) -> int:
        return write_rejects(path, rejects, [one.why for one in in_words(request, rejects)], taking.format)

    title, name = say(request, "退回行清单"), f"退回行清单-{file}.{taking.format}"
    wanted = Wanted(title, name, f"loan_file/{file}", Permission.SEE_LOANS, personal=False)
    back_words = say(request, "银行日报文件")
    return hand_out_file(
        request, actor, office, taking, wanted, make, back=f"/loans/files/{file}", back_words=back_words
    )


def _cells(one: ImportedFile) -> tuple[str, ...]:
    return (
        str(one.file_id), one.business_date, one.bank, str(one.rows), str(one.accepted), str(one.rejected),
        one.imported_by, moment(one.imported_at), one.sha256,
    )  # fmt: skip


def in_words(request: Request, rejects: Sequence[RowReject]) -> list[RejectLine]:
    return [RejectLine(reject, *_explain(request, reject)) for reject in rejects]


def _explain(request: Request, reject: RowReject) -> tuple[str, str]:
    if reject.reason in ROW_REASONS:
        return ROW_REASONS[reject.reason][0 if language_of(request) == "zh" else 1], ""
    params = {name: value for name, value in reject.params.items() if name != "detail"}
    said = {"params": params, "detail": reject.params.get("detail", "")}
    words, next_step = words_of_problem(request, reject.reason, said)
    return words or reject.reason, next_step


def _examples(rejects: Sequence[RejectLine]) -> dict[str, str]:
    """The words of the first row of each reason."""
    return {one.reject.reason: one.why for one in reversed(rejects)}


def _list_page(
    request: Request,
    actor: Actor,
    office: Office,
    before: int,
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    rows = ImportedFiles(office).list(actor, before=before, limit=FILES + 1)
    return render(
        request, "loan-files.html", title=say(request, "银行日报文件"), crumbs=[(say(request, "贷款贴息"), "/loans")],
        status=status, rows=rows[:FILES], problems=problems or [], may_enter=actor.may(Permission.ENTER_LOANS),
        may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
        next_address=f"/loans/files?before={rows[FILES - 1].file_id}" if len(rows) > FILES else None,
    )  # fmt: skip


def _crumbs(request: Request) -> list[tuple[str, str | None]]:
    return [(say(request, "贷款贴息"), "/loans"), (say(request, "银行日报文件"), "/loans/files")]
