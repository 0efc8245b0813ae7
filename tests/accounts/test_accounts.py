"""Accounts by two persons; roles that do not go together; nobody alone makes themselves a second account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import (
    ADMIN,
    BANK_NO,
    CHEAP,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    OTHER_ADMIN,
    TOWNSHIP_CODE,
    make_account,
    make_office,
    password_of,
    spring,
)

from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts, holder_of_home
from matcher.accounts.model import (
    AccountConflict,
    AccountInvalid,
    AccountState,
    AccountUnknown,
    FoundersComplete,
    NewAccount,
    SessionInvalid,
    SignInFailed,
)
from matcher.accounts.sessions import Sessions
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import NotAllowed, Role, SamePerson
from matcher.bureau.office import Office

HOLDER = holder_of_home("test")
NEW = NewAccount("li.si", "李四", frozenset({Role.HANDLER}))


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.close()


@pytest.fixture
def accounts(office: Office) -> Accounts:
    make_account(office, ADMIN)
    return Accounts(office, CHEAP)


def states(accounts: Accounts) -> dict[str, str]:
    return {account.name: account.state for account in accounts.list_all(ADMIN)}


def test_the_first_two_administrators_come_from_whoever_holds_the_home(office: Office) -> None:
    accounts = Accounts(office, CHEAP)
    for name in ("guanli", "guanli2"):
        assert accounts.found("test", name, "管理员")
    with pytest.raises(FoundersComplete):
        accounts.found("test", "guanli3", "管理员")
    accounts.close(ADMIN, "guanli2")
    assert accounts.found("test", "guanli3", "管理员")


def test_an_account_takes_two_administrators(office: Office, accounts: Accounts) -> None:
    accounts.propose(ADMIN, NEW)
    with pytest.raises(SamePerson):
        accounts.approve(ADMIN, NEW.name)
    assert states(accounts)[NEW.name] == "proposed"
    password = accounts.approve(OTHER_ADMIN, NEW.name)
    assert states(accounts)[NEW.name] == "active"
    SignIn(office, CHEAP).set_password(NEW.name, password, "a password of my own")
    assert SignIn(office).authenticate(NEW.name, "a password of my own").roles == NEW.roles
    with pytest.raises(AccountState):
        accounts.approve(OTHER_ADMIN, NEW.name)


@pytest.mark.parametrize("act", ["propose", "approve", "close", "reset_password"])
def test_only_administrators_manage_accounts(accounts: Accounts, act: str) -> None:
    accounts.propose(ADMIN, NEW)
    for actor in (HANDLER, CHECKER, MANAGER, HOLDER):
        with pytest.raises(NotAllowed):
            getattr(accounts, act)(actor, NEW if act == "propose" else NEW.name)
    assert states(accounts)[NEW.name] == "proposed"


def test_two_persons_stand_in_the_database_too(office: Office, accounts: Accounts) -> None:
    accounts.propose(ADMIN, NEW)
    for statement in (
        "UPDATE account SET state = 'active' WHERE name = 'li.si'",
        "UPDATE account SET state = 'active', approved_by = created_by WHERE name = 'li.si'",
    ):
        with pytest.raises(pysqlite3.IntegrityError), office.writing() as database:
            database.execute(statement)


def test_a_name_is_never_used_twice(accounts: Accounts) -> None:
    accounts.propose(ADMIN, NEW)
    with pytest.raises(AccountConflict):
        accounts.propose(OTHER_ADMIN, NEW)
    accounts.close(ADMIN, NEW.name)
    with pytest.raises(AccountConflict):
        accounts.propose(ADMIN, NEW)
    with pytest.raises(AccountState):
        accounts.approve(OTHER_ADMIN, NEW.name)
    with pytest.raises(AccountUnknown):
        accounts.approve(OTHER_ADMIN, "nobody")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (NewAccount("Li", "x", NEW.roles), "name_form"),
        (NewAccount("l", "x", NEW.roles), "name_form"),
        (NewAccount("system", "x", NEW.roles), "name_form"),
        (NewAccount("os:root", "x", NEW.roles), "name_form"),
        (NewAccount("lі", "x", NEW.roles), "name_form"),
        (NewAccount("li", " ", NEW.roles), "display_name_form"),
        (NewAccount("li", "李\u202e四", NEW.roles), "display_name_form"),
        (NewAccount("li", "李" * 41, NEW.roles), "display_name_form"),
        (NewAccount("li", "x", frozenset()), "roles_none"),
        (NewAccount("li", "x", frozenset({Role.ADMIN, Role.CHECKER})), "roles_alone"),
        (NewAccount("li", "x", frozenset({Role.AUDITOR, Role.HANDLER})), "roles_alone"),
        (NewAccount("li", "x", frozenset({Role.BANK_ADMIN, Role.HANDLER}), bank=BANK_NO), "roles_mixed"),
        (NewAccount("li", "x", frozenset({Role.BANK_ADMIN})), "bank_missing"),
        (NewAccount("li", "x", frozenset({Role.BANK_ADMIN}), bank="00" * 32), "bank_unknown"),
        (NewAccount("li", "x", NEW.roles, bank=BANK_NO), "bank_foreign"),
        (NewAccount("li", "x", frozenset({Role.DEPARTMENT})), "department_missing"),
        (NewAccount("li", "x", NEW.roles, department="minzheng"), "department_foreign"),
        (NewAccount("li", "x", frozenset({Role.DEPARTMENT}), department="民政"), "department_form"),
        (NewAccount("li", "x", frozenset({Role.TOWNSHIP})), "township_missing"),
        (NewAccount("li", "x", NEW.roles, townships=("330921100",)), "township_form"),
        (NewAccount("li", "x", NEW.roles, townships=("33092",)), "township_form"),
        (NewAccount("li", "x", NEW.roles, townships=("３３０９２２",)), "township_form"),
    ],
)
def test_accounts_that_cannot_be(accounts: Accounts, changed: NewAccount, reason: str) -> None:
    with pytest.raises(AccountInvalid) as refused:
        accounts.propose(ADMIN, changed)
    assert refused.value.params == {"reason": reason}


def test_an_account_acts_as_it_was_approved(office: Office, accounts: Accounts) -> None:
    for actor in (MANAGER, DEPARTMENT):
        assert SignIn(office).authenticate(actor.name, make_account(office, actor)) == actor
    (listed,) = [account for account in accounts.list_all(ADMIN) if account.name == MANAGER.name]
    assert (listed.bank, listed.townships, listed.password) == ("演示银行", (TOWNSHIP_CODE,), "own")
    assert (listed.created_by, listed.approved_by) == (ADMIN.name, OTHER_ADMIN.name)


def test_a_forgotten_password_takes_two_administrators(office: Office, accounts: Accounts) -> None:
    old = make_account(office, HANDLER)
    session = Sessions(office).begin(HANDLER.name, old)
    assert accounts.reset_password(ADMIN, HANDLER.name) is None
    assert SignIn(office).authenticate(HANDLER.name, old)  # asking changes nothing
    with pytest.raises(SamePerson):
        accounts.reset_password(ADMIN, HANDLER.name)
    new = accounts.reset_password(OTHER_ADMIN, HANDLER.name)
    assert new is not None
    with pytest.raises(SignInFailed):
        SignIn(office).authenticate(HANDLER.name, old)
    with pytest.raises(SessionInvalid):
        Sessions(office).get_actor(session.token)
    SignIn(office, CHEAP).set_password(HANDLER.name, new, "remember this one")
    assert accounts.reset_password(OTHER_ADMIN, HANDLER.name) is None  # begins anew: one agreement, one reset


def test_the_holder_of_the_home_resets_administrators_alone(office: Office, accounts: Accounts) -> None:
    make_account(office, HANDLER)
    assert accounts.reset_password(HOLDER, ADMIN.name)
    with pytest.raises(NotAllowed):
        accounts.reset_password(HOLDER, HANDLER.name)
    accounts.propose(OTHER_ADMIN, NEW)
    with pytest.raises(AccountState):
        accounts.reset_password(OTHER_ADMIN, NEW.name)


def test_a_closed_account_keeps_nothing(office: Office, accounts: Accounts) -> None:
    password = make_account(office, HANDLER)
    session = Sessions(office).begin(HANDLER.name, password)
    accounts.close(ADMIN, HANDLER.name)
    accounts.close(ADMIN, HANDLER.name)
    with pytest.raises(SessionInvalid):
        Sessions(office).get_actor(session.token)
    with pytest.raises(SignInFailed):
        SignIn(office).authenticate(HANDLER.name, password)
    with pytest.raises(AccountState):
        accounts.reset_password(ADMIN, HANDLER.name)


def test_every_change_is_in_the_audit_chain(office: Office, accounts: Accounts) -> None:
    make_account(office, HANDLER)
    accounts.close(ADMIN, HANDLER.name)
    rows = office.database.execute("SELECT actor, action FROM audit ORDER BY seq").fetchall()
    assert rows == [
        ("os:test", "account.found"),
        (ADMIN.name, "account.password"),
        ("os:test", "account.found"),
        (OTHER_ADMIN.name, "account.password"),
        (ADMIN.name, "account.propose"),
        (OTHER_ADMIN.name, "account.approve"),
        (HANDLER.name, "account.password"),
        (ADMIN.name, "account.close"),
    ]
    assert office.verify_audit().seq == len(rows)


def test_passwords_do_not_print(office: Office, accounts: Accounts) -> None:
    session = Sessions(office).begin(ADMIN.name, password_of(ADMIN))
    assert session.token not in repr(session)
    assert session.device not in repr(session)
