"""A backup key and a home of each kind; whoever changes one copies it first."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from homes import CHEAP, COUNTY, PASSPHRASE, make_province, mingce

from keys.backupfile import create_backup_key
from keys.operators import create_operator_key, read_operator_key


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("homes")
    make_province(place)
    mingce(place, "bank", "init", "bank", "--name", "演示银行", "--division", COUNTY)
    mingce(place, "bureau", "init", "bureau", "--name", "演示局", "--division", COUNTY)
    mingce(place, "department", "init", "department", "--name", "演示厅", "--dataset", "minzheng", "--label",
           "minzheng/1")  # fmt: skip
    for home in ("department", "bank", "bureau"):  # their stores are made at first use
        mingce(place, home, "status", "--config", home)
    for name in ("甲", "乙"):
        operator = create_operator_key(name, PASSPHRASE, os.urandom, cost=CHEAP)
        (place / f"{name}.operator").write_bytes(operator)
        (place / f"{name}.identity.json").write_bytes(read_operator_key(operator).to_json())
        for home in ("province", "department", "bank", "bureau"):
            mingce(place, "operator", "register", f"{name}.identity.json", "--config", home)
    key, recipient = create_backup_key("演示保管人", PASSPHRASE, os.urandom, cost=CHEAP)
    (place / "backup.key").write_bytes(key)
    (place / "backup.key.pub").write_bytes(recipient.to_json())
    (place / "pass").write_text(PASSPHRASE + "\n", "utf-8")
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of them all."""
    shutil.copytree(made, tmp_path / "place", copy_function=shutil.copy2)
    return tmp_path / "place"
