"""Downloads that break off, and what is left of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bank_home import BANK, bank_store, connect, item, match, residents
from fake_province import DATASET, DIVISION, EPOCH, FakeProvince

from api.client import AnswerInvalid
from api.fetching import StorageFailed
from api.retry import ProvinceUnavailable, RetryPolicy
from psi.edition import SliceEntry

BASE = [item(n) for n in range(40)]
CUSTOMERS = [item(n) for n in range(20, 50)]


@pytest.fixture
def province() -> Iterator[FakeProvince]:
    with FakeProvince(BANK.public, flaky_share=0.0) as running:
        running.publish(residents(BASE))
        yield running


def entry_of(province: FakeProvince) -> SliceEntry:
    return province.edition.manifest.get_slice(DIVISION)


def slice_path(home: Path, province: FakeProvince) -> Path:
    with bank_store(home) as store:
        return store.slice_path(entry_of(province))


def count_downloads(province: FakeProvince) -> int:
    return sum(1 for _, path in province.requests if "/slices/" in path)


def test_a_download_goes_on_after_every_break(tmp_path: Path, province: FakeProvince) -> None:
    province.cut_after = [1_000, 1, 2_000, 0, 500]
    match(tmp_path, province, CUSTOMERS)
    assert count_downloads(province) == 6
    etag = f'"{entry_of(province).sha256}"'
    assert province.ranges == [(f"bytes={start}-", etag) for start in (1_000, 1_001, 3_001, 3_001, 3_501)]
    assert slice_path(tmp_path, province).read_bytes() == province.edition.slices[DIVISION]


def test_patience_begins_again_with_progress(tmp_path: Path, province: FakeProvince) -> None:
    province.cut_after = [100] * 20
    target = tmp_path / "part"
    entry = entry_of(province)
    path = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/editions/1/slices/{DIVISION}"
    with connect(province, RetryPolicy(2, 0.001, 0.002)) as client:
        client.fetch_rest(path, entry.sha256, target, entry.bytes)
        assert target.read_bytes() == province.edition.slices[DIVISION]
        target.unlink()
        province.cut_after = [0] * 20
        with pytest.raises(ProvinceUnavailable):
            client.fetch_rest(path, entry.sha256, target, entry.bytes)


@pytest.mark.parametrize("left", [0, 1, 4_000, -1])
def test_what_an_earlier_run_left_is_used(tmp_path: Path, province: FakeProvince, left: int) -> None:
    content = province.edition.slices[DIVISION]
    target = slice_path(tmp_path, province)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(content[:left] if left >= 0 else content)
    match(tmp_path, province, CUSTOMERS)
    assert target.read_bytes() == content
    assert not part.exists()
    assert count_downloads(province) == (0 if left < 0 else 1)


@pytest.mark.parametrize(
    "spoil", [lambda c: bytes(len(c)), lambda c: bytes(100), lambda c: c + b"more", lambda c: bytes(2 * len(c))]
)
def test_what_a_crash_spoiled_is_fetched_anew(
    tmp_path: Path, province: FakeProvince, spoil: Callable[[bytes], bytes]
) -> None:
    content = province.edition.slices[DIVISION]
    target = slice_path(tmp_path, province)
    target.with_name(f"{target.name}.part").write_bytes(spoil(content))
    assert match(tmp_path, province, CUSTOMERS).matched == 20
    assert target.read_bytes() == content


def test_a_slice_damaged_on_our_own_disk_is_fetched_anew(tmp_path: Path, province: FakeProvince) -> None:
    match(tmp_path, province, CUSTOMERS)
    target = slice_path(tmp_path, province)
    target.write_bytes(bytes(100))
    assert match(tmp_path, province, CUSTOMERS).matched == 20
    assert target.read_bytes() == province.edition.slices[DIVISION]


def test_an_unchanged_slice_is_not_fetched_for_a_new_edition(tmp_path: Path, province: FakeProvince) -> None:
    match(tmp_path, province, CUSTOMERS)
    province.publish(residents(BASE), 2, previous=province.first_edition.payload_sha256)
    assert match(tmp_path, province, CUSTOMERS).edition == 2
    assert count_downloads(province) == 1


def test_old_slices_and_leftovers_go_when_an_edition_is_adopted(tmp_path: Path, province: FakeProvince) -> None:
    match(tmp_path, province, CUSTOMERS)
    (tmp_path / "slices" / f"{'0' * 64}.arrow.part").write_bytes(b"of an edition that was given up")
    province.publish(residents(BASE[:10]), 2, previous=province.first_edition.payload_sha256)
    match(tmp_path, province, CUSTOMERS)
    assert list((tmp_path / "slices").iterdir()) == [slice_path(tmp_path, province)]


def test_slices_are_private(tmp_path: Path, province: FakeProvince) -> None:
    match(tmp_path, province, CUSTOMERS)
    assert slice_path(tmp_path, province).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "slices").stat().st_mode & 0o777 == 0o700


def test_a_wrong_range_is_refused(tmp_path: Path, province: FakeProvince) -> None:
    entry = entry_of(province)
    target = tmp_path / "part"
    target.write_bytes(b"x" * 100)
    original = province.document

    def shifted(path: str) -> object:
        status, content = original(path)
        return status, b"!" + content if "/slices/" in path else content

    province.document = shifted  # type: ignore[method-assign,assignment]
    path = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/editions/1/slices/{DIVISION}"
    with connect(province) as client, pytest.raises(AnswerInvalid):
        client.fetch_rest(path, entry.sha256, target, entry.bytes)


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_full_disk_keeps_the_last_good_edition(
    tmp_path: Path, province: FakeProvince, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    match(tmp_path, province, CUSTOMERS)
    province.publish(residents(BASE[:10]), 2, previous=province.first_edition.payload_sha256)

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr("api.fetching.fsync_file", fail)
        else:
            patch.setattr("api.client._open_private", fail)
        with pytest.raises(StorageFailed):
            match(tmp_path, province, CUSTOMERS)
    with bank_store(tmp_path) as store:
        assert store.get_status().editions[0]["edition"] == 1
    assert match(tmp_path, province, CUSTOMERS).edition == 2
    assert os.listdir(tmp_path / "slices") == [slice_path(tmp_path, province).name]
