"""Passwords are checked in few threads: each check takes 64 MiB and a tenth of a second on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from api.limits import Limits
from api.problems import Busy
from matcher.accounts.sessions import Sessions, SignedIn
from matcher.accounts.sign_in import SignIn

T = TypeVar("T")


class Authenticating:
    """``limits.authentication_threads`` at work, ``limits.authentications`` of them waiting at most."""

    def __init__(self, sign_in: SignIn, sessions: Sessions, limits: Limits) -> None:
        self._sign_in = sign_in
        self.sessions = sessions
        self._most = limits.authentications
        self._waiting = 0
        self._threads = ThreadPoolExecutor(limits.authentication_threads, thread_name_prefix="authenticate")

    async def begin_session(self, name: str, password: str, device: str | None, code: str = "") -> SignedIn:
        """Raises SignInFailed, PasswordNotChosen, Busy."""
        return await self._run(lambda: self.sessions.begin(name, password, device, code))

    async def set_password(self, name: str, present: str, wanted: str, device: str | None) -> None:
        """Raises PasswordWeak, SignInFailed, Busy."""
        await self._run(lambda: self._sign_in.set_password(name, present, wanted, device))

    def close(self) -> None:
        self._threads.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._most:
            raise Busy("too many passwords to check")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
