"""How a list too large for memory is cut: by the leading bits of its rows' references, which are spread evenly.

The remembered rows are ordered by reference, so a part of the list and the same part of them fit together, and
everything that is compared or remembered is done part by part.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from psi import remembered
from psi.columnfile import ColumnFile

PART_ROWS = 524_288
MAX_PARTS = 1_024
_PREFIX_BITS = 16


def count_parts(rows: int) -> int:
    """How many parts a list of about so many rows is cut into."""
    return min(max(-(-rows // PART_ROWS), 1), MAX_PARTS)


def part_starts(parts: int) -> list[bytes]:
    """The lowest reference of each part but the first."""
    width = remembered.REFERENCE_BYTES
    prefixes = (-(-(part << _PREFIX_BITS) // parts) for part in range(1, parts))
    return [prefix.to_bytes(_PREFIX_BITS // 8, "big") + bytes(width - _PREFIX_BITS // 8) for prefix in prefixes]


def cut_sorted(references: bytes, starts: list[bytes]) -> list[tuple[int, int]]:
    """Of ascending references (n*16 bytes) the range of rows in each part."""
    width = remembered.REFERENCE_BYTES
    rows = range(len(references) // width)
    cuts = [bisect_left(rows, start, key=lambda row: references[row * width : row * width + width]) for start in starts]
    return list(zip([0, *cuts], [*cuts, len(rows)], strict=True))


class Reader(Protocol):
    """What is remembered of an edition, a part at a time."""

    def read(self, part: int) -> remembered.Remembered: ...


class RememberedFiles:
    """What is remembered of an edition, read a part at a time from its file and, under a delta, its base's."""

    def __init__(self, base: ColumnFile | None, changed: ColumnFile | None, parts: int) -> None:
        starts = part_starts(parts)
        self._parts = parts
        self._files = [(file, _cut_file(file, starts)) for file in (base, changed)]

    def read(self, part: int) -> remembered.Remembered:
        """Both tables of one part, held in memory."""
        tables = [remembered.empty_state() if file is None else file.read(*cuts[part]) for file, cuts in self._files]
        return remembered.Remembered(*tables)

    def count_live(self) -> int:
        return sum(self.read(part).count_live() for part in range(self._parts))


def _cut_file(file: ColumnFile | None, starts: list[bytes]) -> list[tuple[int, int]]:
    if file is None:
        return []
    cuts = [file.find("ref", start) for start in starts]
    return list(zip([0, *cuts], [*cuts, len(file)], strict=True))
