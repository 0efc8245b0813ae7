"""Who took a file, when and what for, written into the file itself.

Whoever hands a file out sets the mark around the making of it, and every writer of workbooks reads it there: so no
export has to pass it on, and none can forget it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

LONGEST_LINE = 250  # a page's header or footer in a workbook: 255 characters with its codes
_LONGEST_PURPOSE = 80  # of what is printed; the note has all of it


@dataclass(frozen=True)
class Watermark:
    """``number``: of the download; ``at``: the clock on the wall, 2026-03-05 14:30."""

    number: str
    account: str
    at: str
    purpose: str

    @property
    def who(self) -> str:
        return f"下载编号 {self.number}　{self.account}　{self.at}"

    @property
    def why(self) -> str:
        """What is printed of the purpose."""
        cut = self.purpose[:_LONGEST_PURPOSE]
        return f"用途：{cut}{'…' if cut != self.purpose else ''}"

    @property
    def note(self) -> str:
        return f"{self.who}\n用途：{self.purpose}\n下载记入审计。含个人信息的文件仅限上述用途，用毕删除。"


_mark: ContextVar[Watermark | None] = ContextVar("watermark", default=None)


@contextmanager
def watermarked(mark: Watermark) -> Iterator[None]:
    """Everything written inside carries the mark."""
    token = _mark.set(mark)
    try:
        yield
    finally:
        _mark.reset(token)


def mark_sheet(sheet: Any, *, is_first: bool, header: str = "", footer: str = "") -> None:
    """Set a worksheet's page header and footer (xlsxwriter's codes), with the mark if there is one; the workbook's
    first sheet has it all as a note on its first cell, which leaves the rows as they are for whoever reads them."""
    mark = _mark.get()
    if mark is not None:
        header = f"&L{_plain(mark.who)}{header}"
        footer = f"{footer}&R{_plain(mark.why)}"
        if is_first:
            sheet.write_comment(0, 0, mark.note, {"author": mark.account, "x_scale": 3, "y_scale": 1.5})
    if header:
        sheet.set_header(header[:LONGEST_LINE])
    if footer:
        sheet.set_footer(footer[:LONGEST_LINE])


def _plain(text: str) -> str:
    """A header's own codes begin with &."""
    return text.replace("&", "&&")
