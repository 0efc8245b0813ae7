"""Accounts: an administrator proposes one, another approves it, and only the person chooses its password.

Two persons decide wherever one could make themselves a second account. The first two administrators are made by
whoever holds the home, who has its keys anyway.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlite_utils import Database

from keys.clock import format_time
from matcher.accounts.model import (
    ALONE_ADMIN,
    Account,
    AccountConflict,
    AccountInvalid,
    AccountState,
    AccountUnknown,
    FoundersComplete,
    NewAccount,
)
from matcher.accounts.passwords import PasswordCost, one_time_password
from matcher.accounts.second_factor import is_bound_within
from matcher.accounts.sign_in import end_sessions_within
from matcher.bureau.actors import Actor, Permission, Role
from matcher.bureau.office import Office
from matcher.rows import fetch_first, fetch_records

ONE_TIME_DAYS = 7
FOUNDERS = 2


class Accounts:
    """``cost``: of the one-time passwords' hashes."""

    def __init__(self, office: Office, cost: PasswordCost | None = None) -> None:
        self._office = office
        self._cost = cost or PasswordCost()

    def found(self, holder: str, name: str, display_name: str) -> str:
        """One of the first two administrators, by the operating system's user who holds the home.

        Possible again whenever fewer than two administrators are at work. Returns the one-time password.
        Raises FoundersComplete, AccountInvalid, AccountConflict.
        """
        founder = holder_of_home(holder)
        new = NewAccount(name, display_name, frozenset({Role.ADMIN}))
        new.check(self._office.divisions)
        password = one_time_password(self._office.random_bytes)
        hashed = self._cost.hash(password)
        with self._office.writing() as database:
            if count_administrators(database) >= FOUNDERS:
                raise FoundersComplete("an administrator proposes, another approves", name=name)
            account_id = self._insert(database, founder, new, "active", hashed)
            self._office.record_within(founder, "account.found", f"account/{account_id}", after=_values(new))
        return password

    def propose(self, actor: Actor, new: NewAccount) -> None:
        """Raises NotAllowed, AccountInvalid, AccountConflict."""
        actor.require(Permission.MANAGE_ACCOUNTS)
        new.check(self._office.divisions)
        with self._office.writing() as database:
            account_id = self._insert(database, actor, new, "proposed", "")
            self._office.record_within(actor, "account.propose", f"account/{account_id}", after=_values(new))

    def approve(self, actor: Actor, name: str) -> str:
        """Let a proposed account begin; returns its one-time password, to be given to the person.

        Raises NotAllowed, AccountUnknown, AccountState, SamePerson.
        """
        actor.require(Permission.MANAGE_ACCOUNTS)
        password = one_time_password(self._office.random_bytes)
        hashed = self._cost.hash(password)
        with self._office.writing() as database:
            account = get_within(database, name)
            if account["state"] != "proposed":
                raise AccountState("the account is not waiting for approval", name=name, state=account["state"])
            actor.require_other(account["created_by"])
            database.execute(
                "UPDATE account SET state = 'active', approved_by = ?, password = ?, password_expires_at = ?,"
                " updated_at = ? WHERE account_id = ?",
                [actor.name, hashed, self._one_time_end(), self._office.now(), account["account_id"]],
            )
            self._office.record_within(actor, "account.approve", f"account/{account['account_id']}")
        return password

    def reset_password(self, actor: Actor, name: str) -> str | None:
        """For a forgotten password. The first administrator asks (None), another agrees and gets a one-time password.

        Whoever holds the home may do it alone for an administrator: otherwise two forgotten passwords would end
        the administration. Raises NotAllowed, AccountUnknown, AccountState, SamePerson.
        """
        password = one_time_password(self._office.random_bytes)
        hashed = self._cost.hash(password)
        with self._office.writing() as database:
            account = get_within(database, name)
            subject = f"account/{account['account_id']}"
            alone = _is_holder(actor) and account["roles"] == ALONE_ADMIN
            if not alone:
                actor.require(Permission.MANAGE_ACCOUNTS)
            if account["state"] != "active":
                raise AccountState("only an active account has a password", name=name, state=account["state"])
            if not alone and account["reset_by"] is None:
                database.execute(
                    "UPDATE account SET reset_by = ?, updated_at = ? WHERE account_id = ?",
                    [actor.name, self._office.now(), account["account_id"]],
                )
                self._office.record_within(actor, "account.ask_reset", subject)
                return None
            if not alone:
                actor.require_other(account["reset_by"])
            database.execute(
                "UPDATE account SET password = ?, password_expires_at = ?, reset_by = NULL, updated_at = ?"
                " WHERE account_id = ?",
                [hashed, self._one_time_end(), self._office.now(), account["account_id"]],
            )
            end_sessions_within(database, account["account_id"], self._office.now())
            self._office.record_within(actor, "account.reset", subject)
        return password

    def reset_device(self, actor: Actor, name: str) -> bool:
        """For a lost device: the first administrator asks (False), another agrees (True); the next sign-in binds anew.

        Whoever holds the home may do it alone for an administrator. Ends the account's sessions.
        Raises NotAllowed, AccountUnknown, AccountState, SamePerson.
        """
        with self._office.writing() as database:
            account = get_within(database, name)
            account_id, subject = account["account_id"], f"account/{account['account_id']}"
            alone = _is_holder(actor) and account["roles"] == ALONE_ADMIN
            if not alone:
                actor.require(Permission.MANAGE_ACCOUNTS)
            if not is_bound_within(database, account_id):
                raise AccountState("no device is bound", name=name, state="no_device")
            (asked_by,) = database.execute(
                "SELECT reset_by FROM second_factor WHERE account_id = ?", [account_id]
            ).fetchone()
            if not alone and asked_by is None:
                database.execute("UPDATE second_factor SET reset_by = ? WHERE account_id = ?", [actor.name, account_id])
                self._office.record_within(actor, "account.ask_reset_device", subject)
                return False
            if not alone:
                actor.require_other(asked_by)
            database.execute("DELETE FROM second_factor WHERE account_id = ?", [account_id])
            end_sessions_within(database, account_id, self._office.now())
            self._office.record_within(actor, "account.reset_device", subject)
        return True

    def close(self, actor: Actor, name: str) -> None:
        """End an account, or a proposal, for good; its sessions end at once. Closing again changes nothing.

        Raises NotAllowed, AccountUnknown.
        """
        actor.require(Permission.MANAGE_ACCOUNTS)
        with self._office.writing() as database:
            account = get_within(database, name)
            if account["state"] == "closed":
                return
            database.execute(
                "UPDATE account SET state = 'closed', password = '', password_expires_at = NULL, reset_by = NULL,"
                " updated_at = ? WHERE account_id = ?",
                [self._office.now(), account["account_id"]],
            )
            for table in ("sign_in_origin", "second_factor"):
                database.execute(f"DELETE FROM {table} WHERE account_id = ?", [account["account_id"]])  # noqa: S608
            end_sessions_within(database, account["account_id"], self._office.now())
            self._office.record_within(actor, "account.close", f"account/{account['account_id']}")

    def list_all(self, actor: Actor) -> list[Account]:
        """By name, closed ones too. Raises NotAllowed."""
        actor.require(Permission.SEE_AUDIT)
        rows = fetch_records(
            self._office.database,
            "SELECT account.name, display_name, roles, townships, bank.name AS bank, department, state,"
            " CASE WHEN password = '' THEN 'none' WHEN password_expires_at IS NULL THEN 'own' ELSE 'one-time' END"
            " AS password, bound_at IS NOT NULL AS device, created_by, approved_by, account.reset_by,"
            " second_factor.reset_by AS device_reset_by, created_at, updated_at FROM account"
            " LEFT JOIN bank ON bank.fingerprint = account.bank LEFT JOIN second_factor USING (account_id)"
            " ORDER BY account.name",
        )
        return [
            Account(
                **{
                    **row,
                    "roles": tuple(Role(role) for role in json.loads(row["roles"])),
                    "townships": tuple(json.loads(row["townships"])),
                    "device": bool(row["device"]),
                }
            )
            for row in rows
        ]

    def get_bank(self, name: str) -> str:
        """The fingerprint of a trusted bank. Raises AccountInvalid."""
        known = fetch_first(self._office.database, "SELECT fingerprint FROM bank WHERE name = ?", [name])
        if known is None:
            raise AccountInvalid("no bank of this name is trusted here", reason="bank_unknown")
        return str(known[0])

    def list_banks(self) -> list[str]:
        """The names of the trusted banks."""
        rows = fetch_records(self._office.database, "SELECT DISTINCT name FROM bank ORDER BY name")
        return [str(row["name"]) for row in rows]

    def _insert(self, database: Database, actor: Actor, new: NewAccount, state: str, hashed: str) -> int:
        if database.execute("SELECT 1 FROM account WHERE name = ?", [new.name]).fetchone() is not None:
            raise AccountConflict("the name is or was another account's", name=new.name)
        if (
            new.bank is not None
            and not database.execute("SELECT 1 FROM bank WHERE fingerprint = ?", [new.bank]).fetchone()
        ):
            raise AccountInvalid("no such bank is trusted here", reason="bank_unknown")
        now = self._office.now()
        values = _values(new)
        cursor = database.execute(
            "INSERT INTO account (name, display_name, roles, townships, bank, department, state, password,"
            " password_expires_at, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                new.name,
                new.display_name,
                json.dumps(values["roles"]),
                json.dumps(values["townships"]),
                new.bank,
                new.department,
                state,
                hashed,
                self._one_time_end() if hashed else None,
                actor.name,
                now,
                now,
            ],
        )
        return int(cursor.lastrowid or 0)

    def _one_time_end(self) -> str:
        return format_time(self._office.clock.now() + timedelta(days=ONE_TIME_DAYS))


def holder_of_home(user: str) -> Actor:
    """Whoever runs commands in the home without an account: no role; ``user`` is the operating system's."""
    return Actor(f"os:{user}", frozenset())


def _is_holder(actor: Actor) -> bool:
    return actor.name.startswith("os:")  # no account's name holds a colon


def count_administrators(database: Database) -> int:
    """Active ones."""
    (count,) = database.execute(
        "SELECT COUNT(*) FROM account WHERE state = 'active' AND roles = ?", [ALONE_ADMIN]
    ).fetchone()
    return int(count)


def get_within(database: Database, name: str) -> dict[str, Any]:
    """The account's row. Raises AccountUnknown."""
    for row in database.query("SELECT * FROM account WHERE name = ?", [name]):
        return dict(row)
    raise AccountUnknown("no such account", name=name)


def _values(new: NewAccount) -> dict[str, Any]:
    return {**vars(new), "roles": sorted(role.value for role in new.roles), "townships": list(new.townships)}
