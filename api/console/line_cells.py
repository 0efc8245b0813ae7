"""Interest lines in files: the headings of their amounts, and the cells."""

from __future__ import annotations

from api.console.language import mark
from matcher.subsidy.arithmetic import Parts
from matcher.subsidy.lines import plain_yuan

AMOUNTS = ("应计利息", "客户承担", "超出部分", "财政贴息", "银行让利", "其中省级", "其中地方")
"""In the order of Parts."""
LINE_KINDS = {"regular": mark("结息"), "adjustment": mark("更正")}


def amount_cells(parts: Parts) -> tuple[str, ...]:
    """Yuan without separators, as a spreadsheet adds them up."""
    return tuple(map(plain_yuan, vars(parts).values()))
