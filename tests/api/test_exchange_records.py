"""Exchange records between a bank's client and the real province: signed by both, or an alarm on both sides."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from bank_home import bank_store, item
from province_home import BANK, DATASET, EPOCH, OTHER_BANK, STRANGER, ProvinceHome, RunningProvince
from test_matching_real_province import match, publish

from api.refusals import BudgetExhausted, RecordDisputed
from keys.envelope import open_envelope, sign_envelope, unverified_payload
from keys.identity import Identity
from matcher.bank import plan
from matcher.bank.records import StoredRecord, verify_countersigned
from matcher.exchange_record import (
    MAX_RECORD_BATCHES,
    MAX_RECORD_BYTES,
    RECORD_TYPE,
    ExchangeRecord,
    RecordedBatch,
    decode_record,
    encode_record,
    record_sha256,
)

RECORDS = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/records"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (16, 64))


def stored_records(folder: Path) -> list[StoredRecord]:
    with bank_store(folder) as store:
        return store.records.list_all()


def charges(home: ProvinceHome) -> list[tuple[str, int, str, str]]:
    return home.query("SELECT idempotency_key, n, body_sha256, answer_sha256 FROM charge ORDER BY idempotency_key")


def hand_in(province: RunningProvince, record: ExchangeRecord, signer: Identity = BANK) -> httpx.Response:
    envelope = sign_envelope(signer, RECORD_TYPE, encode_record(record))
    return province.post(envelope, {"Content-Type": RECORD_TYPE}, path=RECORDS)


def honest_record(folder: Path, province: RunningProvince) -> ExchangeRecord:
    """A record as a bank would sign it, of charges that the province has no record of."""
    publish(province.home)
    match(folder, province, 100)
    (stored,) = stored_records(folder)
    with_nothing(province.home)
    return decode_record(unverified_payload(stored.envelope))


def with_nothing(home: ProvinceHome) -> None:
    with home.ledger._store.writing() as db:
        db.execute("DELETE FROM recorded_charge")
        db.execute("DELETE FROM exchange_record")


def test_both_sides_keep_the_same_countersigned_record(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    run = match(tmp_path, province, 100)
    (stored,) = stored_records(tmp_path)
    (theirs,) = province.home.ledger.exchange_records.list_all()
    assert (stored.state, stored.elements, stored.run_id) == ("COUNTERSIGNED", 128, run.run_id)
    assert province.home.ledger.exchange_records.get(theirs.sha256[:10]) == (stored.sha256, stored.envelope)
    province_identity = province.home.keystore.get_public_identity()
    record = decode_record(verify_countersigned(stored.envelope, stored.sha256, BANK.public, province_identity))
    assert (record.run_id, record.warrant_sha256, record.edition) == (run.run_id, run.warrant_sha256, run.edition)
    assert sorted((b.request_id, b.elements, b.request_sha256, b.answer_sha256) for b in record.batches) == charges(
        province.home
    )
    province.check_invariants()


def test_a_run_that_asks_nothing_leaves_no_record(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    match(tmp_path, province, 100)
    match(tmp_path, province, 100)
    assert len(stored_records(tmp_path)) == 1


def test_a_record_tells_the_province_nothing_it_did_not_see(tmp_path: Path, province: RunningProvince) -> None:
    """D46: no number, no name, and no count of customers: a batch of 36 looks like one of 64."""
    publish(province.home)
    match(tmp_path, province, 100)
    (stored,) = stored_records(tmp_path)
    text = unverified_payload(stored.envelope).decode()
    assert [batch[1] for batch in json.loads(text)["batches"]] == [64, 64]
    assert not [n for n in range(100) if item(n).decode() in text]
    assert ",36," not in text


def test_the_same_record_five_times_is_one(tmp_path: Path, province: RunningProvince) -> None:
    record = honest_record(tmp_path, province)
    answers = {hand_in(province, record).content for _ in range(5)}
    assert len(answers) == 1
    assert len(province.home.ledger.exchange_records.list_all()) == 1
    ((rows,),) = province.home.query("SELECT COUNT(*) FROM audit WHERE action = 'exchange_record'")
    assert rows == 2  # the one that the test deleted, and this
    province.check_invariants()


def _batch(change: Callable[[RecordedBatch], RecordedBatch]) -> Callable[[ExchangeRecord], ExchangeRecord]:
    return lambda record: replace(record, batches=(record.batches[0], change(record.batches[1])))


MISMATCHES: dict[str, Callable[[ExchangeRecord], ExchangeRecord]] = {
    "batch": _batch(lambda batch: replace(batch, request_id="00" * 16)),
    "elements": _batch(lambda batch: replace(batch, elements=16)),
    "request": _batch(lambda batch: replace(batch, request_sha256="00" * 32)),
    "answer": _batch(lambda batch: replace(batch, answer_sha256="00" * 32)),
}


@pytest.mark.parametrize("part", MISMATCHES)
def test_what_was_not_charged_so_is_refused_with_an_alarm(tmp_path: Path, province: RunningProvince, part: str) -> None:
    record = honest_record(tmp_path, province)
    used = province.home.used()
    answers = [hand_in(province, MISMATCHES[part](record)) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {409}
    problem = answers[0].json()
    assert (problem["code"], problem["part"], problem["index"]) == ("record_mismatch", part, 1)
    assert province.home.ledger.exchange_records.list_all() == []
    assert [alarm.code for alarm in province.home.ledger.list_alarms()].count("record_mismatch") == 1
    assert province.home.used() == used
    assert hand_in(province, record).status_code == 200
    province.check_invariants()


def test_a_charge_of_another_epoch_is_no_charge_here(tmp_path: Path, province: RunningProvince) -> None:
    record = replace(honest_record(tmp_path, province), epoch="2027")
    envelope = sign_envelope(BANK, RECORD_TYPE, encode_record(record))
    answer = province.post(envelope, {"Content-Type": RECORD_TYPE}, path=RECORDS.replace(EPOCH, "2027"))
    assert (answer.status_code, answer.json()["part"]) == (409, "place")
    province.check_invariants()


def test_a_batch_without_an_answer_may_have_been_lost_on_its_way(tmp_path: Path, province: RunningProvince) -> None:
    record = honest_record(tmp_path, province)
    lost = RecordedBatch("11" * 16, 64, "22" * 32, None)
    unanswered = replace(record.batches[0], answer_sha256=None)
    assert hand_in(province, replace(record, batches=(unanswered, lost))).status_code == 200
    assert hand_in(province, record).status_code == 200  # later, with the answer
    wrong = replace(unanswered, request_sha256="00" * 32)
    assert hand_in(province, replace(record, batches=(wrong,))).status_code == 409
    province.check_invariants()


REFUSED: dict[str, tuple[Callable[[ExchangeRecord], bytes], int]] = {
    "not an envelope": (lambda record: b"{}", 400),
    "nothing": (lambda record: b" ", 400),
    "signed by another bank": (lambda record: sign_envelope(OTHER_BANK, RECORD_TYPE, encode_record(record)), 400),
    "another bank's record": (
        lambda record: sign_envelope(
            BANK, RECORD_TYPE, encode_record(replace(record, bank=OTHER_BANK.public.fingerprint))
        ),
        400,
    ),
    "another dataset's record": (
        lambda record: sign_envelope(BANK, RECORD_TYPE, encode_record(replace(record, dataset="other"))),
        400,
    ),
    "no dataset's name": (
        lambda record: sign_envelope(BANK, RECORD_TYPE, encode_record(replace(record, dataset="../base"))),
        400,
    ),
    "no time": (
        lambda record: sign_envelope(BANK, RECORD_TYPE, encode_record(record).replace(b"T09:", b"t09:")),
        400,
    ),
    "another payload type": (lambda record: sign_envelope(BANK, "text/plain", encode_record(record)), 400),
    "no batches": (lambda record: sign_envelope(BANK, RECORD_TYPE, encode_record(replace(record, batches=()))), 400),
    "a batch twice": (
        lambda record: sign_envelope(BANK, RECORD_TYPE, encode_record(replace(record, batches=record.batches[:1] * 2))),
        400,
    ),
    "a wrong sum": (
        lambda record: sign_envelope(
            BANK, RECORD_TYPE, encode_record(record).replace(b'"elements":128', b'"elements":127')
        ),
        400,
    ),
    "a number that is true": (
        lambda record: sign_envelope(
            BANK, RECORD_TYPE, encode_record(record).replace(b'"edition":2', b'"edition":true')
        ),
        400,
    ),
    "too long": (lambda record: b" " * (MAX_RECORD_BYTES + 1), 400),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_record_of_the_callers_is_refused(tmp_path: Path, province: RunningProvince, fault: str) -> None:
    make, status = REFUSED[fault]
    body = make(honest_record(tmp_path, province))
    answer = province.post(body, {"Content-Type": RECORD_TYPE}, path=RECORDS)
    assert (answer.status_code, answer.json()["code"]) == (status, "record_invalid")
    assert province.home.ledger.exchange_records.list_all() == []
    assert province.home.ledger.list_alarms() == []
    province.check_invariants()


def test_only_as_a_record_and_only_by_a_party(tmp_path: Path, province: RunningProvince) -> None:
    envelope = sign_envelope(BANK, RECORD_TYPE, encode_record(honest_record(tmp_path, province)))
    assert province.post(envelope, {"Content-Type": "application/json"}, path=RECORDS).status_code == 415
    assert province.post(envelope, {"Content-Type": RECORD_TYPE}, sender=STRANGER, path=RECORDS).status_code == 401
    assert province.post(envelope, {"Content-Type": RECORD_TYPE}, sender=OTHER_BANK, path=RECORDS).status_code == 400
    elsewhere = RECORDS.replace(DATASET, "nowhere")
    assert province.post(envelope, {"Content-Type": RECORD_TYPE}, path=elsewhere).status_code == 404
    province.check_invariants()


def test_a_bank_accounts_for_its_charges_though_its_grant_is_gone(tmp_path: Path, province: RunningProvince) -> None:
    record = honest_record(tmp_path, province)
    province.home.ledger.revoke(BANK.public.fingerprint, DATASET)
    province.home.keystore.expire_epoch(DATASET, EPOCH)
    assert hand_in(province, record).status_code == 200


def test_an_aborted_run_records_what_it_charged(tmp_path: Path, province: RunningProvince) -> None:
    publish(province.home)
    with pytest.raises(BudgetExhausted):
        match(tmp_path, province, 1_100)
    (stored,) = stored_records(tmp_path)
    assert stored.state == "COUNTERSIGNED"
    record = decode_record(unverified_payload(stored.envelope))
    answered = [batch for batch in record.batches if batch.answer_sha256 is not None]
    assert sum(batch.elements for batch in answered) == province.home.used() == 960
    assert len(record.batches) - len(answered) >= 1  # the refused one: sent, and answered by a refusal
    province.home.clock.advance(3 * 86_400)
    assert province.home.ledger.exchange_records.list_unaccounted(province.home.clock.now()) == []


def test_charges_without_a_record_come_to_light(tmp_path: Path, province: RunningProvince) -> None:
    honest_record(tmp_path, province)
    records = province.home.ledger.exchange_records
    assert records.list_unaccounted(province.home.clock.now()) == []  # a bank has two days to settle
    province.home.clock.advance(2 * 86_400 + 1)
    (missing,) = records.list_unaccounted(province.home.clock.now())
    assert (missing["party"], missing["charges"], missing["elements"]) == (BANK.public.fingerprint, 2, 128)


def test_a_province_that_charged_something_else_is_disputed_on_both_sides(
    tmp_path: Path, province: RunningProvince
) -> None:
    """The run stands, the bank is told (exit 6), and the record is handed in again until somebody settles it."""
    publish(province.home)
    ledger = province.home.ledger
    charge = ledger.charge
    ledger.charge = lambda **request: charge(**{**request, "body_sha256": bytes(32)})  # type: ignore[method-assign]
    with pytest.raises(RecordDisputed):
        match(tmp_path, province, 10)
    del ledger.charge
    with bank_store(tmp_path) as store:
        assert store.runs.list_all()[0].state == "COMPLETED"
        assert [record.state for record in store.records.list_all()] == ["DISPUTED"]
        assert [alarm.code for alarm in store.get_status().alarms] == ["record_disputed"]
        requests = [digests.request_sha256 for digests in store.batches.list_digests(DATASET, EPOCH).values()]
    assert [alarm.code for alarm in ledger.list_alarms()] == ["record_mismatch"]
    with ledger._store.writing() as db:  # settled by hand
        db.execute("UPDATE charge SET body_sha256 = ?", [requests[0]])
    match(tmp_path, province, 10)
    assert [record.state for record in stored_records(tmp_path)] == ["COUNTERSIGNED"]


def test_a_run_over_a_million_customers_fits_into_one_record() -> None:
    batches = tuple(RecordedBatch(f"{n:032x}", 4_096, f"{n:064x}", f"{n:064x}") for n in range(MAX_RECORD_BATCHES))
    record = ExchangeRecord(
        bank=BANK.public.fingerprint,
        run_id="ab" * 16,
        warrant_sha256="cd" * 32,
        dataset="d" * 63,
        epoch="e" * 63,
        edition=10**9,
        manifest_sha256="ef" * 32,
        signed_at=datetime(2026, 1, 5, tzinfo=UTC),
        batches=batches,
    )
    envelope = sign_envelope(BANK, RECORD_TYPE, encode_record(record))
    assert len(envelope) + 300 < MAX_RECORD_BYTES  # with room for the second signature
    assert decode_record(open_envelope(envelope, RECORD_TYPE, BANK.public)) == record
    assert record_sha256(encode_record(record)) == record_sha256(encode_record(decode_record(encode_record(record))))
    assert MAX_RECORD_BATCHES > 245
