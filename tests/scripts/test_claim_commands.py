"""A year's claim by the command line: loans as a bank reports them, nights, freezing, comparing, paying, explaining."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    OTHER_CHECKER,
    PROVINCE,
    make_account,
    make_office,
    password_of,
)
from lending import FIRST_DAY, LAST_DAY, entry, final_households, lend
from typer.testing import CliRunner

from keys.clock import SettableClock, parse_time
from keys.files import Locked, exclusive_lock
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import STORE_SECRET
from matcher.loans import Loans
from psi.errors import InputError, MingceError
from scripts import home as home_module
from scripts.cli import app
from scripts.nightly import LOCK

SECOND = Actor("yinhang-fuhe", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
NOW = "2026-01-10T02:00:00Z"
PAID = {"2024-06-20": 44_333, "2024-09-20": 97_111, "2024-12-20": 96_056, "2025-03-20": 95_000, "2025-05-10": 52_778}


class Bureau:
    """A bureau's home; each command as one of its people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, actor: Actor | None, *words: object, code: int = 0) -> dict[str, Any]:
        signed: list[str] = []
        if actor is not None:
            password = self.folder / "password"
            password.write_text(password_of(actor), "utf-8")
            signed = ["--as", actor.name, "--password-file", str(password)]
        told = [*map(str, words), *signed, "--config", str(self.folder / "bureau"), "--json"]
        done = CliRunner().invoke(app, told, catch_exceptions=False)
        assert done.exit_code == code, done.output
        return dict(json.loads(done.stdout))


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    """Two families have borrowed and repaid, their interest paid on time; it is January 2026."""
    folder = tmp_path / "bureau"
    CliRunner().invoke(app, ["bureau", "init", str(folder), "--division", "330922"], catch_exceptions=False)
    config = folder / "mingce.toml"
    config.write_text(f"demo = true\n{config.read_text('utf-8')}", "utf-8")
    monkeypatch.setenv(home_module.DEMO_CLOCK, NOW)
    secret = home_module.open_home(folder, "bureau").open_keys().get_store_secret(STORE_SECRET)
    monkeypatch.setattr("bureau_office.SECRET", secret)  # the office of this home has its own
    office = make_office(folder, SettableClock(parse_time(NOW)))
    for place, household in enumerate(final_households(office, 2)):
        number = f"HT-{place}"
        lend(office, household, number)
        for day, amount in PAID.items():
            Loans(office).record(BANK_ADMIN, BANK_NO, entry("interest", date.fromisoformat(day), amount, day, number))
        Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", LAST_DAY, 10_000_000, "end", number))
    for actor in (BANK_ADMIN, SECOND, AUDITOR, HANDLER, CHECKER, OTHER_CHECKER, PROVINCE):
        make_account(office, actor)
    office.close()
    return Bureau(tmp_path)


def test_a_claim_from_the_first_night_to_the_last_step(bureau: Bureau, tmp_path: Path) -> None:
    night = bureau.run(None, "bureau", "nightly", "--day", "2024-12-31")
    assert (night["accrual"]["loans"], night["accrual"]["lines"]) == (2, 8)
    assert night["figures"]["changed"]
    again = bureau.run(None, "bureau", "nightly", "--day", "2024-12-31")
    assert (again["accrual"]["digest"], again["figures"]["changed"]) == (night["accrual"]["digest"], False)

    claim = bureau.run(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    frozen = bureau.run(BANK_ADMIN, "claim", "freeze", claim)
    assert frozen["lines"] == 6
    assert frozen["amounts"]["fiscal"] == "343.76"  # twice the worked example's 171.88

    figures = tmp_path / "银行数字.csv"
    bureau.run(BANK_ADMIN, "claim", "export", claim, figures)
    text = figures.read_text("utf-8-sig")
    figures.write_text(text.replace('"32.09"', '"32.10"', 1), "utf-8")
    found = bureau.run(BANK_ADMIN, "claim", "reconcile", claim, figures, code=4)
    assert [each["kind"] for each in found["differences"]] == ["amounts"]
    (exception,) = bureau.run(BANK_ADMIN, "claim", "show", claim)["exceptions"]
    bureau.run(BANK_ADMIN, "claim", "settle", exception["exception_id"], "--why", "银行按期末四舍五入")
    bureau.run(SECOND, "claim", "move", claim, "check")

    for line in bureau.run(AUDITOR, "claim", "sample", claim, "--size", 3)["lines"]:
        told = bureau.run(AUDITOR, "claim", "explain", line)
        assert told["steps"][0]["name"] == "gross"
        bureau.run(AUDITOR, "claim", "finding", claim, line, "ok")
    steps = [
        (AUDITOR, "audit"), (BANK_ADMIN, "submit"), (HANDLER, "take-up"), (CHECKER, "approve"), (HANDLER, "pass-on"),
        (PROVINCE, "grant"), (OTHER_CHECKER, "pay"), (CHECKER, "close"),
    ]  # fmt: skip
    for actor, step in steps:
        done = bureau.run(actor, "claim", "move", claim, step)
    assert (done["state"], done["digest"]) == ("CLOSED", frozen["digest"])
    assert bureau.run(AUDITOR, "claim", "verify", claim)["digest"] == frozen["digest"]
    assert [each["state"] for each in bureau.run(HANDLER, "claim", "list")["claims"]] == ["CLOSED"]


def test_a_claim_for_a_person_to_read(bureau: Bureau, tmp_path: Path) -> None:
    claim = bureau.run(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.run(BANK_ADMIN, "claim", "freeze", claim)
    (tmp_path / "password").write_text(password_of(BANK_ADMIN), "utf-8")
    signed = [
        "--as",
        BANK_ADMIN.name,
        "--password-file",
        str(tmp_path / "password"),
        "--config",
        str(tmp_path / "bureau"),
    ]

    def shown(*words: object) -> str:
        return CliRunner().invoke(app, [*map(str, words), *signed], catch_exceptions=False).stdout

    listed = shown("claim", "list")
    assert "已核算" in listed
    assert "343.76" in listed
    page = shown("claim", "show", claim)
    assert "171.88" not in page
    assert "32.09" in page
    told = shown("claim", "explain", 1)
    assert "R2(4,200,000.00 × 4.35% ÷ 360) = 507.50" in told
    assert "42 × 100,000.00 / 100,000.00" in told
    assert "按比例承担贴息和让利" in told


def test_a_second_person_is_asked_for_in_words(bureau: Bureau) -> None:
    claim = bureau.run(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.run(BANK_ADMIN, "claim", "freeze", claim)
    with pytest.raises(MingceError) as caught:
        bureau.run(BANK_ADMIN, "claim", "move", claim, "check")
    assert caught.value.code in ("same_person", "claim_not_ready")
    with pytest.raises(MingceError) as caught:
        bureau.run(HANDLER, "claim", "freeze", claim)
    assert caught.value.code == "not_allowed"


def test_the_export_opens_as_text(bureau: Bureau, tmp_path: Path) -> None:
    claim = bureau.run(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.run(BANK_ADMIN, "claim", "freeze", claim)
    for name in ("lines.csv", "lines.xlsx"):
        assert bureau.run(BANK_ADMIN, "claim", "export", claim, tmp_path / name)["rows"] == 6
    with (tmp_path / "lines.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["起息日"] == FIRST_DAY.isoformat()
    same = bureau.run(BANK_ADMIN, "claim", "reconcile", claim, tmp_path / "lines.xlsx")
    assert same["differences"] == []


def test_two_nights_at_a_time_exclude_each_other(bureau: Bureau) -> None:
    with exclusive_lock(bureau.folder / "bureau" / LOCK), pytest.raises(Locked):
        bureau.run(None, "bureau", "nightly")
    assert bureau.run(None, "bureau", "nightly")["day"] == "2026-01-09"


def test_a_day_that_is_not_over_is_refused(bureau: Bureau) -> None:
    with pytest.raises(InputError):
        bureau.run(None, "bureau", "nightly", "--day", "2026-01-10")
