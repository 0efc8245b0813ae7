"""Who somebody is: name and password against the account, with failures that slow down where they come from.

Failures count for one account at one origin: a device that has signed in to it before, or everywhere else taken
together. So whoever guesses slows down strangers, and neither the account's owner at a usual device nor anybody
else. A block ends by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlite_utils import Database

from keys.clock import format_time
from keys.database import reading
from matcher.accounts.model import PasswordNotChosen, SignInFailed, actor_of
from matcher.accounts.passwords import PasswordCost, check_new, is_right
from matcher.accounts.second_factor import CodeWrong, SecondFactor
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office

FREE_FAILURES = 4
FIRST_BLOCK_S = 60
LONGEST_BLOCK_S = 900
MOST_DEVICES = 20  # remembered of one account

_ANYWHERE = b""


class SignIn:
    """``cost``: of new passwords' hashes."""

    def __init__(self, office: Office, cost: PasswordCost | None = None) -> None:
        self._office = office
        self._cost = cost or PasswordCost()
        self._second_factor = SecondFactor(office)

    def authenticate(self, name: str, password: str, device: str | None = None, code: str | None = None) -> Actor:
        """Who this is; remembers ``device`` as one of theirs. Raises SignInFailed, PasswordNotChosen.

        ``code``: the second factor's, "" where none was given; None asks for none (the command line, which whoever
        holds the home uses).
        """
        account = self._verify(name, password, device, code)
        if account["password_expires_at"] is not None:
            raise PasswordNotChosen("a one-time password is only good for choosing one's own")
        if device is not None:
            self._remember(account["account_id"], device)
        return actor_of(account)

    def set_password(self, name: str, present: str, wanted: str, device: str | None = None) -> None:
        """Choose one's password, knowing the present or the one-time one; ends all the account's sessions.

        Raises PasswordWeak, SignInFailed.
        """
        check_new(wanted, name=name, present=present)
        account = self._verify(name, present, device)
        hashed = self._cost.hash(wanted)
        with self._office.writing() as database:
            changed = database.execute(
                "UPDATE account SET password = ?, password_expires_at = NULL, reset_by = NULL, updated_at = ?"
                " WHERE account_id = ? AND state = 'active' AND password = ?",
                [hashed, self._office.now(), account["account_id"], account["password"]],
            ).rowcount
            if not changed:  # closed, or set by another request meanwhile
                raise SignInFailed("the account changed meanwhile")
            end_sessions_within(database, account["account_id"], self._office.now())
            self._office.record_within(actor_of(account), "account.password", f"account/{account['account_id']}")

    def knows_device(self, name: str, device: str) -> bool:
        """Whether ``device`` has signed in to this account before."""
        with reading(self._office.database) as database:
            account = _find(database, name)
            return account is not None and self._origin(database, account["account_id"], device) != _ANYWHERE

    def _verify(self, name: str, password: str, device: str | None, code: str | None = None) -> Mapping[str, Any]:
        """The account. An attempt counts as failed until it has succeeded, so that guesses in parallel count too."""
        account = self._take_attempt(name, device)
        hashed = self._nobodys if account is None else account["password"]
        right = is_right(password, hashed)  # takes as long for an account that is not there
        if account is None:
            raise SignInFailed("no sign-in")
        if not right or not self._is_right_code(account["account_id"], code):
            with self._office.writing():
                subject = f"account/{account['account_id']}"
                self._office.record_within(actor_of(account), "account.sign_in_failed", subject)
            raise SignInFailed("no sign-in")
        self._forget_failures(account["account_id"], device)
        return account

    def _take_attempt(self, name: str, device: str | None) -> Mapping[str, Any] | None:
        """The account if it may be tried from there now; None says nothing about why not."""
        now = self._office.clock.now()
        with self._office.writing() as database:
            account = _find(database, name)
            if account is None or (account["password_expires_at"] or "9") <= format_time(now):
                return None
            origin = self._origin(database, account["account_id"], device)
            known = database.execute(
                "SELECT failed, blocked_until FROM sign_in_origin WHERE account_id = ? AND device = ?",
                [account["account_id"], origin],
            ).fetchone()
            failed, blocked_until = known or (0, None)
            longest = format_time(now + timedelta(seconds=LONGEST_BLOCK_S))  # of no clock that was wrong for a while
            if blocked_until is not None and format_time(now) < blocked_until <= longest:
                return None
            block_s = block_after(failed + 1)
            until = format_time(now + timedelta(seconds=block_s)) if block_s else None
            database.execute(
                "INSERT INTO sign_in_origin VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET failed = excluded.failed, blocked_until = excluded.blocked_until, used_at = excluded.used_at",
                [account["account_id"], origin, failed + 1, until, format_time(now)],
            )
        return account

    def _is_right_code(self, account_id: int, code: str | None) -> bool:
        try:
            if code is not None:
                self._second_factor.accept(account_id, code)
        except CodeWrong:
            return False
        return True

    def _forget_failures(self, account_id: int, device: str | None) -> None:
        """Only where this sign-in came from."""
        with self._office.writing() as database:
            database.execute(
                "UPDATE sign_in_origin SET failed = 0, blocked_until = NULL WHERE account_id = ? AND device = ?",
                [account_id, self._origin(database, account_id, device)],
            )
            database.execute("DELETE FROM sign_in_origin WHERE device = x'' AND failed = 0")

    def _remember(self, account_id: int, device: str) -> None:
        """As one of the account's own from now on; the ones not used for longest are forgotten."""
        with self._office.writing() as database:
            database.execute(
                "INSERT INTO sign_in_origin VALUES (?, ?, 0, NULL, ?) ON CONFLICT DO NOTHING",
                [account_id, _device_hash(device), self._office.now()],
            )
            database.execute(
                "DELETE FROM sign_in_origin WHERE account_id = ?1 AND device <> x'' AND device NOT IN (SELECT device"
                " FROM sign_in_origin WHERE account_id = ?1 AND device <> x'' ORDER BY used_at DESC LIMIT ?2)",
                [account_id, MOST_DEVICES],
            )

    def _origin(self, database: Database, account_id: int, device: str | None) -> bytes:
        """The device if it is one of the account's, else everywhere else."""
        if device is None:
            return _ANYWHERE
        wanted = _device_hash(device)
        known = database.execute(
            "SELECT 1 FROM sign_in_origin WHERE account_id = ? AND device = ?", [account_id, wanted]
        ).fetchone()
        return _ANYWHERE if known is None else wanted

    @cached_property
    def _nobodys(self) -> str:
        return self._cost.hash("nobody's")


def block_after(failures: int) -> int:
    """Seconds: none at first, then a minute, doubled with each failure up to a quarter of an hour."""
    beyond = failures - FREE_FAILURES
    return 0 if beyond <= 0 else min(FIRST_BLOCK_S << min(beyond - 1, 16), LONGEST_BLOCK_S)


def end_sessions_within(database: Database, account_id: int, now: str) -> None:
    database.execute("UPDATE session SET ended_at = ? WHERE account_id = ? AND ended_at IS NULL", [now, account_id])


def _find(database: Database, name: str) -> dict[str, Any] | None:
    found = list(database.query("SELECT * FROM account WHERE name = ? AND state = 'active'", [name]))
    return found[0] if found else None


def _device_hash(device: str) -> bytes:
    return hashlib.sha256(device.encode("utf-8", "surrogatepass")).digest()
