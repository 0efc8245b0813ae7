"""One county's office with accounts, a policy in force, and households that wait for a visit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import add_households, make_office
from visiting import add_accounts, adopt_policy, to_be_visited

from matcher.bureau.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = make_office(tmp_path / "bureau")
    add_accounts(office)
    adopt_policy(office)
    yield office
    office.close()


@pytest.fixture
def households(office: Office) -> list[int]:
    """Three, in TO_VISIT, of two matched members each: household_items(0), (1) and (2)."""
    found = add_households(office, 3)
    to_be_visited(office, found)
    return found
