from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import make_office

from matcher.bureau.office import Office
from matcher.loans import Loans


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """2025-03-03, a county with two banks."""
    opened = make_office(tmp_path / "bureau")
    yield opened
    opened.close()


@pytest.fixture
def loans(office: Office) -> Loans:
    return Loans(office)
