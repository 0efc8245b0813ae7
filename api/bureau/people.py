"""People, what departments say of them, and the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, Day, IdempotencyKey, Line, StrictRoute
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.bureau.audit_log import MOST_ROWS, AuditLog
from matcher.checks.service import DepartmentChecks
from matcher.personal.reveal import Personal, RevealField, SearchBy
from matcher.schemas import get_schema

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["people"])

Place = Annotated[int, Path(ge=1, le=2**53)]  # a number in an address
Word = Annotated[str, StringConstraints(max_length=100)]
QueryDay = Annotated[Day, Field(strict=True)]
Department = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,62}$")]


class Search(Body):
    """A whole name, or an ID number. It stands in the body, because addresses end up in logs."""

    by: SearchBy
    text: Word


class Reveal(Body):
    field: RevealField
    reason: Line


class PaperAnswer(Body):
    """``label``: the fields of the department's label schema, in words or codes; null for somebody not on its list."""

    department: Department
    label: Annotated[dict[Word, Word], Field(max_length=20)] | None
    as_of: Day
    document: Line


@router.post("/people/search")
def search(wanted: Search, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Members with this number or name, masked; the audit log has that it was asked."""
    people = Personal(office)
    find = people.search_number if wanted.by == "number" else people.search_name
    return {"people": [asdict(one) for one in find(actor, wanted.text)]}


@router.post("/members/{member}/reveal")
def reveal(member: Place, wanted: Reveal, actor: CurrentActor, office: CurrentOffice) -> dict[str, str]:
    """One field of one person in the clear, with its row in the audit log."""
    return {"value": Personal(office).reveal(actor, member, wanted.field, wanted.reason)}


@router.get("/households/{household}/checks")
def list_checks(household: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What departments answered; without the right to see sensitive data only that and when."""
    return {"checks": [asdict(one) for one in DepartmentChecks(office).list_answers(actor, household)]}


@router.post("/members/{member}/checks", status_code=201)
def enter_check(
    member: Place, answer: PaperAnswer, _: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, int]:
    """Enter a department's answer on paper; the same entry again changes nothing."""
    check = DepartmentChecks(office).enter(
        actor,
        member,
        answer.department,
        get_schema(f"{answer.department}/1"),
        label=answer.label,
        as_of=answer.as_of,
        document_no=answer.document,
    )
    return {"check": check}


@router.get("/audit")
def list_audit(
    actor: CurrentActor,
    office: CurrentOffice,
    account: Word | None = None,
    action: Word | None = None,
    subject: Word | None = None,
    since: QueryDay | None = None,
    until: QueryDay | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    size: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 100,
) -> dict[str, Any]:
    """The audit log, the newest first; ``next`` is what to send as ``before``."""
    rows = AuditLog(office).list_rows(
        actor,
        account=account,
        action=action,
        subject=subject,
        since=since,
        until=until,
        before=before,
        limit=size,
    )
    return {"rows": [asdict(row) for row in rows], "next": rows[-1].seq if len(rows) == size else None}
