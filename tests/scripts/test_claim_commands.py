"""A year's claim by the command line: loans as a bank reports them, nights, freezing, comparing, paying, explaining."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from bureau_desk import BureauDesk
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    OTHER_CHECKER,
    PROVINCE,
    make_account,
)
from lending import FIRST_DAY, LAST_DAY, entry, final_households, lend

from keys.files import Locked, exclusive_lock
from matcher.bureau.actors import Actor, Role
from matcher.loans import Loans
from psi.errors import InputError
from scripts.benchmarks.lending import triggers_aside
from scripts.county.nightly import LOCK

SECOND = Actor("yinhang-fuhe", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
NOW = "2026-01-10T02:00:00Z"
PAID = {"2024-06-20": 44_333, "2024-09-20": 97_111, "2024-12-20": 96_056, "2025-03-20": 95_000, "2025-05-10": 52_778}


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BureauDesk:
    """Two families have borrowed and repaid, their interest paid on time; it is January 2026."""
    bureau = BureauDesk(tmp_path, monkeypatch, moment=NOW)
    office = bureau.office()
    for place, household in enumerate(final_households(office, 2)):
        number = f"HT-{place}"
        lend(office, household, number)
        for day, amount in PAID.items():
            Loans(office).record(BANK_ADMIN, BANK_NO, entry("interest", date.fromisoformat(day), amount, day, number))
        Loans(office).record(BANK_ADMIN, BANK_NO, entry("repayment", LAST_DAY, 10_000_000, "end", number))
    for actor in (BANK_ADMIN, SECOND, AUDITOR, HANDLER, CHECKER, OTHER_CHECKER, PROVINCE):
        make_account(office, actor)
    office.close()
    return bureau


def test_a_claim_from_the_first_night_to_the_last_step(bureau: BureauDesk, tmp_path: Path) -> None:
    night = bureau.result(None, "bureau", "nightly", "--day", "2024-12-31")
    assert (night["accrual"]["loans"], night["accrual"]["lines"]) == (2, 8)
    assert night["figures"]["changed"]
    again = bureau.result(None, "bureau", "nightly", "--day", "2024-12-31")
    assert (again["accrual"]["digest"], again["figures"]["changed"]) == (night["accrual"]["digest"], False)

    claim = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    frozen = bureau.result(BANK_ADMIN, "claim", "freeze", claim)
    assert frozen["lines"] == 6
    assert frozen["amounts"]["fiscal"] == "343.76"  # twice the worked example's 171.88

    figures = tmp_path / "银行数字.csv"
    bureau.result(BANK_ADMIN, "claim", "export", claim, figures)
    text = figures.read_text("utf-8-sig")
    figures.write_text(text.replace('"32.09"', '"32.10"', 1), "utf-8")
    found = bureau.result(BANK_ADMIN, "claim", "reconcile", claim, figures, code=4)
    assert [each["kind"] for each in found["differences"]] == ["amounts"]
    (exception,) = bureau.result(BANK_ADMIN, "claim", "show", claim)["exceptions"]
    bureau.result(BANK_ADMIN, "claim", "settle", exception["exception_id"], "--why", "银行按期末四舍五入")
    bureau.result(SECOND, "claim", "move", claim, "check")

    for line in bureau.result(AUDITOR, "claim", "sample", claim, "--size", 3)["lines"]:
        told = bureau.result(AUDITOR, "claim", "explain", line)
        assert told["steps"][0]["name"] == "gross"
        bureau.result(AUDITOR, "claim", "finding", claim, line, "ok")
    steps = [
        (AUDITOR, "audit"), (BANK_ADMIN, "submit"), (HANDLER, "take-up"), (CHECKER, "approve"), (HANDLER, "pass-on"),
        (PROVINCE, "grant"), (OTHER_CHECKER, "pay"), (CHECKER, "close"),
    ]  # fmt: skip
    for actor, step in steps:
        done = bureau.result(actor, "claim", "move", claim, step)
    assert (done["state"], done["digest"]) == ("CLOSED", frozen["digest"])
    assert bureau.result(AUDITOR, "claim", "verify", claim)["digest"] == frozen["digest"]
    assert [each["state"] for each in bureau.result(HANDLER, "claim", "list")["claims"]] == ["CLOSED"]


def test_what_the_county_holds_up_or_stops_comes_back_in_the_next_claim(bureau: BureauDesk) -> None:
    """By hand: of the 91 days due on 2024-12-20 (fiscal 69.51) the first loan loses October's 31, so R2(½ (725.00 −
    633.33)) = 45.84 remain; the second all from 1 December on, so R2(½ (857.92 − 749.44)) = 54.24."""
    first = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    frozen = bureau.result(BANK_ADMIN, "claim", "freeze", first)
    assert bureau.refused(BANK_ADMIN, "loan", "stop", 2, "--from", "2024-12-01") == "not_allowed"
    bureau.result(HANDLER, "loan", "suspend", 1, "--from", "2024-10-01", "--remark", "核实用途")
    bureau.result(HANDLER, "loan", "resume", 1, "--on", "2024-11-01")
    bureau.result(HANDLER, "loan", "stop", 2, "--from", "2024-12-01", "--reason", "N31")
    bureau.result(None, "bureau", "nightly")
    second = bureau.result(BANK_ADMIN, "claim", "open", 2025)["claim_id"]
    bureau.result(BANK_ADMIN, "claim", "freeze", second)
    found = bureau.result(BANK_ADMIN, "claim", "show", second)
    lines = [(line["contract_no"], line["period_start"], line["amounts"]["fiscal"]) for line in found["shown"]]
    assert lines == [
        ("HT-0", "2024-09-21", "-23.67"), ("HT-0", "2024-12-21", "68.75"), ("HT-0", "2025-03-21", "38.20"),
        ("HT-1", "2024-09-21", "-15.27"),
    ]  # fmt: skip
    assert found["amounts"]["fiscal"] == "68.01"
    assert bureau.result(BANK_ADMIN, "claim", "verify", first)["digest"] == frozen["digest"]


def test_a_claim_for_a_person_to_read(bureau: BureauDesk, tmp_path: Path) -> None:
    claim = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.result(BANK_ADMIN, "claim", "freeze", claim)

    def shown(*words: object) -> str:
        return bureau.run(BANK_ADMIN, *words).stdout

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


def test_a_verification_says_what_it_has_verified(bureau: BureauDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many lines, what they come to, and whether they are those that were frozen: twice the worked example's."""
    claim = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    assert bureau.result(AUDITOR, "claim", "verify", claim)["intact"] is None
    assert "还没有冻结" in bureau.run(AUDITOR, "claim", "verify", claim).stdout
    bureau.result(BANK_ADMIN, "claim", "freeze", claim)
    found = bureau.result(AUDITOR, "claim", "verify", claim)
    assert (found["intact"], found["lines"], found["amounts"]["fiscal"]) == (True, 6, "343.76")
    parts = [found["amounts"][name] for name in ("excess", "fiscal", "bank")]
    assert sum(map(Decimal, parts[1:])) == Decimal(parts[0])
    for language, words in (("zh", ("完好", "6 行", "合计")), ("en", ("Intact", "6 lines", "yuan in total"))):
        monkeypatch.setattr("scripts.language._language", language)
        told = bureau.run(AUDITOR, "claim", "verify", claim).stdout
        assert [word for word in (*words, *parts) if word not in told] == []

    office = bureau.office()
    with triggers_aside(office):
        office.database.execute("UPDATE interest_line SET fiscal = fiscal + 1, bank = bank - 1, local = local + 1")
    office.close()
    assert bureau.refused(AUDITOR, "claim", "verify", claim) == "claim_tampered"


def test_a_second_person_is_asked_for_in_words(bureau: BureauDesk) -> None:
    claim = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.result(BANK_ADMIN, "claim", "freeze", claim)
    assert bureau.refused(SECOND, "claim", "move", claim, "check") == "claim_not_ready"
    figures = bureau.folder / "lines.csv"
    bureau.result(BANK_ADMIN, "claim", "export", claim, figures)
    bureau.result(BANK_ADMIN, "claim", "reconcile", claim, figures)
    assert bureau.refused(BANK_ADMIN, "claim", "move", claim, "check") == "same_person"
    assert bureau.refused(HANDLER, "claim", "freeze", claim) == "not_allowed"


def test_the_export_opens_as_text(bureau: BureauDesk, tmp_path: Path) -> None:
    claim = bureau.result(BANK_ADMIN, "claim", "open", 2024)["claim_id"]
    bureau.result(BANK_ADMIN, "claim", "freeze", claim)
    for name in ("lines.csv", "lines.xlsx"):
        assert bureau.result(BANK_ADMIN, "claim", "export", claim, tmp_path / name)["rows"] == 6
    with (tmp_path / "lines.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["起息日"] == FIRST_DAY.isoformat()
    same = bureau.result(BANK_ADMIN, "claim", "reconcile", claim, tmp_path / "lines.xlsx")
    assert same["differences"] == []


def test_two_nights_at_a_time_exclude_each_other(bureau: BureauDesk) -> None:
    with exclusive_lock(bureau.home / LOCK):
        assert bureau.refused(None, "bureau", "nightly") == Locked.code
    assert bureau.result(None, "bureau", "nightly")["day"] == "2026-01-09"


def test_a_day_that_is_not_over_is_refused(bureau: BureauDesk) -> None:
    assert bureau.refused(None, "bureau", "nightly", "--day", "2026-01-10") == InputError.code
