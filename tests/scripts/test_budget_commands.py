"""Budgets, alarms and canaries on the command line, as two operators of a province use them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.clock import SystemClock
from keys.identity import Identity
from matcher.province.ledger import Ledger
from matcher.province.records import BudgetExhausted
from psi.identifiers import check_character
from scripts.cli import main
from scripts.home import open_home
from scripts.sending.ledgers import check_budgets

Mingce = Callable[..., tuple[int, Any]]
HEADER = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"
BANK, NEW_KEY = Identity("演示银行", "bank", bytes([1]) * 32), Identity("演示银行新密钥", "bank", bytes([2]) * 32)


@pytest.fixture
def mingce(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mingce:
    """Runs a command in a scratch folder; its exit code and its JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, Any]:
        monkeypatch.setattr(sys, "argv", ["mingce", *(str(word) for word in words), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def province(mingce: Mingce, tmp_path: Path) -> Path:
    """A province with two operators and a registered bank."""
    (tmp_path / "secret").write_text("a passphrase for tests\n", "utf-8")
    (tmp_path / "bank.json").write_bytes(BANK.public.to_json())
    (tmp_path / "new.json").write_bytes(NEW_KEY.public.to_json())
    mingce("province", "init", "province", "--name", "演示省")
    mingce("keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
    for name in ("zhang", "li"):
        mingce("operator", "create", name, "--out", f"{name}.operator", "--passphrase-file", "secret")
        mingce("operator", "register", f"{name}.operator.identity.json", "--config", "province")
    code, registered = mingce("province", "register", "bank.json", "--division", "330922", "--config", "province")
    assert (code, registered["entity"]) == (0, "演示银行")
    return tmp_path / "province"


def by(name: str) -> tuple[str, ...]:
    return "--operator", f"{name}.operator", "--passphrase-file", "secret", "--config", "province"


def declare(mingce: Mingce, customers: int = 3_000) -> tuple[int, Any]:
    numbers = ("--customers", customers, "--new-a-night", 30, "--reason", "年度申报")
    return mingce("province", "declare", "演示银行", *numbers, *by("zhang"))


def test_two_operators_decide_a_budget(mingce: Mingce, province: Path) -> None:
    assert mingce("province", "budgets", "--config", "province")[1] == {"budgets": []}, "registering grants nothing"
    code, declared = declare(mingce)
    assert (code, declared["state"], declared["limit"], declared["nightly"]) == (0, "proposed", 4_096, 256)
    assert mingce("province", "budgets", "--config", "province")[1] == {"budgets": []}
    code, refused = mingce("province", "approve", declared["declaration_id"], *by("zhang"))
    assert (code, refused["error"]["code"]) == (3, "already_signed")
    code, approved = mingce("province", "approve", declared["declaration_id"], *by("li"))
    assert (code, approved["state"]) == (0, "approved")
    (budget,) = mingce("province", "budgets", "--config", "province")[1]["budgets"]
    assert (budget["entity"], budget["limit"], budget["nightly"], budget["remaining"]) == (
        "演示银行",
        4_096,
        256,
        4_352,
    )
    code, again = mingce("province", "approve", declared["declaration_id"], *by("li"))
    assert (code, again["error"]["code"]) == (4, "declaration_decided")
    listed = mingce("province", "declarations", "--config", "province")[1]["declarations"]
    assert [(one["state"], one["customers"]) for one in listed] == [("approved", 3_000)]


def test_a_rejected_declaration_changes_nothing(mingce: Mingce, province: Path) -> None:
    number = declare(mingce)[1]["declaration_id"]
    code, rejected = mingce("province", "reject", number, "--reason", "与年报不符", *by("li"))
    assert (code, rejected["state"]) == (0, "rejected")
    assert mingce("province", "declarations", "--waiting", "--config", "province")[1] == {"declarations": []}
    assert mingce("province", "budgets", "--config", "province")[1] == {"budgets": []}


def test_a_second_key_is_registered_under_the_same_entity(mingce: Mingce, province: Path) -> None:
    mingce("province", "approve", declare(mingce)[1]["declaration_id"], *by("li"))
    words = ("province", "register", "new.json", "--division", "330922", "--entity", "演示银行", "--config", "province")
    assert mingce(*words)[1]["entity"] == "演示银行"
    assert len(mingce("province", "budgets", "--config", "province")[1]["budgets"]) == 1
    ledger = Ledger.open(province, SystemClock())
    shared = ledger.find_budget(NEW_KEY.public.fingerprint, "base", "2026")
    ledger.close()
    assert shared is not None
    assert shared.limit == 4_096


def test_a_budget_made_by_hand_is_found(mingce: Mingce, province: Path) -> None:
    ledger = Ledger.open(province, SystemClock())
    ledger.set_budget(BANK.public.fingerprint, "base", "2026", 10**6)
    ledger.close()
    code, refused = mingce("province", "budgets", "--config", "province")
    assert (code, refused["error"]["code"]) == (6, "declaration_invalid")


def test_status_is_red_until_somebody_acknowledges(mingce: Mingce, province: Path) -> None:
    mingce("province", "approve", declare(mingce, 10)[1]["declaration_id"], *by("li"))
    assert mingce("province", "status", "--config", "province")[0] == 0
    ledger = Ledger.open(province, SystemClock())
    with pytest.raises(BudgetExhausted):
        ledger.charge(
            party=BANK.public.fingerprint,
            dataset="base",
            epoch="2026",
            idempotency_key="0" * 32,
            body_sha256=bytes(32),
            n=4_096,
        )
    ledger.close()
    code, status = mingce("province", "status", "--config", "province")
    assert (code, [alarm["code"] for alarm in status["alarms"]]) == (6, ["budget_refused"])
    code, alarms = mingce("province", "alarms", "--config", "province")
    assert (code, alarms["alarms"][0]["params"]["entity"]) == (6, "演示银行")
    assert mingce("province", "acknowledge", alarms["alarms"][0]["alarm_id"], "--config", "province")[0] == 0
    assert mingce("province", "status", "--config", "province")[0] == 0
    assert mingce("province", "alarms", "--all", "--config", "province")[0] == 0
    assert mingce("province", "acknowledge", 99, "--config", "province")[0] == 3


def test_a_key_is_shut_out_and_let_in_again(mingce: Mingce, province: Path) -> None:
    for command, state in (("suspend", "suspended"), ("resume", "active")):
        assert mingce("province", command, "演示银行", "--config", "province")[1]["state"] == state
        ledger = Ledger.open(province, SystemClock())
        assert ledger.get_party("演示银行").state == state
        ledger.close()
    assert mingce("province", "suspend", "无此银行", "--config", "province")[0] == 3


def test_canaries_are_planted_shown_masked_and_handed_to_the_bureau(
    mingce: Mingce, province: Path, tmp_path: Path
) -> None:
    source = tmp_path / "list.csv"
    body = "99000019600101001"
    source.write_text(f"{HEADER}\n{body}{check_character(body)},H00001,3,330922100,是,\n", "utf-8")
    where = ("--config", "province")
    words = ("--division", "330922", "--prefix", "990000", "--count", 3, "--source", source, *where)
    assert mingce("province", "canaries", "plant", *words)[1]["planted"] == 3
    masked = mingce("province", "canaries", "list", *where)[1]["canaries"]
    assert all("*" in canary["item"] and "*" in canary["household_no"] for canary in masked)
    assert mingce("province", "canaries", "list", "--reveal", *where)[0] == 3, "not without a reason"
    shown = mingce("province", "canaries", "list", "--reveal", "--reason", "公安核实", *where)[1]["canaries"]
    assert all(canary["item"].startswith("990000") for canary in shown)
    mingce("bureau", "init", "bureau", "--name", "演示局", "--division", "330922")
    mingce("bureau", "trust", "province/identity.json", "--config", "bureau")
    exported = mingce("province", "canaries", "export", "bureau/identity.json", "--division", "330922", *where)
    assert exported[0] == 0
    code, imported = mingce("bureau", "import-canaries", "canaries.mcc", "--config", "bureau")
    assert (code, imported["canaries"], imported["new"]) == (0, 3, 3)
    code, refreshed = mingce("province", "refresh", "--source", source, *where)
    assert (code, refreshed["rows"]) == (0, 4)
    ledger = Ledger.open(province, SystemClock())
    actions = [row for (row,) in ledger.store.db.conn.execute("SELECT action FROM audit WHERE action LIKE '%canaries'")]
    ledger.close()
    assert actions == ["plant_canaries", "reveal_canaries", "export_canaries"]


def test_serving_begins_with_a_look_at_the_signatures(mingce: Mingce, province: Path) -> None:
    mingce("province", "approve", declare(mingce)[1]["declaration_id"], *by("li"))
    home = open_home(province, "province")
    check_budgets(home)
    assert mingce("province", "alarms", "--config", "province")[0] == 0
    ledger = Ledger.open(province, SystemClock())
    ledger.set_budget(BANK.public.fingerprint, "base", "2026", 10**6)
    ledger.close()
    for _ in range(2):
        check_budgets(home)
    code, alarms = mingce("province", "alarms", "--config", "province")
    assert (code, [alarm["code"] for alarm in alarms["alarms"]]) == (6, ["declaration_invalid"])
