"""Ways in which real lists spoil a number. Each takes a clean item and gives the text of the cell."""

from __future__ import annotations

from collections.abc import Callable

from psi.identifiers import CHECK_CHARACTERS

Random = Callable[[], float]

_FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
_MARGINS = (" ", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b", "\r")


def _with_margins(item: str, random: Random) -> str:
    before, after = (_MARGINS[int(random() * len(_MARGINS))] for _ in range(2))
    return f"{before}{item}{after}"


def _lower_x(item: str, random: Random) -> str:
    return item.lower() if item.endswith("X") else _with_margins(item, random)


def _fifteen(item: str, random: Random) -> str:
    """GB 11643-1989; only for births in the 1900s, and 996 to 999 meant something else."""
    if item[6:8] != "19" or item[14:17] >= "996":
        return _with_margins(item, random)
    return item[:6] + item[8:17]


def _bad_check(item: str, random: Random) -> str:
    others = CHECK_CHARACTERS.replace(item[17], "").replace("0", "")
    return item[:17] + others[int(random() * len(others))]


def _damaged(item: str, random: Random) -> str:
    return f"{item[0]}.{item[1:6]}E+17"


def _rounded(item: str, random: Random) -> str:
    """15 digits and three zeros; where those happen to be a sound number, another damage."""
    rounded = item[:15] + "000"
    return rounded if not _is_sound(rounded) else _damaged(item, random)


# Cells that still mean the same person, and cells that must be refused, with the reason code.
HARMLESS: dict[str, Callable[[str, Random], str]] = {
    "fifteen_digits": _fifteen,
    "lower_case_x": _lower_x,
    "full_width": lambda item, random: item.translate(_FULL_WIDTH),
    "margins": _with_margins,
    "apostrophe": lambda item, random: f"'{item}",
}
REFUSED: dict[str, tuple[str, Callable[[str, Random], str]]] = {
    "bad_check": ("bad_check", _bad_check),
    "scientific": ("spreadsheet_damaged", _damaged),
}
