"""Fixtures of the endpoint's tests; what they are made of is in province_home.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from case_invariants import RECORDED_LOGS
from entrances import without_nginx
from province_home import ProvinceHome, RunningProvince

from api.limits import Limits


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if without_nginx:
        said = f"NOT RUN: {len(without_nginx)} tests through nginx, which is not installed"
        terminalreporter.write_line(f"{said} (apt-get install nginx-light)", red=True, bold=True)


@pytest.fixture(scope="session", autouse=True)
def recorded_logs() -> None:
    """Logs are kept for the invariants as they were made, unmasked; structlog.testing.capture_logs still sees them."""
    structlog.configure(processors=[RECORDED_LOGS, _drop], logger_factory=structlog.ReturnLoggerFactory())


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    raise structlog.DropEvent


@pytest.fixture(scope="session")
def home_as_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "province"
    ProvinceHome.create(path)
    return path


@pytest.fixture
def province_home(home_as_made: Path, tmp_path: Path) -> Iterator[ProvinceHome]:
    yield from _copied(home_as_made, tmp_path / "province")


@pytest.fixture
def province(province_home: ProvinceHome) -> Iterator[RunningProvince]:
    """A province of the test's own."""
    yield from _running(province_home)


@pytest.fixture(scope="module")
def shared_province(home_as_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvince]:
    """One province for all tests of a module that change nothing in it."""
    for home in _copied(home_as_made, tmp_path_factory.mktemp("shared") / "province"):
        yield from _running(home, Limits(unknown_refusals_per_minute=100_000))


def _copied(made: Path, path: Path) -> Iterator[ProvinceHome]:
    shutil.copytree(made, path)
    home = ProvinceHome.open(path)
    yield home
    home.close()


def _running(home: ProvinceHome, limits: Limits | None = None) -> Iterator[RunningProvince]:
    running = RunningProvince.start(home, limits)
    try:
        yield running
        running.check_invariants()
    finally:
        running.stop()
