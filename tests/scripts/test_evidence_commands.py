"""The bureau's evidence and personal data by the command line: audit chain, people, departments' answers, purges."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pysqlite3
import pytest
from bureau_office import person
from handed_over import BANK, COUNTY, DATASET, EPOCH, RUN, Match, receipt_key, screening
from made_check import DEPARTMENT, checked
from typer.testing import CliRunner, Result
from visiting import adopt_policy

from keys.clock import format_time
from keys.receipts import ReceiptKeys
from matcher.bureau.office import STORE_SECRET
from matcher.bureau.store import BureauStore
from matcher.handover import read_handover, write_handover
from psi.errors import MingceError
from scripts.cli import app
from scripts.county.acting import open_office
from scripts.county.checking import open_link
from scripts.home import DEMO_CLOCK, open_home
from scripts.messages import Refused

SPRING, NEXT_YEAR = "2025-03-03T01:00:00Z", "2026-03-05T01:00:00Z"
PASSWORD = "correct horse battery staple"
PEOPLE = {"jingban": "handler", "fuhe": "checker", "shenji": "auditor", "zhenjie": "township"}


@dataclass
class Bureau:
    """A bureau's home with one account for each role, and what a person types in it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def at(self, moment: str) -> None:
        self.monkeypatch.setenv(DEMO_CLOCK, moment)

    def run(self, *words: str, account: str | None = None, typed: str | None = None) -> Result:
        signed = ("--as", account, "--password-file", "password") if account else ()
        with chdir(self.folder):
            return CliRunner().invoke(app, [*words, *signed, "--config", "bureau"], input=typed)

    def result(self, *words: str, account: str | None = None, code: int = 0) -> dict[str, Any]:
        done = self.run(*words, "--json", account=account)
        assert done.exit_code == code, f"{words}: {done.output} {done.exception!r}"
        return dict(json.loads(done.stdout))

    def refused(self, *words: str, account: str) -> str:
        done = self.run(*words, account=account)
        assert isinstance(done.exception, MingceError), done.output
        return done.exception.code


@pytest.fixture
def bureau(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    """A copy of its own, in spring."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    made = Bureau(tmp_path, monkeypatch)
    made.at(SPRING)
    return made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        set_up(Bureau(folder, patch))
    return folder


def set_up(made: Bureau) -> None:
    tmp_path = made.folder
    made.at(SPRING)
    with chdir(tmp_path):
        init = ["bureau", "init", "bureau", "--name", "演示县财政局", "--division", COUNTY]
        assert CliRunner().invoke(app, init).exit_code == 0
    config = tmp_path / "bureau" / "mingce.toml"
    config.write_text(f"demo = true\n{config.read_text('utf-8')}", "utf-8")
    (tmp_path / "password").write_text(PASSWORD)
    for name in ("guanli1", "guanli2"):
        choose(made, name, made.result("account", "found", name, "--display-name", "演示"))
    for name, role in PEOPLE.items():
        township = ("--township", f"{COUNTY}200") if role == "township" else ()
        create = ("account", "create", name, "--display-name", "演示", "--role", role, *township)
        made.result(*create, account="guanli1")
        choose(made, name, made.result("account", "approve", name, account="guanli2"))
    hand_in(made, [Match(person(n), household_no=f"H{n // 2}", name=f"演示{n}") for n in range(6)])


def choose(bureau: Bureau, name: str, made: dict[str, Any]) -> None:
    (bureau.folder / "one-time").write_text(next(str(made[key]) for key in made if "password" in key))
    words = ("account", "set-password", name, "--password-file", "one-time", "--new-password-file", "password")
    done = bureau.run(*words)
    assert done.exit_code == 0, done.output


def hand_in(bureau: Bureau, rows: Sequence[Match]) -> None:
    """What a bank hands over, taken in as `bureau import` does."""
    home = open_home(bureau.folder / "bureau", "bureau")
    identity = home.open_keys().get_identity()
    store = BureauStore(home.path, home.open_keys().get_store_secret(STORE_SECRET), home.clock, [COUNTY])
    store.add_bank(BANK.public)
    store.add_receipt_keys(ReceiptKeys(DATASET, EPOCH, {COUNTY: receipt_key(COUNTY)}))
    path = bureau.folder / "移交.mch"
    write_handover(
        path,
        identity=BANK,
        bureau=identity.public,
        run=RUN,
        created_at=format_time(home.clock.now()),
        records=[screening(rows)],
    )
    store.import_handover(read_handover(path, identity=identity, trusted_banks=[BANK.public]), "jingban")
    store.close()


def tamper(bureau: Bureau, *statements: str) -> None:
    connection = pysqlite3.connect(str(bureau.folder / "bureau" / "bureau.sqlite"), isolation_level=None)
    for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
        connection.execute(statement)
    connection.close()


def test_the_chain_its_head_and_what_breaks_it(bureau: Bureau) -> None:
    signed = bureau.result("audit", "head", "--out", "head.json", "--text", "head.txt", account="shenji")
    page = (bureau.folder / "head.txt").read_text("utf-8")
    assert "演示县财政局" in page
    assert signed["hash"] == re.sub(r"\s", "", page.split("链头：")[1].split("留存")[0])
    bureau.result("bureau", "find", "--name", "演示1", account="jingban")
    whole = bureau.result("audit", "verify", "--head", "head.json")
    assert (whole["holds"], whole["faults"]) == (True, [])
    assert whole["rows"] == signed["seq"] + 1
    assert "未对照" in bureau.run("audit", "verify").output

    tamper(bureau, f"DELETE FROM audit WHERE seq >= {signed['seq']}")  # noqa: S608
    assert bureau.result("audit", "verify")["holds"] is True
    cut = bureau.result("audit", "verify", "--head", "head.json", code=6)
    assert cut["faults"] == [{"seq": signed["seq"], "kind": "cut", "other": signed["seq"]}]
    tamper_more = pysqlite3.connect(str(bureau.folder / "bureau" / "bureau.sqlite"), isolation_level=None)
    tamper_more.execute("UPDATE audit SET actor = 'x' WHERE seq = 2")
    tamper_more.close()
    done = bureau.run("audit", "verify", "--head", "head.json")
    assert done.exit_code == 6
    assert "第 2 行被改动" in done.output


def test_an_auditor_verifies_the_chain_without_the_home(bureau: Bureau, tmp_path: Path) -> None:
    """With three files alone: the exported chain, a head that was kept, the identity that was compared in person."""
    bureau.result("audit", "head", "--out", "head.json", account="shenji")
    taken = bureau.result("audit", "export", "chain.jsonl", "--purpose", "年度审计", account="shenji")
    elsewhere = tmp_path / "auditor"
    elsewhere.mkdir()
    for file in ("head.json", "chain.jsonl", "bureau/identity.json"):
        shutil.copy(bureau.folder / file, elsewhere)

    def verify(*words: str) -> Result:
        with chdir(elsewhere):
            return CliRunner().invoke(app, ["audit", "verify", "--chain", "chain.jsonl", *words, "--json"])

    known = ("--identity", "identity.json", "--head", "head.json")
    found = json.loads(verify(*known).stdout)
    assert (found["holds"], found["rows"], found["hash"]) == (True, taken["rows"], taken["hash"])
    assert isinstance(verify("--head", "head.json").exception, Refused), "whose chain it is, is for the auditor to know"
    content = (elsewhere / "chain.jsonl").read_text("utf-8")
    lines = content.splitlines(keepends=True)
    (elsewhere / "chain.jsonl").write_text("".join(lines[:3]), "utf-8")
    cut = verify(*known)
    assert (cut.exit_code, json.loads(cut.stdout)["faults"][0]["kind"]) == (6, "cut")
    (elsewhere / "chain.jsonl").write_text(content.replace("audit.head", "audit.tail"), "utf-8")
    edited = verify(*known)
    assert (edited.exit_code, json.loads(edited.stdout)["faults"][0]["kind"]) == (6, "edited")
    assert not [path for path in elsewhere.iterdir() if path.suffix == ".sqlite"]


def test_a_head_of_another_home_is_refused(bureau: Bureau, tmp_path: Path) -> None:
    bureau.result("audit", "head", "--out", "head.json", account="shenji")
    with chdir(tmp_path):
        assert CliRunner().invoke(app, ["bureau", "init", "other", "--division", COUNTY]).exit_code == 0
        done = CliRunner().invoke(app, ["audit", "verify", "--head", "head.json", "--config", "other"])
    assert isinstance(done.exception, MingceError)
    assert done.exception.code == "untrusted_signer"


def test_the_log_is_for_who_may_see_it(bureau: Bureau) -> None:
    bureau.result("bureau", "find", "--name", "演示1", account="jingban")
    (row,) = bureau.result("audit", "log", "--action", "person", account="shenji")["rows"]
    assert (row["actor"], row["action"]) == ("jingban", "person.search")
    assert bureau.result("audit", "log", "--since", "2025-03-04", account="shenji")["rows"] == []
    assert bureau.refused("audit", "log", account="jingban") == "not_allowed"
    assert bureau.refused("audit", "head", "--out", "x.json", account="jingban") == "not_allowed"
    assert "person.search" in bureau.run("audit", "log", account="shenji").output


def test_a_person_is_found_masked_and_shown_with_a_reason(bureau: Bureau) -> None:
    (found,) = bureau.result("bureau", "find", "--name", "演示3", account="jingban")["people"]
    assert (found["name"], found["number"]) == ("演**", f"99************{person(3)[-2:]}")
    typed = bureau.run("bureau", "find", "--number", account="jingban", typed=f"{person(3)}\n")
    assert typed.exit_code == 0
    assert person(3) not in typed.output
    assert "演**" in typed.output
    member = str(found["member_id"])
    why = ("--field", "number", "--reason", "电话核对")
    assert bureau.result("bureau", "reveal", member, *why, account="jingban")["value"] == person(3)
    assert bureau.refused("bureau", "reveal", member, *why, account="zhenjie") == "not_allowed"
    assert bureau.result("bureau", "find", "--name", "演示3", account="zhenjie")["people"] == [], "not in its township"
    log = bureau.result("audit", "log", "--action", "person", account="shenji")["rows"]
    assert [row["action"] for row in reversed(log)] == [
        "person.search", "person.search", "person.reveal", "person.reveal_refused", "person.search",
    ]  # fmt: skip
    assert bureau.refused("bureau", "find", account="jingban") == "refused"


def test_an_answer_on_paper(bureau: Bureau) -> None:
    paper = ("--as-of", "2025-03-01", "--document", "演民函〔2025〕3号")
    listed = ("bureau", "enter-check", "1", "--department", "minzheng", "--listed", *paper)
    values = ("--value", "assistance=低保", "--value", "as_of=2025-02-01")
    check = bureau.result(*listed, *values, account="jingban")["check"]
    assert bureau.result(*listed, *values, account="jingban")["check"] == check
    assert bureau.refused(*listed, "--value", "assistance=富裕", account="jingban") == "check_entry_invalid"
    assert bureau.refused(*listed, *values, account="fuhe") == "not_allowed"
    missing = ("bureau", "missing-checks", "--household", "1")
    assert bureau.refused(*missing, account="jingban") == "policy_unknown"
    home = open_home(bureau.folder / "bureau", "bureau")
    office = open_office(home)
    adopt_policy(office)
    office.close()
    assert len(bureau.result(*missing, account="jingban")["missing"]) == 1
    assert "尚缺" in bureau.run(*missing, account="jingban").output


def test_results_of_a_check_are_taken_over(bureau: Bureau) -> None:
    (bureau.folder / "office.json").write_bytes(DEPARTMENT.public.to_json())
    bureau.result("bureau", "add-department", "minzheng", "--identity", "office.json", "--label", "minzheng/1")
    take = ("bureau", "take-checks", "minzheng")
    assert bureau.refused(*take, account="jingban") == "refused", "no check was made yet"
    store = open_link(open_home(bureau.folder / "bureau", "bureau"), "minzheng").store
    checked(store, [(person(n), {"assistance": "N12", "as_of": "2024-12-01"} if n == 2 else None) for n in range(6)])
    store.close()
    preview = bureau.result(*take, "--dry-run", account="jingban")
    assert (preview["people"], preview["listed"], preview["added"]) == (6, 1, 6)
    assert bureau.result(*take, account="jingban")["added"] == 6
    again = bureau.result(*take, account="jingban")
    assert (again["added"], again["present"]) == (0, 6)
    assert bureau.refused(*take, account="fuhe") == "not_allowed"


def test_a_purge_is_tried_done_and_shown(bureau: Bureau) -> None:
    assert sum(kind["rows"] for kind in bureau.result("bureau", "purge", account="fuhe")["kinds"]) == 0
    bureau.at(NEXT_YEAR)
    preview = bureau.result("bureau", "purge", "--dry-run", account="fuhe")
    rows = {kind["kind"]: kind["rows"] for kind in preview["kinds"]}
    assert rows["not_admitted"] == 9
    assert bureau.refused("bureau", "purge", account="jingban") == "not_allowed"
    done = bureau.result("bureau", "purge", "--out", "purge.json", account="fuhe")
    assert (done["purge"], done["cleared"]) == (1, True)
    assert (bureau.folder / "purge.json").stat().st_size > 100
    (one,) = bureau.result("bureau", "purges", "--out", "records", account="shenji")["purges"]
    assert (bureau.folder / "records/purge-1.json").read_bytes() == (bureau.folder / "purge.json").read_bytes()
    assert (one["purge"], one["account"]) == (1, "fuhe")
    assert bureau.result("bureau", "find", "--name", "演示3", account="jingban")["people"] == []
    assert bureau.result("audit", "verify")["holds"] is True
    assert "没有到期" in bureau.run("bureau", "purge", "--dry-run", account="fuhe").output


def test_periods_come_from_the_configuration(bureau: Bureau) -> None:
    config = bureau.folder / "bureau" / "mingce.toml"
    config.write_text(config.read_text("utf-8").replace("not_admitted = 365", "not_admitted = 3650"), "utf-8")
    bureau.at(NEXT_YEAR)
    kinds = bureau.result("bureau", "purge", "--dry-run", account="fuhe")["kinds"]
    assert [kind["rows"] for kind in kinds if kind["kind"] == "not_admitted"] == [0]
    config.write_text(config.read_text("utf-8").replace("not_admitted = 3650", "not_admitted = 0"), "utf-8")
    assert bureau.refused("bureau", "purge", account="fuhe") == "settings_invalid"


def test_d46_no_number_in_what_a_command_prints_or_leaves(bureau: Bureau) -> None:
    printed = [
        bureau.run("bureau", "find", "--name", "演示3", account="jingban"),
        bureau.run("bureau", "find", "--number", account="jingban", typed=f"{person(3)}\n"),
        bureau.run("bureau", "find", "--number", account="jingban", typed=f"{person(3)}9\n"),
        bureau.run("bureau", "reveal", "4", "--field", "number", "--reason", person(3), account="jingban"),
        bureau.run("audit", "log", account="shenji"),
        bureau.run("audit", "head", "--out", "head.json", account="shenji"),
        bureau.run("bureau", "purge", "--dry-run", account="fuhe"),
    ]
    bureau.at(NEXT_YEAR)
    printed.append(bureau.run("bureau", "purge", "--out", "purge.json", account="fuhe"))
    for one in printed:
        assert "990000" not in one.output + repr(one.exception)
