"""``mingce loan`` and ``mingce generate loans`` as their users meet them."""

from __future__ import annotations

import json
from contextlib import chdir
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from bureau_desk import BureauDesk
from bureau_office import BANK_ADMIN, HANDLER, make_account
from lending import final_households, number_of
from typer.testing import CliRunner
from visiting import png

from matcher.exports import write_export
from scripts.cli import app
from scripts.language import set_language

HOUSEHOLDS = 12


class Bureau(BureauDesk):
    """Households on the final list; it is 2025-03-03."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch, "loan")
        office = self.office()
        for actor in (BANK_ADMIN, HANDLER):
            make_account(office, actor)
        found = final_households(office, HOUSEHOLDS)
        self.items = [number_of(office, household) for household in found]
        office.close()
        self.write_list()
        (folder / "number").write_text(f"{self.items[0]}\n")

    def write_list(self) -> None:
        numbers = [f"H{place:06d}" for place in range(HOUSEHOLDS)]
        columns = {"家庭编号": numbers, "证件号码": self.items, "生效日期": ["2024-01-15"] * HOUSEHOLDS}
        texts = {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
        write_export(self.folder / "最终名单.csv", texts, format="csv", id_columns=["证件号码"])


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    return Bureau(tmp_path, monkeypatch)


def test_a_year_of_daily_files_and_what_is_seen_of_it(bureau: Bureau) -> None:
    words = ["generate", "loans", "最终名单.csv", "日报", "--policy", "330922", "--per", "month", "--share", "1"]
    words += ["--from", "2024-01-01", "--to", "2025-02-28"]
    with chdir(bureau.folder):
        made = json.loads(CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False).stdout)
    files = [str(path) for path in sorted((bureau.folder / "日报").iterdir())]
    assert made["files"] == len(files)
    tried = bureau.result(BANK_ADMIN, "import", files[0], "--dry-run")
    assert tried["dry_run"]
    assert bureau.result(BANK_ADMIN, "list")["loans"] == []
    done = bureau.result(BANK_ADMIN, "import", *files)
    assert sum(file["new"] for file in done["files"]) == made["rows"]
    again = bureau.result(BANK_ADMIN, "import", *files)
    assert all(file["already_imported"] for file in again["files"])
    assert bureau.refused(HANDLER, "import", files[0], "--bank", "演示银行") == "not_allowed"
    loans = bureau.result(HANDLER, "list")["loans"]
    assert {loan["state"] for loan in loans} <= {
        "CONTRACTED",
        "ACTIVE",
        "OVERDUE",
        "SETTLED",
        "EARLY_SETTLED",
        "EXTENDED",
    }
    assert len(bureau.result(HANDLER, "files")["files"]) == len(files)
    shown = bureau.run(HANDLER, "show", "1").stdout + bureau.run(HANDLER, "list").stdout
    assert "放款" in shown
    assert "…" not in bureau.run(HANDLER, "list").stdout
    assert not any(item in shown for item in bureau.items)


def test_rejects_in_words_and_as_a_file(bureau: Bureau) -> None:
    rows = [
        "业务日期,业务类型,证件号码,合同编号,流水号,金额",
        "2024-05-10,放款,,HT-9,1,70000",
        "2024-05-32,放款,,HT-9,2,1",
    ]
    (bureau.folder / "日报.csv").write_text("\n".join(rows), "utf-8")
    done = bureau.run(BANK_ADMIN, "import", "日报.csv", "--rejects", "未登记.csv")
    assert done.exit_code == 3
    assert "没有这笔贷款（HT-9）" in done.stdout
    assert bureau.run(HANDLER, "files").stdout.count("HT-9") == 1
    written = (bureau.folder / "未登记.csv").read_text("utf-8-sig").splitlines()
    assert '"日报.csv","","3","业务日期","bad_value"' in written[1] + written[2]
    set_language("en")
    assert "There is no such loan (HT-9)" in bureau.run(HANDLER, "files").stdout
    set_language("zh")


def test_a_commitment_a_contract_and_the_countys_decisions(bureau: Bureau) -> None:
    terms = ["--product", "jingying", "--rate", "4.35", "--customer-rate", "3.8", "--number-file", "number"]
    days = ["--on", "2025-02-03", "--from", "2025-02-03", "--to", "2026-02-03"]
    contract = ["sign", "HT-1", "60,000", *terms, *days]
    assert bureau.refused(BANK_ADMIN, *contract) == "commitment_missing"
    bureau.result(BANK_ADMIN, "commitment", "1", "HT-1", "CN-1", "承诺书.html")
    page = (bureau.folder / "承诺书.html").read_text("utf-8")
    assert "HT-1" in page
    assert bureau.items[0] not in page
    commit = ["commit", "HT-1", "CN-1", "--on", "2025-02-03", "--witness", "见证人甲", "--number-file", "number"]
    assert bureau.result(BANK_ADMIN, *commit) == {"subject": "commitment/1", "is_new": True}
    (bureau.folder / "承诺书.png").write_bytes(png())
    image = bureau.result(BANK_ADMIN, "image", "1", "承诺书.png")
    assert bureau.result(BANK_ADMIN, *contract) == {"subject": "loan/1", "is_new": True}
    assert bureau.result(HANDLER, "show", "1")["image_sha256"] == image["sha256"]
    assert bureau.result(BANK_ADMIN, *contract)["is_new"] is False
    assert bureau.refused(BANK_ADMIN, *contract[:2], "6o,000", *terms, *days) == "loan_cell_unusable"
    assert bureau.refused(BANK_ADMIN, "suspend", "1", "--from", "2025-02-10") == "not_allowed"
    bureau.result(HANDLER, "suspend", "1", "--from", "2025-02-10", "--remark", "核实用途")
    bureau.result(HANDLER, "resume", "1", "--on", "2025-02-20")
    bureau.result(HANDLER, "stop", "1", "--from", "2025-03-01")
    shown = bureau.result(HANDLER, "show", "1")
    assert (shown["loan"]["state"], shown["loan"]["subsidy_state"]) == ("CONTRACTED", "STOPPED")
    spans = [(span["kind"], date.fromisoformat(span["from_day"]).day) for span in shown["spans"]]
    assert spans == [("suspension", 10), ("stop", 1)]
    assert bureau.refused(HANDLER, "show", "9") == "loan_unknown"
