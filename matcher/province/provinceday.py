"""The province's calendar day, in Beijing time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from keys.clock import BEIJING


def day_of(moment: datetime) -> str:
    """The day of a moment, ``2026-01-05``; later days are greater texts."""
    return moment.astimezone(BEIJING).date().isoformat()


def day_end(day: str) -> datetime:
    """The moment, in UTC, at which the next day begins."""
    following = date.fromisoformat(day) + timedelta(days=1)
    return datetime.combine(following, time(), BEIJING).astimezone(UTC)
