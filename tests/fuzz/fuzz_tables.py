"""Lists of customers and households from CSV, XLSX and Parquet files, and the ID numbers in them."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from fuzz_target import Target, scratch_file

from matcher.exchange import read_exchange_list
from matcher.tables import read_customers, read_labelled_list
from psi.errors import InputError, MingceError
from psi.identifiers import check_character, normalise, normalise_one

CUSTOMERS = ["证件号码", "客户姓名"]
HOUSEHOLDS = ["证件号码", "家庭编号", "家庭人数", "行政区划", "是否扩中家庭", "非扩中原因标签", "行政区划名称"]


def number(person: int) -> str:
    body = f"9900001980{person % 12 + 1:02d}{person % 28 + 1:02d}{person % 1000:03d}"
    return body + check_character(body)


def customer_rows() -> list[list[str]]:
    return [CUSTOMERS, *([number(n), f"演示{n}"] for n in range(6)), [number(0), "重复"], ["'" + number(8), "x"]]


def household_rows() -> list[list[str]]:
    rows = [
        [number(n), f"H{n // 2}", "3", "330922", "否" if n % 2 else "是", "N01,N05" if n % 2 else "", "嵊泗县"]
        for n in range(6)
    ]
    return [HOUSEHOLDS, *rows]


def as_csv(rows: list[list[str]], separator: str = ",") -> str:
    return "\r\n".join(separator.join(f'"{cell}"' if "," in cell else cell for cell in row) for row in rows) + "\r\n"


def as_xlsx(rows: list[list[str]]) -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)
    return sink.getvalue()


def as_parquet(rows: list[list[str]]) -> bytes:
    sink = pa.BufferOutputStream()
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    pq.write_table(pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()}), sink)
    return sink.getvalue().to_pybytes()


def read_list(path: Path) -> None:
    """As a bank, as a province and as a party of an exchange would; good for one of them is good."""
    refused: list[MingceError] = []
    for read in (read_customers, read_labelled_list, read_exchange_list):
        try:
            read(path)
        except MingceError as error:
            refused.append(error)
    if len(refused) == 3:
        raise refused[0]


def read_csv(data: bytes) -> None:
    read_list(scratch_file("list.csv", data))


def csv_seeds() -> list[bytes]:
    customers, households = as_csv(customer_rows()), as_csv(household_rows())
    tabs = as_csv(customer_rows(), "\t")
    return [customers.encode(), households.encode("gb18030"), tabs.encode("utf-16"), customers.encode("utf-8-sig")]


def read_xlsx(data: bytes) -> None:
    read_customers(scratch_file("list.xlsx", data))


def read_parquet(data: bytes) -> None:
    read_list(scratch_file("list.parquet", data))


def read_number(data: bytes) -> None:
    """Cells separated by line feeds: one verdict each, the same alone as in a column; a normal form stays itself."""
    cells = data.decode("utf-8", "replace").split("\n")
    result = normalise(pa.array(cells, pa.string()))
    assert len(result) == len(cells)
    for place, cell in enumerate(cells):
        item, verdict = normalise_one(cell)
        assert verdict == result.verdicts[place]
        if item is not None:
            assert item.encode() == result.items[18 * place : 18 * place + 18]
            assert normalise_one(item)[0] == item
        elif len(cells) == 1:
            raise InputError(verdict.code)


def number_seeds() -> list[bytes]:
    cells = [
        number(1),
        number(2).lower(),
        "990000800101123",
        "９９００００198001010019",
        f" '{number(3)}\u200b",
        "1.1E+17",
        "",
    ]
    return ["\n".join(cells).encode(), number(4).encode()]


TARGETS = [
    Target("csv", "a list as CSV in any encoding", read_csv, csv_seeds),
    Target("xlsx", "a list as XLSX", read_xlsx, lambda: [as_xlsx(customer_rows()), as_xlsx(household_rows())]),
    Target(
        "parquet",
        "a list as Parquet",
        read_parquet,
        lambda: [as_parquet(customer_rows()), as_parquet(household_rows())],
    ),
    Target("id_number", "ID numbers, one by one and as a column", read_number, number_seeds),
]
