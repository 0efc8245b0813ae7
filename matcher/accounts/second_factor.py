"""The second factor: six digits that a person's device shows for half a minute (TOTP, RFC 6238), each good once.

A person binds a device at the first sign-in and unbinds none: a lost device is reset by two administrators, as a
forgotten password is.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from pyotp import TOTP
from sqlite_utils import Database

from keys.database import reading
from matcher.accounts.model import AccountState
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from psi.errors import VerificationError

PERIOD_S = 30
ISSUER = "名册"
_SECRET_BYTES = 20  # RFC 4226 section 4, R6
_DRIFT = 1  # steps that a device's clock may be off, either way
_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)


class CodeWrong(VerificationError):
    """Not a code that the device shows now, or one that was used already."""

    code = "code_wrong"


class SecondFactor:
    """The table ``second_factor``; secrets are sealed."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def begin(self, actor: Actor) -> str:
        """The ``otpauth:`` address that a device takes in; the same until it is bound. Raises AccountState: bound."""
        with self._office.writing() as database:
            account_id = _account_id(database, actor)
            row = _find(database, account_id)
            if row is not None and row["bound_at"] is not None:
                raise AccountState("a device is bound", name=actor.name, state="bound")
            if row is None:
                secret = base64.b32encode(self._office.random_bytes(_SECRET_BYTES)).decode("ascii")
                database.execute(
                    "INSERT INTO second_factor (account_id, secret, last_step) VALUES (?, ?, 0)",
                    [account_id, self._seal(secret, account_id)],
                )
            else:
                secret = self._open(row)
        return TOTP(secret, interval=PERIOD_S).provisioning_uri(name=actor.name, issuer_name=ISSUER)

    def bind(self, actor: Actor, code: str) -> None:
        """The device shows the right code: from now on it is asked for. Raises CodeWrong, AccountState."""
        with self._office.writing() as database:
            account_id = _account_id(database, actor)
            row = _find(database, account_id)
            if row is None or row["bound_at"] is not None:
                raise AccountState("no device waits to be bound", name=actor.name, state="bound" if row else "none")
            self._use_within(database, row, code)
            database.execute(
                "UPDATE second_factor SET bound_at = ? WHERE account_id = ?", [self._office.now(), account_id]
            )
            self._office.record_within(actor, "account.bind_device", f"account/{account_id}")

    def is_bound(self, actor: Actor) -> bool:
        """Whether the account has a device."""
        with reading(self._office.database) as database:
            return is_bound_within(database, _account_id(database, actor))

    def accept(self, account_id: int, code: str) -> None:
        """Nothing to accept while no device is bound. Raises CodeWrong."""
        with self._office.writing() as database:
            row = _find(database, account_id)
            if row is not None and row["bound_at"] is not None:
                self._use_within(database, row, code)

    def _use_within(self, database: Database, row: dict[str, Any], code: str) -> None:
        """Each step's code once (RFC 6238 section 5.2), and none before one that was used. Raises CodeWrong."""
        now = self._office.clock.now().timestamp()
        totp, step = TOTP(self._open(row), interval=PERIOD_S), int(now) // PERIOD_S
        given = code.replace(" ", "")
        fitting = [
            one
            for one in range(step - _DRIFT, step + _DRIFT + 1)
            if one > row["last_step"] and _DIGITS.fullmatch(given) and totp.verify(given, for_time=one * PERIOD_S)
        ]
        if not fitting:
            raise CodeWrong("no code of now")
        database.execute("UPDATE second_factor SET last_step = ? WHERE account_id = ?", [fitting[0], row["account_id"]])

    def _seal(self, secret: str, account_id: int) -> bytes:
        return self._office.personal.seal({"secret": secret}, "second_factor", "secret", account_id)

    def _open(self, row: dict[str, Any]) -> str:
        opened = self._office.personal.open(row["secret"], "second_factor", "secret", row["account_id"])
        return str(opened["secret"])


def is_bound_within(database: Database, account_id: int) -> bool:
    row = _find(database, account_id)
    return row is not None and row["bound_at"] is not None


def _account_id(database: Database, actor: Actor) -> int:
    (account_id,) = database.execute("SELECT account_id FROM account WHERE name = ?", [actor.name]).fetchone()
    return int(account_id)


def _find(database: Database, account_id: int) -> dict[str, Any] | None:
    found = list(database.query("SELECT * FROM second_factor WHERE account_id = ?", [account_id]))
    return found[0] if found else None
