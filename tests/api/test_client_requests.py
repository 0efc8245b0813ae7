"""The client against a province that is slow, rude, behind a proxy, or somebody else."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bank_home import BANK, IMPATIENT, connect
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fake_province import DATASET, EPOCH, FakeProvince

from api.client import AnswerInvalid, Connection, InsecureUrl, ProvinceClient, TlsUntrusted
from api.refusals import (
    AccessRefused,
    BudgetExhausted,
    ClockRefused,
    EpochRefused,
    ProvinceRefused,
    SignatureRefused,
)
from api.retry import ProvinceUnavailable, RetryPolicy
from api.wire import EvaluateRequest
from keys.clock import SettableClock, SystemClock
from psi.errors import InputError

REQUEST = EvaluateRequest(bytes(32), bytes(16), bytes(32))


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[float]]]:
    """A server that answers every request by ``answer``; yields its URL and the times of the requests."""
    times: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            times.append(time.monotonic())
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}", times
    finally:
        running.shutdown()
        running.server_close()
        thread.join(timeout=10)


def say(status: int, content: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def client_of(url: str, policy: RetryPolicy = IMPATIENT, timeout_s: float = 5.0) -> ProvinceClient:
    return ProvinceClient(Connection(url, timeout_s=timeout_s), BANK, SystemClock(), policy)


@pytest.mark.parametrize(
    "url", ["http://10.1.2.3", "http://province.example", "ftp://127.0.0.1", "province", "http://[::"]
)
def test_an_address_without_tls_is_refused(url: str) -> None:
    with pytest.raises(InsecureUrl):
        Connection(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8443", "http://[::1]:8443", "http://localhost", "https://province.example"]
)
def test_loopback_and_https_are_accepted(url: str) -> None:
    assert Connection(url).url == url
    assert Connection("http://10.1.2.3", allow_plain_http=True)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "bad_signature", SignatureRefused),
        (401, "clock_skew", ClockRefused),
        (403, "not_granted", AccessRefused),
        (404, "not_found", AccessRefused),
        (403, "budget_exhausted", BudgetExhausted),
        (409, "key_epoch", EpochRefused),
        (422, "idempotency_mismatch", ProvinceRefused),
        (400, "bad_element", ProvinceRefused),
        (500, "internal", ProvinceRefused),
        (302, "elsewhere", ProvinceRefused),
    ],
)
def test_a_refusal_is_an_error_at_once(status: int, code: str, error: type[ProvinceRefused]) -> None:
    problem = json.dumps({"code": code, "fingerprint": "ab" * 32}).encode()
    with server(say(status, problem)) as (url, times), client_of(url) as client:
        with pytest.raises(ProvinceRefused) as raised:
            client.evaluate(DATASET, EPOCH, REQUEST)
        assert type(raised.value) is error
        assert raised.value.params == {"status": status, "problem": code, "fingerprint": "ab" * 32}
        assert len(times) == 1


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[1]", b'{"code": 5}', b'{"code": "<script>"}', b"[" * 60_000, b"x" * 70_000]
)
def test_a_refusal_that_is_no_problem_document(content: bytes) -> None:
    with server(say(403, content)) as (url, _), client_of(url) as client:
        with pytest.raises(ProvinceRefused) as raised:
            client.get_manifest(DATASET, EPOCH)
        assert raised.value.params["problem"] == "unknown"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "body_timeout"),
        (409, "in_flight"),
        (429, "slow_down"),
        (502, ""),
        (503, "busy"),
        (504, ""),
        (401, "replayed"),
    ],
)
def test_what_may_pass_is_tried_again_until_patience_ends(status: int, code: str) -> None:
    problem = json.dumps({"code": code}).encode()
    with server(say(status, problem)) as (url, times), client_of(url) as client:
        with pytest.raises(ProvinceUnavailable) as raised:
            client.evaluate(DATASET, EPOCH, REQUEST)
        assert raised.value.params == {"attempts": IMPATIENT.attempts, "problem": code or "unknown"}
        assert len(times) == IMPATIENT.attempts


def test_retry_after_is_honoured_but_not_for_ever() -> None:
    policy = RetryPolicy(attempts=2, first_wait_s=0.001, longest_wait_s=0.4)
    for value, least_s in (("1000000", 0.4), ("0", 0.0), ("Wed, 21 Oct 2099 07:28:00 GMT", 0.4), ("soon", 0.0)):
        with server(say(503, b"{}", Retry_After=value)) as (url, times), client_of(url, policy) as client:
            with pytest.raises(ProvinceUnavailable):
                client.get_manifest(DATASET, EPOCH)
            assert least_s <= times[1] - times[0] < least_s + 0.3


def test_nobody_listens() -> None:
    with client_of("http://127.0.0.1:9", RetryPolicy(3, 0.001, 0.002)) as client:
        with pytest.raises(ProvinceUnavailable) as raised:
            client.get_current_epoch(DATASET)
        assert raised.value.params == {"attempts": 3, "problem": "ConnectError"}


def test_stop_ends_the_waiting() -> None:
    policy = RetryPolicy(attempts=100, first_wait_s=60, longest_wait_s=60)
    with server(say(503, b"{}", Retry_After="60")) as (url, times), client_of(url, policy) as client:
        threading.Timer(0.2, client.stop).start()
        started_s = time.monotonic()
        with pytest.raises(ProvinceUnavailable):
            client.get_manifest(DATASET, EPOCH)
        assert time.monotonic() - started_s < 5
        assert len(times) <= 2


def test_an_answer_that_drips_counts_as_stalled() -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "156")
        handler.end_headers()
        for _ in range(156):
            try:
                handler.wfile.write(b"M")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    with server(drip) as (url, _), client_of(url, RetryPolicy(2, 0.001, 0.002), timeout_s=0.3) as client:
        started_s = time.monotonic()
        with pytest.raises(ProvinceUnavailable) as raised:
            client.evaluate(DATASET, EPOCH, REQUEST)
        assert raised.value.params["problem"] == "answer_stalled"
        assert time.monotonic() - started_s < 4


def test_an_answer_without_end_is_cut_off() -> None:
    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(bytes(65_536))
        except OSError:
            return

    with server(pour) as (url, _), client_of(url) as client:
        with pytest.raises(AnswerInvalid):
            client.get_manifest(DATASET, EPOCH)
        with pytest.raises(AnswerInvalid):
            client.evaluate(DATASET, EPOCH, REQUEST)


def test_a_compressed_answer_is_refused() -> None:
    zipped = say(200, b"\x1f\x8b", Content_Encoding="gzip")
    with server(zipped) as (url, _), client_of(url) as client, pytest.raises(AnswerInvalid):
        client.get_manifest(DATASET, EPOCH)


@pytest.mark.parametrize("content", [b"", b"<html>sign in to the network</html>", b"x" * 156, b"MCEA" + bytes(40)])
def test_something_else_than_an_answer(content: bytes) -> None:
    """A gateway's page, say: it is no answer, and says nothing about anybody's key."""
    with server(say(200, content)) as (url, _), client_of(url) as client, pytest.raises(AnswerInvalid):
        client.evaluate(DATASET, EPOCH, REQUEST)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"current_epoch": null}', b"\xff"])
def test_a_dataset_document_without_an_epoch(content: bytes) -> None:
    with server(say(200, content)) as (url, _), client_of(url) as client:
        with pytest.raises(AnswerInvalid):
            client.get_current_epoch(DATASET)
        with pytest.raises(AnswerInvalid):
            client.get_budget(DATASET, EPOCH)


def test_budget_and_epoch() -> None:
    with FakeProvince(BANK.public, budget=500) as province, connect(province) as client:
        province.publish([])
        assert client.get_current_epoch(DATASET) == EPOCH
        assert client.get_budget(DATASET, EPOCH) == {"limit": 500, "used": 0, "remaining": 500}


def test_through_the_configured_proxy_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with FakeProvince(BANK.public) as province:
        province.publish([])
        with connect(province) as direct:
            assert direct.get_current_epoch(DATASET) == EPOCH
        behind = Connection("http://127.0.0.1:9", proxy=province.url)
        with ProvinceClient(behind, BANK, province.clock, IMPATIENT) as client:
            assert client.get_current_epoch(DATASET) == EPOCH


def test_a_clock_that_stands_is_no_obstacle_to_nonces() -> None:
    clock = SettableClock()
    with FakeProvince(BANK.public, clock=clock, flaky_share=0.5) as province, connect(province) as client:
        province.publish([])
        assert all(client.get_current_epoch(DATASET) == EPOCH for _ in range(20))
        assert province.refused_at_random > 0


def test_tls_only_with_the_configured_authority(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with FakeProvince(BANK.public, tls=context) as province:
        province.publish([])
        trusting = Connection(province.url, ca_file=certificate)
        with ProvinceClient(trusting, BANK, province.clock, IMPATIENT) as client:
            assert client.get_current_epoch(DATASET) == EPOCH
        with connect(province) as stranger, pytest.raises(TlsUntrusted):
            stranger.get_current_epoch(DATASET)


def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ProvinceClient(Connection("https://127.0.0.1", ca_file=tmp_path / "none.pem"), BANK, SystemClock())


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "province")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
