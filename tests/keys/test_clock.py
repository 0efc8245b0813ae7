from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.clock import SettableClock, SystemClock, format_time, parse_time


@settings(deadline=None)
@given(
    st.datetimes(
        min_value=datetime(1000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.just(UTC),
    )
)
def test_a_time_survives_to_the_second(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


def test_other_zones_are_written_in_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    assert format_time(datetime(2026, 1, 5, 9, 0, tzinfo=beijing)) == "2026-01-05T01:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-05",
        "2026-1-5T9:0:0Z",
        "2026-01-05T09:00:00",
        "2026-01-05T09:00:00+00:00",
        "2026-01-05t09:00:00z",
        "2026-01-05T09:00:00.5Z",
        " 2026-01-05T09:00:00Z",
        "2026-01-05T09:00:00Z\n",
        "2026-02-30T09:00:00Z",
        "２０２６-01-05T09:00:00Z",
        "٢٠٢٦-01-05T09:00:00Z",
        "2026-01-05T09:00:61Z",
    ],
)
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_time(text)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_time(datetime(2026, 1, 5))  # noqa: DTZ001


def test_clocks() -> None:
    clock = SettableClock(datetime(2026, 1, 5, tzinfo=UTC))
    clock.advance(90)
    assert clock.now() == datetime(2026, 1, 5, 0, 1, 30, tzinfo=UTC)
    assert SystemClock().now().tzinfo is UTC
