"""The bureau's endpoint with its console on loopback, in a thread: real HTTP, real sessions.

with running_console(office) as console:
    page = console.sign_in(CHECKER).get("/queue")
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from bureau_office import CHEAP, make_account
from case_invariants import check_alive, check_logs

from api.bureau_endpoint import create_bureau_endpoint
from api.connections import GuardedServer
from api.console.app import Site
from api.console.sessions import DEVICE, LANGUAGE, SESSION, form_token
from api.limits import Limits
from api.listening import Listening
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.checks.links import Links

_COOKIE = re.compile(r"^([^=]+)=([^;]*)")


@dataclass
class Visitor:
    """A browser in a few lines: cookies, our own forms' tokens, no redirects followed."""

    url: str
    client: httpx.Client
    answers: list[httpx.Response]
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, data: dict[str, object] | None = None, **headers: str) -> httpx.Response:
        """As a page of the console sends its forms."""
        token = {"token": form_token(self.cookies[SESSION])} if SESSION in self.cookies else {}
        sent = {"origin": self.url, "sec-fetch-site": "same-origin", **headers}
        return self.send("POST", path, data={**token, **(data or {})}, headers=sent)

    def send(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = dict(options.pop("headers", {}))  # type: ignore[call-overload]
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
        for line in answer.headers.get_list("set-cookie"):
            found = _COOKIE.match(line)
            assert found is not None
            self.cookies[found[1]] = found[2]
            if not found[2].strip('"'):
                del self.cookies[found[1]]
        self.answers.append(answer)
        return answer

    def read_in(self, language: str) -> Visitor:
        self.cookies[LANGUAGE] = language
        return self


@dataclass
class RunningConsole:
    office: Office
    url: str
    client: httpx.Client
    answers: list[httpx.Response] = field(default_factory=list)
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def visitor(self) -> Visitor:
        """Somebody without a session."""
        return Visitor(self.url, self.client, self.answers)

    def sign_in(self, actor: Actor) -> Visitor:
        """With an account that is made when it is first needed; again, the same visitor."""
        if actor.name not in self.visitors:
            visitor = self.visitor()
            form = {"name": actor.name, "password": make_account(self.office, actor)}
            answer = visitor.post("/sign-in", form)
            assert answer.status_code == 303, answer.text
            assert {SESSION, DEVICE} <= visitor.cookies.keys()
            self.visitors[actor.name] = visitor
        return self.visitors[actor.name]

    def check_invariants(self) -> None:
        check_alive(self.client)
        for answer in self.answers:
            assert answer.status_code < 500, answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            if not answer.request.url.path.startswith("/static/"):
                assert answer.headers["cache-control"] == "no-store"
        check_logs()


@contextmanager
def running_console(
    office: Office, *, second_factor: bool = False, limits: Limits | None = None, links: Links | None = None
) -> Iterator[RunningConsole]:
    limits = limits or Limits(unknown_refusals_per_minute=100_000)
    app = create_bureau_endpoint(
        office,
        Site("演示县", demo=True),
        second_factor=second_factor,
        links=links,
        limits=limits,
        sign_in=SignIn(office, CHEAP),
    )
    server, listener = GuardedServer(app, limits), Listening(port=0).open()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="console")
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
        console = RunningConsole(office, url, client)
        try:
            yield console
            console.check_invariants()
        finally:
            server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive(), "the server does not stop"
