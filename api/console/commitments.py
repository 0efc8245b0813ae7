"""身份承诺书: printed to be signed, entered once signed, with the image of what was signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Path, Query, Request, UploadFile
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import MOST_EXPORTED, CurrentTaking, ListOut, hand_out_list, walk
from api.console.faults import carry_out, day_of, seen_at
from api.console.language import mark, say
from api.console.rendering import moment, render
from api.console.uploads import read_upload
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households.errors import NumberInvalid
from matcher.loans import Loans
from matcher.loans.commitments import CommitmentRow, Commitments, CommitmentText
from matcher.loans.events import CommitmentSigned
from psi.identifiers import normalise_one

router = APIRouter(prefix="/loans/commitments")

PAGE = 50
Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=200)]
Words = Annotated[str, StringConstraints(max_length=60)]
_FIELDS: Mapping[str, str] = {
    "number_invalid": "item",
    "borrower_unknown": "item",
    "borrower_in_two_households": "item",
    "loan_day_in_future": "signed_on",
    "commitment_differs": "commitment_no",
    "loan_value_invalid": "commitment_no",
    "image_refused": "image",
    "upload_unusable": "image",
}
WAYS = {"paper": mark("纸质"), "device": mark("电子")}
AT_ONCE = 1_000
COLUMNS = (
    "编号", "承诺人", "证件号码（脱敏）", "家庭编号", "合同编号", "银行", "签署日期", "方式", "签署图像", "模板版本",
    "登记人", "登记时间",
)  # fmt: skip
"""Of the list as a file."""
DONE: Mapping[str, str] = {
    "signed": mark("承诺书已登记。"),
    "image": mark("图像已保存。"),
}


@dataclass(frozen=True)
class Sheet:
    """A text to print: its title, and its paragraphs as they stand."""

    title: str
    body: str
    version: str
    sha256: str


@router.get("")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    number: Words = "",
    before: Annotated[int, Query(ge=1, le=2**53)] = 2**53,
) -> HTMLResponse:
    """The newest first."""
    rows = Commitments(office).list(actor, number.strip(), before=before, limit=PAGE + 1)
    return render(
        request, "commitments.html", title=say(request, "身份承诺书"), crumbs=[(say(request, "贷款贴息"), "/loans")],
        rows=rows[:PAGE], number=number, may_enter=actor.may(Permission.ENTER_LOANS),
        may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
        next_address=with_query(request, before=rows[PAGE - 1].commitment_id) if len(rows) > PAGE else None,
    )  # fmt: skip


@router.post("/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    number: Annotated[Words, Form()] = "",
) -> Response:
    """What the list shows, the newest first: the signer masked."""
    out = ListOut(mark("身份承诺书"), "commitment", Permission.SEE_LOANS, COLUMNS)
    commitments = Commitments(office)

    def read(last: CommitmentRow | None) -> Sequence[CommitmentRow]:
        return commitments.list(actor, number.strip(), before=last.commitment_id if last else 2**53, limit=AT_ONCE)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(one) for one in walk(read, most=MOST_EXPORTED)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/loans/commitments")


@router.get("/new")
def ask_new(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    actor.require(Permission.ENTER_LOANS)
    return _form(request, office, {})


@router.post("/new")
def sign(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    item: Annotated[str, Form(max_length=40)] = "",
    commitment_no: Annotated[str, Form(max_length=60)] = "",
    contract_no: Annotated[str, Form(max_length=60)] = "",
    signed_on: Annotated[str, Form(max_length=20)] = "",
    way: Annotated[Literal["paper", "device"], Form()] = "paper",
    witness: Line = "",
    image: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Enter what was signed; the image may come with it or later. The same again changes nothing."""
    typed = {"item": item, "commitment_no": commitment_no, "contract_no": contract_no, "signed_on": signed_on,
             "way": way, "witness": witness}  # fmt: skip
    loans = Loans(office)

    def enter() -> Response:
        event = CommitmentSigned(
            on_day=day_of(signed_on, "signed_on", mark("请填签署日期")), commitment_no=commitment_no.strip(),
            contract_no=contract_no.strip(), item=_item(item), way=way, witness=witness,
        )  # fmt: skip
        done = loans.record(actor, loans.bank(actor), event, key=key)
        number = int(done.subject.removeprefix("commitment/"))
        if image is not None and image.filename:
            loans.add_image(actor, number, read_upload(image))
        return seen_at(f"/loans/commitments/{number}", "signed")

    return carry_out(request, enter, partial(_form, request, office, typed), form="commitment_no", fields=_FIELDS)


@router.get("/blank")
def print_blank(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    household_no: Words,
    contract_no: Words,
    commitment_no: Words,
) -> HTMLResponse:
    """The newest text, filled in for a household's applicant: to print and sign."""
    bank = Loans(office).bank(actor)
    text = Commitments(office).text_to_sign(
        actor, household_no.strip(), bank=bank, contract_no=contract_no.strip(), commitment_no=commitment_no.strip()
    )
    return _sheet_page(request, text, "/loans/commitments/new")


@router.get("/{commitment}")
def show(
    request: Request, commitment: Number, actor: CurrentActor, office: CurrentOffice, done: str = ""
) -> HTMLResponse:
    return _page(request, actor, office, commitment, done=DONE.get(done, ""))


@router.get("/{commitment}/print")
def print_signed(request: Request, commitment: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """The text as it was signed, by the version that was signed."""
    commitments = Commitments(office)
    text = commitments.text_of(commitments.get(actor, commitment))
    return _sheet_page(request, text, f"/loans/commitments/{commitment}")


@router.post("/{commitment}/image")
def add_image(
    request: Request,
    commitment: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    image: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Only its pixels are kept. The same image again changes nothing."""

    def keep() -> Response:
        Loans(office).add_image(actor, commitment, read_upload(image))
        return seen_at(f"/loans/commitments/{commitment}", "image")

    return carry_out(request, keep, partial(_page, request, actor, office, commitment), form="image")


@router.get("/{commitment}/image")
def read_image(commitment: Number, actor: CurrentActor, office: CurrentOffice) -> Response:
    """Who looked is recorded."""
    return Response(Loans(office).read_image(actor, commitment), media_type="image/jpeg")


def _cells(one: CommitmentRow) -> tuple[str, ...]:
    return (
        one.commitment_no, one.signer, one.item, one.household_no, one.contract_no, one.bank, one.signed_on,
        WAYS[one.way], "已存" if one.image_sha256 else "未上传", one.template_version, one.entered_by,
        moment(one.entered_at),
    )  # fmt: skip


def _item(text: str) -> str:
    """Raises NumberInvalid."""
    item, verdict = normalise_one(text)
    if item is None:
        raise NumberInvalid("not an ID number", reason=verdict.code)
    return item


def _form(
    request: Request,
    office: Office,
    typed: Mapping[str, Any],
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    return render(
        request, "commitment-new.html", title=say(request, "登记身份承诺书"), crumbs=_crumbs(request), status=status,
        typed=typed, problems=problems or [], today=office.today().isoformat(), key=office.random_bytes(16).hex(),
    )  # fmt: skip


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    commitment: int,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    row = Commitments(office).get(actor, commitment)
    return render(
        request, "commitment.html", title=row.commitment_no, crumbs=_crumbs(request), status=status, row=row,
        done=say(request, done), problems=problems or [], may_enter=actor.may(Permission.ENTER_LOANS),
    )  # fmt: skip


def _sheet_page(request: Request, text: CommitmentText, back: str) -> HTMLResponse:
    title, _, body = text.text.partition("\n")
    sheet = Sheet(title, body.strip("\n"), text.version, text.sha256)
    return render(request, "commitment-print.html", title=title, crumbs=_crumbs(request), sheet=sheet, back=back)


def _crumbs(request: Request) -> list[tuple[str, str | None]]:
    return [(say(request, "贷款贴息"), "/loans"), (say(request, "身份承诺书"), "/loans/commitments")]
