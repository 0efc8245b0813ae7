"""Cases D06 (the bank's half), D08 to D11, D32 and D33 of the threat list: a province that lies, or a damaged line."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from bank_home import BANK, bank_store, item, match, records, residents
from fake_province import DATASET, DIVISION, EPOCH, AnswerFault, FakeProvince

from api.client import AnswerInvalid
from api.wire import HEADER_BYTES, EvaluateRequest, encode_answer
from keys.clock import SettableClock
from keys.envelope import UntrustedSigner
from keys.identity import Identity, SignatureInvalid
from matcher.bank import plan
from matcher.bank.editions import (
    EditionNotValid,
    EditionReplaced,
    EditionRollback,
    ManifestRefused,
    PinnedKeyMismatch,
)
from matcher.bank.store import Status
from psi.edition import ManifestInvalid, SliceInvalid, parse_slice, write_slice
from psi.errors import LabelInvalid, MingceError, ProofInvalid
from psi.oprf import MODE_VOPRF, SecretKey, blind_evaluate

VECTORS = Path(__file__).parents[1] / "vectors" / "ristretto255"
BASE = [item(n) for n in range(40)]
CUSTOMERS = [item(n) for n in range(20, 50)]
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group: RFC 9496 section 4


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH_SIZES", (64,))


def status_of(home: Path) -> Status:
    with bank_store(home) as store:
        return store.get_status()


def assert_nothing_kept(home: Path, code: str) -> Status:
    """No output, no screening record; the run is aborted, and the reason is an alarm."""
    with bank_store(home) as store:
        status = store.get_status()
        assert status.is_red
        assert [alarm.code for alarm in status.alarms] == [code]
        run = status.runs[0]
        assert run.state == "ABORTED"
        assert len(store.batches.load_answers(run.dataset, run.epoch).items) == 0
        assert len(store.batches.list_pending(run.dataset, run.epoch)) == 1
        assert not list(store.screenings.iterate(run.run_id))
    return status


def check_answer_refused(home: Path, fault: AnswerFault, error: type[MingceError]) -> Status:
    """A lying answer leaves nothing; the honest one to the same request comes free and completes."""
    with FakeProvince(BANK.public, answer_fault=fault) as province:
        province.publish(residents(BASE))
        with pytest.raises(error) as raised:
            match(home, province, CUSTOMERS)
        status = assert_nothing_kept(home, raised.value.code)
        charged = province.charged
        assert charged == 64
        province.answer_fault = None
        run = match(home, province, CUSTOMERS)
        assert (run.matched, run.asked, province.charged) == (20, 30, charged)
        return status


def at_proof(change: Callable[[bytes], bytes]) -> AnswerFault:
    return lambda request, answer: answer[:-64] + change(answer[-64:])


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("bit", [0, 100, 255, 256, 400, 511])
def test_d08_proof_with_one_bit_flipped(tmp_path: Path, bit: int) -> None:
    check_answer_refused(tmp_path, at_proof(lambda proof: flip(proof, bit)), ProofInvalid)


@pytest.mark.parametrize(
    "change", [lambda proof: proof[:-1], lambda proof: b"", lambda proof: proof + b"\0", lambda proof: proof * 2]
)
def test_d08_proof_truncated_or_extended(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    check_answer_refused(tmp_path, at_proof(change), AnswerInvalid)


def test_d08_proof_of_another_batch(tmp_path: Path) -> None:
    with FakeProvince(BANK.public) as other:
        key = other.key

        def fault(request: EvaluateRequest, answer: bytes) -> bytes:
            return answer[:-64] + blind_evaluate(MODE_VOPRF, key, bytes(request.elements)[32:])[1]

        check_answer_refused(tmp_path, fault, ProofInvalid)


def test_d08_proof_scalars_out_of_range(tmp_path: Path) -> None:
    def add_order(proof: bytes) -> bytes:
        return proof[:32] + (int.from_bytes(proof[32:], "little") + ORDER).to_bytes(32, "little")

    check_answer_refused(tmp_path, at_proof(add_order), ProofInvalid)


def test_d09_valid_proof_under_another_key_that_is_named(tmp_path: Path) -> None:
    tagging = SecretKey.generate()

    def fault(request: EvaluateRequest, answer: bytes) -> bytes:
        named = EvaluateRequest(fingerprint_of(tagging), request.request_id, request.elements)
        return encode_answer(named, *blind_evaluate(MODE_VOPRF, tagging, request.elements))

    status = check_answer_refused(tmp_path, fault, PinnedKeyMismatch)
    assert status.alarms[0].params == {
        "pinned": status.editions[0]["fingerprint"],
        "found": fingerprint_of(tagging).hex(),
    }


def test_d09_valid_proof_under_another_key_that_is_not_named(tmp_path: Path) -> None:
    tagging = SecretKey.generate()

    def fault(request: EvaluateRequest, answer: bytes) -> bytes:
        return encode_answer(request, *blind_evaluate(MODE_VOPRF, tagging, request.elements))

    check_answer_refused(tmp_path, fault, ProofInvalid)


def test_d09_another_public_key_in_a_signed_manifest(tmp_path: Path) -> None:
    with FakeProvince(BANK.public) as province:
        province.publish(residents(BASE))
        match(tmp_path, province, CUSTOMERS)
        pinned = province.edition.manifest.fingerprint
        province.key = SecretKey.generate()
        province.publish(residents(BASE), 2)
        with pytest.raises(PinnedKeyMismatch):
            match(tmp_path, province, CUSTOMERS)
        status = status_of(tmp_path)
        assert status.alarms[0].params == {
            "epoch": "2026",
            "pinned": pinned,
            "found": province.edition.manifest.fingerprint,
        }
        assert status.editions[0]["edition"] == 1
        assert len(status.runs) == 1


def answer_with(change: Callable[[EvaluateRequest, bytes, bytes], tuple[EvaluateRequest, bytes, bytes]]) -> AnswerFault:
    """A fault that sees the request, the evaluated elements and the proof, and may change each."""
    return lambda request, answer: encode_answer(*change(request, answer[HEADER_BYTES:-64], answer[-64:]))


def with_elements(request: EvaluateRequest, elements: bytes) -> EvaluateRequest:
    return EvaluateRequest(request.fingerprint, request.request_id, elements)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(lambda r, e, p: (with_elements(r, e[32:]), e[32:], p), AnswerInvalid, id="n-1"),
        pytest.param(lambda r, e, p: (with_elements(r, e + e[:32]), e + e[:32], p), AnswerInvalid, id="n+1"),
        pytest.param(lambda r, e, p: (r, e[32:], p), AnswerInvalid, id="n-1 under n"),
        pytest.param(lambda r, e, p: (r, e + e[:32], p), AnswerInvalid, id="n+1 under n"),
        pytest.param(lambda r, e, p: (r, e[32:64] + e[:32] + e[64:], p), ProofInvalid, id="two swapped"),
        pytest.param(lambda r, e, p: (r, e[:32] + e[:32] + e[64:], p), ProofInvalid, id="one twice"),
        pytest.param(
            lambda r, e, p: (EvaluateRequest(r.fingerprint, secrets.token_bytes(16), r.elements), e, p),
            AnswerInvalid,
            id="another request id",
        ),
    ],
)
def test_d10_wrong_count_order_or_request(
    tmp_path: Path,
    change: Callable[[EvaluateRequest, bytes, bytes], tuple[EvaluateRequest, bytes, bytes]],
    error: type[MingceError],
) -> None:
    check_answer_refused(tmp_path, answer_with(change), error)


@pytest.mark.parametrize("position", [0, 15, 40, 63])
def test_d11_answer_holds_the_identity(tmp_path: Path, position: int) -> None:
    check_answer_refused(tmp_path, put(position, bytes(32)), AnswerInvalid)


def test_d11_answer_holds_a_bad_encoding(tmp_path: Path) -> None:
    vectors = json.loads((VECTORS / "rfc9496_ristretto255.json").read_text())
    bad = [bytes.fromhex(case["encoding"]) for case in vectors["bad_encodings"]]
    assert len(bad) == 29
    with FakeProvince(BANK.public) as province:
        province.publish(residents(BASE))
        for number, encoding in enumerate(bad):
            province.answer_fault = put(number, encoding)
            with pytest.raises(AnswerInvalid) as raised:
                match(tmp_path, province, CUSTOMERS)
            assert raised.value.params["index"] == number
        with bank_store(tmp_path) as store:
            assert len(store.batches.load_answers(DATASET, EPOCH).items) == 0
            assert [alarm.code for alarm in store.alarms.list_all()] == ["answer_invalid"] * 29
        assert province.charged == 64


@pytest.mark.parametrize(("offset", "value"), [(0, b"MCEQ"), (4, b"\x02"), (5, b"\x02"), (6, b"\x00"), (7, b"\x01")])
def test_d06_answer_in_another_suite_mode_or_version(tmp_path: Path, offset: int, value: bytes) -> None:
    def fault(request: EvaluateRequest, answer: bytes) -> bytes:
        return answer[:offset] + value + answer[offset + len(value) :]

    check_answer_refused(tmp_path, fault, AnswerInvalid)


def put(position: int, element: bytes) -> AnswerFault:
    at = HEADER_BYTES + 32 * position
    return lambda request, answer: answer[:at] + element + answer[at + 32 :]


def refused_edition(home: Path, province: FakeProvince, error: type[MingceError]) -> None:
    """The bank has edition 1; what ``province`` serves now is refused, and edition 1 stays, whole."""
    with pytest.raises(error) as raised:
        match(home, province, CUSTOMERS)
    status = status_of(home)
    assert [alarm.code for alarm in status.alarms] == [raised.value.code]
    assert [(edition["edition"], run.state) for edition, run in zip(status.editions, status.runs, strict=True)] == [
        (1, "COMPLETED")
    ]
    first = province.first_edition.manifest.get_slice(DIVISION)
    with bank_store(home) as store:
        assert store.slice_path(first).read_bytes() == province.first_edition.slices[DIVISION]
    assert [path.name for path in (home / "slices").iterdir()] == [f"{first.sha256}.arrow"]
    assert sum(row["matched"] for row in records(home, status.runs[0])) == 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[FakeProvince]:
    """A province whose edition 1 was matched against at tmp_path."""
    clock = SettableClock()
    province = FakeProvince(BANK.public, clock=clock)
    with province:
        province.publish(residents(BASE))
        match(tmp_path, province, CUSTOMERS)
        yield province


def publish_second(province: FakeProvince) -> None:
    province.publish(residents(BASE[:30]), 2, previous=province.first_edition.payload_sha256)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(lambda content: flip(content, 8 * 4_000), SliceInvalid, id="one bit flipped"),
        pytest.param(lambda content: content[:-1], AnswerInvalid, id="truncated by one byte"),
        pytest.param(lambda content: content + b"\0", AnswerInvalid, id="one byte added"),
        pytest.param(lambda content: b"", AnswerInvalid, id="empty"),
    ],
)
def test_d32_damaged_slice(
    tmp_path: Path, served: FakeProvince, fault: Callable[[bytes], bytes], error: type[MingceError]
) -> None:
    publish_second(served)
    served.slice_fault = fault
    refused_edition(tmp_path, served, error)
    served.slice_fault = None
    run = match(tmp_path, served, CUSTOMERS)
    assert (run.edition, run.matched) == (2, 10)


def test_d32_slice_of_another_edition(tmp_path: Path, served: FakeProvince) -> None:
    publish_second(served)
    served.serve(served.edition, slices=served.first_edition.slices)
    refused_edition(tmp_path, served, SliceInvalid)


def test_d32_manifest_of_another_day(tmp_path: Path, served: FakeProvince) -> None:
    served.clock.advance(-10 * 86_400)
    publish_second(served)
    early = served.edition
    served.clock.advance(400 * 86_400)
    served.serve(early)
    refused_edition(tmp_path, served, EditionNotValid)
    served.clock.advance(-600 * 86_400)
    with pytest.raises(EditionNotValid):
        match(tmp_path, served, CUSTOMERS)


@pytest.mark.parametrize(("field", "value"), [("dataset", "other"), ("epoch", "2025")])
def test_d32_manifest_of_another_dataset_or_epoch(tmp_path: Path, served: FakeProvince, field: str, value: str) -> None:
    served.publish(residents(BASE), 2, **{field: value})
    refused_edition(tmp_path, served, ManifestRefused)


def test_d32_signature_of_another_key(tmp_path: Path, served: FakeProvince) -> None:
    pinned = served.identity
    served.identity = Identity("演示省", "province", bytes([8]) * 32)
    publish_second(served)
    by_another = served.edition
    served.identity = pinned
    served.serve(by_another)
    refused_edition(tmp_path, served, UntrustedSigner)


@pytest.mark.parametrize("place", ["payload", "sig"])
def test_d32_manifest_changed_after_signing(tmp_path: Path, served: FakeProvince, place: str) -> None:
    publish_second(served)
    envelope = json.loads(served.edition.envelope)
    holder = envelope if place == "payload" else envelope["signatures"][0]
    text = holder[place]
    holder[place] = ("A" if text[0] != "A" else "B") + text[1:]
    served.serve(served.edition, envelope=json.dumps(envelope).encode())
    refused_edition(tmp_path, served, SignatureInvalid)


@pytest.mark.parametrize(
    "changes", [{"suite": "P256-SHA256"}, {"mode": 0}, {"normaliser": "gb11643/2"}, {"format": "mingce-edition/2"}]
)
def test_d32_manifest_in_another_suite_mode_normaliser_or_format(
    tmp_path: Path, served: FakeProvince, changes: dict[str, object]
) -> None:
    served.publish(residents(BASE), 2, **changes)
    refused_edition(tmp_path, served, ManifestInvalid)


def test_d33_rollback(tmp_path: Path, served: FakeProvince) -> None:
    publish_second(served)
    match(tmp_path, served, CUSTOMERS)
    served.serve(served.first_edition)
    with pytest.raises(EditionRollback):
        match(tmp_path, served, CUSTOMERS)
    status = status_of(tmp_path)
    assert status.is_red
    assert status.alarms[0].code == "edition_rollback"
    assert status.alarms[0].params == {"epoch": "2026", "edition": 1, "known": 2}
    assert status.editions[0]["edition"] == 2


def test_d33_rollback_to_before_an_edition_whose_slices_failed(tmp_path: Path, served: FakeProvince) -> None:
    publish_second(served)
    served.slice_fault = lambda content: content[:-1]
    with pytest.raises(AnswerInvalid):
        match(tmp_path, served, CUSTOMERS)
    served.serve(served.first_edition)
    with pytest.raises(EditionRollback):
        match(tmp_path, served, CUSTOMERS)
    assert status_of(tmp_path).editions[0]["edition"] == 1


def test_d33_another_manifest_under_the_same_number(tmp_path: Path, served: FakeProvince) -> None:
    served.publish(residents(BASE[:10]), 1)
    refused_edition(tmp_path, served, EditionReplaced)


def test_d33_broken_chain_of_hashes(tmp_path: Path, served: FakeProvince) -> None:
    served.publish(residents(BASE), 2, previous="0" * 64)
    refused_edition(tmp_path, served, EditionReplaced)


def test_labels_that_do_not_open(tmp_path: Path, served: FakeProvince) -> None:
    """A signed edition whose rows are not what the key seals: nothing of the look-up is given out."""
    manifest = served.publish(residents(BASE), 2, previous=served.first_edition.payload_sha256).manifest
    part = parse_slice(pa.py_buffer(served.edition.slices[DIVISION]), manifest.label.width)
    sink = pa.BufferOutputStream()
    wrong_versions = pa.py_buffer((7).to_bytes(4, "little") * part.rows)
    write_slice(sink, replace(part, versions=wrong_versions), manifest.label.width)
    served.publish_slices(manifest, {DIVISION: sink.getvalue().to_pybytes()})
    with pytest.raises(LabelInvalid):
        match(tmp_path, served, CUSTOMERS)
    status = status_of(tmp_path)
    assert [alarm.code for alarm in status.alarms] == ["label_invalid"]
    assert [run.state for run in status.runs] == ["ABORTED", "COMPLETED"]


def test_the_same_manifest_again_is_no_rollback(tmp_path: Path, served: FakeProvince) -> None:
    assert match(tmp_path, served, CUSTOMERS).matched == 20
    assert not status_of(tmp_path).is_red


def test_an_acknowledged_alarm_is_red_no_more(tmp_path: Path, served: FakeProvince) -> None:
    served.publish(residents(BASE), 2, previous="0" * 64)
    with pytest.raises(EditionReplaced):
        match(tmp_path, served, CUSTOMERS)
    with bank_store(tmp_path) as store:
        store.alarms.acknowledge(1, "演示员")
        status = store.get_status()
        assert not status.is_red
        assert [alarm.acknowledged_by for alarm in store.alarms.list_all()] == ["演示员"]


def fingerprint_of(key: SecretKey) -> bytes:
    return hashlib.sha256(key.public_key).digest()
