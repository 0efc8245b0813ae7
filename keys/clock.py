"""Time as a parameter: the real clock at the edge, a settable one in tests and demos."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Protocol

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")  # without summer time since 1991


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, always with time zone UTC."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class ShiftedClock:
    """The real clock, so much later or earlier: for a demonstration that plays in another year."""

    shift: timedelta

    @classmethod
    def starting_at(cls, moment: datetime) -> ShiftedClock:
        """A clock that shows ``moment`` now and runs on from there."""
        return cls(moment - datetime.now(UTC))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift


@dataclass
class SettableClock:
    """A clock that moves only when told to."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 5, 9, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds and a ``Z``: the one form stored and sent.

    Raises ValueError for a time without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1_024)  # an endpoint reads the same few times of its epochs with every request
def parse_time(text: str) -> datetime:
    """The inverse of :func:`format_time`. Raises ValueError on any other form."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if format_time(moment) != text:  # strptime takes other digits, short fields and small letters too
        raise ValueError("not a time of the form 2026-01-05T09:00:00Z")
    return moment
