"""Ways in which real lists spoil a number: from an item to the text of its cell.

A harmless way that cannot be used on an item leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from psi.identifiers import CHECK_CHARACTERS, check_character

Random = Callable[[], float]

_FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
_MARGINS = (" ", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b")


def _with_margins(item: str, random: Random) -> str:
    before, after = (_MARGINS[int(random() * len(_MARGINS))] for _ in range(2))
    return f"{before}{item}{after}"


def _lower_x(item: str, random: Random) -> str:
    return item.lower()


def _fifteen(item: str, random: Random) -> str:
    """GB 11643-1989; only for births in the 1900s, and 996 to 999 meant something else."""
    if item[6:8] != "19" or item[14:17] >= "996":
        return item
    return item[:6] + item[8:17]


def _bad_check(item: str, random: Random) -> str:
    others = CHECK_CHARACTERS.replace(item[17], "").replace("0", "")
    return item[:17] + others[int(random() * len(others))]


def _bad_date(item: str, random: Random) -> str:
    body = f"{item[:10]}0231{item[14:17]}"
    return body + check_character(body)


def _scientific(item: str, random: Random) -> str:
    return f"{item[0]}.{item[1:6]}E+17"


def _rounded(item: str, random: Random) -> str:
    """15 digits and three zeros; where those happen to be a sound number, the other damage."""
    is_sound = check_character(f"{item[:15]}00") == "0"
    return _scientific(item, random) if is_sound else f"{item[:15]}000"


# Cells that still mean the same person.
HARMLESS: dict[str, Callable[[str, Random], str]] = {
    "fifteen_digits": _fifteen,
    "lower_case_x": _lower_x,
    "full_width": lambda item, random: item.translate(_FULL_WIDTH),
    "margins": _with_margins,
    "apostrophe": lambda item, random: f"'{item}",
}

# Cells that must be refused, by the reason code that they must get.
REFUSED: dict[str, Callable[[str, Random], str]] = {
    "empty": lambda item, random: "",
    "wrong_length": lambda item, random: item[:17],
    "bad_character": lambda item, random: f"{item[:6]}O{item[7:]}",
    "bad_date": _bad_date,
    "bad_check": _bad_check,
    "spreadsheet_damaged": lambda item, random: (_scientific if random() < 0.5 else _rounded)(item, random),
}
