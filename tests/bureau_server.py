"""The bureau's JSON interface on loopback, in a thread: real HTTP, real sessions, and the invariants over every answer.

with running_bureau(office) as bureau:
    answer = bureau.post(CHECKER, "/v1/reviews/7/confirm", {"digest": digest})
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import uvicorn
from bureau_office import CHEAP, make_account
from case_invariants import check_alive, check_answer, check_folder, check_logs

from api.bureau.app import create_bureau_app
from api.connections import GuardedServer
from api.limits import Limits
from api.listening import Listening
from matcher.accounts.sessions import Sessions
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.reports.service import Reports


@dataclass
class RunningBureau:
    """Each ``actor`` gets an account and a session when it is first needed; ``None`` sends no session."""

    office: Office
    server: uvicorn.Server
    thread: threading.Thread
    client: httpx.Client
    tokens: dict[str, str] = field(default_factory=dict)
    answers: list[httpx.Response] = field(default_factory=list)
    keys: Iterator[int] = field(default_factory=count)

    def token(self, actor: Actor) -> str:
        if actor.name not in self.tokens:
            credentials = {"name": actor.name, "password": make_account(self.office, actor)}
            answer = self.post(None, "/v1/sessions", credentials)
            assert answer.status_code == 201, answer.text
            self.tokens[actor.name] = answer.json()["token"]
        return self.tokens[actor.name]

    def get(self, actor: Actor | None, path: str, **query: Any) -> httpx.Response:
        return self.send(actor, "GET", path, params=query)

    def post(self, actor: Actor | None, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """With a new Idempotency-Key unless one is given."""
        headers = {"Idempotency-Key": f'"{key or f"test-{next(self.keys)}"}"'}
        return self.send(actor, "POST", path, json=body, headers=headers)

    def send(self, actor: Actor | None, method: str, path: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if actor is not None:
            headers["Authorization"] = f"Bearer {self.token(actor)}"
        answer = self.client.request(method, path, headers=headers, **options)
        self.answers.append(answer)
        return answer

    def check_invariants(self) -> None:
        """What must hold whatever was sent: alive, no failure that is not an outage, silent logs, sound files."""
        check_alive(self.client)
        for answer in self.answers:
            check_answer(answer)
            assert answer.headers["cache-control"] == "no-store"
        check_logs()
        check_folder(self.office.home)


@contextmanager
def running_bureau(
    office: Office, limits: Limits | None = None, reports: Reports | None = None
) -> Iterator[RunningBureau]:
    limits, sign_in = limits or Limits(), SignIn(office, CHEAP)
    app = create_bureau_app(office, limits=limits, sign_in=sign_in, sessions=Sessions(office, sign_in), reports=reports)
    server, listener = GuardedServer(app, limits), Listening(port=0).open()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="bureau")
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        bureau = RunningBureau(office, server, thread, client)
        try:
            yield bureau
            bureau.check_invariants()
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive(), "the server does not stop"
