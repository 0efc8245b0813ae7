"""What fuzzing found, each kept as the smallest case of its kind. docs/reference/fuzzing.md tells the stories."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from fuzz_documents import manifest_seeds
from fuzz_files import LABEL, handover_parts, read_handover_rows, slice_seeds
from fuzz_tables import as_parquet, as_xlsx, customer_rows, number
from fuzz_target import require_silent
from fuzz_wire import bank_client

from api.client import AnswerInvalid
from api.refusals import ProvinceRefused, refusal
from api.retry import ProvinceUnavailable
from matcher.exchange import read_exchange_list
from matcher.handover import HANDOVER_SCHEMA, HandoverInvalid
from matcher.tables import read_customers
from matcher.tables.errors import TableDamaged
from psi.edition import ManifestInvalid, SliceInvalid, parse_manifest, parse_slice, slice_schema
from psi.identifiers import Verdict, normalise_one

NUMBER = "990000198001011234"


def test_a_slice_with_any_one_bit_flipped_is_a_slice_or_refused() -> None:
    """Arrow has errors for what it has not implemented, beside those for what is invalid."""
    sound = slice_seeds()[1]
    refused = 0
    for bit in range(8 * len(sound)):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            parse_slice(pa.py_buffer(bytes(flipped)), LABEL.width)
        except SliceInvalid:
            refused += 1
    assert refused > 1_000


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_what_is_compressed_is_refused_before_it_is_unpacked(compression: str) -> None:
    """A slice of 200,000 rows of zeros is 23 MB, and 1,634 bytes under zstd."""
    rows, schema = 200_000, slice_schema(LABEL.width)
    columns = [pa.array([bytes(kind.byte_width)] * rows, kind) for kind in (schema.types[0], schema.types[2])]
    columns.insert(1, pa.array([1] * rows, pa.uint32()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    before = pa.total_allocated_bytes()
    with pytest.raises(SliceInvalid):
        parse_slice(sink.getvalue(), LABEL.width)
    assert pa.total_allocated_bytes() - before < 1 << 20
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, HANDOVER_SCHEMA, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(pa.ipc.open_stream(handover_parts()[1]).read_all())
    with pytest.raises(HandoverInvalid, match="cannot be read"):
        read_handover_rows(sink.getvalue().to_pybytes())


def test_an_exchange_list_of_numbers_only_may_repeat_one(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\n".join(["证件号码", number(1), number(2), number(1)]), "utf-8")
    listed = read_exchange_list(path)
    assert len(listed) == 2
    assert [(reject.row, reject.reason) for reject in listed.rejects] == [(4, "duplicate")]


@pytest.mark.parametrize(
    "document",
    [{"code": NUMBER}, {"code": f"x{NUMBER}"}, {"code": "key_epoch", "fingerprint": f"{NUMBER:a<64}z"}],
)
def test_a_refusal_shows_no_number_that_a_province_puts_into_it(document: dict[str, str]) -> None:
    error = refusal(403, json.dumps(document).encode(), None)
    assert isinstance(error, ProvinceRefused)
    require_silent(error, str(error.params))
    assert NUMBER not in str(error.params)


@pytest.mark.parametrize("value", ["1e999", "NaN", "true", '"7"', "1.5", "-1", "null"])
def test_a_budget_is_three_counts(value: str) -> None:
    """``int(float("inf"))`` is an OverflowError, which nobody expected."""
    client, answers = bank_client()
    answers[:] = [httpx.Response(200, stream=httpx.ByteStream(b'{"limit":%s,"used":0,"remaining":0}' % value.encode()))]
    with pytest.raises(AnswerInvalid):
        client.get_budget("base", "2026")


def test_a_date_beyond_all_calendars_to_come_back_at_is_no_date() -> None:
    client, answers = bank_client()
    answers[:] = [
        httpx.Response(503, headers={"Retry-After": f"Mon, {'7' * 30} Nov 2026 1:37"}, stream=httpx.ByteStream(b"{}"))
    ]
    with pytest.raises(ProvinceUnavailable):
        client.get_current_epoch("base")


@pytest.mark.parametrize("epoch", ["../../healthz", "2026?x=1", "\ud800", "", "2" * 64])
def test_an_epoch_that_becomes_part_of_a_path_is_a_name(epoch: str) -> None:
    client, answers = bank_client()
    answers[:] = [httpx.Response(200, stream=httpx.ByteStream(json.dumps({"current_epoch": epoch}).encode()))]
    with pytest.raises(AnswerInvalid):
        client.get_current_epoch("base")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"edition":2', f'"{NUMBER}":1,"edition":2'),  # an unknown member was named in the error
        ('"edition":2', '"edition":3,"edition":2'),  # the last one counted; another reader may take the first
        ('"edition":2', '"edition":9223372036854775808'),  # SQLite has no such number
        ('"mode":1', '"mode":true'),  # which equals 1
        ('"bytes":99', '"bytes":1' + "0" * 400),  # a deadline is computed from it
        ("2026-01-01T", "2026-13-01T"),  # of the right form, and no moment
        ("2026-01-01T", "２026-01-01T"),  # \d takes any script's digits
    ],
)
def test_a_manifest_has_one_reading_and_its_faults_repeat_nothing(old: str, new: str) -> None:
    text = manifest_seeds()[0].decode()
    assert old in text
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text.replace(old, new).encode())
    require_silent(caught.value, str(caught.value.params))


def test_a_parquet_column_whose_name_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    name = "客户姓名".encode()
    path.write_bytes(as_parquet(customer_rows()).replace(name, b"\xff" * len(name)))
    with pytest.raises(TableDamaged):
        read_customers(path)


def test_a_workbook_whose_entry_is_not_named_in_utf8(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    content = bytearray(as_xlsx(customer_rows()))
    entry = content.rindex(b"PK\x01\x02")  # in the central directory
    content[entry + 9] |= 0x08  # "the name is UTF-8"
    content[entry + 46] = 0xFF
    with pytest.raises(UnicodeDecodeError):
        zipfile.ZipFile(io.BytesIO(content))
    path.write_bytes(content)
    with pytest.raises(TableDamaged):
        read_customers(path)


@pytest.mark.parametrize("number", ["950000800101123", "820000800101123"])
def test_fifteen_digits_with_a_permits_place_are_no_usable_number(number: str) -> None:
    """Their 18 digits are for somebody to look at, so 15 were usable and their own normal form was not."""
    assert normalise_one(number) == (None, Verdict.REVIEW_PERMIT)
