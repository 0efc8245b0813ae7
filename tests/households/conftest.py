"""One office in spring 2025 with the example policy of its county in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import CHECKER, HANDLER, make_office
from example_policy import SHENGSI

from matcher.bureau.office import Office
from matcher.households import Households


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    opened = make_office(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def households(office: Office) -> Households:
    found = Households(office)
    record = found.policies.propose(HANDLER, SHENGSI.read_bytes(), SHENGSI.name)
    found.policies.adopt(CHECKER, record.sha256)
    return found
