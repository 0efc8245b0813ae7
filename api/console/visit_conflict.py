"""Two forms of one visit side by side, so that a person takes each field from one or the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matcher.visits.form import heading_of
from matcher.visits.model import Difference


@dataclass(frozen=True)
class ConflictEntry:
    """``path`` of what is chosen as a whole: a field, or a list whose entries do not pair off. ``mine`` is the
    device's, ``theirs`` what is stored; numbers are masked."""

    path: str
    heading: str
    mine: str
    theirs: str


def conflict_entries(differences: Sequence[Difference], stored: Mapping[str, Any]) -> list[ConflictEntry]:
    """Fields one by one; entries of a list that one side lacks make the whole list one choice. The sum follows from
    what is chosen, so it is none."""
    uneven = {one.path.split(".")[0] for one in differences if _is_extra(one, stored)}
    entries = [
        ConflictEntry(one.path, one.heading, one.offered, one.stored)
        for one in differences
        if one.path.split(".")[0] not in uneven and one.path != _SUM
    ]
    for name in sorted(uneven):
        of_list = [one for one in differences if one.path.split(".")[0] == name]
        mine = "；".join(f"{one.heading}：{one.offered}" for one in of_list if one.offered)
        theirs = "；".join(f"{one.heading}：{one.stored}" for one in of_list if one.stored)
        entries.append(ConflictEntry(name, heading_of((name,)), mine, theirs))
    return entries


def _is_extra(one: Difference, stored: Mapping[str, Any]) -> bool:
    """Whether the difference is of an entry that only one of the two lists has."""
    name, _, rest = one.path.partition(".")
    number = rest.split(".")[0]
    if not number.isdecimal() or not isinstance(stored.get(name), list):
        return False
    fields = rest.split(".")[1] if "." in rest else ""
    return int(number) >= len(stored[name]) or (one.offered == "" and fields in _NEVER_EMPTY)


_SUM = "income.total"
_NEVER_EMPTY = frozenset({"relation", "name", "sex", "marriage", "lender", "balance", "product", "amount", "months"})
"""Fields of an entry that a form cannot leave empty: an offered form without them lacks the entry."""
