"""The hand-over file: it opens whole and genuine, or not at all."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pyarrow as pa
import pytest
from handed_over import BANK, BUREAU, CLOCK, OTHER_BANK, RUN, hand_over, item, matches, screening
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.clock import format_time
from keys.envelope import EnvelopeInvalid, sign_envelope
from keys.identity import SealInvalid, SignatureInvalid
from matcher.handover import (
    HANDOVER_SCHEMA,
    PAYLOAD_TYPE,
    BankUntrusted,
    HandoverHeader,
    HandoverInvalid,
    read_handover,
    write_handover,
)
from psi.errors import InputError, MingceError

TRUSTED = [BANK.public]


def write(path: Path, rows: int = 4) -> HandoverHeader:
    now = format_time(CLOCK.now())
    return write_handover(
        path, identity=BANK, bureau=BUREAU.public, run=RUN, created_at=now, records=[screening(matches(rows))]
    )


def refuse(path: Path, error: type[MingceError]) -> None:
    with pytest.raises(error):
        read_handover(path, identity=BUREAU, trusted_banks=TRUSTED)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    header = write(path)
    handover = read_handover(path, identity=BUREAU, trusted_banks=[OTHER_BANK.public, BANK.public])
    assert handover.header == header
    assert handover.bank == BANK.public
    assert handover.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (header.rows, header.run_id, header.epoch, header.edition) == (4, RUN.run_id, "2026", 1)
    assert (header.purpose, header.legal_basis, header.divisions) == ("匹配", "同意", ("330922",))
    assert handover.records["item"].to_pylist() == [item(number).encode() for number in range(4)]
    assert handover.records["household_no"].to_pylist() == ["H000000", "H000000", "H000001", "H000001"]
    assert len(handover.labels) == 4 * 64
    assert path.stat().st_mode & 0o777 == 0o600


def test_only_matched_rows_and_only_the_agreed_columns_leave_the_bank(tmp_path: Path) -> None:
    handover = hand_over(tmp_path / "a.mch", matches(3))
    assert handover.records.schema == HANDOVER_SCHEMA
    assert "路人" not in handover.records["name"].to_pylist()
    assert "row_no" not in handover.records.column_names


def test_no_match_is_a_hand_over_too(tmp_path: Path) -> None:
    assert hand_over(tmp_path / "a.mch", []).header.rows == 0


def test_only_the_bureau_can_open_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    write(path)
    assert item(0).encode() not in path.read_bytes()
    for stranger in (BANK, OTHER_BANK):
        with pytest.raises(SealInvalid):
            read_handover(path, identity=stranger, trusted_banks=TRUSTED)


def test_a_bank_that_is_not_registered(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    write(path)
    with pytest.raises(BankUntrusted) as raised:
        read_handover(path, identity=BUREAU, trusted_banks=[OTHER_BANK.public])
    assert raised.value.params["found"] == BANK.public.fingerprint


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_cut_or_extended_file(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.mch"
    if not path.exists():
        write(path)
    good = path.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "extend"]))
    bad = bytearray(good)
    if kind == "flip":
        bit = data.draw(st.integers(0, 8 * len(good) - 1))
        bad[bit // 8] ^= 1 << bit % 8
    elif kind == "cut":
        del bad[data.draw(st.integers(0, len(good) - 1)) :]
    else:
        bad += data.draw(st.binary(min_size=1, max_size=20))
    damaged = tmp_path / "damaged.mch"
    damaged.write_bytes(bad)
    with pytest.raises((HandoverInvalid, SealInvalid)):
        read_handover(damaged, identity=BUREAU, trusted_banks=TRUSTED)


@pytest.mark.parametrize("content", [b"", b"MCHO", b"MCHO\x02" + bytes(100), b"PK\x03\x04"])
def test_another_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mch"
    path.write_bytes(content)
    refuse(path, HandoverInvalid)


def test_no_file(tmp_path: Path) -> None:
    refuse(tmp_path / "none.mch", InputError)
    refuse(tmp_path, InputError)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write(tmp_path / "no such folder" / "a.mch")


def payload_of(records: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, records.schema) as writer:
        writer.write_table(records)
    return sink.getvalue().to_pybytes()


def forge(path: Path, header: dict[str, object], payload: bytes, *, signer: object = BANK) -> None:
    """A file sealed to the bureau with any header and payload; the payload's hash is put right."""
    handover = hand_over(path, matches(2))
    fields = {**handover.header.model_dump(), "payload_sha256": hashlib.sha256(payload).hexdigest(), **header}
    signed = HandoverHeader.model_construct(**fields).model_dump_json(warnings=False).encode()
    envelope = sign_envelope(signer, PAYLOAD_TYPE, signed)  # type: ignore[arg-type]
    path.write_bytes(b"MCHO\x01" + BUREAU.public.seal(struct.pack(">I", len(envelope)) + envelope + payload))


@pytest.mark.parametrize(
    "header",
    [
        {"bank": OTHER_BANK.public.fingerprint},
        {"bureau": OTHER_BANK.public.fingerprint},
        {"rows": 3},
        {"payload_sha256": "0" * 64},
        {"format": "mingce-handover/2"},
        {"label_width": 16},
        {"label_width": "64"},
        {"epoch": "../2026"},
        {"run_id": "x"},
    ],
)
def test_a_signed_header_that_does_not_fit(tmp_path: Path, header: dict[str, object]) -> None:
    path = tmp_path / "a.mch"
    records = hand_over(path, matches(2)).records
    forge(path, {}, payload_of(records))
    assert read_handover(path, identity=BUREAU, trusted_banks=TRUSTED).header.rows == 2
    forge(path, header, payload_of(records))
    refuse(path, HandoverInvalid)


def test_a_header_with_an_unknown_member_or_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    handover = hand_over(path, matches(2))
    good = handover.header.model_dump_json()
    for text in (good[:-1] + ',"extra":1}', "[]", "", '{"format":"mingce-handover/1"}'):
        envelope = sign_envelope(BANK, PAYLOAD_TYPE, text.encode())
        plain = struct.pack(">I", len(envelope)) + envelope + payload_of(handover.records)
        path.write_bytes(b"MCHO\x01" + BUREAU.public.seal(plain))
        refuse(path, HandoverInvalid)


def test_an_envelope_of_another_kind_or_signature(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    handover = hand_over(path, matches(2))
    payload = payload_of(handover.records)
    other_kind = sign_envelope(BANK, "application/vnd.mingce.manifest+json", b"{}")
    changed = bytearray(handover.envelope)
    place = changed.index(b'"sig":"') + len(b'"sig":"')
    changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
    for envelope, error in (
        (other_kind, EnvelopeInvalid),
        (bytes(changed), SignatureInvalid),
        (b"{}", EnvelopeInvalid),
    ):
        path.write_bytes(b"MCHO\x01" + BUREAU.public.seal(struct.pack(">I", len(envelope)) + envelope + payload))
        refuse(path, error)


@pytest.mark.parametrize("plain", [b"", b"\0\0", struct.pack(">I", 10) + b"short", struct.pack(">I", 0)])
def test_a_sealed_content_that_is_cut(tmp_path: Path, plain: bytes) -> None:
    path = tmp_path / "a.mch"
    path.write_bytes(b"MCHO\x01" + BUREAU.public.seal(plain))
    refuse(path, MingceError)


def test_rows_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "a.mch"
    records = hand_over(path, matches(2)).records
    nullable = pa.schema([field.with_nullable(True) for field in HANDOVER_SCHEMA])
    with_null = pa.Table.from_pylist([{**row, "division": None} for row in records.to_pylist()], schema=nullable)
    too_long = records.set_column(2, HANDOVER_SCHEMA.field("household_no"), pa.array(["H" * 70] * 2))
    for wrong in (records.drop_columns(["receipt"]), with_null, too_long):
        forge(path, {}, payload_of(wrong))
        refuse(path, HandoverInvalid)
    for junk in (b"", b"not arrow", payload_of(records)[:-300]):
        forge(path, {}, junk)
        refuse(path, HandoverInvalid)


@pytest.mark.parametrize("name", HANDOVER_SCHEMA.names)
def test_a_null_where_the_schema_says_none(tmp_path: Path, name: str) -> None:
    """An Arrow stream can claim non-null columns and carry nulls all the same."""
    path = tmp_path / "a.mch"
    records = hand_over(path, matches(2)).records
    columns = {column: records[column].combine_chunks() for column in records.column_names}
    columns[name] = pa.array([None, columns[name][1].as_py()], columns[name].type)
    lying = pa.RecordBatch.from_arrays(list(columns.values()), schema=HANDOVER_SCHEMA)
    forge(path, {}, payload_of(pa.Table.from_batches([lying])))
    refuse(path, HandoverInvalid)
