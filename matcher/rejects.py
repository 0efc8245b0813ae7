"""Rows that cannot be used: each is named with its place, a reason and a masked number; none is skipped silently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from matcher.exports import write_export

# Reason codes (docs/reference/reasons.md) with their Chinese and English words.
# The first ones are the verdicts of psi.identifiers.
ROW_REASONS: dict[str, tuple[str, str]] = {
    "empty": ("证件号码为空", "no ID number"),
    "wrong_length": ("证件号码位数不对", "an ID number of a wrong length"),
    "bad_character": ("证件号码含有非法字符", "a character that no ID number has"),
    "bad_date": ("证件号码中的出生日期不存在", "a birth date that does not exist"),
    "bad_check": ("证件号码校验码不符", "the check character does not hold"),
    "spreadsheet_damaged": ("证件号码被表格软件当作数字损坏", "the number was damaged by a spreadsheet"),
    "review_centenarian": (
        "15 位号码属百岁老人特殊编码，需人工核对",
        "a centenarian's 15-digit number: review by hand",
    ),
    "review_permit": ("居住证或外国人永久居留证，需人工核对", "a residence permit: review by hand"),
    "ragged_row": ("单元格数与表头不一致", "more or fewer cells than the header"),
    "control_character": ("单元格含有控制字符", "a control character in a cell"),
    "duplicate": ("证件号码重复", "the number stands in another row too"),
    "duplicate_differs": ("证件号码重复且内容不一致", "the number stands in another row with other content"),
    "bad_value": ("该列没有值，或没有这样的值", "no value, or one that this column cannot have"),
    "bad_household_no": (
        "家庭编号为空、超过 20 字节或被表格软件损坏",
        "household number empty, over 20 bytes or damaged by a spreadsheet",
    ),
    "bad_household_size": ("家庭人数不是 1 至 99", "household size not 1 to 99"),
    "bad_division": ("行政区划不是 6、9 或 12 位数字", "division not 6, 9 or 12 digits"),
    "bad_expanding": ("是否扩中家庭无法识别", "expanding neither yes nor no"),
    "bad_reasons": ("非扩中原因标签无法识别", "unknown reason label"),
    "too_many_reasons": ("非扩中原因标签超过 6 个", "more than 6 reason labels"),
    "not_new": ("变更清单称新增，但名单中已有此人", "said to be new, but on the list already"),
    "not_there": ("变更清单称变更或删除，但名单中没有此人", "said to be changed or gone, but not on the list"),
    "contradiction": ("扩中家庭不应有非扩中原因", "an expanding household with a reason against it"),
}


class Reject(NamedTuple):
    """One unusable row: its number in its sheet (the header is row 1), and why.

    ``number`` is masked. ``kept_row`` is the row that was kept in place of a duplicate, or 0;
    ``heading`` the column that the reason is about, or "".
    """

    row: int
    reason: str
    number: str
    sheet: str = ""
    kept_row: int = 0
    heading: str = ""


def count_reasons(rejects: Iterable[Reject]) -> dict[str, int]:
    """How many rows were refused for each reason, the most frequent first."""
    return dict(Counter(reject.reason for reject in rejects).most_common())


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write the reject file: CSV that Excel opens, whole or not at all."""
    rows = list(rejects)
    columns = {
        "工作表": [reject.sheet for reject in rows],
        "行号": [str(reject.row) for reject in rows],
        "原因代码": [reject.reason for reject in rows],
        "原因": [ROW_REASONS[reject.reason][0] for reject in rows],
        "列": [reject.heading for reject in rows],
        "证件号码(掩码)": [reject.number for reject in rows],
        "保留行号": [str(reject.kept_row or "") for reject in rows],
    }
    write_export(path, {name: pa.array(cells, pa.string()) for name, cells in columns.items()}, format="csv")
