"""Fixtures of the console's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from bureau_office import make_office, spring
from case_invariants import RECORDED_LOGS
from console_server import RunningConsole, running_console

from keys.clock import SettableClock
from matcher.bureau.office import Office


@pytest.fixture(scope="session", autouse=True)
def recorded_logs() -> None:
    """Logs are kept for the invariants as they were made, unmasked."""
    structlog.configure(processors=[RECORDED_LOGS, _drop], logger_factory=structlog.ReturnLoggerFactory())


def _drop(_logger: object, _method: str, _event: object) -> NoReturn:
    raise structlog.DropEvent


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.close()


@pytest.fixture
def console(office: Office) -> Iterator[RunningConsole]:
    with running_console(office) as running:
        yield running
