"""Delta editions at the bank when the province, or the way from it, lies: the last good edition stays in use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from bank_home import BANK, OPERATOR, WARRANT, bank_store, connect, customers, item, match, records, residents
from fake_province import DATASET, DIVISION, EPOCH, FakeEdition, FakeProvince

from api.matching import MatchJob, preview_match, run_match
from keys.clock import SettableClock, format_time
from keys.envelope import UntrustedSigner, sign_envelope
from keys.identity import Identity, SignatureInvalid
from matcher.bank import plan
from matcher.bank.editions import (
    DeltaBaseMismatch,
    EditionNotValid,
    EditionReplaced,
    EditionRollback,
    EditionStale,
    PinnedKeyMismatch,
)
from psi.edition import PAYLOAD_TYPE, BaseReference, ManifestInvalid, SliceInvalid, parse_slice, write_slice
from psi.errors import LabelInvalid, MingceError
from psi.oprf import SecretKey
from psi.suites import RISTRETTO255_SHA512

PEOPLE = [item(number) for number in range(20)]
CHANGED = residents(PEOPLE[:3], reasons="N30", version=2)
NEWCOMERS = residents([item(number) for number in range(20, 25)])
LEFT = residents(PEOPLE[10:12])
ASKED = [item(number) for number in range(30)]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


@pytest.fixture
def province() -> Iterator[FakeProvince]:
    with FakeProvince(BANK.public, clock=SettableClock()) as served:
        served.publish(residents(PEOPLE))
        yield served


def matched(home: Path, province: FakeProvince) -> dict[str, str]:
    """Who is on the list after a match, and the reasons of the label."""
    return {row["item"]: row["reasons"] for row in records(home, match(home, province, ASKED)) if row["matched"]}


def expect_refused(home: Path, province: FakeProvince, error: type[MingceError], edition: int = 1) -> MingceError:
    """The match ends with ``error``, an alarm waits, the good edition is still the adopted one, nothing was asked."""
    charged = province.charged
    with pytest.raises(error) as caught:
        match(home, province, ASKED)
    with bank_store(home) as store:
        status = store.get_status()
        assert [found["edition"] for found in status.editions] == [edition]
        assert status.alarms[-1].code == caught.value.code
        kept = store.editions.list_slices_in_use()
    assert kept <= {path.name.removesuffix(".arrow") for path in (home / "slices").glob("*.arrow")}
    assert province.charged == charged
    return caught.value


def test_a_delta_is_laid_over_its_base_and_costs_no_query(tmp_path: Path, province: FakeProvince) -> None:
    before = matched(tmp_path, province)
    charged = province.charged
    province.requests.clear()
    province.publish_delta([*CHANGED, *NEWCOMERS], LEFT)
    after = matched(tmp_path, province)
    assert province.charged == charged
    gone, new = {row.item.decode() for row in LEFT}, {row.item.decode() for row in NEWCOMERS}
    assert after.keys() == before.keys() - gone | new
    assert {who for who, reasons in after.items() if reasons == "N30"} == {row.item.decode() for row in CHANGED}
    fetched = {path for _, path in province.requests if "/slices/" in path}
    assert fetched == {f"/v1/datasets/{DATASET}/epochs/{EPOCH}/editions/2/slices/{DIVISION}"}


def test_a_bank_that_missed_every_night_fetches_the_base_and_the_newest_delta(
    tmp_path: Path, province: FakeProvince
) -> None:
    province.publish_delta(CHANGED)
    province.publish_delta([*CHANGED, *NEWCOMERS], number=3)
    assert len(matched(tmp_path, province)) == 25
    fetched = {path.split("/editions/")[1] for _, path in province.requests if "/editions/" in path}
    assert fetched == {"1/manifest", f"1/slices/{DIVISION}", f"3/slices/{DIVISION}"}
    with bank_store(tmp_path) as store:
        assert len(store.editions.list_slices_in_use()) == 2


def test_a_compaction_drops_the_old_base(tmp_path: Path, province: FakeProvince) -> None:
    province.publish_delta(CHANGED)
    matched(tmp_path, province)
    province.publish(residents(PEOPLE[:5]), 3, previous=province.edition.payload_sha256)
    assert len(matched(tmp_path, province)) == 5
    assert len(list((tmp_path / "slices").iterdir())) == 1


def test_a_preview_knows_a_delta(tmp_path: Path, province: FakeProvince) -> None:
    province.publish_delta(CHANGED)
    with bank_store(tmp_path, province.clock) as store, connect(province) as client:
        preview = preview_match(
            DATASET, customers(ASKED), warrant=None, store=store, client=client, province=province.public
        )
    assert preview["edition"] == 2


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "a flipped bit": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
    "a byte too few": lambda content: content[:-1],
    "a byte too many": lambda content: content + b"!",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_d32_a_damaged_delta_slice(tmp_path: Path, province: FakeProvince, damage: str) -> None:
    good = matched(tmp_path, province)
    province.publish_delta(CHANGED)
    province.slice_fault = DAMAGES[damage]
    with pytest.raises(MingceError):
        match(tmp_path, province, ASKED)
    with bank_store(tmp_path) as store:
        assert (store.get_status().editions[0]["edition"], store.get_status().is_red) == (1, True)
    province.slice_fault = None
    assert matched(tmp_path, province).keys() == good.keys()


def test_d32_a_damaged_base_slice_adopts_neither(tmp_path: Path, province: FakeProvince) -> None:
    province.publish_delta(CHANGED)
    base = province.first_edition.slices[DIVISION]
    province.slice_fault = lambda content: bytes(len(content)) if content == base else content
    with pytest.raises(SliceInvalid):
        match(tmp_path, province, ASKED)
    with bank_store(tmp_path) as store:
        assert store.get_status().editions == []


def _resign(made: FakeEdition, identity: Identity, **changes: Any) -> bytes:
    return sign_envelope(identity, PAYLOAD_TYPE, made.manifest.model_copy(update=changes).encode())


def test_d32_a_delta_signed_by_another_key_or_altered(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    stranger = Identity("路人", "province", bytes([9]) * 32)
    province.serve(delta, envelope=_resign(delta, stranger))
    expect_refused(tmp_path, province, UntrustedSigner)
    altered = _resign(delta, province.identity, edition=7)
    payload, signature = json.loads(altered)["payload"], json.loads(delta.envelope)["signatures"]
    forged = {"payloadType": PAYLOAD_TYPE, "payload": payload, "signatures": signature}
    province.serve(delta, envelope=json.dumps(forged).encode())
    expect_refused(tmp_path, province, SignatureInvalid)


def test_d32_a_base_that_is_not_the_one_named(tmp_path: Path, province: FakeProvince) -> None:
    """The delta names another hash, or the province serves another base than the bank holds."""
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    swapped = BaseReference(edition=1, manifest_sha256="ab" * 32)
    province.serve(delta, envelope=_resign(delta, province.identity, base=swapped))
    error = expect_refused(tmp_path, province, DeltaBaseMismatch)
    assert error.params["found"] == province.first_edition.payload_sha256


def test_d32_an_unknown_base_that_the_province_cannot_show(tmp_path: Path, province: FakeProvince) -> None:
    """A bank that never saw the base gets another one under its number."""
    true_base = province.first_edition
    delta = province.publish_delta(CHANGED)
    other = province.publish(residents(PEOPLE[:4]), 1)
    province.editions.remove(true_base)
    province.serve(delta)
    assert other.payload_sha256 != true_base.payload_sha256
    with pytest.raises(DeltaBaseMismatch):
        match(tmp_path, province, ASKED)
    with bank_store(tmp_path) as store:
        assert (store.get_status().editions, store.get_status().is_red) == ([], True)


def test_d32_a_delta_over_a_delta(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    first = province.publish_delta(CHANGED)
    match(tmp_path, province, ASKED)
    province.publish_delta(CHANGED, number=3, base=first)
    expect_refused(tmp_path, province, DeltaBaseMismatch, edition=2)


def test_d32_a_delta_that_leaves_a_division_out(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    province.serve(delta, envelope=_resign(delta, province.identity, slices=()))
    expect_refused(tmp_path, province, DeltaBaseMismatch)


@pytest.mark.parametrize("base", [None, BaseReference(edition=2, manifest_sha256="ab" * 32)])
def test_d32_a_delta_without_an_earlier_base(
    tmp_path: Path, province: FakeProvince, base: BaseReference | None
) -> None:
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    province.serve(delta, envelope=_resign(delta, province.identity, base=base))
    expect_refused(tmp_path, province, ManifestInvalid)


def test_d32_a_full_edition_that_names_a_base(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    province.serve(delta, envelope=_resign(delta, province.identity, kind="full"))
    expect_refused(tmp_path, province, ManifestInvalid)


def test_d32_a_delta_under_another_key_of_the_epoch(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    delta = province.publish_delta(CHANGED)
    key = SecretKey.generate().public_key
    changes = {"public_key": key.hex(), "fingerprint": RISTRETTO255_SHA512.key_fingerprint(key)}
    province.serve(delta, envelope=_resign(delta, province.identity, **changes))
    expect_refused(tmp_path, province, PinnedKeyMismatch)


def test_d32_a_delta_whose_rows_do_not_open(tmp_path: Path, province: FakeProvince) -> None:
    """The slice is what the manifest says, but a row's version is not the one it was sealed under."""
    matched(tmp_path, province)
    delta = province.publish_delta(residents(PEOPLE[:3], reasons="N30", version=3))
    rows = parse_slice(pa.py_buffer(delta.slices[DIVISION]), delta.manifest.label.width)
    versions = bytes(rows.versions).replace((3).to_bytes(4, "little"), (2).to_bytes(4, "little"))
    sink = pa.BufferOutputStream()
    write_slice(sink, replace(rows, versions=pa.py_buffer(versions)), delta.manifest.label.width)
    province.publish_slices(delta.manifest, {DIVISION: sink.getvalue().to_pybytes()})
    with pytest.raises(LabelInvalid):
        match(tmp_path, province, ASKED)


def test_d33_an_older_delta(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    older = province.publish_delta(CHANGED)
    province.publish_delta([*CHANGED, *NEWCOMERS], number=3)
    match(tmp_path, province, ASKED)
    province.serve(older)
    error = expect_refused(tmp_path, province, EditionRollback, edition=3)
    assert (error.params["edition"], error.params["known"]) == (2, 3)


def test_d33_the_base_again_after_its_delta(tmp_path: Path, province: FakeProvince) -> None:
    province.publish_delta(CHANGED)
    match(tmp_path, province, ASKED)
    province.serve(province.first_edition)
    expect_refused(tmp_path, province, EditionRollback, edition=2)


def test_d33_two_deltas_under_one_number(tmp_path: Path, province: FakeProvince) -> None:
    province.publish_delta(CHANGED)
    match(tmp_path, province, ASKED)
    province.publish_delta(NEWCOMERS, number=2)
    expect_refused(tmp_path, province, EditionReplaced, edition=2)


def test_d33_a_delta_that_skips_its_predecessor(tmp_path: Path, province: FakeProvince) -> None:
    matched(tmp_path, province)
    province.publish_delta(CHANGED, previous="cd" * 32)
    expect_refused(tmp_path, province, EditionReplaced)


def test_an_edition_from_the_future_would_never_grow_old(tmp_path: Path, province: FakeProvince) -> None:
    clock = province.clock
    job = MatchJob(DATASET, (DIVISION,), WARRANT, "customers.csv", operator=OPERATOR, max_age=timedelta(days=30))
    province.publish_delta(CHANGED, created_at=format_time(clock.now() + timedelta(days=2)))
    with bank_store(tmp_path, clock) as store, connect(province) as client, pytest.raises(EditionNotValid):
        run_match(job, customers(ASKED), store=store, client=client, province=province.public)


def test_an_edition_too_old_is_a_sign_that_newer_ones_are_withheld(tmp_path: Path, province: FakeProvince) -> None:
    clock = province.clock
    assert isinstance(clock, SettableClock)
    province.publish_delta(CHANGED)
    job = MatchJob(DATASET, (DIVISION,), WARRANT, "customers.csv", operator=OPERATOR, max_age=timedelta(days=30))

    def run() -> int:
        with bank_store(tmp_path, clock) as store, connect(province) as client:
            listed = customers(ASKED)
            return run_match(job, listed, store=store, client=client, province=province.public).edition

    clock.advance(30 * 86_400)
    assert run() == 2
    clock.advance(1)
    with pytest.raises(EditionStale) as caught:
        run()
    assert caught.value.params["max_days"] == 30
    with bank_store(tmp_path, clock) as store:
        assert [alarm.code for alarm in store.get_status().alarms] == ["edition_stale"]
    province.publish_delta(CHANGED, number=3)
    assert run() == 3
