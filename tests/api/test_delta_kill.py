"""The bank killed, or its disk full, while it takes up a delta: its edition is the old or the new one, never half."""

from __future__ import annotations

import errno
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from bank_home import BANK, bank_store, item, match, records, residents
from bank_process import BankProcesses
from fake_province import FakeProvince

from api.fetching import StorageFailed
from matcher.bank import plan
from matcher.slices import check_slice_file

CUSTOMERS = 60
PEOPLE = [item(number) for number in range(40)]


@pytest.fixture
def province(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvince]:
    monkeypatch.setattr(plan, "BATCH_SIZES", (64,))
    with FakeProvince(BANK.public) as running:
        running.publish(residents(PEOPLE))
        yield running


@pytest.fixture(scope="module")
def banks() -> Iterator[BankProcesses]:
    with BankProcesses() as running:
        yield running


def publish_delta(province: FakeProvince) -> None:
    """Five joined, ten left, three have another label."""
    changed = residents(PEOPLE[:3], reasons="N30", version=2)
    joined = residents([item(number) for number in range(40, 45)])
    province.publish_delta([*changed, *joined], residents(PEOPLE[20:30]))


def adopted(home: Path) -> int:
    """The bank's edition; everything that it needs is there and sound."""
    with bank_store(home) as store:
        (edition,) = store.get_status().editions
        manifest = store.editions.get_manifest(edition["dataset"], edition["epoch"], edition["edition"])
        needed = list(manifest.slices)
        if manifest.base is not None:
            base = store.editions.get_manifest(edition["dataset"], edition["epoch"], manifest.base.edition)
            needed += base.slices
        for entry in needed:
            check_slice_file(store.slice_path(entry), entry)
    number: int = edition["edition"]
    return number


def check_result(home: Path, province: FakeProvince) -> None:
    run = match(home, province, [item(number) for number in range(CUSTOMERS)])
    found = {row["item"]: row["reasons"] for row in records(home, run) if row["matched"]}
    assert len(found) == 35
    assert sum(reasons == "N30" for reasons in found.values()) == 3
    assert province.charged == 64


def test_killed_at_every_step_of_taking_up_a_delta(
    tmp_path: Path, province: FakeProvince, banks: BankProcesses
) -> None:
    match(tmp_path, province, [item(number) for number in range(CUSTOMERS)])
    publish_delta(province)
    seen = set()
    for event in itertools.count(1):
        banks.start(tmp_path, province.url, CUSTOMERS, event=event)
        if banks.wait() == 0:
            break
        seen.add(adopted(tmp_path))
    assert seen == {1, 2}
    assert event > 8
    check_result(tmp_path, province)


def test_killed_at_every_step_of_a_first_match_with_a_delta(
    tmp_path: Path, province: FakeProvince, banks: BankProcesses
) -> None:
    publish_delta(province)
    for event in itertools.count(1):
        banks.start(tmp_path, province.url, CUSTOMERS, event=event)
        code = banks.wait()
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert adopted(tmp_path) == 2
    check_result(tmp_path, province)


@pytest.mark.parametrize("slice_number", [1, 2])
def test_d30_a_full_disk_while_a_delta_or_its_base_is_stored(
    tmp_path: Path, province: FakeProvince, monkeypatch: pytest.MonkeyPatch, slice_number: int
) -> None:
    publish_delta(province)
    count = 0

    def fail(path: Path) -> None:
        nonlocal count
        count += 1
        if count == slice_number:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("api.fetching.fsync_file", fail)
        with pytest.raises(StorageFailed):
            match(tmp_path, province, [item(0)])
    with bank_store(tmp_path) as store:
        assert store.get_status().editions == []
    assert match(tmp_path, province, [item(0)]).edition == 2
    assert adopted(tmp_path) == 2
