"""Numbers for canaries: ID numbers of grown-ups, and household numbers that look like the list's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from keys.clock import BEIJING
from psi.errors import InputError
from psi.identifiers import check_character

T = TypeVar("T")
RandomBytes = Callable[[int], bytes]

YOUNGEST_DAYS, OLDEST_DAYS = 18 * 366, 65 * 365
ATTEMPTS = 1_000


class NumberMaker:
    """ID numbers that begin with ``prefix`` and state a birth date 18 to 65 years before ``now``.

    Whether one is assigned, only the police know: have the numbers confirmed before they are published.
    """

    def __init__(self, prefix: str, now: datetime, random_bytes: RandomBytes) -> None:
        """Raises InputError unless the prefix is six digits."""
        if len(prefix) != 6 or not prefix.isascii() or not prefix.isdigit():
            raise InputError("a prefix is six digits", prefix=prefix)
        self._prefix = prefix
        self._today = now.astimezone(BEIJING).date()
        self._random_bytes = random_bytes

    def next_free(self, is_taken: Callable[[str], bool]) -> str:
        """A number that is not taken. Raises InputError if none is found."""
        for _ in range(ATTEMPTS):
            age = YOUNGEST_DAYS + below(OLDEST_DAYS - YOUNGEST_DAYS, self._random_bytes)
            born = self._today - timedelta(days=age)
            body = f"{self._prefix}{born:%Y%m%d}{1 + below(995, self._random_bytes):03d}"
            number = body + check_character(body)
            if not is_taken(number):
                return number
        raise InputError("no free number was found", prefix=self._prefix)


def imitate(one: str, other: str, random_bytes: RandomBytes, taken: Collection[str]) -> str:
    """A household number made like two of the list: what both begin with stays, other digits are random.

    Where all such numbers are taken it keeps less, and then grows. Raises InputError if no free one is found.
    """
    differ = [a != b for a, b in zip(one, other, strict=False)]
    alike = differ.index(True) if True in differ else len(differ)
    patterns = [(one, kept) for kept in range(alike, -1, -1)] + [(one + "0" * more, 0) for more in (1, 2, 3)]
    for pattern, kept in patterns:
        for _ in range(ATTEMPTS):
            made = pattern[:kept] + "".join(
                str(below(10, random_bytes)) if character in "0123456789" else character for character in pattern[kept:]
            )
            if made not in taken:
                return made
    raise InputError("no free household number was found")


def pick(values: Sequence[T], random_bytes: RandomBytes) -> T:
    return values[below(len(values), random_bytes)]


def below(limit: int, random_bytes: RandomBytes) -> int:
    """A number from 0 to limit-1; the bias of 64 bits against such limits does not matter here."""
    return int.from_bytes(random_bytes(8), "big") % limit
