"""``mingce visit`` as its users meet it: from the plan to the acceptance, files out and in, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bureau_desk import BureauDesk
from bureau_office import BANK_ADMIN, CHECKER, HANDLER, MANAGER, add_households
from handed_over import BANK, COUNTY
from typer.testing import CliRunner
from visiting import add_accounts, adopt_policy, form_values, household_items, png, to_be_visited

from psi.errors import MingceError
from scripts.cli import app

PLACE = ("--latitude", "30.72", "--longitude", "122.45", "--accuracy", "8")


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BureauDesk:
    """Three households are to be visited; two of the visits are given to the manager."""
    bureau = BureauDesk(tmp_path, monkeypatch, "visit")
    office = bureau.office()
    add_accounts(office)
    adopt_policy(office)
    to_be_visited(office, add_households(office, 3))
    office.close()
    assert bureau.result(HANDLER, "plan", COUNTY)["planned"] == 3
    assert bureau.run(HANDLER, "assign", "1", "2", "--to", MANAGER.name, "--officer", "网格员").exit_code == 0
    return bureau


def test_a_visit_from_the_plan_to_its_acceptance(bureau: BureauDesk) -> None:
    bureau.result(MANAGER, "start", "1", *PLACE)
    assert bureau.refused(MANAGER, "submit", "1") == "move_invalid"
    form = bureau.write("form.json", form_values(household_items(0)))
    bureau.result(MANAGER, "form", "1", form)
    assert bureau.refused(MANAGER, "submit", "1") == "visit_incomplete"
    (bureau.folder / "a.png").write_bytes(png())
    for kind in ("photo", "signature_applicant", "signature_manager", "signature_officer"):
        bureau.result(MANAGER, "photo", "1", "a.png", "--kind", kind)
    version = str(bureau.result(MANAGER, "submit", "1")["version"])
    assert "已提交" in bureau.run(CHECKER, "list", "--state", "SUBMITTED").output
    shown = bureau.run(CHECKER, "show", "1").output
    assert "申请人签字" in shown
    assert household_items(0)[0] not in shown
    assert bureau.refused(CHECKER, "accept", "1", "--version", "1") == "visit_changed"
    assert bureau.result(CHECKER, "accept", "1", "--version", version)["state"] == "ACCEPTED"
    assert bureau.result(CHECKER, "place", "1")["place"]["latitude"] == 30.72


def test_every_fault_of_a_form_is_printed_with_its_place(bureau: BureauDesk) -> None:
    bureau.result(MANAGER, "start", "1", *PLACE)
    bad = bureau.write("bad.json", form_values(household_items(0), income__wage="六万", consent_no=""))
    done = bureau.run(MANAGER, "form", "1", bad)
    assert isinstance(done.exception, MingceError)
    assert [line for line in done.stderr.splitlines() if "：" in line] == [
        "授权书编号：未填写",
        "家庭年收入·工资性收入：不是金额：请以元填写，最多两位小数，没有请填 0，不要写“万”",
    ]
    good = bureau.write("good.json", form_values(household_items(0)))
    bureau.result(MANAGER, "form", "1", good)
    other = bureau.write("other.json", form_values(household_items(0), spending__living="1"))
    assert "家庭年支出·生活支出：30000.00 → 1.00" in bureau.run(MANAGER, "form", "1", other, "--compare").output
    for broken in ("{", '{"a": 1, "a": 2}', '{"income": 1.5}'):
        assert bureau.refused(MANAGER, "form", "1", bureau.write("x.json", broken)) == "json_invalid"


def test_returns_failures_and_assignments(bureau: BureauDesk) -> None:
    bureau.result(MANAGER, "start", "1", *PLACE)
    bureau.result(MANAGER, "fail", "1", "absent")
    assert bureau.result(HANDLER, "plan", COUNTY)["again"] == 1
    bureau.result(HANDLER, "unassign", "2")
    area = ("assign", "--area", COUNTY, "--to", MANAGER.name)
    assert len(bureau.result(HANDLER, *area)["outcomes"]) == 3
    assert (
        bureau.result(HANDLER, "assign", "99", "--to", MANAGER.name, code=3)["outcomes"][0]["code"] == "visit_unknown"
    )
    for words in (("assign", "--to", "jingli"), ("assign", "1", "--area", COUNTY, "--to", "jingli"), ("form", "1")):
        assert bureau.refused(HANDLER, *words) == "refused"
    assert bureau.refused(CHECKER, "return", "1", "--remark", "x") == "move_invalid"
    assert bureau.result(HANDLER, "plan", COUNTY, "--revisits")["planned"] == 0


def test_what_nobody_has_begun_is_called_off_with_a_reason(bureau: BureauDesk) -> None:
    assert "--remark" in bureau.run(HANDLER, "cancel", "1").stderr
    assert bureau.refused(HANDLER, "cancel", "1", "--remark", " ") == "text_not_plain"
    assert bureau.refused(MANAGER, "cancel", "1", "--remark", "改期") == "not_allowed"
    assert bureau.refused(HANDLER, "cancel", "1", "--remark", "改期", "--version", "1") == "visit_changed"
    assert bureau.refused(HANDLER, "cancel", "1", "3", "--remark", "改期", "--version", "1") == "refused"
    assert bureau.result(HANDLER, "cancel", "1", "--remark", "家庭外出，改期")["state"] == "CANCELLED"
    bureau.result(MANAGER, "start", "2", *PLACE)
    done = bureau.run(HANDLER, "cancel", "2", "3", "--remark", "台风", "--json")
    assert done.exit_code == 3
    assert [one["outcome"] for one in json.loads(done.stdout)["outcomes"]] == ["refused", "done"]
    assert bureau.result(HANDLER, "plan", COUNTY)["again"] == 2


def test_files_for_the_bank_and_for_the_laptop(bureau: BureauDesk) -> None:
    assert bureau.result(BANK_ADMIN, "export", "list.xlsx", "--area", COUNTY)["rows"] == 6
    assert bureau.result(HANDLER, "export", "l.csv", "--area", COUNTY, "--bank", BANK.public.name)["visits"] == 3
    assert bureau.refused(HANDLER, "export", "l.csv", "--area", COUNTY) == "refused"
    assert bureau.refused(HANDLER, "export", "l.pdf", "--area", COUNTY, "--bank", BANK.public.name) == "refused"
    back = "任务编号,客户经理,走访结果,到户时间,纬度,经度,定位精度（米）\n"
    back += (
        f"1,{MANAGER.name},完成,2025-03-03 08:30,30.7,122.4,9\n2,{MANAGER.name},还行,2025-03-03 08:30,30.7,122.4,9\n"
    )
    bureau.write("back.csv", back)
    assert bureau.result(BANK_ADMIN, "import", "back.csv", "--dry-run", code=3)["started"] == [1]
    done = bureau.run(BANK_ADMIN, "import", "back.csv")
    assert (done.exit_code, "第 3 行 走访结果" in done.output) == (3, True)
    assert bureau.result(MANAGER, "sheet", "out", "s.xlsx")["visits"] == 2
    assert bureau.result(MANAGER, "sheet", "in", "s.xlsx")["blank"] == [1, 2]
    assert bureau.refused(MANAGER, "sheet", "out", "s.csv") == "refused"
    assert bureau.refused(MANAGER, "sheet", "in", "back.csv") == "format_unknown"


def test_the_schema_needs_no_home() -> None:
    done = CliRunner().invoke(app, ["visit", "form", "--schema"])
    assert json.loads(done.stdout)["title"] == "VisitForm"
