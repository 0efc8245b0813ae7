"""Sessions: what a signed-in person's device carries instead of the password."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from keys.clock import format_time, parse_time
from keys.database import DatabaseBusy
from matcher.accounts.model import SessionInvalid, actor_of
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
    """``token`` is the session's; ``device`` is kept by the device, and shown at its next sign-in."""

    actor: Actor
    token: str = field(repr=False)
    device: str = field(repr=False)
    expires_at: str


class Sessions:
    def __init__(self, office: Office, sign_in: SignIn | None = None, times: SessionTimes | None = None) -> None:
        self._office = office
        self._sign_in = sign_in or SignIn(office)
        self._times = times or SessionTimes()

    def begin(self, name: str, password: str, device: str | None = None) -> SignedIn:
        """Sign in: a new token each time. Raises SignInFailed, PasswordNotChosen."""
        if device is None or not self._sign_in.knows_device(name, device):
            device = self._new_token()  # never one that somebody else chose
        actor = self._sign_in.authenticate(name, password, device)
        token, now = self._new_token(), self._office.clock.now()
        expires_at = format_time(now + timedelta(seconds=self._times.absolute_s))
        with self._office.writing() as database:
            (account_id,) = database.execute("SELECT account_id FROM account WHERE name = ?", [actor.name]).fetchone()
            database.execute(
                "DELETE FROM session WHERE account_id = ? AND expires_at <= ?", [account_id, format_time(now)]
            )
            database.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?, ?, NULL)",
                [_hash(token), account_id, format_time(now), format_time(now), expires_at],
            )
            self._office.record_within(actor, "account.sign_in", f"account/{account_id}")
        return SignedIn(actor, token, device, expires_at)

    def get_actor(self, token: str) -> Actor:
        """Whose session this is, with the roles the account has now. Raises SessionInvalid."""
        now = self._office.clock.now()
        rows = fetch_records(
            self._office.database,
            "SELECT account.*, used_at, expires_at FROM session JOIN account USING (account_id)"
            " WHERE token_sha256 = ? AND ended_at IS NULL AND account.state = 'active'",
            [_hash(token)],
        )
        if not rows or not self._is_alive(rows[0]["used_at"], rows[0]["expires_at"], now):
            raise SessionInvalid("no such session, or it has ended")
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
