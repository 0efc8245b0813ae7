"""The requester's end of a one-shot exchange over HTTP: post the request, come again until the answer is there."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from api.exchange_message import MEDIA_TYPE
from psi.errors import InputError, MingceError

CHUNK_BYTES = 64 * 1024
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 3.0
SILENCE_S = 60.0


class PeerUnavailable(MingceError):
    """The responder could not be reached, or had no answer, in the time given. Params: problem."""

    code = "peer_unavailable"


class PeerRefused(MingceError):
    """The responder refused the request for good. Params: status, and problem, its machine-readable code."""

    code = "peer_refused"


def fetch_answer(
    session_url: str, request: bytes, *, max_answer_bytes: int, wait_s: float, ca_file: Path | None = None
) -> bytes:
    """Post a request message to a session's URL and fetch the answer message, which is still to be verified.

    Tries again after every break and every "not yet", for ``wait_s`` seconds in all.
    Raises PeerUnavailable, PeerRefused, InputError (the URL).
    """
    until = time.monotonic() + wait_s
    pause_s = FIRST_PAUSE_S
    posted = False
    problem = "nothing was tried"
    url = session_url.rstrip("/")
    with _client(url, ca_file) as client:
        while time.monotonic() < until:
            try:
                if not posted:
                    _post(client, url, request)
                    posted = True
                answer = _get(client, f"{url}/answer", max_answer_bytes)
                if answer is not None:
                    return answer
                problem = "not ready"
            except _Again as again:
                problem = str(again)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
    raise PeerUnavailable("no answer in time", problem=problem)


class _Again(Exception):
    """This attempt failed in a way that may pass."""


@contextmanager
def _client(session_url: str, ca_file: Path | None) -> Iterator[httpx.Client]:
    try:
        url = httpx.URL(session_url)
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    except httpx.InvalidURL:
        raise InputError("the session's address is not a URL") from None
    except (OSError, ssl.SSLError):
        raise InputError("the CA file cannot be read", file=str(ca_file)) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InputError("the session's address must begin with http:// or https://")
    headers = {"Accept-Encoding": "identity", "User-Agent": "mingce"}
    timeout = httpx.Timeout(SILENCE_S, connect=10.0)
    with httpx.Client(verify=context, timeout=timeout, headers=headers, trust_env=False) as client:
        yield client


def _post(client: httpx.Client, url: str, request: bytes) -> None:
    with _answered(client.stream("POST", url, content=request, headers={"Content-Type": MEDIA_TYPE})) as response:
        _refuse_unless(response, (202,))


def _get(client: httpx.Client, url: str, limit: int) -> bytes | None:
    """The answer, or None if it is still being made."""
    with _answered(client.stream("GET", url)) as response:
        _refuse_unless(response, (200, 202))
        return _read(response, limit) if response.status_code == 200 else None


@contextmanager
def _answered(stream: AbstractContextManager[httpx.Response]) -> Iterator[httpx.Response]:
    try:
        with stream as response:
            yield response
    except httpx.TransportError as error:
        raise _Again(type(error).__name__) from None


def _refuse_unless(response: httpx.Response, expected: tuple[int, ...]) -> None:
    if response.status_code in expected:
        return
    if response.status_code in (408, 429, 502, 503, 504):
        raise _Again(f"status {response.status_code}")
    try:
        code = json.loads(_read(response, 64 * 1024))["code"]
        problem = code if re.fullmatch(r"[a-z_]{1,64}", code) else "unknown"
    except (ValueError, KeyError, TypeError, RecursionError, PeerRefused):
        problem = "unknown"
    raise PeerRefused("the responder refused the request", status=response.status_code, problem=problem)


def _read(response: httpx.Response, limit: int) -> bytes:
    parts, size = [], 0
    for part in response.iter_raw(CHUNK_BYTES):
        size += len(part)
        if size > limit:
            raise PeerRefused("the answer is longer than it may be", status=response.status_code, problem="too_large")
        parts.append(part)
    return b"".join(parts)
