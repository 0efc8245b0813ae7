"""A clock that the tests of a folder share with their office."""

from __future__ import annotations

import pytest
from bureau_office import spring

from keys.clock import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return spring()
