from __future__ import annotations

from pathlib import Path

import pytest
from bank_home import BANK, bank_store, item, match, records, residents
from fake_province import FakeProvince


@pytest.fixture
def province() -> FakeProvince:
    return FakeProvince(BANK.public)


def test_smoke(tmp_path: Path, province: FakeProvince) -> None:
    with province:
        province.publish(residents([item(n) for n in range(300)]))
        run = match(tmp_path, province, [item(n) for n in range(200, 700)])
        assert run.matched == 100
        rows = records(tmp_path, run)
        assert [row["matched"] for row in rows] == [True] * 100 + [False] * 400
        print(rows[0], rows[-1], run)
        with bank_store(tmp_path) as store:
            print(store.get_status())
