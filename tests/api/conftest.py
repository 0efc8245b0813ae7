"""Fixtures of the endpoint's tests; what they are made of is in province_home.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from province_home import ProvinceHome, RunningProvince


@pytest.fixture
def province_home(tmp_path: Path) -> Iterator[ProvinceHome]:
    home = ProvinceHome.create(tmp_path / "province")
    yield home
    home.close()


@pytest.fixture
def province(province_home: ProvinceHome) -> Iterator[RunningProvince]:
    running = RunningProvince.start(province_home)
    try:
        yield running
        running.check_invariants()
    finally:
        running.stop()
