"""Whatever administrators try, in whatever order: nobody is let in by one person alone."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from bureau_office import ADMIN, CHEAP, CHECKER, HANDLER, OTHER_ADMIN, make_account, make_office
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from matcher.accounts.accounts import Accounts, holder_of_home
from matcher.accounts.model import NewAccount, SignInFailed
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor, Role
from psi.errors import MingceError

HOLDER = holder_of_home("test")
THIRD = Actor("guanli3", frozenset({Role.ADMIN}))
ACTORS = st.sampled_from([ADMIN, OTHER_ADMIN, THIRD, HANDLER, CHECKER, HOLDER])
NAMES = st.sampled_from(["li", "wang", "guanli3", ADMIN.name, OTHER_ADMIN.name])


class AccountMachine(RuleBasedStateMachine):
    """Beside the store an onlooker notes down who did what."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.office = make_office(self.folder / "bureau")
        make_account(self.office, ADMIN)
        self.accounts, self.sign_in = Accounts(self.office, CHEAP), SignIn(self.office, CHEAP)
        self.proposed: dict[str, str] = {}
        self.given: dict[str, set[str]] = {}  # who had a hand in handing out a one-time password
        self.asked: dict[str, str] = {}
        self.closed: set[str] = set()

    def teardown(self) -> None:
        self.office.close()
        shutil.rmtree(self.folder)

    @rule(actor=ACTORS, name=NAMES, role=st.sampled_from([Role.HANDLER, Role.ADMIN]))
    def propose(self, actor: Actor, name: str, role: Role) -> None:
        with suppress(MingceError):
            self.accounts.propose(actor, NewAccount(name, "演示", frozenset({role})))
            self.proposed[name] = actor.name

    @rule(actor=ACTORS, name=NAMES)
    def approve(self, actor: Actor, name: str) -> None:
        with suppress(MingceError):
            self.accounts.approve(actor, name)
            assert self.proposed[name] != actor.name
            self.given[name] = {self.proposed[name], actor.name}

    @rule(actor=ACTORS, name=NAMES)
    def reset(self, actor: Actor, name: str) -> None:
        with suppress(MingceError):
            if self.accounts.reset_password(actor, name) is None:
                self.asked[name] = actor.name
            elif actor != HOLDER:
                assert self.asked.pop(name) != actor.name
            else:
                self.asked.pop(name, None)

    @rule(actor=ACTORS, name=NAMES)
    def close(self, actor: Actor, name: str) -> None:
        with suppress(MingceError):
            self.accounts.close(actor, name)
            self.closed.add(name)

    @rule(name=st.sampled_from(["wu", "zhao"]))
    def found(self, name: str) -> None:
        before = self.administrators()
        with suppress(MingceError):
            self.accounts.found("test", name, "演示")
            assert before < 2

    def administrators(self) -> int:
        return sum(one.state == "active" and one.roles == (Role.ADMIN,) for one in self.accounts.list_all(ADMIN))

    @invariant()
    def two_persons_stand_behind_every_account(self) -> None:
        for account in self.accounts.list_all(ADMIN):
            if account.state == "active" and account.name in self.proposed:
                assert {account.created_by, account.approved_by} == self.given[account.name]
                assert account.created_by != account.approved_by
            assert (account.state == "closed") == (account.name in self.closed)

    @invariant()
    def who_was_not_approved_does_not_get_in(self) -> None:
        for account in self.accounts.list_all(ADMIN):
            if account.state != "active":
                for password in ("", "nobody's", "li"):
                    try:
                        self.sign_in.authenticate(account.name, password)
                    except SignInFailed:
                        continue
                    raise AssertionError(account.name)

    @invariant()
    def the_chain_holds(self) -> None:
        self.office.verify_audit()


TestAccounts = AccountMachine.TestCase
TestAccounts.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
