"""Evaluate at the real endpoint: right answers, and cases D01 to D07 of the threat list."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from province_home import BANK, DATASET, EPOCH, EVALUATE, OTHER_BANK, ProvinceHome, RunningProvince, blinded

from api.evaluations import EpochKeys
from api.wire import REQUEST_TYPE, decode_answer, encode_request, idempotency_header
from keys.epochs import EpochStateError
from psi.oprf import MODE_VOPRF, SecretKey, blind_evaluate, evaluate

VECTORS = Path(__file__).parent.parent / "vectors" / "ristretto255" / "rfc9496_ristretto255.json"
IDENTITY = bytes(32)
BASE_POINT_TOP_BIT = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2df6")
P = (2**255 - 19).to_bytes(32, "little")
P_PLUS_2 = (2**255 - 17).to_bytes(32, "little")


@contextmanager
def nothing_done(province: RunningProvince) -> Iterator[RunningProvince]:
    """Whatever is asked meanwhile is refused: nothing is charged or evaluated, each refusal leaves one audit row."""

    def done() -> tuple[object, ...]:
        metrics = httpx.get(f"{province.url}/metrics", trust_env=False).text
        evaluated = re.findall(r"^mingce_elements_evaluated_total .*$", metrics, re.M)
        return evaluated, home.query("SELECT * FROM charge"), home.query("SELECT * FROM budget")

    home = province.home
    before, answered, refused_before = done(), len(province.answers), len(home.refusals())
    yield province
    assert done() == before
    codes = [answer.json()["code"] for answer in province.answers[answered:]]
    assert [code for _, code in home.refusals()[refused_before:]] == codes


@pytest.fixture
def unharmed(shared_province: RunningProvince) -> Iterator[RunningProvince]:
    with nothing_done(shared_province):
        yield shared_province


@pytest.fixture
def unharmed_own(province: RunningProvince) -> Iterator[RunningProvince]:
    """For a test that changes something in the province before it is refused."""
    with nothing_done(province):
        yield province


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    problem: dict[str, object] = answer.json()
    return problem


def test_a_batch_comes_back_evaluated_with_a_proof_that_holds(province: RunningProvince) -> None:
    batch, elements = blinded(20)
    answer = province.evaluate_elements(elements)
    outputs = batch.finalize(answer.evaluated_elements, answer.proof, province.home.epoch.public_key)
    key = province.home.keystore.open_epoch_key(DATASET, EPOCH)
    items = b"".join(b"990000%012d" % number for number in range(20))
    assert outputs == evaluate(MODE_VOPRF, key, items, 18), "what the province itself puts into its edition"
    assert province.home.used() == 20


def test_the_answer_binds_request_and_key(province: RunningProvince) -> None:
    _, elements = blinded(3)
    request = province.request(elements)
    answer = province.evaluate(request)
    assert answer.headers["content-type"] == "application/vnd.mingce.evaluate-answer"
    assert answer.content[:12] == b"MCEA" + bytes([1, 1, 1, 0]) + (3).to_bytes(4, "big")
    assert answer.content[12:60] == bytes.fromhex(province.home.epoch.fingerprint) + request.request_id
    assert len(answer.content) == 60 + 3 * 32 + 64


def test_d01_every_bad_encoding_refuses_the_whole_batch(unharmed: RunningProvince) -> None:
    encodings = [bytes.fromhex(case["encoding"]) for case in json.loads(VECTORS.read_text())["bad_encodings"]]
    assert len(encodings) == 29
    _, good = blinded(4)
    for bad in encodings:
        for index in (0, 2, 4):
            elements = good[: index * 32] + bad + good[index * 32 :]
            problem = refused(unharmed.evaluate(unharmed.request(elements)), 400, "bad_element")
            assert problem["index"] == index


@pytest.mark.parametrize("bad", [IDENTITY, BASE_POINT_TOP_BIT, P, P_PLUS_2], ids=["identity", "top bit", "p", "p+2"])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_d02_identity_and_non_canonical_points(unharmed: RunningProvince, bad: bytes, index: int) -> None:
    _, good = blinded(4)
    elements = good[: index * 32] + bad + good[index * 32 :]
    assert refused(unharmed.evaluate(unharmed.request(elements)), 400, "bad_element")["index"] == index


def test_d03_elements_of_another_length_or_encoding(unharmed: RunningProvince) -> None:
    _, element = blinded(1)
    standard = base64.b64encode(element)
    spellings = {
        "0 bytes": b"",
        "31 bytes": element[:31],
        "33 bytes": element + b"\x00",
        "64 bytes": element * 2,
        "hex": element.hex().encode(),
        "odd hex": element.hex().encode()[:-1],
        "base64": standard,
        "base64 with white space": standard[:10] + b"\n" + standard[10:],
        "base64 without padding": standard.rstrip(b"="),
        "base64 for URLs": base64.urlsafe_b64encode(b"\xfb\xff" * 16),
        "base64 with trailing bits": standard[:-2] + b"B=",
    }
    request = unharmed.request(element)
    header = encode_request(request)[:60]
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    for elements in spellings.values():
        refused(unharmed.post(header + elements, headers), 400, "bad_element")


def test_d04_a_batch_of_none_is_refused(unharmed: RunningProvince) -> None:
    refused(unharmed.evaluate(unharmed.request(b"")), 400, "bad_body")


def test_d04_a_batch_of_the_maximum_is_answered(province: RunningProvince) -> None:
    _, element = blinded(1)
    answer = province.evaluate_elements(element * 65_535, OTHER_BANK)
    assert len(answer.evaluated_elements) == 65_535 * 32
    assert province.home.used(OTHER_BANK) == 65_535


def test_d04_one_more_than_the_maximum_is_refused_by_its_length(unharmed: RunningProvince) -> None:
    _, element = blinded(1)
    answer = unharmed.evaluate(unharmed.request(element * 65_536))
    refused(answer, 413, "too_large")
    assert answer.headers["connection"] == "close"


def test_d04_a_header_that_claims_more_than_the_maximum(unharmed: RunningProvince) -> None:
    _, elements = blinded(1)
    request = unharmed.request(elements)
    body = bytearray(encode_request(request))
    body[8:12] = (65_536).to_bytes(4, "big")
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    refused(unharmed.post(bytes(body), headers), 413, "too_large")


def test_d05_an_element_twice_gives_equal_outputs_and_is_charged_twice(province: RunningProvince) -> None:
    _, elements = blinded(2)
    twice = elements + elements[:32]
    for charged in (3, 6):
        answer = province.evaluate_elements(twice)
        assert answer.evaluated_elements[:32] == answer.evaluated_elements[64:]
        assert answer.evaluated_elements[:32] != answer.evaluated_elements[32:64]
        assert province.home.used() == charged


@pytest.mark.parametrize("suite_and_mode", [(1, 0), (1, 2), (0, 0), (2, 1), (255, 255)])
def test_d06_no_other_suite_or_mode_is_ever_served(unharmed: RunningProvince, suite_and_mode: tuple[int, int]) -> None:
    _, elements = blinded(1)
    request = unharmed.request(elements)
    body = bytearray(encode_request(request))
    body[5], body[6] = suite_and_mode
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    refused(unharmed.post(bytes(body), headers), 400, "suite_mismatch")


def expects_current_key(answer: httpx.Response, home: ProvinceHome) -> None:
    problem = refused(answer, 409, "key_epoch")
    assert (problem["current_epoch"], problem["fingerprint"]) == (EPOCH, home.epoch.fingerprint)


def test_d07_an_unknown_key_is_answered_with_the_current_one(unharmed: RunningProvince) -> None:
    _, elements = blinded(1)
    request = replace(unharmed.request(elements), fingerprint=bytes(32))
    expects_current_key(unharmed.evaluate(request), unharmed.home)


def test_d07_a_key_that_is_not_active_yet(province: RunningProvince) -> None:
    home = province.home
    pending = home.keystore.get_epoch(DATASET, "2027")
    home.ledger.set_budget(BANK.public.fingerprint, DATASET, "2027", 100)
    _, elements = blinded(1)
    request = replace(province.request(elements), fingerprint=bytes.fromhex(pending.fingerprint))
    with nothing_done(province):
        expects_current_key(province.evaluate(request, path=EVALUATE.replace(EPOCH, "2027")), home)


def test_d07_a_retired_key(province: RunningProvince) -> None:
    _, elements = blinded(1)
    first = province.request(elements)
    assert province.evaluate(first).status_code == 200, "served, and so kept open by the endpoint"
    province.home.keystore.expire_epoch(DATASET, EPOCH)
    for request in (province.request(elements), first):
        expects_current_key(province.evaluate(request), province.home)
    assert province.home.used() == 1


def test_d07_a_retired_key_is_let_go(province_home: ProvinceHome) -> None:
    keys = EpochKeys(province_home.keystore)
    assert keys.open(province_home.epoch) is keys.open(province_home.epoch)
    province_home.keystore.expire_epoch(DATASET, EPOCH)
    keys.get_epoch(DATASET, EPOCH)
    with pytest.raises(EpochStateError):
        keys.open(province_home.epoch)


@pytest.mark.parametrize("days", [-1, 401])
def test_d07_a_key_outside_its_time(unharmed_own: RunningProvince, days: int) -> None:
    unharmed_own.home.clock.advance(timedelta(days=days).total_seconds())
    _, elements = blinded(1)
    expects_current_key(unharmed_own.evaluate(unharmed_own.request(elements)), unharmed_own.home)


def test_a_budget_in_another_epoch_does_not_count(unharmed_own: RunningProvince) -> None:
    home = unharmed_own.home
    home.keystore.activate_epoch(DATASET, "2027")
    home.ledger.set_current_epoch(DATASET, "2027")
    _, elements = blinded(1)
    next_key = bytes.fromhex(home.keystore.get_epoch(DATASET, "2027").fingerprint)
    request = replace(unharmed_own.request(elements), fingerprint=next_key)
    refused(unharmed_own.evaluate(request, path=EVALUATE.replace(EPOCH, "2027")), 403, "not_granted")


def test_two_active_epochs_answer_each_with_its_own_key(province: RunningProvince) -> None:
    home = province.home
    home.keystore.activate_epoch(DATASET, "2027")
    home.ledger.set_budget(BANK.public.fingerprint, DATASET, "2027", 100)
    batch, elements = blinded(2)
    record = home.keystore.get_epoch(DATASET, "2027")
    request = replace(province.request(elements), fingerprint=bytes.fromhex(record.fingerprint))
    answer = decode_answer(province.evaluate(request, path=EVALUATE.replace(EPOCH, "2027")).content, request)
    batch.finalize(answer.evaluated_elements, answer.proof, record.public_key)
    province.evaluate_elements(elements)
    assert home.query("SELECT epoch, used FROM budget WHERE entity = ?", BANK.public.name) == [
        ("2026", 2),
        ("2027", 2),
    ]


@pytest.mark.parametrize("dataset", ["other", "none"])
def test_a_dataset_that_is_not_granted_looks_like_none(unharmed_own: RunningProvince, dataset: str) -> None:
    unharmed_own.home.ledger.register_dataset("other", title="别的", label_schema={})
    _, elements = blinded(1)
    path = EVALUATE.replace(DATASET, dataset)
    problem = refused(unharmed_own.evaluate(unharmed_own.request(elements), path=path), 404, "not_found")
    assert set(problem) == {"type", "title", "status", "code", "request_id"}


def test_the_proof_randomness_is_a_function_of_key_and_batch() -> None:
    """What byte-identical retries rest on."""
    key, other = SecretKey.generate(), SecretKey.generate()
    _, elements = blinded(5)
    assert blind_evaluate(MODE_VOPRF, key, elements) == blind_evaluate(MODE_VOPRF, key, elements)
    assert blind_evaluate(MODE_VOPRF, key, elements)[1] != blind_evaluate(MODE_VOPRF, other, elements)[1]
