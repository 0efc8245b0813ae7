"""Chinese ID numbers (GB 11643) in the one form that both sides of a match agree on.

The rules live in psi/native/src/identifiers.rs and are written down in
docs/reference/identifiers.md. :data:`NORMALISER` names their version; two sides with
different versions must not match. An *item* is a normalised number: 18 ASCII bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from psi import _native
from psi.columns import data_of, fixed

NORMALISER: Literal["gb11643/1"] = "gb11643/1"
ITEM_BYTES = 18

_FIRST_REFUSED = 16
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"  # by the weighted sum of the 17 digits modulo 11
_MASK = "*" * 12
_SHORTEST_SHOWN = 8


class Verdict(IntEnum):
    """What became of one number; the values are part of ``gb11643/1``. Below 16 it is usable."""

    OK = 0
    OK_UNKNOWN_PLACE = 1
    OK_CONVERTED_15 = 2
    EMPTY = 16
    WRONG_LENGTH = 17
    BAD_CHARACTER = 18
    BAD_DATE = 19
    BAD_CHECK = 20
    SPREADSHEET_DAMAGED = 21
    REVIEW_CENTENARIAN = 32
    REVIEW_PERMIT = 33

    @property
    def code(self) -> str:
        """The stable name used in reject files and stores, e.g. ``bad_check``."""
        return self.name.lower()

    @property
    def is_usable(self) -> bool:
        return self < _FIRST_REFUSED


@dataclass(frozen=True, repr=False)
class Normalised:
    """n numbers: ``items`` is n*18 bytes (zeros where refused), ``verdicts`` n bytes of :class:`Verdict`."""

    items: bytes
    verdicts: bytes

    def __len__(self) -> int:
        return len(self.verdicts)

    @property
    def usable(self) -> pa.BooleanArray:
        """Which rows may be matched."""
        column = pa.Array.from_buffers(pa.uint8(), len(self), [None, pa.py_buffer(self.verdicts)])
        return pc.less(column, pa.scalar(_FIRST_REFUSED, pa.uint8()))

    def usable_items(self) -> pa.Buffer:
        """The items of the usable rows alone, m*18 bytes."""
        return data_of(fixed(self.items, ITEM_BYTES).filter(self.usable))


def normalise(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> Normalised:
    """Normalise a string column; a null counts as empty. About 30 ns a row on one core.

    Raises pyarrow.ArrowInvalid or ArrowNotImplementedError if the column is not made of strings.
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [_normalise_chunk(chunk) for chunk in chunks if len(chunk)]
    if len(parts) == 1:
        return Normalised(*parts[0])
    return Normalised(b"".join(items for items, _ in parts), b"".join(verdicts for _, verdicts in parts))


def _normalise_chunk(chunk: pa.Array[Any]) -> tuple[bytes, bytes]:
    if not _is_text(chunk.type):
        raise pa.ArrowInvalid(f"ID numbers must be text, not {chunk.type}")
    strings: pa.Array[Any] = chunk.cast(pa.string())
    if strings.null_count:
        strings = strings.fill_null("")
    _, offsets, data = strings.buffers()
    if offsets is None:
        raise pa.ArrowInvalid("a string column without offsets")
    window = offsets.slice(4 * strings.offset, 4 * (len(strings) + 1))  # a slice keeps its parent's buffers
    return _native.normalise_ids(window, data if data is not None else b"")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def normalise_one(text: str) -> tuple[str | None, Verdict]:
    """One number typed by a person: the item, or None, and why."""
    result = normalise(pa.array([text.encode("utf-8", "replace").decode()], pa.string()))
    verdict = Verdict(result.verdicts[0])
    return (result.items.decode("ascii") if verdict.is_usable else None), verdict


def check_character(body: str) -> str:
    """The 18th character for 17 digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    return CHECK_CHARACTERS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def birth_date(item: str) -> date:
    """The birth date that an item's places 7 to 14 state."""
    return date(int(item[6:10]), int(item[10:12]), int(item[12:14]))


def sex(item: str) -> Literal["M", "F"]:
    """Place 17 is odd for a man, even for a woman."""
    return "M" if int(item[16]) % 2 else "F"


def mask(number: str) -> str:
    """A number as it may be shown and logged: ``33************1X``.

    Always 16 characters of ``[0-9A-Za-z*]``, whatever was in the cell, so that nothing of a short or
    foreign value shows and nothing in it can act on the log, page or spreadsheet it lands in.
    """
    text = number.strip()
    if not text:
        return ""
    if len(text) < _SHORTEST_SHOWN:
        return "**" + _MASK + "**"
    kept = "".join(c if c.isascii() and c.isalnum() else "*" for c in text[:2] + text[-2:])
    return kept[:2] + _MASK + kept[2:]
