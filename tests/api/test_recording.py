"""The bank's side of exchange records: answers lost, false or late, and runs broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bank_home import BANK, bank_store, item, match, residents
from fake_province import FakeProvince

from api.retry import ProvinceUnavailable
from api.wire import EvaluateRequest
from keys.envelope import sign_envelope, unverified_payload
from keys.identity import Identity
from matcher.bank import plan, records
from matcher.bank.records import StoredRecord
from matcher.exchange_record import MAX_RECORD_BYTES, RECORD_TYPE, ExchangeRecord, decode_record
from psi.errors import ProofInvalid, VerificationError

OTHER_PROVINCE = Identity("另一省", "province", bytes([8]) * 32)


@pytest.fixture
def province(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvince]:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16,))
    with FakeProvince(BANK.public) as running:
        running.publish(residents([item(number) for number in range(10)]))
        yield running


def ask(home: Path, province: FakeProvince, count: int) -> None:
    match(home, province, [item(number) for number in range(count)])


def stored(home: Path) -> list[StoredRecord]:
    """The oldest first."""
    with bank_store(home) as store:
        return store.records.list_all()[::-1]


def contents(home: Path) -> list[ExchangeRecord]:
    return [decode_record(unverified_payload(record.envelope)) for record in stored(home)]


def test_a_lost_answer_is_fetched_again(tmp_path: Path, province: FakeProvince) -> None:
    refusals = iter([503, 503, 409])

    def unlucky(countersigned: bytes) -> tuple[int, bytes | dict[str, object]]:
        status = next(refusals, 200)
        return (200, countersigned) if status == 200 else (status, {"code": "in_flight" if status == 409 else "busy"})

    province.record_fault = unlucky
    ask(tmp_path, province, 20)
    assert [record.state for record in stored(tmp_path)] == ["COUNTERSIGNED"]


def test_a_record_that_cannot_be_handed_in_waits_for_the_next_run(tmp_path: Path, province: FakeProvince) -> None:
    province.record_fault = lambda _: (503, {"code": "busy"})
    ask(tmp_path, province, 20)
    with bank_store(tmp_path) as store:
        assert store.runs.list_all()[0].state == "COMPLETED"
        assert not store.get_status().is_red
    assert [record.state for record in stored(tmp_path)] == ["SIGNED"]
    province.record_fault = None
    ask(tmp_path, province, 20)
    assert [record.state for record in stored(tmp_path)] == ["COUNTERSIGNED"]


FALSE: dict[str, Callable[[bytes], bytes]] = {
    "the bank's own signature only": lambda envelope: sign_envelope(BANK, RECORD_TYPE, unverified_payload(envelope)),
    "another province": lambda envelope: sign_envelope(OTHER_PROVINCE, RECORD_TYPE, unverified_payload(envelope)),
    "nothing": lambda _: b"",
    "garbage": lambda _: b"[" * 1_000,
    "endless": lambda _: b" " * (MAX_RECORD_BYTES + 1),
    "one byte changed": lambda envelope: envelope.replace(b'"sig":"', b'"sig":"A', 1),
}


@pytest.mark.parametrize("fault", FALSE)
def test_a_false_countersignature_is_not_kept(tmp_path: Path, province: FakeProvince, fault: str) -> None:
    province.record_fault = lambda envelope: (200, FALSE[fault](envelope))
    with pytest.raises(VerificationError):
        ask(tmp_path, province, 20)
    assert [record.state for record in stored(tmp_path)] == ["SIGNED"]
    with bank_store(tmp_path) as store:
        assert store.get_status().is_red
        assert store.runs.list_all()[0].state == "COMPLETED"
    province.record_fault = None
    ask(tmp_path, province, 20)
    assert [record.state for record in stored(tmp_path)] == ["COUNTERSIGNED"]


def test_a_charged_batch_with_a_false_answer_is_recorded_too(tmp_path: Path, province: FakeProvince) -> None:
    """The proof fails, so nothing is kept of the answer; that the batch was sent stands in the record of that run."""

    def break_proof(_: EvaluateRequest, answer: bytes) -> bytes:
        return answer[:-1] + bytes([answer[-1] ^ 1])

    province.answer_fault = break_proof
    with pytest.raises(ProofInvalid):
        ask(tmp_path, province, 16)
    (record,) = contents(tmp_path)
    (batch,) = record.batches
    assert (batch.elements, batch.answer_sha256) == (16, None)
    assert province.charges == {batch.request_id: 16}
    province.answer_fault = None
    ask(tmp_path, province, 16)
    again = contents(tmp_path)[1].batches[0]
    assert (again.request_id, again.request_sha256) == (batch.request_id, batch.request_sha256)
    assert again.answer_sha256 is not None
    assert province.charges == {batch.request_id: 16}


def test_a_province_that_is_gone_gets_the_record_later(tmp_path: Path, province: FakeProvince) -> None:
    """The run ends without patience for the record too: what was answered is signed, and handed in by the next."""
    answered = iter([False, False, True])

    def die(_: str) -> None:
        if next(answered, True):
            province.flaky_share = 1.0

    province.before_answer = die
    with pytest.raises(ProvinceUnavailable):
        ask(tmp_path, province, 200)
    assert [record.state for record in stored(tmp_path)] == ["SIGNED"]
    province.flaky_share, province.before_answer = 0.0, lambda _: None
    ask(tmp_path, province, 200)
    assert {record.state for record in stored(tmp_path)} == {"COUNTERSIGNED"}
    recorded = [b for record in contents(tmp_path) for b in record.batches if b.answer_sha256 is not None]
    assert sorted(batch.request_id for batch in recorded) == sorted(province.charges)


def test_a_long_run_leaves_several_records(
    tmp_path: Path, province: FakeProvince, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BATCHES", 2)
    ask(tmp_path, province, 80)
    assert [len(record.batches) for record in contents(tmp_path)] == [2, 2, 1]
    assert len({record.run_id for record in contents(tmp_path)}) == 1
