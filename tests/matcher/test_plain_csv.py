"""Arrow's way through a CSV file and Python's give the same rows, the same refusals and the same errors."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from matcher.columns import CUSTOMER_COLUMNS
from matcher.tables import csv_reader
from matcher.tables.plain_csv import read_plain
from psi.errors import InputError

HEADER = "姓名,证件号码,备注"
CELLS = ["", "演示", "339900198001010013", '"演示,甲"', '""', '"', 'a"b', '"a"b', '"a""b"', '"a\nb"', " ", '" "', "=1"]
ENDS = ["\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b", "\n \n"]


def read(path: Path, batch_rows: int) -> object:
    """All that a file says, however it came in batches; or why it was refused."""
    rows: list[tuple[object, ...]] = []
    rejects = []
    try:
        for batch in csv_reader.read_csv(path, CUSTOMER_COLUMNS, batch_rows):
            assert len(batch.rows) <= batch_rows
            columns = [batch.rows, *(batch.columns[name] for name in sorted(batch.columns))]
            rows += zip(*(column.to_pylist() for column in columns), strict=True)
            rejects += batch.rejects
    except InputError as error:
        return error.code, error.params
    return rows, rejects


def both(path: Path, content: bytes, batch_rows: int) -> tuple[object, object]:
    path.write_bytes(content)
    with patch.dict(csv_reader._PLAIN, clear=True):
        by_python = read(path, batch_rows)
    return read(path, batch_rows), by_python


records = st.tuples(st.lists(st.sampled_from(CELLS), min_size=2, max_size=4), st.sampled_from([*["\n"] * 12, *ENDS]))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    lines=st.lists(records, max_size=40), batch_rows=st.sampled_from([1, 3, 8_192]), separator=st.sampled_from(",\t")
)
@example(lines=[(["a", "b", "c"], "\n")] * 9 + [(['"x\ny"', "b", "c"], "\n")] * 3, batch_rows=1, separator=",")
def test_the_same_as_pythons(
    tmp_path: Path, lines: list[tuple[list[str], str]], batch_rows: int, separator: str
) -> None:
    body = "".join(separator.join(cells) + end for cells, end in lines)
    content = f"{HEADER.replace(',', separator)}\n{body}".encode()
    ours, pythons = both(tmp_path / "a.csv", content, batch_rows)
    assert ours == pythons


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_plain_file_is_read_by_arrow_to_its_end(tmp_path: Path, mark: bytes, end: bytes) -> None:
    rows = [HEADER.encode(), *('甲,33990019800101%04d,"a,b"'.encode() % row for row in range(500))]
    content = mark + end.join(rows)
    with patch.object(csv_reader, "read_plain", wraps=read_plain) as arrow:
        ours, pythons = both(tmp_path / "a.csv", content, 100)
    assert ours == pythons
    rest = arrow.call_args.args[4]
    assert rest.offset == (len(content) if end != b"\r" else len(mark + rows[0]) + 1)


def test_a_cell_that_is_too_large(tmp_path: Path) -> None:
    for length in (131_072, 131_073, 140_000):
        content = f"{HEADER}\na,b,c\na,{'9' * length},c\n".encode()
        ours, pythons = both(tmp_path / "a.csv", content, 8_192)
        assert ours == pythons
