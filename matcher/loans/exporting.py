"""Lists of loans as files that a spreadsheet opens safely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from matcher.exports import Format, write_export
from matcher.loans.file_import import RowReject
from matcher.loans.listing import LoanRow
from matcher.states import LOAN, SUBSIDY
from matcher.subsidy.lines import plain_yuan

_LOANS: Mapping[str, str] = {
    "contract_no": "合同编号", "bank": "银行", "household_no": "家庭编号", "division": "行政区划", "borrower": "借款人",
    "item": "证件号码", "product": "产品", "state": "状态", "subsidy_state": "贴息状态", "principal": "本金",
    "balance": "余额", "contract_rate": "合同利率", "customer_rate": "客户利率", "signed_on": "签订日",
    "starts_on": "起息日", "ends_on": "到期日", "ended_on": "结清日", "manager": "客户经理",
}  # fmt: skip
_REJECTS: Mapping[str, str] = {
    "sheet": "工作表", "row": "行号", "heading": "列", "reason": "原因代码", "number": "证件号码(掩码)",
}  # fmt: skip
_WORDS: Mapping[str, Mapping[str, str]] = {"state": LOAN.words, "subsidy_state": SUBSIDY.words}


def write_loans(path: Path, loans: Sequence[LoanRow], format: Format) -> int:
    """Masked, as the list shows them; amounts in yuan. Returns how many. Raises OSError."""
    write_export(path, _columns(loans, _LOANS), format=format)
    return len(loans)


def write_rejects(path: Path, rejects: Sequence[RowReject], words: Sequence[str], format: Format) -> int:
    """``words``: each reason in words, as whoever shows them says it. Returns how many. Raises OSError."""
    columns = _columns(rejects, _REJECTS) | {"原因": pa.array(words, pa.string())}
    write_export(path, columns, format=format)
    return len(rejects)


def _columns(rows: Iterable[object], headings: Mapping[str, str]) -> dict[str, pa.Array[Any]]:
    kept = list(rows)
    return {
        heading: pa.array([_cell(name, getattr(row, name)) for row in kept], pa.string())
        for name, heading in headings.items()
    }


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("principal", "balance"):
        return plain_yuan(value)
    return _WORDS[name][value] if name in _WORDS else str(value)
