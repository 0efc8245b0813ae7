"""Who may speak at the real endpoint: signatures, replays, clocks (case D24), suspended parties."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from province_home import BANK, BUDGET, EVALUATE, OTHER_BANK, STRANGER, ProvinceHome, RunningProvince, blinded

from api.limits import Limits
from api.wire import REQUEST_TYPE, encode_request, idempotency_header

SIGNED_PATHS = [
    "/v1/datasets",
    "/v1/datasets/base",
    BUDGET,
    "/v1/datasets/base/epochs/2026/manifest",
    "/v1/datasets/base/epochs/2026/editions/1/manifest",
    "/v1/datasets/base/epochs/2026/editions/1/slices/330922",
]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def signed_evaluate(province: RunningProvince, **options: object) -> tuple[bytes, dict[str, str]]:
    _, elements = blinded(5)
    request = province.request(elements)
    body = encode_request(request)
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    return body, province.signed_headers("POST", EVALUATE, body, headers, sender=BANK, **options)


def send(province: RunningProvince, body: bytes, headers: dict[str, str], path: str = EVALUATE) -> httpx.Response:
    return province.keep(province.client.post(path, content=body, headers=headers))


@pytest.mark.parametrize("path", [*SIGNED_PATHS, "/", "/docs", "/openapi.json", "/v1/none", "/metrics/", "//healthz"])
def test_nothing_is_told_to_a_caller_that_does_not_sign(shared_province: RunningProvince, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        answer = shared_province.client.request(method, path)
        assert answer.status_code == 401
        assert method == "HEAD" or answer.json()["code"] == "bad_signature"


@pytest.mark.parametrize("path", SIGNED_PATHS)
def test_a_stranger_is_refused_and_a_bank_is_not(shared_province: RunningProvince, path: str) -> None:
    assert code(shared_province.get(path, STRANGER)) == (401, "bad_signature")
    assert shared_province.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/none", "/v1/datasets/", "/V1/datasets"])
def test_a_path_that_is_not_there(shared_province: RunningProvince, path: str) -> None:
    assert code(shared_province.get(path)) == (404, "not_found")


def test_a_method_that_is_not_there(province: RunningProvince) -> None:
    headers = province.signed_headers("DELETE", BUDGET, None, {}, sender=BANK)
    assert code(province.keep(province.client.delete(BUDGET, headers=headers))) == (405, "method_not_allowed")


def test_d24_a_recorded_request_does_nothing_when_played_again(province: RunningProvince) -> None:
    body, headers = signed_evaluate(province)
    assert send(province, body, headers).status_code == 200
    for _ in range(3):
        assert code(send(province, body, headers)) == (401, "replayed")
    home = province.home
    assert home.used() == 5
    assert home.query("SELECT COUNT(*) FROM charge") == [(1,)]
    assert home.refusals() == [(BANK.public.fingerprint, "replayed")] * 3


def test_d24_a_read_is_not_played_again_either(province: RunningProvince) -> None:
    headers = province.signed_headers("GET", BUDGET, None, {}, sender=BANK)
    assert province.keep(province.client.get(BUDGET, headers=headers)).status_code == 200
    assert code(province.keep(province.client.get(BUDGET, headers=headers))) == (401, "replayed")


def test_d24_a_nonce_stays_used_when_the_server_restarts(province: RunningProvince) -> None:
    body, headers = signed_evaluate(province)
    assert send(province, body, headers).status_code == 200
    again = RunningProvince.start(province.home)
    try:
        assert code(send(again, body, headers)) == (401, "replayed")
    finally:
        again.stop()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_d24_a_request_from_another_time(province: RunningProvince, minutes: int) -> None:
    body, headers = signed_evaluate(province, now=province.home.clock.now() + timedelta(minutes=minutes))
    answer = send(province, body, headers)
    assert code(answer) == (401, "clock_skew")
    assert answer.json()["seconds"] == -60 * minutes
    assert province.home.used() == 0


@pytest.mark.parametrize("seconds", [-300, 300])
def test_d24_the_edge_of_the_window_is_inside(shared_province: RunningProvince, seconds: int) -> None:
    assert (
        shared_province.get(BUDGET, now=shared_province.home.clock.now() + timedelta(seconds=seconds)).status_code
        == 200
    )


def test_d24_a_clock_set_back_does_not_open_an_old_nonce(province: RunningProvince) -> None:
    body, headers = signed_evaluate(province)
    assert send(province, body, headers).status_code == 200
    clock = province.home.clock
    clock.advance(2 * 86_400)
    province.home.ledger.prune(clock.now())
    clock.advance(-2 * 86_400)
    assert code(send(province, body, headers)) == (401, "replayed")


Change = Callable[[bytes, dict[str, str]], tuple[bytes, dict[str, str], str]]
CHANGES: dict[str, Change] = {
    "one bit of the body": lambda body, headers: (bytes([*body[:-1], body[-1] ^ 1]), headers, EVALUATE),
    "a shorter body": lambda body, headers: (body[:-32], headers, EVALUATE),
    "no body": lambda body, headers: (b"", headers, EVALUATE),
    "a query": lambda body, headers: (body, headers, EVALUATE + "?a=1"),
    "another epoch": lambda body, headers: (body, headers, EVALUATE.replace("2026", "2027")),
    "a spelling of the path": lambda body, headers: (body, headers, EVALUATE.replace("e", "%65", 1)),
    "the type": lambda body, headers: (body, {**headers, "Content-Type": "application/json"}, EVALUATE),
    "the key": lambda body, headers: (body, {**headers, "Idempotency-Key": f'"{"0" * 32}"'}, EVALUATE),
    "no digest": lambda body, headers: (body, without(headers, "Content-Digest"), EVALUATE),
    "no key": lambda body, headers: (body, without(headers, "Idempotency-Key"), EVALUATE),
    "no signature": lambda body, headers: (body, without(headers, "Signature"), EVALUATE),
}


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {known: value for known, value in headers.items() if known != name}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_signed_can_be_changed_on_the_way(shared_province: RunningProvince, change: Change) -> None:
    refused_before = len(shared_province.home.refusals())
    assert code(send(shared_province, *change(*signed_evaluate(shared_province)))) == (401, "bad_signature")
    assert shared_province.home.used() == 0
    assert len(shared_province.home.refusals()) == refused_before + 1


def test_a_bank_spends_its_own_budget_only(province: RunningProvince) -> None:
    _, elements = blinded(5)
    province.evaluate_elements(elements, OTHER_BANK)
    assert (province.home.used(BANK), province.home.used(OTHER_BANK)) == (0, 5)


def test_a_suspended_party_is_shut_out_at_once_and_let_in_again(province: RunningProvince) -> None:
    ledger, fingerprint = province.home.ledger, BANK.public.fingerprint
    ledger.set_party_state(fingerprint, "suspended")
    assert code(province.get(BUDGET)) == (403, "not_granted")
    assert province.home.refusals() == [(fingerprint, "not_granted")]
    ledger.set_party_state(fingerprint, "active")
    assert province.get(BUDGET).status_code == 200


def test_what_strangers_can_write_into_the_audit_is_limited(province_home: ProvinceHome) -> None:
    province = RunningProvince.start(province_home, Limits(unknown_refusals_per_minute=3))
    try:
        for _ in range(5):
            province.get(BUDGET, STRANGER)
        assert province_home.refusals() == [("unknown", "bad_signature")] * 3
        assert code(province.get(BUDGET.replace("2026", "1999"))) == (404, "not_found")
        province_home.clock.advance(60)
        province.get(BUDGET, STRANGER)
        detail = province_home.query(
            "SELECT json_extract(detail, '$.omitted_before') FROM audit ORDER BY seq DESC LIMIT 1"
        )
        assert detail == [(2,)]
        assert len(province_home.refusals()) == 5, "a party that is known is recorded each time"
        province.check_invariants()
    finally:
        province.stop()
