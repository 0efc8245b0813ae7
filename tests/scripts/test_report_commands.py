"""``mingce report`` and ``mingce generate visits`` as their users meet them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bureau_desk import BureauDesk
from bureau_office import (
    CHECKER,
    HANDLER,
    MANAGER,
    TOWNSHIP_CODE,
    add_households,
    make_account,
)
from figures_scene import Scene
from python_calamine import CalamineWorkbook
from visiting import to_be_visited

from matcher.bureau.actors import Actor
from matcher.visits.service import Visits
from scripts.messages import Refused


class Bureau(BureauDesk):
    """Six households have borrowed; it is March 2025."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        with self.config.open("a", encoding="utf-8") as stream:
            stream.write(f'\n[townships]\n{TOWNSHIP_CODE} = "菜园镇"\n')
        office = self.office()
        scene = Scene(office)
        for household in add_households(office, 6):
            scene.file(household, "2025-02-01")
            scene.loan(household, "2025-02-10", 20_000_00)
        scene.claim(2025)
        for actor in (HANDLER, CHECKER, MANAGER):
            make_account(office, actor)
        office.close()


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    return Bureau(tmp_path, monkeypatch)


def test_every_report_is_shown_and_written(bureau: Bureau, tmp_path: Path) -> None:
    for words in (
        ("kpi", "--on", "2025-02-28"),
        ("monthly", "2025-02"),
        ("staff", "--from", "2025-02-01", "--to", "2025-02-28"),
        ("claim", "1"),
        ("year", "2025"),
    ):
        shown = bureau.run(HANDLER, "report", *words)
        assert shown.exit_code == 0, shown.output
        document = bureau.result(HANDLER, "report", *words)
        assert document["demo"]
        for ending in ("xlsx", "csv", "json"):
            file = tmp_path / f"{words[0]}.{ending}"
            written = bureau.result(HANDLER, "report", *words, "--out", str(file), "--purpose", "演示")
            assert all(Path(name).stat().st_mode & 0o777 == 0o600 for name in written["files"])
        book = CalamineWorkbook.from_path(tmp_path / f"{words[0]}.xlsx")
        assert book.sheet_names == [table["title"] for table in document["tables"]]


def test_the_monthly_report_has_the_townships_name_and_numbers(bureau: Bureau) -> None:
    document = bureau.result(HANDLER, "report", "monthly", "2025-02")
    towns = next(table for table in document["tables"] if table["name"] == "乡镇")
    assert [(row["name"], row["households_filed"], row["loan_balance"]) for row in towns["rows"]] == [
        ("菜园镇", 6, "12.00")
    ]
    outside = bureau.result(HANDLER, "report", "monthly", "2025-02", "--outside")
    assert outside["outside"]


def test_a_number_is_traced(bureau: Bureau) -> None:
    trace = bureau.result(HANDLER, "report", "trace", "loan_balance", "--on", "2025-02-28")
    assert trace["value"] == 120_000_00 == sum(record["value"] for record in trace["records"])
    assert "loan/1" in bureau.run(HANDLER, "report", "trace", "loan_balance", "--on", "2025-02-28").output


def test_what_a_report_refuses(bureau: Bureau, tmp_path: Path) -> None:
    def refused(actor: Actor, *words: str) -> str:
        return bureau.refused(actor, "report", *words)

    assert refused(HANDLER, "monthly", "2025-04") == "report_period_invalid"
    assert refused(HANDLER, "claim", "9") == "claim_unknown"
    assert refused(HANDLER, "trace", "balance") == "figure_unknown"
    assert refused(MANAGER, "kpi") == "not_in_care"
    assert refused(HANDLER, "kpi", "--out", str(tmp_path / "x.docx")) == "refused"
    number = "99000019900101001X"
    assert refused(HANDLER, "kpi", "--out", str(tmp_path / "x.csv"), "--purpose", number) == "text_not_plain"
    assert not (tmp_path / "x.csv").exists()


def test_made_up_field_work_is_for_demonstrations_only(bureau: Bureau) -> None:
    office = bureau.office()
    households = add_households(office, 4, first=10)
    to_be_visited(office, households)
    Visits(office).plan(HANDLER, TOWNSHIP_CODE, office.today())
    Visits(office).assign_area(HANDLER, TOWNSHIP_CODE, MANAGER.name)
    office.close()
    made = bureau.result(MANAGER, "generate", "visits", "--seed", "3")
    assert (made["visits"], made["submitted"] + made["failed"]) == (4, 4)
    assert bureau.result(MANAGER, "generate", "visits")["visits"] == 0
    assert bureau.result(HANDLER, "generate", "checks")["entered"] > 0
    bureau.config.write_text(bureau.config.read_text("utf-8").replace("demo = true", "demo = false"), "utf-8")
    done = bureau.run(HANDLER, "generate", "checks")
    assert isinstance(done.exception, Refused)
