"""The one-shot exchange over HTTP: both ends real, over a loopback socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from api.exchange import ExchangeExpired, ExchangeSession, serve_exchange
from api.exchange_client import PeerRefused, PeerUnavailable, fetch_answer
from api.exchange_message import (
    MAX_OVERHEAD,
    MEDIA_TYPE,
    ExchangeMessage,
    ExchangeMessageInvalid,
    decode_answer,
    decode_request,
    encode_message,
    message_digest,
)
from keys.clock import SettableClock
from keys.envelope import EnvelopeInvalid, UntrustedSigner
from keys.identity import Identity, SignatureInvalid
from psi.errors import InputError, VerificationError
from psi.exchange import ExchangePeerMessage, Requester, Responder

BANK = Identity("演示银行", "bank", bytes(range(32)))
BUREAU = Identity("演示局", "bureau", bytes(range(32, 64)))
STRANGER = Identity("路人", "bank", bytes(range(64, 96)))
CLOCK = SettableClock()
ANSWER_LIMIT = 1 << 20


def packed(indices: range) -> bytes:
    return b"".join(b"990000%012d" % index for index in indices)


class Running:
    """A responder of 30 numbers, serving; the requester has 12, of which 8 are common."""

    def __init__(self, session: ExchangeSession, url: str) -> None:
        self.session = session
        self.url = url
        self.ended_with: BaseException | None = None
        self.requester, self.asked = Requester.create(packed(range(22, 34)))

    def request(self, sender: Identity = BANK, **changes: object) -> bytes:
        message = ExchangeMessage("request", self.session.session, "", (self.asked,))
        return encode_message(replace(message, **changes), sender, BUREAU.public, CLOCK.now())  # type: ignore[arg-type]

    def positions(self, request: bytes, answer: bytes) -> list[int]:
        decoded = decode_answer(
            answer,
            sender=BUREAU.public,
            recipient=BANK.public,
            session=self.session.session,
            request_digest=message_digest(request),
        )
        return list(self.requester.intersect(*decoded.parts).positions)


@pytest.fixture(scope="module")
def responder() -> Responder:
    return Responder(packed(range(30)), max_requested=20)


@contextmanager
def serving(responder: Responder, *, time_limit_s: float = 20, linger_s: float = 0.2) -> Iterator[Running]:
    session = ExchangeSession(responder, BUREAU, BANK.public, CLOCK)
    listener = socket.create_server(("127.0.0.1", 0))
    running = Running(session, f"http://127.0.0.1:{listener.getsockname()[1]}{session.path}")

    def serve() -> None:
        try:
            serve_exchange(session, listener, time_limit_s=time_limit_s, linger_s=linger_s)
        except BaseException as error:
            running.ended_with = error

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield running
    finally:
        session.ended.set()
        thread.join(timeout=30)
        listener.close()
        assert not thread.is_alive()


def fetch(running: Running, request: bytes, wait_s: float = 10) -> bytes:
    return fetch_answer(running.url, request, max_answer_bytes=ANSWER_LIMIT, wait_s=wait_s)


def test_both_ends(responder: Responder) -> None:
    with serving(responder, linger_s=5) as running:
        request = running.request()
        first = fetch(running, request)
        assert running.positions(request, first) == list(range(8))
        assert fetch(running, request) == first, "the same request again gives the same bytes"
        assert running.session.requested == 12
    assert running.ended_with is None


def test_ends_by_itself_after_the_answer_was_fetched(responder: Responder) -> None:
    with serving(responder, linger_s=0.1) as running:
        fetch(running, running.request())
        time.sleep(1)
        with pytest.raises(PeerUnavailable):
            fetch(running, running.request(), wait_s=0.5)
    assert running.ended_with is None


def test_nobody_asks(responder: Responder) -> None:
    with serving(responder, time_limit_s=0.5) as running:
        time.sleep(1.5)
        with pytest.raises(httpx.ConnectError):
            httpx.get(running.url + "/answer")
    assert isinstance(running.ended_with, ExchangeExpired)


def test_another_request_in_the_same_session_is_refused(responder: Responder) -> None:
    with serving(responder, linger_s=5) as running:
        request = running.request()
        fetch(running, request)
        _, other = Requester.create(packed(range(5)))
        with pytest.raises(PeerRefused) as caught:
            fetch(running, running.request(parts=(other,)))
        assert caught.value.params == {"status": 422, "problem": "idempotency_mismatch"}
        assert running.positions(request, fetch(running, request)) == list(range(8))


@pytest.mark.parametrize(
    ("fault", "status", "problem"),
    [
        (lambda running: running.request(STRANGER), 401, "bad_signature"),
        (lambda running: running.request(session="00" * 16), 400, "bad_body"),
        (lambda running: running.request()[:-1], 401, "bad_signature"),
        (lambda running: running.request() + b"\x00", 401, "bad_signature"),
        (lambda running: b"", 401, "bad_signature"),
        (lambda running: bytes(MAX_OVERHEAD + 20 * 35 + 65), 413, "too_large"),
    ],
)
def test_refused_requests_leave_the_session_unused(
    responder: Responder, fault: object, status: int, problem: str
) -> None:
    with serving(responder) as running:
        with pytest.raises(PeerRefused) as caught:
            fetch(running, fault(running))  # type: ignore[operator]
        assert caught.value.params == {"status": status, "problem": problem}
        assert not running.session.asked
        request = running.request()
        assert running.positions(request, fetch(running, request)) == list(range(8))


def test_oversize_without_a_length_is_refused_at_the_limit(responder: Responder) -> None:
    with serving(responder) as running:
        chunks = (bytes(1 << 16) for _ in range(1000))
        try:
            answer = httpx.post(running.url, content=chunks, headers={"Content-Type": MEDIA_TYPE})
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the server closed the connection before all was sent
        assert not running.session.asked


def test_compressed_and_foreign_types_are_refused(responder: Responder) -> None:
    with serving(responder) as running:
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": MEDIA_TYPE, "Content-Encoding": "gzip"}):
            assert httpx.post(running.url, content=running.request(), headers=headers).status_code == 415


def test_without_the_path_there_is_nothing(responder: Responder) -> None:
    with serving(responder) as running:
        base = running.url.rsplit("/", 1)[0]
        for path in ("", "/", "/" + "0" * 32, "/é", "/../../etc/passwd"):
            answer = httpx.post(base + path, content=b"", headers={"Content-Type": MEDIA_TYPE})
            assert answer.status_code in (404, 405)
            assert answer.headers["content-type"] == "application/problem+json"
        assert httpx.get(running.url + "/answer").status_code == 404
        for path in ("/docs", "/openapi.json"):
            assert httpx.get(running.url.split("/v1")[0] + path).status_code == 404


def test_a_hostile_request_from_the_peer_ends_the_session_with_its_error(responder: Responder) -> None:
    with serving(responder, linger_s=1) as running:
        with pytest.raises(PeerRefused) as caught:
            fetch(running, running.request(parts=(b"\x08\x01\x12\x21" + bytes(33),)))
        assert caught.value.params == {"status": 400, "problem": "bad_body"}
    assert isinstance(running.ended_with, ExchangePeerMessage)


def test_a_peer_that_breaks_off_in_the_body(responder: Responder) -> None:
    with serving(responder) as running:
        host, port = httpx.URL(running.url).host, httpx.URL(running.url).port
        with socket.create_connection((host, port or 0)) as raw:
            raw.sendall(
                f"POST {running.session.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\n"
                "Content-Length: 500\r\n\r\nabc".encode()
            )
        request = running.request()
        assert running.positions(request, fetch(running, request)) == list(range(8))


def test_the_client_waits_for_a_server_that_is_not_there_yet(responder: Responder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PeerUnavailable) as caught:
        fetch_answer(f"http://127.0.0.1:{port}/v1/exchange/x", b"", max_answer_bytes=1, wait_s=0.5)
    assert caught.value.params["problem"] == "ConnectError"


@pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/x", "127.0.0.1:80/x", "http://", "http://[::1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InputError):
        fetch_answer(url, b"", max_answer_bytes=1, wait_s=1)


def test_the_client_stops_reading_at_its_limit(responder: Responder) -> None:
    with serving(responder) as running, pytest.raises(PeerRefused) as caught:
        fetch_answer(running.url, running.request(), max_answer_bytes=100, wait_s=10)
    assert caught.value.params["problem"] == "too_large"


# Messages: each named for its fault


def sample(**changes: object) -> bytes:
    message = ExchangeMessage("answer", "ab" * 16, "cd" * 32, (b"setup", b"response"))
    return encode_message(replace(message, **changes), BUREAU, BANK.public, CLOCK.now())  # type: ignore[arg-type]


def opened(encoded: bytes) -> ExchangeMessage:
    return decode_answer(
        encoded, sender=BUREAU.public, recipient=BANK.public, session="ab" * 16, request_digest="cd" * 32
    )


def test_message_comes_back() -> None:
    assert opened(sample()).parts == (b"setup", b"response")


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "not_a_message"),
        (b"MCX1", "not_a_message"),
        (b"MCX1\xff\xff\xff\xff", "not_a_message"),
        (b"MCX2" + sample()[4:], "not_a_message"),
        (sample()[:-1], "damaged"),
        (sample() + b"\x00", "damaged"),
        (sample()[:-1] + b"?", "damaged"),
        (sample(session="00" * 16), "another_session"),
        (sample(answers="00" * 32), "another_request"),
        (sample(role="request", parts=(b"request",)), "another_role"),
    ],
)
def test_message_is_refused(encoded: bytes, reason: str) -> None:
    with pytest.raises(ExchangeMessageInvalid) as caught:
        opened(encoded)
    assert caught.value.params["reason"] == reason


def test_message_for_someone_else_is_refused() -> None:
    with pytest.raises(ExchangeMessageInvalid) as caught:
        decode_answer(
            sample(), sender=BUREAU.public, recipient=STRANGER.public, session="ab" * 16, request_digest="cd" * 32
        )
    assert caught.value.params["reason"] == "another_recipient"


def test_message_of_another_sender_is_refused() -> None:
    with pytest.raises(UntrustedSigner):
        decode_request(sample(), sender=STRANGER.public, recipient=BANK.public)


def test_every_changed_byte_is_noticed() -> None:
    encoded = sample()
    for at in range(len(encoded)):
        for flip in (0x01, 0x20, 0x80):
            changed = bytearray(encoded)
            changed[at] ^= flip
            with pytest.raises((ExchangeMessageInvalid, EnvelopeInvalid, UntrustedSigner, SignatureInvalid)) as caught:
                opened(bytes(changed))
            assert isinstance(caught.value, VerificationError)
