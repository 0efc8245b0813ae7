"""Hostile and unlucky HTTP at the real endpoint: cases D12 to D14, D16, D39, D46, overload, and our own faults."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pysqlite3
import pytest
from case_invariants import check_problem
from province_home import (
    BANK,
    BUDGET,
    EVALUATE,
    MANIFEST,
    OTHER_BANK,
    STRANGER,
    ProvinceHome,
    RunningProvince,
    blinded,
)
from structlog.testing import capture_logs

from api.limits import Limits
from api.listening import listen
from api.wire import MAX_REQUEST_BYTES, REQUEST_TYPE, encode_request, idempotency_header
from keys.identity import Identity

MADE_UP_NUMBER = "990000198001011234"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@contextmanager
def running(home: ProvinceHome, limits: Limits) -> Iterator[RunningProvince]:
    province = RunningProvince.start(home, limits)
    try:
        yield province
        province.check_invariants()
    finally:
        province.stop()


@contextmanager
def connected(province: RunningProvince) -> Iterator[socket.socket]:
    with socket.create_connection(province.address, timeout=10) as connection:
        yield connection


def head(*lines: str) -> bytes:
    return "\r\n".join([f"POST {EVALUATE} HTTP/1.1", "Host: x", *lines]).encode() + b"\r\n\r\n"


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_d12_a_length_over_the_limit_is_refused_at_once_and_closed(province: RunningProvince) -> None:
    for length in (MAX_REQUEST_BYTES + 1, 10**12, 10**19):
        started_s = time.monotonic()
        with connected(province) as connection:
            connection.sendall(head(f"Content-Length: {length}"))
            received = read_to_end(connection)
        assert received.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too_large"' in received
        assert time.monotonic() - started_s < 1
    assert province.home.refusals() == [("unknown", "too_large")] * 3


def test_d13_a_chunked_body_is_refused_at_the_limit_without_being_kept(province: RunningProvince) -> None:
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    before = resident_bytes()
    with connected(province) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        sent, answered = 0, b""
        connection.settimeout(0.0)
        deadline_s = time.monotonic() + 10
        while sent < 200_000_000 and time.monotonic() < deadline_s:
            try:
                sent += connection.send(chunk)
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                break
            try:
                answered += connection.recv(4_096)
            except BlockingIOError:
                continue
            if answered:
                break
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert sent < 20_000_000
    assert resident_bytes() - before < 2 * MAX_REQUEST_BYTES


def test_d13_the_connection_lingers_so_that_a_reset_does_not_overtake_the_answer(province: RunningProvince) -> None:
    """RFC 9112 section 9.6. Where a reset empties the receive buffer, a caller still writing would not learn why."""
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    with connected(province) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        for _ in range(MAX_REQUEST_BYTES // 0x8000 + 2):
            connection.sendall(chunk)
        received = connection.recv(65_536)
        for _ in range(5):
            connection.sendall(chunk)
            time.sleep(0.02)
        received += read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"too_large"' in received


def test_d14_a_compressed_body_is_refused_and_not_inflated(shared_province: RunningProvince) -> None:
    bomb = gzip.compress(bytes(200_000_000), compresslevel=9)
    _, elements = blinded(1)
    header = idempotency_header(shared_province.request(elements))
    before = resident_bytes()
    for encoding in ("gzip", "br", "deflate", "identity", "GZIP, gzip"):
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": header, "Content-Encoding": encoding}
        assert code(shared_province.post(bomb, headers)) == (415, "unsupported_media_type")
    assert resident_bytes() - before < 2 * MAX_REQUEST_BYTES
    assert shared_province.home.used() == 0


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", REQUEST_TYPE + "; charset=utf-8", ""])
def test_d18_another_content_type_is_refused(shared_province: RunningProvince, media_type: str) -> None:
    _, elements = blinded(1)
    request = shared_province.request(elements)
    headers = {"Content-Type": media_type, "Idempotency-Key": idempotency_header(request)}
    assert code(shared_province.post(encode_request(request), headers)) == (415, "unsupported_media_type")
    assert shared_province.home.used() == 0


@pytest.mark.parametrize("before", ["a new connection", "an answered request"])
def test_d15_a_head_that_does_not_end_closes_the_connection(province_home: ProvinceHome, before: str) -> None:
    with running(province_home, Limits(head_deadline_s=0.5)) as province, connected(province) as connection:
        if before == "an answered request":
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        started_s = time.monotonic()
        connection.sendall(b"GET /v1 HTTP/1.1\r\n")
        connection.settimeout(0.1)
        while time.monotonic() - started_s < 3:
            try:
                connection.sendall(b"X")
                if connection.recv(65_536) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert 0.3 < time.monotonic() - started_s < 1.5


def test_d15_a_request_that_takes_longer_than_a_head_may_is_not_cut_off(province_home: ProvinceHome) -> None:
    with running(province_home, Limits(head_deadline_s=0.2)) as province:
        _, element = blinded(1)
        assert province.evaluate(province.request(element * 10_000), OTHER_BANK).status_code == 200


@pytest.mark.parametrize("sends", ["nothing", "half", "a byte now and then"])
def test_d16_a_body_that_does_not_come_ends_with_408(province_home: ProvinceHome, sends: str) -> None:
    with running(province_home, Limits(body_deadline_s=0.6)) as province:
        _, elements = blinded(10)
        request = province.request(elements)
        body = encode_request(request)
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
        signed = province.signed_headers("POST", EVALUATE, body, headers, sender=BANK)
        started_s = time.monotonic()
        with connected(province) as connection:
            lines = [f"{name}: {value}" for name, value in signed.items()]
            connection.sendall(head(f"Content-Length: {len(body)}", *lines))
            if sends == "half":
                connection.sendall(body[:100])
            connection.settimeout(0.1)
            received = b""
            while not received and time.monotonic() - started_s < 5:
                if sends == "a byte now and then":
                    connection.sendall(b"M")
                try:
                    received = connection.recv(65_536)
                except TimeoutError:
                    continue
            connection.settimeout(2)
            received += read_to_end(connection)
        assert received.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started_s < 2
        assert province_home.used() == 0


def test_d16_nobody_waits_for_a_body_that_is_not_needed(shared_province: RunningProvince) -> None:
    with connected(shared_province) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


def test_a_refused_caller_can_send_its_whole_body_and_read_why(shared_province: RunningProvince) -> None:
    """So that a bank with a wrong clock learns that, not "connection reset"."""
    _, element = blinded(1)
    request = shared_province.request(element * 60_000)
    assert code(shared_province.evaluate(request, STRANGER)) == (401, "bad_signature")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\x00\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00%0d%0a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nSignature-Input: \xff=();x\r\nSignature: \xff\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
)
def test_junk_is_answered_with_a_client_error_and_nothing_of_it(shared_province: RunningProvince, junk: bytes) -> None:
    with connected(shared_province) as connection:
        connection.sendall(junk)
        connection.shutdown(socket.SHUT_WR)
        received = read_to_end(connection)
    assert received == b"" or received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
    assert b"Traceback" not in received


def test_health_is_answered_while_evaluations_run(province: RunningProvince) -> None:
    _, element = blinded(1)
    large = province.request(element * 60_000)
    worker = threading.Thread(target=lambda: province.evaluate(large, OTHER_BANK))
    begun_s, slowest_s = time.monotonic(), 0.0
    worker.start()
    while worker.is_alive():
        started_s = time.monotonic()
        health = province.client.get("/healthz")
        slowest_s = max(slowest_s, time.monotonic() - started_s)
        assert health.json()["status"] == "ok"
        time.sleep(0.02)
    worker.join()
    assert slowest_s < (time.monotonic() - begun_s) / 2
    assert province.answers[-1].status_code == 200


@pytest.mark.parametrize("limits", [Limits(evaluations=1), Limits(evaluations_per_party=1)])
def test_more_evaluations_than_places_are_put_off(province_home: ProvinceHome, limits: Limits) -> None:
    with running(province_home, limits) as province:
        _, element = blinded(1)
        large = province.request(element * 10_000)
        worker = threading.Thread(target=lambda: province.evaluate(large, OTHER_BANK))
        worker.start()
        while not province_home.query("SELECT 1 FROM charge"):
            time.sleep(0.005)
        put_off = province.request(element)
        answer = province.evaluate(put_off, OTHER_BANK)
        assert code(answer) == (503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
        other_bank = province.evaluate(province.request(element), BANK)
        assert other_bank.status_code == (503 if limits.evaluations == 1 else 200)
        worker.join()
        assert province.evaluate(put_off, OTHER_BANK).status_code == 200
        assert province_home.used(OTHER_BANK) == 10_001


def slow_request(province: RunningProvince, sender: Identity) -> bytes:
    """The head of a request signed by ``sender`` and half its body."""
    _, elements = blinded(10)
    body = encode_request(province.request(elements))
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(province.request(elements))}
    signed = province.signed_headers("POST", EVALUATE, body, headers, sender=sender)
    return head(f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in signed.items())) + body[:100]


@pytest.mark.parametrize("limits", [Limits(open_requests=1), Limits(open_requests_per_party=1)])
def test_more_requests_than_places_are_put_off(province_home: ProvinceHome, limits: Limits) -> None:
    with running(province_home, limits) as province, connected(province) as slow:
        slow.sendall(slow_request(province, OTHER_BANK))
        time.sleep(0.2)
        put_off = province.get(BUDGET, OTHER_BANK)
        assert code(put_off) == (503, "busy")
        assert int(put_off.headers["retry-after"]) >= 1
        assert province.get(BUDGET, BANK).status_code == (503 if limits.open_requests == 1 else 200)
        slow.close()
        time.sleep(0.2)
        assert province.get(BUDGET, OTHER_BANK).status_code == 200


def test_a_stranger_holds_no_place_and_only_few_may_linger(province_home: ProvinceHome) -> None:
    with running(province_home, Limits(open_requests=1, refused_bodies=3)) as province, ExitStack() as stack:
        strangers = [stack.enter_context(connected(province)) for _ in range(8)]
        for connection in strangers:
            connection.sendall(slow_request(province, STRANGER))
        time.sleep(0.3)
        assert province.get(BUDGET).status_code == 200
        answered = 0
        for connection in strangers:
            connection.settimeout(0.1)
            try:
                answered += connection.recv(65_536).startswith(b"HTTP/1.1 401 ")
            except TimeoutError:
                continue
        assert answered == 5


def test_the_connection_that_waited_longest_makes_room(province_home: ProvinceHome) -> None:
    with running(province_home, Limits(waiting_connections=3)) as province, ExitStack() as stack:
        idle = [stack.enter_context(connected(province)) for _ in range(5)]
        for connection in idle:
            connection.sendall(b"GET /v1 HTTP/1.1\r\n")
        time.sleep(0.2)
        assert province.get(BUDGET).status_code == 200
        closed = 0
        for connection in idle:
            connection.settimeout(0.05)
            try:
                closed += connection.recv(1) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                closed += 1
        assert closed >= 2


@pytest.mark.parametrize("stall_s", [0.5, 60.0])
def test_a_caller_who_takes_nothing_of_its_answer_is_cut_off(
    province_home: ProvinceHome, stall_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would hold the answer's memory for as long as it likes."""

    def listen_with_small_buffer(host: str, port: int) -> socket.socket:
        listener = listen(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # on loopback the kernel takes megabytes
        return listener

    monkeypatch.setattr("api.listening.listen", listen_with_small_buffer)
    with running(province_home, Limits(stall_deadline_s=stall_s)) as province:
        _, element = blinded(1)
        request = province.request(element * 60_000)
        body = encode_request(request)
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
        signed = province.signed_headers("POST", EVALUATE, body, headers, sender=OTHER_BANK)
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            greedy.connect(province.address)
            lines = [f"{name}: {value}" for name, value in signed.items()]
            greedy.sendall(head("Connection: close", f"Content-Length: {len(body)}", *lines) + body)
            while not province_home.query("SELECT 1 FROM charge WHERE answer_sha256 IS NOT NULL"):
                time.sleep(0.01)
            time.sleep(1.5)
            greedy.settimeout(10)
            received = 0
            with suppress(ConnectionError):
                while part := greedy.recv(1 << 20):
                    received += len(part)
        assert (received > len(body)) == (stall_s > 1)
        assert province.evaluate(request, OTHER_BANK).status_code == 200  # and asking again is free
        assert province_home.used(OTHER_BANK) == 60_000


def test_what_is_no_http_gets_a_problem_document(shared_province: RunningProvince) -> None:
    with connected(shared_province) as connection:
        connection.sendall(b"990000198001011234\r\n\r\n")
        received = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in received
    assert b'"code":"bad_body"' in received
    assert b"990000" not in received


def test_d39_a_locked_database_is_busy_and_loses_nothing(province: RunningProvince) -> None:
    home = province.home
    home.ledger._store._db.conn.execute("PRAGMA busy_timeout = 100")
    _, elements = blinded(5)
    request = province.request(elements)
    assert province.evaluate(request).status_code == 200
    blocker = pysqlite3.connect(str(home.path / "province.sqlite"), isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        for answer in (province.evaluate(request), province.get(BUDGET)):
            assert code(answer) == (503, "busy")
            assert int(answer.headers["retry-after"]) >= 1
        started_s = time.monotonic()
        assert province.client.get("/healthz").status_code == 200
        assert time.monotonic() - started_s < 0.5
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    assert province.evaluate(request).status_code == 200
    assert home.used() == 5


def test_d30_a_full_disk_is_an_outage_that_passes(province: RunningProvince) -> None:
    connection = province.home.ledger._store._db.conn
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    _, elements = blinded(1)
    answers = [province.evaluate(province.request(elements)) for _ in range(60)]
    assert code(answers[-1]) == (503, "unavailable")
    assert province.client.get("/healthz").status_code == 200
    connection.execute("PRAGMA max_page_count = 1000000")
    assert province.evaluate(province.request(elements)).status_code == 200


def test_our_own_fault_says_nothing_outside_and_where_inside(
    province_home: ProvinceHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(f"cannot read {MADE_UP_NUMBER}")

    province = RunningProvince.start(province_home)
    try:
        monkeypatch.setattr(province_home.ledger, "find_budget", fail)
        with capture_logs() as logs:
            answer = province.get(BUDGET)
    finally:
        province.stop()
    assert code(answer) == (500, "internal")
    check_problem(answer)
    assert set(answer.json()) == {"type", "title", "status", "code", "request_id"}
    failed = next(entry for entry in logs if entry["event"] == "failed")
    assert failed["error"] == "ValueError"
    assert failed["request_id"] == answer.json()["request_id"]
    assert any(place.startswith("test_province_http.py:") for place in failed["places"])
    assert MADE_UP_NUMBER not in str(logs)


def test_d46_no_number_gets_into_an_answer_a_log_or_the_ledger(province: RunningProvince) -> None:
    number = MADE_UP_NUMBER
    body = f'{{"id": "{number}"}}'.encode()
    with capture_logs() as logs:
        province.get(f"/v1/datasets/{number}")
        province.get(f"/v1/datasets/base/epochs/{number}/manifest")
        province.get(f"/v1/{number}?id={number}")
        province.get(BUDGET, headers={"X-Id": number})
        province.get(BUDGET, nonce=f"{number}aaaa")
        province.post(body, {"Content-Type": "application/json", "Idempotency-Key": f'"{number}"'})
        province.post(body, {"Content-Type": REQUEST_TYPE, "Idempotency-Key": f'"{number}"'})
        province.post(body * 10, {"Content-Type": REQUEST_TYPE, "Idempotency-Key": f'"{number}"'})
        province.client.request(number, f"/{number}")
        until = time.monotonic() + 5  # an answer is logged just after it was sent
        while len(logs) < 9 and time.monotonic() < until:
            time.sleep(0.01)
    assert len(logs) >= 9
    assert number not in str(logs)
    assert all(number not in answer.text for answer in province.answers)
    dump = str([province.home.query(f"SELECT * FROM {table}") for table in ("audit", "charge", "party")])  # noqa: S608
    assert number not in dump
    metrics = province.client.get("/metrics").text
    assert number not in metrics


def test_metrics_count_what_happened(province: RunningProvince) -> None:
    _, elements = blinded(7)
    province.evaluate_elements(elements)
    province.evaluate(province.request(elements * 200))
    province.get(MANIFEST)
    text = province.client.get("/metrics").text
    route = "/v1/datasets/{dataset}/epochs/{epoch}/evaluate"
    for line in (
        "mingce_elements_evaluated_total 7.0",
        f'mingce_requests_total{{route="{route}",status="200"}} 1.0',
        f'mingce_requests_total{{route="{route}",status="403"}} 1.0',
        'mingce_problems_total{code="budget_exhausted"} 1.0',
        "mingce_evaluations_in_flight 0.0",
        "mingce_evaluation_seconds_count 1.0",
    ):
        assert line in text.splitlines()


def test_health_says_what_runs(shared_province: RunningProvince) -> None:
    health = shared_province.client.get("/healthz")
    assert set(health.json()) == {"status", "backend", "version"}
    assert "server" not in health.headers
