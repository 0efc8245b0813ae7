"""A double click, a lost answer, two processes: one change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from bureau_office import CHECKER, HANDLER, make_office

from matcher.accounts.idempotency import Idempotency, IdempotencyConflict, IdempotencyKeyInvalid
from matcher.bureau.office import Office

REQUEST = {"operation": "test", "household": 17}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau")
    yield opened
    opened.close()


def change(
    office: Office, key: str | None, request: dict[str, Any] | None = None, actor: Any = HANDLER
) -> dict[str, Any]:
    """Something that must happen once: an audit row."""
    with office.writing():
        return Idempotency(office).run_within(
            actor,
            key,
            request or REQUEST,
            lambda: {"seq": office.record_within(actor, "test.change", "test/1"), "名": [1]},
        )


def changes(office: Office) -> int:
    return int(office.verify_audit().seq)


def test_the_same_key_gives_the_recorded_outcome(office: Office) -> None:
    first = change(office, "k")
    assert [change(office, "k") for _ in range(5)] == [first] * 5
    assert changes(office) == 1
    assert first == {"seq": 1, "名": [1]}


def test_another_request_under_the_key_is_refused(office: Office) -> None:
    change(office, "k")
    with pytest.raises(IdempotencyConflict):
        change(office, "k", {**REQUEST, "household": 18})
    assert changes(office) == 1


def test_keys_are_each_accounts_own_and_none_is_none(office: Office) -> None:
    change(office, "k")
    change(office, "k", actor=CHECKER)
    change(office, None)
    change(office, None)
    assert changes(office) == 4


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "键", "\n", "\x7f"])
def test_keys_of_another_form(office: Office, key: str) -> None:
    with pytest.raises(IdempotencyKeyInvalid):
        change(office, key)
    assert changes(office) == 0


def test_what_failed_may_be_tried_again_with_its_key(office: Office) -> None:
    def fail() -> dict[str, Any]:
        office.record_within(HANDLER, "test.change", "test/1")
        raise RuntimeError

    with pytest.raises(RuntimeError), office.writing():
        Idempotency(office).run_within(HANDLER, "k", REQUEST, fail)
    assert changes(office) == 0
    assert change(office, "k")["seq"] == 1


def test_d40_a_double_click_in_threads(office: Office) -> None:
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda _: change(office, "k"), range(32)))
    assert outcomes == [outcomes[0]] * 32
    assert changes(office) == 1


def in_another_process(home: Path, keys: list[str]) -> list[dict[str, Any]]:
    office = make_office(home)
    try:
        return [change(office, key) for key in keys]
    finally:
        office.close()


def test_d40_a_double_click_in_processes(office: Office) -> None:
    keys = [f"k{number}" for number in range(20)]
    with get_context("spawn").Pool(2) as pool:
        mine, theirs = pool.starmap(in_another_process, [(office.home, keys), (office.home, keys[::-1])])
    assert {outcome["seq"] for outcome in mine} == {outcome["seq"] for outcome in theirs}
    assert [outcome["seq"] for outcome in mine] == [outcome["seq"] for outcome in theirs[::-1]]
    assert changes(office) == len(keys)
