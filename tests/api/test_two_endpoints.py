"""Two `serve` processes at once: over one home the budget is one; over two homes each bank has its own."""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from province_home import BANK, BUDGET, DATASET, EPOCH, EVALUATE, OTHER_BANK, ProvinceHome, RunningProvince, blinded
from test_province_serve import province_at, served

from api.wire import REQUEST_TYPE, EvaluateRequest, decode_answer, encode_request, idempotency_header
from keys.identity import Identity
from psi.oprf import verify_proof

CALLERS = 4  # at each process
_CHARGED = "SELECT SUM(n), COUNT(DISTINCT idempotency_key) = COUNT(*) FROM charge WHERE entity = ?"


@pytest.fixture(scope="module")
def two(home_as_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningProvince]]:
    """Two processes over one home."""
    path = tmp_path_factory.mktemp("two") / "province"
    shutil.copytree(home_as_made, path)
    home = ProvinceHome.open(path)
    with serving_each([home, home]) as provinces:
        yield provinces
    home.close()


@contextmanager
def serving_each(homes: list[ProvinceHome]) -> Iterator[list[RunningProvince]]:
    with ExitStack() as stack:
        ports = [stack.enter_context(served(home))[1] for home in homes]
        yield [province_at(home, port) for home, port in zip(homes, ports, strict=True)]


def ask(province: RunningProvince, request: EvaluateRequest, sender: Identity = BANK) -> int:
    """The status, once the endpoint had room for us."""
    while (answer := province.evaluate(request, sender)).status_code == 503:
        pass
    return answer.status_code


def in_threads(provinces: list[RunningProvince], work: object) -> None:
    threads = [
        threading.Thread(target=work, args=(province, number))  # type: ignore[arg-type]
        for province in provinces
        for number in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_budget_is_spent_to_its_last_element_and_never_beyond(two: list[RunningProvince]) -> None:
    """Eight callers ask at both for 7, then fewer, until not one element is left of 1,000."""
    granted: Counter[int] = Counter()
    _, elements = blinded(7)

    def spend(province: RunningProvince, number: int) -> None:
        for n in (7, 3, 1):
            while ask(province, province.request(elements[: 32 * n])) == 200:
                granted[number] += n

    in_threads(two, spend)
    assert sum(granted.values()) == 1_000
    assert two[0].home.used() == 1_000
    assert two[0].home.query(_CHARGED, BANK.public.name) == [(1_000, 1)]
    assert {province.get(BUDGET).json()["remaining"] for province in two} == {0}
    for province in two:
        assert {answer.status_code for answer in province.answers} == {200, 403}
        province.check_invariants()


def test_one_request_at_both_is_charged_once_and_answered_alike(two: list[RunningProvince]) -> None:
    """Each of twenty requests goes to both at the same moment, and from several callers: the answers are one."""
    _, elements = blinded(10)
    requests = [two[0].request(elements) for _ in range(20)]
    bodies: dict[bytes, set[bytes]] = {request.request_id: set() for request in requests}

    def send(province: RunningProvince, number: int) -> None:
        for request in random.Random(number).sample(requests, len(requests)):
            while (answer := province.evaluate(request, OTHER_BANK)).status_code in (
                409,
                503,
            ):  # being worked on at this process
                pass
            assert answer.status_code == 200, answer.text
            bodies[request.request_id].add(answer.content)

    in_threads(two, send)
    assert [len(answers) for answers in bodies.values()] == [1] * 20
    assert two[0].home.used(OTHER_BANK) == 200


def test_a_nonce_used_at_one_is_used_up_at_the_other(two: list[RunningProvince]) -> None:
    _, elements = blinded(5)
    request, used = two[0].request(elements), two[0].home.used(OTHER_BANK)
    body = encode_request(request)
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    signed = two[0].signed_headers("POST", EVALUATE, body, headers, sender=OTHER_BANK)
    recorded = {**signed, "Host": two[0].url.removeprefix("http://")}
    first = two[0].client.post(EVALUATE, content=body, headers=recorded)
    again = two[1].client.post(EVALUATE, content=body, headers=recorded)
    assert (first.status_code, again.status_code, again.json()["code"]) == (200, 401, "replayed")
    assert two[0].home.used(OTHER_BANK) == used + 5


def test_with_two_homes_each_bank_has_its_budget_on_one(province_home: ProvinceHome, tmp_path: Path) -> None:
    """docs/how-to/scale-the-endpoint.md: a copy of the home, and in a new epoch each bank's budget at one host only."""
    province_home.close()
    shutil.copytree(province_home.path, tmp_path / "second")
    homes = [ProvinceHome.open(province_home.path), ProvinceHome.open(tmp_path / "second")]
    banks = [BANK, OTHER_BANK]
    for home, bank in zip(homes, banks, strict=True):
        home.epoch = home.keystore.activate_epoch(DATASET, "2027")
        home.ledger.set_budget(bank.public.fingerprint, DATASET, "2027", 20)
    path = EVALUATE.replace(EPOCH, "2027")
    _, elements = blinded(5)
    with serving_each(homes) as provinces:
        for place, bank in enumerate(banks):
            here, there = provinces[place], provinces[1 - place]
            request = here.request(elements)
            answer = decode_answer(here.evaluate(request, bank, path).content, request)
            verify_proof(homes[1].epoch.public_key, elements, answer.evaluated_elements, answer.proof)
            refused = there.evaluate(there.request(elements), bank, path)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_granted")
        for home, bank in zip(homes, banks, strict=True):
            charged = home.query("SELECT entity, used FROM budget WHERE epoch = '2027'")
            assert charged == [(bank.public.name, 5)]
            home.close()
