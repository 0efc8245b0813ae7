"""Loans: what banks report of them, and their subsidy held up or ended; and the stand-alone calculator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.bodies import Body, Day, IdempotencyKey, ImageAnswer, Line, StrictRoute, upload
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.bureau.actors import Permission
from matcher.households.policies import Policies
from matcher.loans import Loans, events
from matcher.loans.events import Event
from matcher.loans.explaining import describe_lines, lines_of_loan
from matcher.loans.listing import Filter
from matcher.subsidy.periods import Movement
from psi.identifiers import normalise_one

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["loans"])

LARGEST_PAGE = 200
_FILES: Mapping[str, Literal[".csv", ".xlsx"]] = {
    "text/csv": ".csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


def _item(text: str) -> str:
    item, verdict = normalise_one(text)
    if item is None:
        raise ValueError(f"not an ID number: {verdict.code}")
    return item


def _rate(value: object) -> object:
    """Percent a year as text; anything else is left to be refused."""
    if isinstance(value, str) and len(value) <= 9 and value.isascii() and value.replace(".", "", 1).isdigit():
        return Decimal(value)
    return value


Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
BankNumber = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Optional = Annotated[str, StringConstraints(max_length=40)]
Item = Annotated[str, StringConstraints(max_length=40), AfterValidator(_item)]
Rate = Annotated[Decimal, BeforeValidator(_rate, json_schema_input_type=str)]
Fen = Annotated[int, Field(ge=1, le=10**12)]
Place = Annotated[int, Path(ge=1, le=2**53)]
Plain = Annotated[str, Field(max_length=200)]


class _Event(Body):
    """``bank``: the fingerprint of the bank whose loan it is."""

    bank: Fingerprint
    on_day: Day


class Facility(_Event):
    facility_no: BankNumber
    item: Item
    amount: Fen
    ends_on: Day
    manager: Plain = ""


class Commitment(_Event):
    commitment_no: BankNumber
    contract_no: BankNumber
    item: Item
    way: Literal["paper", "device"] = "paper"
    witness: Plain = ""
    template_version: Optional = ""


class Application(_Event):
    contract_no: BankNumber
    item: Item
    product: Line
    principal: Fen
    contract_rate: Rate
    customer_rate: Rate
    purpose: Plain = ""
    manager: Plain = ""


class Contract(Application):
    starts_on: Day
    ends_on: Day
    facility_no: Optional = ""
    commitment_no: Optional = ""


class Entry(_Event):
    contract_no: BankNumber
    reference: BankNumber
    kind: Literal["drawdown", "repayment", "interest"]
    amount: Fen


class Reversal(_Event):
    contract_no: BankNumber
    reference: BankNumber
    reversed_reference: BankNumber


class Turn(_Event):
    contract_no: BankNumber
    kind: Literal["overdue", "overdue_end", "settled", "written_off"]


class Extension(_Event):
    contract_no: BankNumber
    ends_on: Day


class Pause(Body):
    """``reason``: a code of docs/reference/reasons.md."""

    from_day: Day
    reason: Annotated[str, StringConstraints(pattern=r"^N[0-9X][0-9]$")]
    remark: Plain = ""


class Resumption(Body):
    on_day: Day
    remark: Plain = ""


class Repayment(Body):
    on_day: Day
    amount: Fen


class Question(Body):
    """A loan drawn whole on ``start``. ``signed_on`` chooses the policy; without it the first day does."""

    county: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
    principal: Fen
    contract_rate: Rate
    start: Day
    end: Day
    signed_on: Day | None = None
    repayments: Annotated[list[Repayment], Field(max_length=200)] = Field(default_factory=list)


_TURNS: Mapping[str, type[Any]] = {
    "overdue": events.Overdue,
    "overdue_end": events.OverdueEnded,
    "settled": events.Settled,
    "written_off": events.WrittenOff,
}


@router.get("/loans")
def find(
    actor: CurrentActor,
    office: CurrentOffice,
    state: Plain = "",
    subsidy_state: Plain = "",
    product: Plain = "",
    township: Plain = "",
    household: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    contract_no: Plain = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
) -> dict[str, Any]:
    """Loans by number, masked; ``next`` is what to send as ``after``. A bank's people see their own bank's."""
    where = Filter(state, subsidy_state, product, township, "", household, contract_no)
    found = Loans(office).find(actor, where, after=after, limit=size)
    return {
        "loans": [asdict(loan) for loan in found],
        "next": found[-1].loan_id if len(found) == size else None,
    }


@router.get("/loans/{loan}")
def show(loan: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """One loan: its contract, commitment and list day, every entry, and the days that bear no subsidy."""
    return asdict(Loans(office).show(actor, loan))


@router.get("/loan-files")
def files(
    actor: CurrentActor, office: CurrentOffice, size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50
) -> dict[str, Any]:
    """The banks' daily files that were entered, the newest first, with the rows that were not."""
    found = Loans(office).files(actor, limit=size)
    return {"files": [{**file, "rejects": [asdict(reject) for reject in file["rejects"]]} for file in found]}


@router.post("/loan-files")
def take_file(
    _: IdempotencyKey,
    actor: CurrentActor,
    office: CurrentOffice,
    content: Annotated[bytes, upload(*_FILES)],
    content_type: Annotated[str, Header()],
    bank: Fingerprint,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Enter a bank's daily file, CSV or XLSX: how many rows stand, and where and why each other does not."""
    return asdict(Loans(office).take_file(actor, bank, content, _FILES[content_type], dry_run=dry_run))


@router.get("/households/{household}/commitment")
def commitment_page(
    household: Place,
    actor: CurrentActor,
    office: CurrentOffice,
    bank: Fingerprint,
    contract_no: BankNumber,
    commitment_no: BankNumber,
) -> HTMLResponse:
    """身份承诺书 of a household's applicant, as a page to print and sign; the ID number on it is masked."""
    page = Loans(office).commitment_page(
        actor, household, bank=bank, contract_no=contract_no, commitment_no=commitment_no
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})


@router.post("/facilities", status_code=201)
def grant(body: Facility, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """授信: up to an amount for a household."""
    return _record(events.FacilityGranted, body, key, actor, office)


@router.post("/commitments", status_code=201)
def commit(body: Commitment, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """身份承诺书: what a borrower signed for one contract."""
    return _record(events.CommitmentSigned, body, key, actor, office)


@router.post("/commitments/{commitment}/image", status_code=201)
def add_image(
    commitment: Place,
    _: IdempotencyKey,
    actor: CurrentActor,
    office: CurrentOffice,
    content: Annotated[bytes, upload("image/jpeg", "image/png")],
) -> dict[str, Any]:
    """The scanned image of a signed commitment; only its pixels are kept. The same image again changes nothing."""
    return asdict(Loans(office).add_image(actor, commitment, content))


@router.get("/commitments/{commitment}/image", response_class=ImageAnswer)
def read_image(commitment: Place, actor: CurrentActor, office: CurrentOffice) -> Response:
    """That image; who looked is recorded."""
    return ImageAnswer(Loans(office).read_image(actor, commitment))


@router.post("/loans", status_code=201)
def apply(body: Application, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """申请: a loan begins."""
    return _record(events.LoanApplied, body, key, actor, office)


@router.post("/contracts", status_code=201)
def sign(body: Contract, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """合同: within the policy, the cap and the final list, with a commitment signed; refused otherwise."""
    return _record(events.ContractSigned, body, key, actor, office)


@router.post("/loan-entries", status_code=201)
def enter(body: Entry, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """放款, 还本, 还息."""
    return _record(events.Entry, body, key, actor, office)


@router.post("/loan-reversals", status_code=201)
def reverse(body: Reversal, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """冲正: an entry that the bank took back."""
    return _record(events.EntryReversed, body, key, actor, office)


@router.post("/loan-turns", status_code=201)
def turn(body: Turn, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """逾期, 逾期结束, 结清, 核销."""
    event = _TURNS[body.kind](on_day=body.on_day, contract_no=body.contract_no)
    return asdict(Loans(office).record(actor, body.bank, event, key=key))


@router.post("/loan-extensions", status_code=201)
def extend(body: Extension, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """展期: the days after the contract's own end bear no subsidy."""
    return _record(events.Extended, body, key, actor, office)


@router.post("/loans/{loan}/suspend")
def suspend(
    loan: Place, body: Pause, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """No subsidy from a day on, until it is resumed."""
    done = Loans(office).suspend(actor, loan, body.from_day, reason=body.reason, remark=body.remark, key=key)
    return asdict(done)


@router.post("/loans/{loan}/resume")
def resume(
    loan: Place, body: Resumption, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Subsidy again from a day on."""
    return asdict(Loans(office).resume(actor, loan, body.on_day, remark=body.remark, key=key))


@router.post("/loans/{loan}/stop")
def stop(loan: Place, body: Pause, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """No subsidy from a day on, for good."""
    done = Loans(office).stop(actor, loan, body.from_day, reason=body.reason, remark=body.remark, key=key)
    return asdict(done)


@router.post("/subsidy/explain")
def explain(body: Question, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What a loan's interest would cost whom, line by line with every step; nothing is stored. Amounts out are yuan."""
    actor.require(Permission.SEE_LOANS)
    loaded = Policies(office).policy_for(body.county, body.signed_on or body.start)
    repayments = [Movement(repayment.on_day, -repayment.amount) for repayment in body.repayments]
    lines = lines_of_loan(loaded, body.principal, body.contract_rate, body.start, body.end, repayments)
    return describe_lines(loaded, lines)


def _record(kind: type[Any], body: _Event, key: str, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    event: Event = kind(**{name: value for name, value in body if name != "bank"})
    return asdict(Loans(office).record(actor, body.bank, event, key=key))
