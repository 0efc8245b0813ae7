"""One handle on each store of a home for a whole command, closed when it ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keys.clock import SystemClock
from scripts.ending import one_command
from scripts.home import Home, create_home, open_home
from scripts.sending.ledgers import open_ledger
from scripts.templates import province

SCRIPTS = Path(__file__).parents[2] / "scripts"
OPENING = re.compile(r"\b(KeyStore|Ledger\.open|BankStore|BureauStore|Office|open_check_store)\(")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    create_home(tmp_path / "province", "province", "演示", province("演示", "base"), SystemClock())
    return open_home(tmp_path / "province", "province")


def test_a_store_is_opened_once(home: Home) -> None:
    assert open_ledger(home) is open_ledger(home)
    assert home.open_keys() is home.open_keys()


def test_it_is_closed_with_the_command_even_if_that_fails(home: Home) -> None:
    def command() -> None:
        with one_command():
            open_ledger(home).list_datasets()
            home.open_keys().list_epochs()
            assert len(list(home.path.glob("*-wal"))) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        command()
    assert not list(home.path.glob("*-wal"))


def test_every_store_is_opened_in_one_place() -> None:
    """So that nobody has a second handle beside the home's; benchmarks make homes of their own."""
    found = {
        (path.relative_to(SCRIPTS).as_posix(), opening)
        for path in SCRIPTS.rglob("*.py")
        if "benchmarks" not in path.parts
        for opening in OPENING.findall(path.read_text("utf-8"))
    }
    assert found == {
        ("home.py", "KeyStore"),
        ("sending/ledgers.py", "Ledger.open"),
        ("asking/bank_home.py", "BankStore"),
        ("county/acting.py", "Office"),
        ("county/bureau.py", "BureauStore"),
        ("county/checking.py", "open_check_store"),
    }
