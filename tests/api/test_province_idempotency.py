"""Retries and budgets at the real endpoint: cases D25 to D27 of the threat list."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import Counter

import httpx
import pytest
from province_home import BANK, BUDGET, EVALUATE, OTHER_BANK, RunningProvince, blinded

from api.wire import REQUEST_TYPE, EvaluateRequest, encode_request, idempotency_header

LARGE = 10_000


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def headers_of(request: EvaluateRequest) -> dict[str, str]:
    return {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}


def wait_until(condition: object, deadline_s: float = 10) -> None:
    end = time.monotonic() + deadline_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_d25_parallel_requests_never_overspend(province: RunningProvince) -> None:
    """8 threads, 40 batches of 10 each, a budget of 1,000: exactly 1,000 are granted and recorded."""
    _, elements = blinded(10)
    outcomes: Counter[int] = Counter()

    def spend() -> None:
        for _ in range(40):
            outcomes[province.evaluate(province.request(elements)).status_code] += 1

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {200: 100, 403: 220}
    home = province.home
    assert home.used() == 1_000
    assert home.query("SELECT COUNT(*), SUM(n), COUNT(answer_sha256) FROM charge") == [(100, 1_000, 100)]
    assert Counter(home.refusals()) == {(BANK.public.fingerprint, "budget_exhausted"): 220}


def test_d25_a_batch_that_is_too_large_for_the_rest_is_refused_whole(province: RunningProvince) -> None:
    _, elements = blinded(600)
    province.evaluate_elements(elements)
    assert code(province.evaluate(province.request(elements))) == (403, "budget_exhausted")
    province.evaluate_elements(elements[: 400 * 32])
    assert province.get(BUDGET).json() == {
        "limit": 1000,
        "used": 1000,
        "nightly": 0,
        "used_today": 0,
        "remaining": 0,
        "next_at": None,
    }


def test_d26_a_lost_answer_is_sent_again_byte_for_byte_and_for_nothing(province: RunningProvince) -> None:
    _, elements = blinded(50)
    request = province.request(elements)
    body = encode_request(request)
    headers = province.signed_headers("POST", EVALUATE, body, headers_of(request), sender=BANK)
    home = province.home
    with socket.create_connection(province.address) as connection:
        lines = [f"POST {EVALUATE} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        wait_until(lambda: home.query("SELECT COUNT(*) FROM charge WHERE answer_sha256 IS NOT NULL") == [(1,)])
    answers = [province.evaluate(request) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len({answer.content for answer in answers}) == 1
    assert home.used() == 50
    assert home.query("SELECT COUNT(*) FROM charge") == [(1,)]
    assert home.query("SELECT COUNT(*) FROM audit WHERE action = 'charge'") == [(1,)]


def test_d26_a_retry_is_free_when_the_budget_is_used_up(province: RunningProvince) -> None:
    _, elements = blinded(1_000)
    request = province.request(elements)
    first = province.evaluate(request)
    assert province.evaluate(request).content == first.content
    assert province.home.used() == 1_000


def test_d26_a_retry_after_a_restart_gives_the_same_bytes(province: RunningProvince) -> None:
    _, elements = blinded(10)
    request = province.request(elements)
    first = province.evaluate(request)
    again = RunningProvince.start(province.home)
    try:
        assert again.evaluate(request).content == first.content
    finally:
        again.stop()
    assert province.home.used() == 10


def test_d27_the_same_key_with_another_body_is_refused(province: RunningProvince) -> None:
    _, elements = blinded(10)
    request_id = secrets.token_bytes(16)
    assert province.evaluate(province.request(elements, request_id)).status_code == 200
    other = province.request(elements[:320], request_id)
    assert province.evaluate(other).status_code == 200, "the same bytes are the same request"
    for changed in (elements[32:], elements[32:] + elements[:32]):
        assert code(province.evaluate(province.request(changed, request_id))) == (422, "idempotency_mismatch")
    assert province.home.used() == 10
    assert province.home.refusals() == [(BANK.public.fingerprint, "idempotency_mismatch")] * 2


def test_d27_the_same_key_while_in_flight_waits(province: RunningProvince) -> None:
    _, element = blinded(1)
    request = province.request(element * LARGE)
    first: list[httpx.Response] = []
    worker = threading.Thread(target=lambda: first.append(province.evaluate(request, OTHER_BANK)))
    worker.start()
    wait_until(lambda: province.home.query("SELECT COUNT(*) FROM charge") == [(1,)])
    meanwhile = province.evaluate(request, OTHER_BANK)
    assert code(meanwhile) == (409, "in_flight")
    assert int(meanwhile.headers["retry-after"]) >= 1
    worker.join()
    assert first[0].status_code == 200
    assert province.evaluate(request, OTHER_BANK).content == first[0].content
    assert province.home.used(OTHER_BANK) == LARGE
    assert province.home.refusals() == []


def test_d27_without_a_key_nothing_is_evaluated(province: RunningProvince) -> None:
    _, elements = blinded(1)
    body = encode_request(province.request(elements))
    assert code(province.post(body, {"Content-Type": REQUEST_TYPE})) == (400, "idempotency_key_missing")
    assert province.home.used() == 0


@pytest.mark.parametrize(
    "spelling", ["{key}", '"{other}"', '"{upper}"', '"{key}";a=1', '"{key}", "{key}"', "", '""', ":{key}:"]
)
def test_d27_a_key_that_is_not_the_request_id(shared_province: RunningProvince, spelling: str) -> None:
    _, elements = blinded(1)
    request = shared_province.request(elements, b"\xab" * 16)
    key = request.idempotency_key
    header = spelling.format(key=key, other="0" * 32, upper=key.upper())
    answer = shared_province.post(encode_request(request), {"Content-Type": REQUEST_TYPE, "Idempotency-Key": header})
    assert code(answer) in {(400, "bad_body"), (401, "bad_signature")}
    assert shared_province.home.used() == 0
