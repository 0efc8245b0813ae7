"""A department's answer on paper: one by a form, many by a file, with a result for each row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from pydantic import StringConstraints
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.errors import words_of_problem
from api.console.faults import refused
from api.console.language import mark, say
from api.console.names import department_words, links_of
from api.console.rendering import render
from api.console.uploads import read_table_upload
from matcher.bureau.actors import Actor, Permission, Role
from matcher.bureau.office import Office
from matcher.checks.listing import CheckLists, MemberOfFile
from matcher.checks.service import DepartmentChecks
from matcher.checks.sheets import read_and_enter
from matcher.personal.reveal import MemberUnknown
from matcher.schemas import ListSchema
from matcher.schemas.schema import list_schemas
from matcher.transit import private_folder
from psi.errors import InputError, MingceError

router = APIRouter()

LONGEST_MEMBER = 12  # digits; what is longer is an ID number
TABS: Mapping[str, tuple[str, Permission]] = {
    "/checks": (mark("待核验"), Permission.SEE_HOUSEHOLDS),
    "/checks/answers": (mark("核验结果"), Permission.SEE_HOUSEHOLDS),
    "/checks/entry": (mark("录入答复"), Permission.ENTER_CHECK),
    "/checks/file": (mark("按文件录入"), Permission.ENTER_CHECK),
    "/checks/datasets": (mark("已连接的名单"), Permission.CHECK_DEPARTMENT),
}
_FIELDS: Mapping[str, str] = {
    "search_invalid": "who",
    "check_conflict": "document",
    "text_not_plain": "document",
}
_OUTCOMES = {
    "entered": (mark("已录入"), "good"),
    "known": (mark("先前已录入"), "plain"),
    "refused": (mark("未录入"), "bad"),
}

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]{0,64}$")]


def tabs(actor: Actor) -> list[tuple[str, str]]:
    """(address, words) of the section's pages that the account may open."""
    open_ = [(path, words) for path, (words, permission) in TABS.items() if actor.may(permission)]
    return open_ if actor.may(Permission.SEE_HOUSEHOLDS) else [("/checks", mark("我录入的")), *open_]


def departments(request: Request) -> dict[str, ListSchema]:
    """By name the label schema of each department that can answer: as agreed with a connected one, else built in."""
    built_in = {
        one.name.partition("/")[0]: one for one in list_schemas() if one.receivers == frozenset({"bureau"})
    }  # fmt: skip
    return built_in | {link.name: link.schema for link in links_of(request).open}


def _own(request: Request, actor: Actor) -> dict[str, ListSchema]:
    """The departments that this account may answer for."""
    every = departments(request)
    return {name: every[name] for name in every if Role.DEPARTMENT not in actor.roles or name == actor.department}


async def _typed(request: Request) -> FormData:
    """The fields of a label are the schema's, not this module's."""
    return await request.form(max_files=0, max_fields=100)


@router.get("/checks/entry")
def ask_entry(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    department: Name = "",
    member: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")] = "",
    done: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,4}$")] = "",
) -> HTMLResponse:
    """The form of one department's answer; without a department, which one it is."""
    actor.require(Permission.ENTER_CHECK)
    return _ask_entry(request, actor, office, department or actor.department or "", {"who": member}, done=done)


@router.post("/checks/entry")
def enter(
    request: Request, actor: CurrentActor, office: CurrentOffice, form: Annotated[FormData, Depends(_typed)]
) -> Response:
    """The same entry again changes nothing, so a second click does no harm."""
    typed = {name: value[:300] for name, value in form.items() if isinstance(value, str)}
    department = typed.get("department", "")
    schema = departments(request).get(department)
    if schema is None:
        return _ask_entry(request, actor, office, "", typed)
    problems = _not_filled(request, typed)
    if not problems:
        try:
            members = _members(office, actor, typed["who"])
            for one in members:
                _enter_one(office, actor, one, department, schema, typed)
        except MemberUnknown as error:
            problems = [("who", words_of_problem(request, error.code, {"params": error.params})[0])]
        except MingceError as error:
            found = refused(request, error, _FIELDS, "entry")
            problems = [(_id_of(schema, field, error), words) for field, words in found.problems]
        else:
            return RedirectResponse(f"/checks/entry?department={department}&done={len(members)}", status_code=303)
    return _ask_entry(request, actor, office, department, typed, problems=problems)


@router.get("/checks/file")
def ask_file(request: Request, actor: CurrentActor, office: CurrentOffice, department: Name = "") -> HTMLResponse:
    actor.require(Permission.ENTER_CHECK)
    return _ask_file(request, actor, office, department or actor.department or "")


@router.post("/checks/file")
def enter_file(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    department: Annotated[Name, Form()] = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> HTMLResponse:
    """Each row by itself: what is refused leaves the others be. The same file again enters nothing."""
    actor.require(Permission.ENTER_CHECK)
    schema = departments(request).get(department)
    if schema is None:
        return _ask_file(request, actor, office, "", [("department", say(request, "请选择部门"))])
    try:
        content, suffix = read_table_upload(file)
        with private_folder(office.home) as folder:
            path = folder / f"答复{suffix}"
            path.write_bytes(content)
            results = read_and_enter(office, actor, path, department, schema)
    except InputError as error:
        found = refused(request, error, {}, "file")
        return _ask_file(request, actor, office, department, found.problems)
    said = {
        one.row: words_of_problem(request, one.code, {"params": dict(one.params)})[0] or one.code
        for one in results
        if one.code
    }
    counts = {name: sum(one.outcome == name for one in results) for name in _OUTCOMES}
    return render(
        request, "check-file-results.html", title=say(request, "录入结果"), results=results, said=said, counts=counts,
        outcomes=_OUTCOMES,
        crumbs=[(say(request, "部门校验"), "/checks"), (say(request, "按文件录入"), "/checks/file")],
    )  # fmt: skip


class _NotADay(InputError):
    """Never leaves this module."""

    code = "check_entry_invalid"


def _members(office: Office, actor: Actor, who: str) -> list[MemberOfFile]:
    """Whoever is meant, once for each household that they are in. Raises MemberUnknown, SearchInvalid."""
    lists, given = CheckLists(office), who.strip()
    if given.isdecimal() and given.isascii() and len(given) <= LONGEST_MEMBER:
        return [lists.find_member(actor, int(given))]
    found = lists.find_by_number(actor, given)
    if not found:
        raise MemberUnknown("no such member", member="—")
    return found


def _enter_one(
    office: Office, actor: Actor, member: MemberOfFile, department: str, schema: ListSchema, typed: Mapping[str, str]
) -> None:
    try:
        as_of = date.fromisoformat(typed.get("as_of", ""))
    except ValueError:
        raise _NotADay("no day", field="as_of", reason="bad_value") from None
    is_listed = typed["listed"] == "yes"
    label = {one.name: typed.get(f"label-{one.name}", "").strip() for one in schema.fields} if is_listed else None
    DepartmentChecks(office).enter(
        actor, member.member_id, department, schema, label=label, as_of=as_of, document_no=typed.get("document", "")
    )


def _not_filled(request: Request, typed: Mapping[str, str]) -> list[tuple[str, str]]:
    wanted = {
        "who": say(request, "请填成员编号或证件号码"),
        "listed": say(request, "请选择是否在名单上"),
        "as_of": say(request, "请填答复日期"),
        "document": say(request, "请填文号"),
    }
    missing = [(name, words) for name, words in wanted.items() if not typed.get(name, "").strip()]
    return [("listed-yes" if name == "listed" else name, words) for name, words in missing]


def _id_of(schema: ListSchema, field: str, error: MingceError) -> str:
    """The id of the input at fault: errors name a label's field by its heading."""
    heading = str(error.params.get("field", ""))
    for one in schema.fields:
        if heading == one.headings[0]:
            return f"label-{one.name}"
    return {"document_no": "document", "as_of": "as_of"}.get(heading, field)


def _ask_entry(
    request: Request,
    actor: Actor,
    office: Office,
    department: str,
    typed: Mapping[str, str],
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
) -> HTMLResponse:
    schemas, whom = _own(request, actor), None
    who = typed.get("who", "")
    if who and not problems and len(who) <= LONGEST_MEMBER:
        whom = CheckLists(office).find_member(actor, int(who))
    return render(
        request, "check-entry.html", title=say(request, "录入答复"), tabs=tabs(actor), department=department,
        department_words=department_words(request), schemas=schemas, schema=schemas.get(department),
        typed=defaultdict(str, typed), whom=whom,
        problems=problems or [], faults_of=defaultdict(str, problems or []), done=done,
        today=office.today().isoformat(),
        crumbs=[(say(request, "部门校验"), "/checks")], status=422 if problems else 200,
    )  # fmt: skip


def _ask_file(
    request: Request, actor: Actor, office: Office, department: str, problems: list[tuple[str, str]] | None = None
) -> HTMLResponse:
    return render(
        request, "check-file.html", title=say(request, "按文件录入"), tabs=tabs(actor), department=department,
        schemas=_own(request, actor), department_words=department_words(request),
        problems=problems or [], faults_of=defaultdict(str, problems or []),
        crumbs=[(say(request, "部门校验"), "/checks")], status=422 if problems else 200,
    )  # fmt: skip
