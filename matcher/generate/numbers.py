"""Made-up ID numbers: real dates and check characters under area codes that were never assigned."""

from __future__ import annotations

from array import array
from datetime import date, timedelta

from psi.errors import InputError
from psi.identifiers import CHECK_CHARACTERS, check_character

AREAS = tuple(f"3399{number:02d}" for number in range(100))  # there never was a prefecture 3399
DAYS = 105 * 366  # of age that a made-up person can have

_SEQUENCES = 500  # per area, birth date and sex: odd ones for men, even ones for women
_HALF = _SEQUENCES // 2
_STEP = 137  # prime to 500, so that neighbours in the count get distant sequence numbers


class TooManyPeople(InputError):
    """More people of one birth date and area were asked for than there are numbers."""

    code = "too_many_people"


class NumberSource:
    """Gives each number once. People on the list count up, strangers count down, so the two never meet."""

    def __init__(self, areas: int, as_of: date) -> None:
        dates = [(as_of - timedelta(days=days)).strftime("%Y%m%d") for days in range(DAYS)]
        sequences = [f"{sequence:03d}" for sequence in range(1000)]
        self.areas = areas
        self._areas = AREAS[:areas]
        self._dates = dates
        self._sequences = sequences
        self._area_sums = [_weighted_sum(area + "0" * 11) for area in self._areas]
        self._date_sums = [_weighted_sum("0" * 6 + day + "0" * 3) for day in dates]
        self._sequence_sums = [_weighted_sum("0" * 14 + sequence) for sequence in sequences]
        self._counts = [array("B", bytes(2 * DAYS)) for _ in self._areas]
        self._stranger_counts = [array("B", bytes(2 * DAYS)) for _ in self._areas]

    def next_member(self, area: int, age_days: int, male: bool) -> str:
        """A number for the base list. Raises TooManyPeople."""
        place = 2 * age_days + male
        counts = self._counts[area]
        count = counts[place]
        if count == _HALF:
            raise TooManyPeople("no number is left for this birth date")
        counts[place] = count + 1
        return self._number(area, age_days, male, count)

    def next_stranger(self, area: int, age_days: int, male: bool) -> str:
        """A number that the base list made with the same areas does not hold. Raises TooManyPeople."""
        place = 2 * age_days + male
        counts = self._stranger_counts[area]
        count = counts[place]
        if count == _HALF:
            raise TooManyPeople("no number is left for this birth date")
        counts[place] = count + 1
        return self._number(area, age_days, male, _SEQUENCES - 1 - count)

    def _number(self, area: int, age_days: int, male: bool, count: int) -> str:
        sequence = (count * _STEP + age_days * 61) % _SEQUENCES * 2 + male
        total = self._area_sums[area] + self._date_sums[age_days] + self._sequence_sums[sequence]
        check = CHECK_CHARACTERS[total % 11]
        return f"{self._areas[area]}{self._dates[age_days]}{self._sequences[sequence]}{check}"


def _weighted_sum(body: str) -> int:
    """Modulo 11. The check character tells it, and sums of parts add up."""
    return CHECK_CHARACTERS.index(check_character(body))
