"""An office with its accounts and a policy in force, and one household that waits for its review."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import make_office, spring
from reviewing import add_waiting, begin

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.reviews import Reviews


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    office = make_office(tmp_path / "home", clock)
    begin(office)
    yield office
    office.verify_audit()
    office.close()


@pytest.fixture
def household(office: Office) -> int:
    return add_waiting(office)[0]


@pytest.fixture
def reviews(office: Office) -> Reviews:
    return Reviews(office)
