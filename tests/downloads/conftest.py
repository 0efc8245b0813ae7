"""The clock of a folder's tests, and an office that shares it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import make_office, spring

from keys.clock import SettableClock
from matcher.bureau.office import Office


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.close()
