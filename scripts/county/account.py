"""``mingce account``: who may work in the bureau's home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.accounts.accounts import ONE_TIME_DAYS, Accounts, holder_of_home
from matcher.accounts.model import NewAccount
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import ROLE_WORDS, Role
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk, open_office, this_device
from scripts.home import ConfigOption, JsonOption, actor, open_home
from scripts.keyring.signing import read_passphrase
from scripts.language import say
from scripts.output import notice, print_result, print_table

app = typer.Typer(no_args_is_help=True, help="账号：谁可以办理业务。 Who may work in the bureau's home.")

NameArgument = Annotated[str, typer.Argument(help="the account's name")]


@app.command()
def found(
    name: NameArgument,
    display_name: Annotated[str, typer.Option(help="the person's name")],
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Make one of the first two administrators, as whoever holds the home. Prints the one-time password.

    Example: mingce account found guanli1 --display-name 张三
    """
    accounts = Accounts(open_office(open_home(config, "bureau")))
    _print_one_time(name, accounts.found(actor(), name, display_name), as_json=json_)


@app.command()
@at_desk
def create(
    desk: Desk,
    name: NameArgument,
    display_name: Annotated[str, typer.Option(help="the person's name")],
    role: Annotated[list[Role], typer.Option("--role", help="docs/reference/roles.md; repeat")],
    township: Annotated[
        list[str], typer.Option("--township", help="a division in its care, 6 to 12 digits; repeat; else all")
    ] = [],  # noqa: B006
    bank: Annotated[str | None, typer.Option(help="for a bank's own people: the bank's name")] = None,
    department: Annotated[
        str | None, typer.Option(help="for a department's own people, as the policy names it: minzheng")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Propose an account, as an administrator; another administrator approves it.

    Example: mingce account create jingban --display-name 李四 --role handler --as guanli1
    """
    accounts = Accounts(desk.office)
    fingerprint = None if bank is None else accounts.get_bank(bank)
    new = NewAccount(name, display_name, frozenset(role), tuple(township), fingerprint, department)
    accounts.propose(desk.actor, new)
    lines = [say(f"已提出账号 {name}；", f"Proposed {name}. ") + say("请另一位管理员复核：", "Another administrator:")]
    print_result({"name": name, "state": "proposed"}, [*lines, f"  mingce account approve {name}"], as_json=json_)


@app.command()
@at_desk
def approve(
    desk: Desk,
    name: NameArgument,
    json_: JsonOption = False,
) -> None:
    """Approve a proposed account, as another administrator. Prints the one-time password for the person.

    Example: mingce account approve jingban --as guanli2
    """
    _print_one_time(name, Accounts(desk.office).approve(desk.actor, name), as_json=json_)


@app.command("set-password")
def set_password(
    name: NameArgument,
    password_file: PasswordFileOption = None,
    new_password_file: Annotated[
        Path | None, typer.Option(help="a file that holds the new password; else it is asked for")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Choose your own password: 12 characters or more. The present one, or the one-time password, is asked for.

    Example: mingce account set-password jingban
    """
    office = open_office(open_home(config, "bureau"))
    if password_file is None:
        notice(say("现在的口令，或一次性口令：", "The present password, or the one-time one:"))
    present = read_passphrase(password_file)
    if new_password_file is None:
        notice(say("新口令，两次：", "The new one, twice:"))
    wanted = read_passphrase(new_password_file, confirm=True)
    SignIn(office).set_password(name, present, wanted, this_device(office))
    print_result({"name": name}, [say(f"{name} 的口令已更改。", f"The password of {name} is changed.")], as_json=json_)


@app.command()
def reset(
    name: NameArgument,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """A new one-time password for who forgot theirs: two administrators run this command, one after the other.

    Without --as, whoever holds the home may do it for an administrator.

    Example: mingce account reset jingban --as guanli1
    """
    if as_ is None:
        accounts, acting = Accounts(open_office(open_home(config, "bureau"))), holder_of_home(actor())
    else:
        desk = open_desk(config, as_, password_file)
        accounts, acting = Accounts(desk.office), desk.actor
    password = accounts.reset_password(acting, name)
    if password is not None:
        _print_one_time(name, password, as_json=json_)
        return
    waiting = say(
        "还差一人：请另一位管理员运行同一命令。", "One is missing: another administrator runs the same command."
    )
    print_result({"name": name, "one_time_password": None}, [waiting], as_json=json_)


@app.command("reset-device")
def reset_device(
    name: NameArgument,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Unbind a lost second factor: two administrators run this command, one after the other.

    Without --as, whoever holds the home may do it for an administrator.

    Example: mingce account reset-device jingban --as guanli1
    """
    if as_ is None:
        accounts, acting = Accounts(open_office(open_home(config, "bureau"))), holder_of_home(actor())
    else:
        desk = open_desk(config, as_, password_file)
        accounts, acting = Accounts(desk.office), desk.actor
    done = accounts.reset_device(acting, name)
    line = say(
        f"{name} 的验证器已解除，下次登录时重新绑定。", f"{name} has no device now and binds one at the next sign-in."
    )
    waiting = say(
        "还差一人：请另一位管理员运行同一命令。", "One is missing: another administrator runs the same command."
    )
    print_result({"name": name, "unbound": done}, [line if done else waiting], as_json=json_)


@app.command()
@at_desk
def close(
    desk: Desk,
    name: NameArgument,
    json_: JsonOption = False,
) -> None:
    """Close an account, or withdraw a proposal, for good: its name is never used again.

    Example: mingce account close jingban --as guanli1
    """
    Accounts(desk.office).close(desk.actor, name)
    lines = [say(f"账号 {name} 已关闭。", f"The account {name} is closed.")]
    print_result({"name": name, "state": "closed"}, lines, as_json=json_)


@app.command("list")
@at_desk
def list_(
    desk: Desk,
    json_: JsonOption = False,
) -> None:
    """All accounts, closed ones too.

    Example: mingce account list --as guanli1
    """
    accounts = Accounts(desk.office).list_all(desk.actor)
    if json_:
        print_result({"accounts": [vars(account) for account in accounts]}, [], as_json=True)
        return
    columns = (("账号", "account"), ("姓名", "name"), ("角色", "roles"), ("镇街", "townships"), ("银行", "bank"))
    more = (("部门", "department"), ("状态", "state"), ("口令", "password"))
    last = (("提出", "proposed by"), ("复核", "approved by"))
    print_table(
        say("账号", "Accounts"),
        [say(*words) for words in columns + more + last],
        [
            [
                account.name,
                account.display_name,
                "、".join(say(ROLE_WORDS[role], role.value) for role in account.roles),
                " ".join(account.townships),
                account.bank or "",
                account.department or "",
                say(*_STATES[account.state]),
                say(*_PASSWORDS[account.password]) + (f" ({account.reset_by}?)" if account.reset_by else ""),
                account.created_by,
                account.approved_by or "",
            ]
            for account in accounts
        ],
    )


_STATES = {"proposed": ("待复核", "proposed"), "active": ("使用中", "active"), "closed": ("已关闭", "closed")}
_PASSWORDS = {"none": ("无", "none"), "one-time": ("一次性", "one-time"), "own": ("本人", "own")}


def _print_one_time(name: str, password: str, *, as_json: bool) -> None:
    lines = [
        say(
            f"{name} 的一次性口令（{ONE_TIME_DAYS} 天内有效，请当面交给本人）：",
            f"One-time password of {name}, for the person only, good for {ONE_TIME_DAYS} days:",
        ),
        f"  {password}",
        say("本人随即运行：", "The person now runs:") + f"  mingce account set-password {name}",
    ]
    print_result({"name": name, "one_time_password": password}, lines, as_json=as_json)
