"""A party's home as the commands open it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keys.clock import SystemClock
from scripts import templates
from scripts.home import DEMO_CLOCK, create_home, open_any_home

YEARS_AHEAD = "2031-03-01T01:00:00Z"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(
        tmp_path / "bureau", "bureau", "演示县财政局", templates.bureau("演示县财政局", ["339901"]), SystemClock()
    )
    return tmp_path / "bureau"


def test_a_real_home_keeps_the_real_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEMO_CLOCK, YEARS_AHEAD)
    assert abs(open_any_home(home).clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_demonstration_plays_in_another_year_and_its_clock_runs_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = home / "mingce.toml"
    config.write_text("demo = true\n" + config.read_text("utf-8"), "utf-8")
    monkeypatch.setenv(DEMO_CLOCK, YEARS_AHEAD)
    clock = open_any_home(home).clock
    first = clock.now()
    assert timedelta(0) <= first - datetime(2031, 3, 1, 1, tzinfo=UTC) < timedelta(minutes=1)
    assert clock.now() > first
