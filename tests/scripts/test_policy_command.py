"""``mingce policy`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from psi.errors import InputError
from scripts.county.policy import app


def run(*words: object) -> str:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).stdout


def example(tmp_path: Path, county: str = "330922") -> Path:
    path = tmp_path / f"{county}.toml"
    run("example", county, path)
    return path


def test_an_example_is_usable_and_says_what_to_confirm(tmp_path: Path) -> None:
    shown = run("check", example(tmp_path))
    assert "嵊泗县 2023-1" in shown
    assert "须确认：subsidy.fiscal_share = 0.5" in shown
    assert "须确认：income.limit = 100,000.00 元" in run("check", example(tmp_path, "330113"))


def test_a_policy_whose_days_are_over_is_said_to_be_so(tmp_path: Path) -> None:
    path = example(tmp_path)
    assert "采用后也不生效" in run("check", path)
    text = path.read_text("utf-8")
    path.write_text(text.replace("valid_to = 2025-12-31", "valid_to = 9999-12-31"), "utf-8")
    assert "采用后也不生效" not in run("check", path)


def test_an_example_never_overwrites(tmp_path: Path) -> None:
    path = example(tmp_path)
    with pytest.raises(InputError):
        run("example", "330922", path)
    with pytest.raises(InputError):
        run("example", "330999", tmp_path / "other.toml")


def test_a_difference_names_the_setting(tmp_path: Path) -> None:
    old = example(tmp_path)
    new = tmp_path / "new.toml"
    text = old.read_text("utf-8").replace('limit = "100000.00"', 'limit = "120000.00"')
    new.write_text(text.replace('name = "共富助医贷"', 'name = "助医贷"'), "utf-8")
    assert json.loads(run("diff", old, new, "--json"))["changes"] == [
        {"setting": "income.limit", "old": "100,000.00 元", "new": "120,000.00 元"},
        {"setting": "loan.products.zhuyi.name", "old": "共富助医贷", "new": "助医贷"},
    ]
    assert "相同" in run("diff", old, old)


def test_a_faulty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faulty.toml"
    path.write_text("format = 1", "utf-8")
    with pytest.raises(InputError):
        run("check", path)
