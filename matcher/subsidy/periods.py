"""Settlement periods of a loan, and its balance over time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from psi.errors import InputError

ONE_DAY = timedelta(days=1)


class MovementsInvalid(InputError):
    """Drawdowns and repayments that no loan can have; ``params``: ``on`` and the reason."""

    code = "loan_movements_invalid"


@dataclass(frozen=True)
class Period:
    """Days from ``start`` on, ``end`` not included. ``settled_on`` is when its interest falls due."""

    start: date
    end: date
    settled_on: date

    @property
    def days(self) -> int:
        return (self.end - self.start).days


@dataclass(frozen=True)
class SettlementCalendar:
    """Interest falls due on a day of some months, that day included, and when the loan ends.

    The default is the banks' usual one: the 20th of the last month of each quarter.
    """

    months: tuple[int, ...] = (3, 6, 9, 12)
    day: int = 20

    def __post_init__(self) -> None:
        if not self.months or not set(self.months) <= set(range(1, 13)) or not 1 <= self.day <= 28:
            raise InputError("settlement months are 1 to 12, the day 1 to 28")

    def periods(self, start: date, end: date) -> list[Period]:
        """The periods of a loan from ``start`` to ``end`` (not included); none if that is no day."""
        found: list[Period] = []
        begin = start
        while begin < end:
            settled_on = self._next(begin)
            after = settled_on + ONE_DAY
            found.append(Period(begin, after, settled_on) if after <= end else Period(begin, end, end))
            begin = after
        return found

    def _next(self, day: date) -> date:
        """The first settlement day on or after ``day``."""
        years = (day.year, day.year + 1)
        return min(due for year in years for month in self.months if (due := date(year, month, self.day)) >= day)


@dataclass(frozen=True)
class Movement:
    """A change of the principal on a day, in 分: positive for a drawdown, negative for a repayment."""

    on: date
    amount: int


@dataclass(frozen=True)
class Balance:
    """A principal over time: ``amounts[i]`` 分 from ``days[i]`` until the next; 0 before the first day."""

    days: tuple[date, ...]
    amounts: tuple[int, ...]

    @classmethod
    def of(cls, movements: Iterable[Movement]) -> Balance:
        """Raises MovementsInvalid if more is repaid than is owed. Movements of one day count together."""
        total, days, amounts = 0, [], []
        by_day: dict[date, int] = {}
        for movement in movements:
            by_day[movement.on] = by_day.get(movement.on, 0) + movement.amount
        for day in sorted(by_day):
            total += by_day[day]
            if total < 0:
                raise MovementsInvalid("more is repaid than is owed", on=day.isoformat())
            days.append(day)
            amounts.append(total)
        return cls(tuple(days), tuple(amounts))

    def on(self, day: date) -> int:
        """The principal that bears interest on a day: after the movements of that day."""
        index = bisect_right(self.days, day)
        return self.amounts[index - 1] if index else 0

    def balance_days(self, start: date, end: date, without: Sequence[tuple[date, date]] = ()) -> int:
        """Σ balance × days from ``start`` to ``end`` (not included), less the days of ``without``, each half-open."""
        edges = {start, end, *self.days, *(edge for span in without for edge in span)}
        inside = sorted(edge for edge in edges if start <= edge <= end)
        return sum(
            self.on(a) * (b - a).days
            for a, b in pairwise(inside)
            if not any(first <= a < last for first, last in without)
        )


def share_cap(balances: Sequence[Balance], caps: Sequence[int]) -> list[Balance]:
    """What of each loan counts when together they may not exceed ``caps``, in 分: one for each loan.

    The loans come in the order of their claim: an earlier one is filled first, and a later one gets what its own
    cap leaves after them.
    """
    days = sorted({day for balance in balances for day in balance.days})
    shares: list[list[int]] = [[] for _ in balances]
    for day in days:
        used = 0
        for share, balance, cap in zip(shares, balances, caps, strict=True):
            taken = min(balance.on(day), max(cap - used, 0))
            share.append(taken)
            used += taken
    return [Balance(tuple(days), tuple(share)) for share in shares]
