"""Sessions: what a signed-in person's device carries instead of the password."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keys.clock import format_time, parse_time
from keys.database import DatabaseBusy
from matcher.accounts.model import SecondFactorMissing, SessionInvalid, actor_of
from matcher.accounts.second_factor import SecondFactor, is_bound_within
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.rows import fetch_records

TOKEN_BYTES = 32
_NOTED_EVERY_S = 60  # a session's last use is written down at most so often


@dataclass(frozen=True)
class SessionTimes:
    """A session ends after so long without a request, and after so long whatever happens."""

    idle_s: int = 1_800
    absolute_s: int = 43_200


@dataclass(frozen=True)
class SignedIn:
    """``token`` is the session's; ``device`` is kept by the device, and shown at its next sign-in.

    ``is_whole``: not one that began without the second factor that sessions need here.
    """

    actor: Actor
    token: str = field(repr=False)
    device: str = field(repr=False)
    expires_at: str
    is_whole: bool = True


class Sessions:
    """``require_second_factor``: a session that began without one is good for binding a device, and nothing else."""

    def __init__(
        self,
        office: Office,
        sign_in: SignIn | None = None,
        times: SessionTimes | None = None,
        *,
        require_second_factor: bool = False,
    ) -> None:
        self._office = office
        self._required = require_second_factor
        self._second_factor = SecondFactor(office)
        self._sign_in = sign_in or SignIn(office)
        self._times = times or SessionTimes()

    def begin(self, name: str, password: str, device: str | None = None, code: str = "") -> SignedIn:
        """Sign in: a new token each time. ``code`` of the bound device. Raises SignInFailed, PasswordNotChosen."""
        if device is None or not self._sign_in.knows_device(name, device):
            device = self._new_token()  # never one that somebody else chose
        actor = self._sign_in.authenticate(name, password, device, code)
        return self._begin(actor, device)

    def _begin(self, actor: Actor, device: str) -> SignedIn:
        token, now = self._new_token(), self._office.clock.now()
        expires_at = format_time(now + timedelta(seconds=self._times.absolute_s))
        with self._office.writing() as database:
            (account_id,) = database.execute("SELECT account_id FROM account WHERE name = ?", [actor.name]).fetchone()
            is_bound = is_bound_within(database, account_id)
            database.execute(
                "DELETE FROM session WHERE account_id = ? AND expires_at <= ?", [account_id, format_time(now)]
            )
            database.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, NULL, ?)",
                [_hash(token), account_id, format_time(now), format_time(now), expires_at, is_bound],
            )
            self._office.record_within(actor, "account.sign_in", f"account/{account_id}")
        return SignedIn(actor, token, device, expires_at, is_bound or not self._required)

    def bind_device(self, token: str, code: str, device: str) -> SignedIn:
        """The code that proves the new second factor; a new session takes the place of the old one.

        Raises SessionInvalid, CodeWrong, AccountState.
        """
        actor = self.get_actor(token, whole=False)
        self._second_factor.bind(actor, code)
        self.end(token)
        return self._begin(actor, device)

    def get_actor(self, token: str, *, whole: bool = True) -> Actor:
        """Whose session this is, with the roles the account has now. Raises SessionInvalid, SecondFactorMissing.

        ``whole``: only one that began as this house requires.
        """
        now = self._office.clock.now()
        rows = fetch_records(
            self._office.database,
            "SELECT account.*, used_at, expires_at, session.second_factor FROM session JOIN account USING (account_id)"
            " WHERE token_sha256 = ? AND ended_at IS NULL AND account.state = 'active'",
            [_hash(token)],
        )
        if not rows or not self._is_alive(rows[0]["used_at"], rows[0]["expires_at"], now):
            raise SessionInvalid("no such session, or it has ended")
        if whole and self._required and not rows[0]["second_factor"]:
            raise SecondFactorMissing("the session began without a second factor")
        if now - parse_time(rows[0]["used_at"]) >= timedelta(seconds=_NOTED_EVERY_S):
            with suppress(DatabaseBusy), self._office.writing() as database:  # then the next request writes it down
                database.execute(
                    "UPDATE session SET used_at = ? WHERE token_sha256 = ?", [format_time(now), _hash(token)]
                )
        return actor_of(rows[0])

    def end(self, token: str) -> None:
        """Sign out; again it changes nothing."""
        with self._office.writing() as database:
            database.execute(
                "UPDATE session SET ended_at = ? WHERE token_sha256 = ? AND ended_at IS NULL",
                [self._office.now(), _hash(token)],
            )

    def _is_alive(self, used_at: str, expires_at: str, now: datetime) -> bool:
        return now < parse_time(expires_at) and now - parse_time(used_at) < timedelta(seconds=self._times.idle_s)

    def _new_token(self) -> str:
        return base64.urlsafe_b64encode(self._office.random_bytes(TOKEN_BYTES)).decode("ascii").rstrip("=")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
