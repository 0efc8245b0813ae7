"""The gate before every route: a request goes in only whole, in time, and signed by a registered party.

docs/reference/protocol.md section 3. It stands in front of the router, so a new route is
protected by where it stands; :data:`OPEN_PATHS` are the only exceptions.

The signature covers the body's digest, so it is checked before the body is read: nobody
unknown makes the server keep a body, and a place is held only by who signed. What a refused caller
still sends is read to its end and dropped, within the same length and deadline, so that it can read its
refusal; when many are refused at once, the rest are answered and cut off.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.limits import Limits
from api.problems import BodyTimeout, Busy
from api.wire import MAX_REQUEST_BYTES, TooLarge
from keys.clock import Clock
from keys.httpsig import WINDOW_S, BadSignature, ClockSkew, content_digest, verify_request
from keys.identity import PublicIdentity
from matcher.province.ledger import Ledger
from matcher.province.records import NotGranted, Party
from psi.errors import MingceError

OPEN_PATHS = frozenset({"/healthz", "/metrics"})
LINGER_S = 1.0


class Disconnected(Exception):
    """The caller went away; nobody is left to answer."""


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
        self._refusing = 0
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
            await self._let_finish(receive)
            raise
        try:
            body, digest = await self._read_body(receive, keep=True)
            if dict(headers).get("content-digest") != (content_digest(digest) if body else None):
                raise BadSignature("Content-Digest is not that of the body")
            scope["state"]["signed"] = SignedRequest(party, digest)
            await self._app(scope, _replay(body, receive), send)
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

    async def _let_finish(self, receive: Receive) -> None:
        """Read what a refused caller still sends, so that it can read why; not of too many at once."""
        if self._refusing >= self._limits.refused_bodies:
            return
        self._refusing += 1
        try:
            await self._read_body(receive, keep=False)
        finally:
            self._refusing -= 1

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

    async def _read_body(self, receive: Receive, *, keep: bool) -> tuple[bytes, bytes]:
        """(the body, or nothing unless kept; its SHA-256). Raises TooLarge, BodyTimeout, Disconnected."""
        digest = hashlib.sha256()
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._limits.body_deadline_s):
                while more and size <= MAX_REQUEST_BYTES:
                    part, more = await _receive_part(receive)
                    digest.update(part)
                    size += len(part)
                    if keep:
                        parts.append(part)
        except TimeoutError:
            raise BodyTimeout("the body did not arrive in time") from None
        if size > MAX_REQUEST_BYTES:
            raise TooLarge("refused at the limit")
        return b"".join(parts), digest.digest()


_identity = lru_cache(maxsize=1_024)(PublicIdentity)  # checking a public key costs as much as a signature


async def linger(receive: Receive) -> None:
    """Read and drop what is still coming, for a moment, so that the answer is not lost with the connection."""
    try:
        async with asyncio.timeout(LINGER_S):
            more = True
            while more:
                _, more = await _receive_part(receive)
    except (TimeoutError, Disconnected):
        return


def _declared_digest(headers: Iterable[tuple[str, str]]) -> bytes | None:
    """The SHA-256 that Content-Digest declares; verify_request refuses it in any but its one spelling."""
    for name, value in headers:
        if name == "content-digest":
            try:
                return base64.b64decode(value.removeprefix("sha-256=:").removesuffix(":"), validate=True)
            except (binascii.Error, ValueError):
                raise BadSignature("Content-Digest is malformed") from None
    return None


async def _receive_part(receive: Receive) -> tuple[bytes, bool]:
    """(bytes, whether more will come). Raises Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message.get("body", b""), message.get("more_body", False)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body that was read, then what the connection gives."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
