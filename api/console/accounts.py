"""Who may work here: proposed by one administrator, approved by another; the same for what a person lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.check_entry import departments
from api.console.exporting import CurrentTaking, ListOut, hand_out_list
from api.console.language import language_of, mark, say
from api.console.names import department_words, tell_apart
from api.console.rendering import moment, render
from api.words import explain_code
from matcher.accounts.accounts import ONE_TIME_DAYS, Accounts
from matcher.accounts.model import Account, AccountConflict, AccountInvalid, AccountUnknown, NewAccount
from matcher.bureau.actors import ROLE_WORDS, Actor, Permission, Role
from matcher.bureau.office import Office

router = APIRouter()

Text = Annotated[str, Form(max_length=200)]
STATES = {"proposed": mark("待复核"), "active": mark("使用中"), "closed": mark("已关闭")}
PASSWORDS = {"none": mark("无"), "one-time": mark("一次性口令，待本人更改"), "own": mark("本人设置")}
COLUMNS = (
    "账号", "姓名", "角色", "银行或部门", "管辖", "状态", "口令", "验证器", "提出", "提出时间", "复核", "最近变动",
)  # fmt: skip
"""Of the list as a file."""
DONE = {
    "proposed": mark("已提出，请另一位管理员复核。"),
    "asked": mark("已申请重置，请另一位管理员同意。"),
    "device": mark("验证器已解除，本人下次登录时重新绑定。"),
    "closed": mark("账号已关闭。"),
}
"""What a form did, as the page says that it leads to."""

_FIELD_OF_FAULT = {
    "name_form": "name",
    "display_name_form": "display_name",
    "bank_missing": "bank",
    "bank_foreign": "bank",
    "bank_unknown": "bank",
    "department_missing": "department",
    "department_foreign": "department",
    "department_form": "department",
    "township_missing": "townships",
    "township_form": "townships",
}


@router.get("/accounts")
def list_accounts(request: Request, actor: CurrentActor, office: CurrentOffice, state: str = "") -> HTMLResponse:
    """What waits for a second administrator first."""
    return render(
        request, "accounts.html", title=say(request, "账号"), states=STATES, passwords=PASSWORDS, state_chosen=state,
        department_words=department_words(request),
        accounts=_list(actor, office, state), waits=waits, manages=actor.may(Permission.MANAGE_ACCOUNTS),
        may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.post("/accounts/_export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    state: Annotated[str, Form(pattern=r"^[a-z]{0,10}$")] = "",
) -> Response:
    """Who has an account and what for: the list that is gone over from time to time."""
    out = ListOut(mark("账号"), "accounts", Permission.SEE_AUDIT, COLUMNS)
    place_of, department = request.app.state.site.place_of, department_words(request)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(place_of, department, one) for one in _list(actor, office, state)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/accounts")


@router.get("/accounts/_new")
def ask_new(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    actor.require(Permission.MANAGE_ACCOUNTS)
    return _ask_new(request, office, {})


@router.post("/accounts/_new")
def propose(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    name: Text = "",
    display_name: Text = "",
    role: Annotated[list[Role], Form()] = [],  # noqa: B006
    townships: Text = "",
    bank: Text = "",
    department: Text = "",
) -> Response:
    typed = {
        "name": name, "display_name": display_name, "roles": role, "townships": townships, "bank": bank,
        "department": department,
    }  # fmt: skip
    accounts = Accounts(office)
    try:
        fingerprint = accounts.get_bank(bank) if bank else None
        own = department.strip() or None
        places = tuple(townships.split())
        accounts.propose(
            actor, NewAccount(name.strip(), display_name.strip(), frozenset(role), places, fingerprint, own)
        )
    except (AccountInvalid, AccountConflict) as error:
        field = _FIELD_OF_FAULT.get(str(error.params.get("reason", "name_form")), "roles")
        words, _ = explain_code(error.code, error.detail, error.params, language_of(request))
        return _ask_new(request, office, typed, {field: words})
    return _to(name.strip(), "proposed")


@router.get("/accounts/{name}")
def show(request: Request, actor: CurrentActor, office: CurrentOffice, name: str, done: str = "") -> HTMLResponse:
    return _show(request, actor, office, name, done=DONE.get(done, ""))


@router.post("/accounts/{name}/approve")
def approve(request: Request, actor: CurrentActor, office: CurrentOffice, name: str) -> HTMLResponse:
    return _show(request, actor, office, name, one_time=Accounts(office).approve(actor, name))


@router.post("/accounts/{name}/reset")
def reset(request: Request, actor: CurrentActor, office: CurrentOffice, name: str) -> Response:
    password = Accounts(office).reset_password(actor, name)
    return _to(name, "asked") if password is None else _show(request, actor, office, name, one_time=password)


@router.post("/accounts/{name}/reset-device")
def reset_device(actor: CurrentActor, office: CurrentOffice, name: str) -> Response:
    return _to(name, "device" if Accounts(office).reset_device(actor, name) else "asked")


@router.get("/accounts/{name}/close")
def ask_close(request: Request, actor: CurrentActor, office: CurrentOffice, name: str) -> HTMLResponse:
    actor.require(Permission.MANAGE_ACCOUNTS)
    account = _get(actor, office, name)
    return render(
        request, "account-close.html", title=say(request, "关闭账号"), account=account,
        crumbs=[(say(request, "账号"), "/accounts"), (name, f"/accounts/{name}")],
    )  # fmt: skip


@router.post("/accounts/{name}/close")
def close(actor: CurrentActor, office: CurrentOffice, name: str) -> Response:
    Accounts(office).close(actor, name)
    return _to(name, "closed")


def waits(account: Account) -> bool:
    """For a second administrator."""
    return account.state == "proposed" or bool(account.reset_by or account.device_reset_by)


def _list(actor: Actor, office: Office, state: str) -> list[Account]:
    """What waits for a second administrator first, closed ones last. Raises NotAllowed."""
    accounts = [one for one in Accounts(office).list_all(actor) if state in ("", one.state)]
    return sorted(accounts, key=lambda one: (not waits(one), one.state == "closed", one.name))


def _cells(place_of: Callable[[str], str], department: Callable[[str], str], one: Account) -> tuple[str, ...]:
    employer = one.bank or department(one.department or "")
    return (
        one.name, one.display_name, "、".join(ROLE_WORDS[role] for role in one.roles), employer,
        "、".join(map(place_of, one.townships)) or ("" if one.bank else "全县"), STATES[one.state],
        PASSWORDS[one.password], "已绑定" if one.device else "未绑定", one.created_by, moment(one.created_at),
        one.approved_by or "", moment(one.updated_at),
    )  # fmt: skip


def _get(actor: Actor, office: Office, name: str) -> Account:
    """Raises AccountUnknown."""
    for account in Accounts(office).list_all(actor):
        if account.name == name:
            return account
    raise AccountUnknown("no such account", name=name)


def _show(
    request: Request, actor: Actor, office: Office, name: str, *, done: str = "", one_time: str = ""
) -> HTMLResponse:
    account = _get(actor, office, name)
    return render(
        request, "account.html", title=account.name, account=account, states=STATES, passwords=PASSWORDS,
        department_words=department_words(request),
        done=say(request, done), one_time=one_time, one_time_days=ONE_TIME_DAYS,
        manages=actor.may(Permission.MANAGE_ACCOUNTS),
        crumbs=[(say(request, "账号"), "/accounts")],
    )  # fmt: skip


def _ask_new(
    request: Request, office: Office, typed: Mapping[str, object], problems: dict[str, str] | None = None
) -> HTMLResponse:
    return render(
        request, "account-new.html", title=say(request, "提出账号"), status=422 if problems else 200, typed=typed,
        problems=problems or {}, roles=[role.value for role in ROLE_WORDS], banks=Accounts(office).list_banks(),
        departments=tell_apart({name: department_words(request)(name) for name in departments(request)}),
        divisions=sorted(office.divisions), crumbs=[(say(request, "账号"), "/accounts")],
    )  # fmt: skip


def _to(name: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"/accounts/{name}?done={done}", status_code=303)
