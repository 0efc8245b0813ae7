"""Epochs at the endpoint: two served while one takes over from the other, and none once it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from province_home import (
    BANK,
    DATASET,
    EPOCH,
    EVALUATE,
    GRANTED,
    MANIFEST,
    ProvinceHome,
    RunningProvince,
    blinded,
    build_edition,
)

from api.evaluations import EpochKeys
from api.limits import Limits
from api.wire import decode_answer
from keys.epochs import EpochRecord
from keys.keystore import KeyStore
from keys.rotation import RotationPolicy
from keys.wrap import FileKek
from matcher.province.ledger import Ledger
from matcher.province.rotation import Rotation
from matcher.slices import file_sha256

NEXT = "2027"
POLICIES = {DATASET: RotationPolicy()}


def in_next(path: str) -> str:
    return path.replace(f"/{EPOCH}/", f"/{NEXT}/")


def slice_path(epoch: str) -> str:
    return f"/v1/datasets/{DATASET}/epochs/{epoch}/editions/1/slices/{GRANTED}"


def publish_in_next(home: ProvinceHome) -> EpochRecord:
    """A first edition of the next epoch, and a budget in it."""
    record = home.keystore.get_epoch(DATASET, NEXT)
    edition = build_edition(home.path, home.clock, home.keystore.get_identity(), record, 1)
    home.ledger.record_edition(
        dataset=DATASET,
        epoch=NEXT,
        edition=1,
        manifest_sha256=file_sha256(edition.manifest_path),
        folder=str(edition.folder.relative_to(home.path)),
        rows=0,
        counts={},
    )
    home.ledger.set_budget(BANK.public.fingerprint, DATASET, NEXT, 100)
    return record


def asks(province: RunningProvince, epoch: str, n: int = 1) -> httpx.Response:
    record = province.home.keystore.get_epoch(DATASET, epoch)
    _, elements = blinded(n)
    request = replace(province.request(elements), fingerprint=bytes.fromhex(record.fingerprint))
    return province.evaluate(request, path=EVALUATE.replace(f"/{EPOCH}/", f"/{epoch}/"))


def rotation_of(home: ProvinceHome) -> Rotation:
    return Rotation(home.path, home.keystore, home.ledger, home.clock, POLICIES)


@pytest.fixture
def overlapping(province: RunningProvince) -> RunningProvince:
    """Both epochs active and published, the new one current."""
    publish_in_next(province.home)
    assert rotation_of(province.home).activate(DATASET, NEXT) == ""
    return province


def test_d07_during_the_overlap_both_epochs_answer(overlapping: RunningProvince) -> None:
    batch, elements = blinded(2)
    for epoch in (EPOCH, NEXT):
        record = overlapping.home.keystore.get_epoch(DATASET, epoch)
        request = replace(overlapping.request(elements), fingerprint=bytes.fromhex(record.fingerprint))
        answer = overlapping.evaluate(request, path=EVALUATE.replace(f"/{EPOCH}/", f"/{epoch}/"))
        decoded = decode_answer(answer.content, request)
        batch.finalize(decoded.evaluated_elements, decoded.proof, record.public_key)
        assert overlapping.get(MANIFEST.replace(f"/{EPOCH}/", f"/{epoch}/")).status_code == 200
        assert overlapping.get(slice_path(epoch)).status_code == 200
    about = overlapping.get(f"/v1/datasets/{DATASET}").json()
    assert about["current_epoch"] == NEXT
    assert [(each["epoch"], each["state"], each["edition"]) for each in about["epochs"]] == [
        (EPOCH, "active", 1),
        (NEXT, "active", 1),
    ]


@pytest.mark.parametrize("end", ["expired", "destroyed"])
def test_d07_an_epoch_that_is_over_sends_callers_to_the_current_manifest(
    overlapping: RunningProvince, end: str
) -> None:
    home = overlapping.home
    rotation = rotation_of(home)
    used = home.used()
    rotation.expire(DATASET, EPOCH)
    if end == "destroyed":
        rotation.destroy(DATASET, EPOCH, "over")
    answers = [asks(overlapping, EPOCH), overlapping.get(MANIFEST), overlapping.get(slice_path(EPOCH))]
    current = home.ledger.current_edition(DATASET, NEXT)
    assert current is not None
    for answer in answers:
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "key_epoch")
        assert problem["current_epoch"] == NEXT
        assert problem["fingerprint"] == home.keystore.get_epoch(DATASET, NEXT).fingerprint
        assert (problem["edition"], problem["manifest_sha256"]) == (1, current.manifest_sha256)
    named = overlapping.get(in_next(MANIFEST))
    assert named.headers["etag"] == f'"{problem["manifest_sha256"]}"'
    assert home.used() == used
    about = overlapping.get(f"/v1/datasets/{DATASET}").json()
    assert [(each["state"], each["edition"]) for each in about["epochs"]] == [(end, None), ("active", 1)]
    assert asks(overlapping, NEXT).status_code == 200


def test_d07_nothing_of_a_pending_epoch_is_served(province: RunningProvince) -> None:
    publish_in_next(province.home)
    assert asks(province, NEXT).json()["code"] == "key_epoch"
    for path in (in_next(MANIFEST), slice_path(NEXT)):
        answer = province.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert province.get(f"/v1/datasets/{DATASET}").json()["epochs"][1]["edition"] is None


@pytest.mark.parametrize("days", [-2, 2])
def test_d28_a_clock_step_in_the_overlap_stops_nobody(overlapping: RunningProvince, days: int) -> None:
    home = overlapping.home
    home.clock.advance(timedelta(days=30).total_seconds())
    home.clock.advance(timedelta(days=days).total_seconds())
    before = home.ledger.verify_audit().seq
    done = rotation_of(home).apply()
    assert [step.kind for step in done] == []
    for epoch in (EPOCH, NEXT):
        assert asks(overlapping, epoch).status_code == 200
    assert home.ledger.verify_audit().seq >= before


# Another process on the same home


@pytest.fixture
def other(province_home: ProvinceHome) -> Iterator[ProvinceHome]:
    """The same home as a second process opens it: connections of its own, the clock shared."""
    path = province_home.path
    keystore = KeyStore(path, FileKek(path / "kek"), clock=province_home.clock, actor="other")
    ledger = Ledger.open(path, province_home.clock)
    yield replace(province_home, keystore=keystore, ledger=ledger)
    keystore.close()
    ledger.close()


def test_d07_two_servers_on_one_home_agree(province: RunningProvince, other: ProvinceHome) -> None:
    second = RunningProvince.start(other)
    try:
        publish_in_next(other)
        assert asks(province, NEXT).json()["code"] == asks(second, NEXT).json()["code"] == "key_epoch"
        rotation_of(other).activate(DATASET, NEXT)
        assert asks(province, NEXT).status_code == asks(second, NEXT).status_code == 200
        for server in (province, second):
            assert server.get(f"/v1/datasets/{DATASET}").json()["current_epoch"] == NEXT
        rotation_of(province.home).expire(DATASET, EPOCH)
        for server in (second, province):
            assert asks(server, EPOCH).json()["code"] == "key_epoch"
        second.check_invariants()
    finally:
        second.stop()


def opened(keys: EpochKeys) -> set[tuple[str, str]]:
    return set(keys._opened)


def test_a_running_server_lets_go_of_keys_that_another_process_expired(
    province_home: ProvinceHome, other: ProvinceHome
) -> None:
    running = RunningProvince.start(province_home, Limits(key_check_s=0.05))
    try:
        keys = running.server.config.app.state.services.keys
        assert opened(keys) == {(DATASET, EPOCH)}
        other.keystore.expire_epoch(DATASET, EPOCH)
        deadline = time.monotonic() + 5
        while opened(keys) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert opened(keys) == set(), "and nobody asked for that epoch meanwhile"
        running.check_invariants()
    finally:
        running.stop()


def test_a_busy_key_store_delays_the_letting_go(province_home: ProvinceHome, other: ProvinceHome) -> None:
    keys = EpochKeys(province_home.keystore)
    keys.open(province_home.epoch)
    keys.let_go()
    assert opened(keys) == {(DATASET, EPOCH)}, "an active epoch's key stays"
    other.keystore.expire_epoch(DATASET, EPOCH)
    other.keystore.destroy_epoch(DATASET, EPOCH, reason="over")
    keys.let_go()
    assert opened(keys) == set()


def test_the_home_of_a_destroyed_epoch_holds_none_of_its_files(overlapping: RunningProvince, tmp_path: Path) -> None:
    home = overlapping.home
    rotation = rotation_of(home)
    rotation.expire(DATASET, EPOCH)
    rotation.destroy(DATASET, EPOCH, "over")
    assert not (home.path / "editions" / DATASET / EPOCH).exists()
    assert (home.path / "editions" / DATASET / NEXT / "1").is_dir()
    assert overlapping.get(slice_path(NEXT)).status_code == 200
