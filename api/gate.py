"""The gate before every route: a request goes in only whole, in time, and signed by a registered party.

docs/reference/protocol.md section 3. It stands in front of the router, so a new route is
protected by where it stands; :data:`OPEN_PATHS` are the only exceptions.

The signature covers the body's digest, so it is checked before the body is read: nobody
unknown makes the server keep a body, and a place is held only by who signed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from api.bodies import BodyReader, replay
from api.limits import Limits
from api.problems import Busy
from api.wire import MAX_REQUEST_BYTES, TooLarge
from keys.clock import Clock
from keys.httpsig import WINDOW_S, BadSignature, ClockSkew, content_digest, verify_request
from keys.identity import PublicIdentity
from matcher.province.ledger import Ledger
from matcher.province.records import NotGranted, Party
from psi.errors import MingceError

OPEN_PATHS = frozenset({"/healthz", "/metrics"})


@dataclass(frozen=True)
class SignedRequest:
    """What the gate knows about a request that passed: ``request.state.signed``."""

    party: Party
    body_sha256: bytes


class SignatureGate:
    """``check_certificate`` raises unless the connection's certificate is the signer's; ``overloaded`` says of a
    request whether its work has no place left, before anything is spent on it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ledger: Ledger,
        clock: Clock,
        limits: Limits,
        check_certificate: Callable[[str, Scope], None],
        overloaded: Callable[[Scope], bool],
    ) -> None:
        self._app = app
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._check_certificate = check_certificate
        self._overloaded = overloaded
        self._threads = ThreadPoolExecutor(limits.authentication_threads, thread_name_prefix="authenticate")
        self._authenticating = 0
        self._bodies = BodyReader(limits)
        self._open: Counter[str] = Counter()  # of each party; a stranger never holds a place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        if any(int(value) > MAX_REQUEST_BYTES for name, value in headers if name == "content-length"):
            raise TooLarge("refused by its Content-Length")
        try:
            if self._overloaded(scope):
                raise Busy("too many evaluations")
            party = await self._authenticate(scope, headers)
            self._take_place(party)
        except MingceError:
            await self._bodies.let_finish(receive, MAX_REQUEST_BYTES)
            raise
        try:
            body, digest = await self._bodies.read(receive, MAX_REQUEST_BYTES)
            if dict(headers).get("content-digest") != (content_digest(digest) if body else None):
                raise BadSignature("Content-Digest is not that of the body")
            scope["state"]["signed"] = SignedRequest(party, digest)
            await self._app(scope, replay(body, receive), send)
        finally:
            self._open[party.fingerprint] -= 1

    def _take_place(self, party: Party) -> None:
        """Raises Busy."""
        held = self._open[party.fingerprint]
        if self._open.total() >= self._limits.open_requests or held >= self._limits.open_requests_per_party:
            raise Busy("too many open requests")
        self._open[party.fingerprint] = held + 1

    async def _authenticate(self, scope: Scope, headers: list[tuple[str, str]]) -> Party:
        """Who signed, found in another thread. Raises Busy, and what :meth:`_verify` raises."""
        if self._authenticating >= self._limits.authentications:
            raise Busy("too many signatures to check")
        self._authenticating += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, scope, headers)
        finally:
            self._authenticating -= 1

    def _verify(self, scope: Scope, headers: list[tuple[str, str]]) -> Party:
        """Who signed. Raises BadSignature, ClockSkew, BadCertificate, Replayed; NotGranted for a suspended party."""
        found: list[Party] = []

        def find_identity(fingerprint: str) -> PublicIdentity | None:
            party = self._ledger.find_party_by_fingerprint(fingerprint)
            if party is None:
                return None
            found.append(party)
            return _identity(party.name, party.kind, party.verify_key)

        try:
            verified = verify_request(
                method=scope["method"],
                path=scope["raw_path"].decode("latin-1"),
                query=scope["query_string"].decode("latin-1"),
                headers=headers,
                body_digest=_declared_digest(headers),
                find_identity=find_identity,
                now=self._clock.now(),
            )
        except ClockSkew:  # signed by that party, only not now
            scope["state"]["party"] = found[0]
            raise
        party = scope["state"]["party"] = found[0]
        self._check_certificate(party.fingerprint, scope)
        expires_at = verified.created_at + timedelta(seconds=WINDOW_S)
        self._ledger.use_nonce(party.fingerprint, verified.nonce, expires_at=expires_at)
        if party.state != "active":
            raise NotGranted("the party is suspended")
        return party


_identity = lru_cache(maxsize=1_024)(PublicIdentity)  # checking a public key costs as much as a signature


def _declared_digest(headers: Iterable[tuple[str, str]]) -> bytes | None:
    """The SHA-256 that Content-Digest declares; verify_request refuses it in any but its one spelling."""
    for name, value in headers:
        if name == "content-digest":
            try:
                return base64.b64decode(value.removeprefix("sha-256=:").removesuffix(":"), validate=True)
            except (binascii.Error, ValueError):
                raise BadSignature("Content-Digest is malformed") from None
    return None
