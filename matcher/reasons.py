"""非扩中原因标签: why a household is not on the expanding list (docs/reference/reasons.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from psi.errors import InputError


class ReasonUnknown(InputError):
    """A reason label is neither a code nor the words of one; ``params["reason"]`` is the label."""

    code = "reason_unknown"


@dataclass(frozen=True)
class Reason:
    """One label. ``for_bank`` is the code a bank is given: sensitive ones (PIPL article 28) are merged."""

    code: str
    zh: str
    en: str
    for_bank: str


def _reason(code: str, zh: str, en: str, for_bank: str = "") -> tuple[str, Reason]:
    return code, Reason(code, zh, en, for_bank or code)


REASONS: dict[str, Reason] = dict(
    [
        _reason("N01", "收入超过上限", "income above the limit"),
        _reason("N02", "资产超过上限", "assets above the limit"),
        _reason("N03", "未达年龄", "under age"),
        _reason("N04", "超过年龄", "over age"),
        _reason("N05", "非辖区常住", "not resident"),
        _reason("N10", "低保", "minimum living allowance", "NX1"),
        _reason("N11", "低保边缘", "margin of the minimum living allowance", "NX1"),
        _reason("N12", "特困", "destitute", "NX1"),
        _reason("N20", "家庭信息冲突", "conflicting household records"),
        _reason("N21", "死亡或销户", "deceased or cancelled"),
        _reason("N22", "经营规模过大", "business too large"),
        _reason("N30", "已跃迁", "graduated"),
        _reason("N31", "违规使用", "misuse"),
        _reason("N90", "数据缺失", "data missing"),
        _reason("NX1", "政策排除", "policy exclusion"),
    ]
)

MAX_REASONS = 6  # of one household: more would not fit its label

_CODE_BY_WORD = {reason.zh: reason.code for reason in REASONS.values()} | {"低边": "N11"}
_SEPARATORS = re.compile(r"[,，、;；|\s]+")


def parse_reasons(text: str) -> tuple[str, ...]:
    """Codes from a cell such as ``N01、N11`` or ``低边``: distinct, ascending. Raises ReasonUnknown."""
    codes = set()
    for label in filter(None, _SEPARATORS.split(text)):
        code = _CODE_BY_WORD.get(label, label.upper())
        if code not in REASONS:
            raise ReasonUnknown("not a reason label", reason=label[:20])
        codes.add(code)
    return tuple(sorted(codes))


def longest_reasons() -> int:
    """Bytes of the longest cell of reasons that a label may hold."""
    return MAX_REASONS * (max(map(len, REASONS)) + 1) - 1


def for_bank(codes: Iterable[str]) -> tuple[str, ...]:
    """What a bank may see of a household's reasons: distinct, ascending."""
    return tuple(sorted({REASONS[code].for_bank for code in codes}))


def for_bank_column(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """:func:`for_bank` over a column of codes joined by ``,`` (the form of a :class:`BaseList`)."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    encoded: Any = column.dictionary_encode()
    shown = [",".join(for_bank(filter(None, codes.split(",")))) for codes in encoded.dictionary.to_pylist()]
    return pa.array(shown, pa.string()).take(encoded.indices)


def describe(codes: Iterable[str], *, english: bool = False) -> str:
    """The words for a household's reasons, as a table for people shows them."""
    if english:
        return "; ".join(REASONS[code].en for code in codes)
    return "、".join(REASONS[code].zh for code in codes)
