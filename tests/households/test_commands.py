"""``mingce household`` and ``mingce policy`` as a county's clerk runs them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bureau_office import CHECKER, HANDLER, OTHER_TOWNSHIP_CODE, TOWNSHIP_CODE, make_account, person
from example_policy import SHENGSI
from handed_over import BANK, COUNTY, DATASET, EPOCH, Match, hand_over, receipt_key
from typer.testing import CliRunner

from keys.clock import SystemClock
from keys.receipts import ReceiptKeys
from matcher.bureau.office import STORE_SECRET
from matcher.bureau.store import BureauStore
from scripts.cli import app
from scripts.home import create_home
from scripts.templates import bureau

NOW_VALID = SHENGSI.read_text("utf-8").replace("valid_to = 2025-12-31", "valid_to = 2099-12-31")


@dataclass
class Clerk:
    """Runs commands in one home, as the handler unless told otherwise."""

    home: Path

    def run(self, *words: str, as_: str = HANDLER.name, code: int = 0, typed: str | None = None) -> Any:
        done = CliRunner().invoke(
            app,
            [*words, "--config", str(self.home), "--json", *self._sign_in(words, as_)],
            input=typed,
            catch_exceptions=True,
        )
        if code:
            assert done.exit_code == code or done.exception is not None, done.output
            return done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    def _sign_in(self, words: tuple[str, ...], as_: str) -> list[str]:
        return [] if words == ("policy", "list") else ["--as", as_, "--password-file", str(self.home / f"{as_}.pw")]


@pytest.fixture
def clerk(tmp_path: Path) -> Clerk:
    home = create_home(tmp_path / "home", "bureau", "演示县财政局", bureau("演示县财政局", [COUNTY]), SystemClock())
    secret = home.open_keys().get_store_secret(STORE_SECRET)
    store = BureauStore(home.path, secret, home.clock, [COUNTY], Random(1).randbytes)
    store.add_bank(BANK.public)
    store.add_receipt_keys(ReceiptKeys(DATASET, EPOCH, {COUNTY: receipt_key(COUNTY)}))
    rows = [
        Match(person(place, 1985 if place < 6 else 1940), household_no=f"H{place // 2}", name=f"演示{place}")
        for place in range(8)
    ]
    rows[2:4] = [Match(one.item, one.household_no, one.name, division=OTHER_TOWNSHIP_CODE) for one in rows[2:4]]
    store.import_handover(hand_over(tmp_path / "a.mch", rows), "导入员")
    for actor in (HANDLER, CHECKER):
        (home.path / f"{actor.name}.pw").write_text(make_account(store.office, actor))
    store.close()
    return Clerk(home.path)


def test_a_policy_is_put_in_force_by_two(clerk: Clerk, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(NOW_VALID, "utf-8")
    sha256 = clerk.run("policy", "propose", str(file))["sha256"]
    assert clerk.run("policy", "adopt", sha256[:12], code=3).code == "not_allowed"
    assert clerk.run("policy", "adopt", sha256[:12], as_="fuhe")["adopted_by"] == "fuhe"
    (listed,) = clerk.run("policy", "list")["policies"]
    assert (listed["state"], listed["sha256"]) == ("adopted", sha256)
    other = tmp_path / "other.toml"
    other.write_text(NOW_VALID.replace("highest = 65", "highest = 90"), "utf-8")
    found = clerk.run("policy", "simulate", str(other), "--cost-each", "280.50")
    assert (found["households"], found["fits_now"], found["fits_then"], found["cost"]) == (4, 3, 4, 28_050)
    assert clerk.run("policy", "simulate", str(other), "--cost-each", "much", code=3).code == "refused"
    assert clerk.run("policy", "adopt", "1234", code=3).code == "refused"
    file.write_text(NOW_VALID.replace("lowest = 18", "lowest = 81"), "utf-8")
    assert clerk.run("policy", "propose", str(file), code=3).params["field"] == "age"


def test_from_the_match_to_the_visit_list(clerk: Clerk, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(NOW_VALID, "utf-8")
    assert clerk.run("household", "refine", code=3).code == "policy_unknown"
    clerk.run("policy", "adopt", clerk.run("policy", "propose", str(file))["sha256"], as_="fuhe")
    assert clerk.run("household", "list")["states"] == {"MATCHED": 4}
    counts = clerk.run("household", "refine", "--in", "--dry-run")["counts"]
    assert {(one["wanted"], one["township"]): one["households"] for one in counts} == {
        ("in", TOWNSHIP_CODE): 2, ("in", OTHER_TOWNSHIP_CODE): 1, ("out", TOWNSHIP_CODE): 1
    }  # fmt: skip
    assert clerk.run("household", "refine", "--in", "--out", "超过年龄")["done"] == 4
    (old,) = [one for one in clerk.run("household", "list")["shown"] if one["state"] == "REFINED_OUT"]
    assert clerk.run("household", "supplement", str(old["household_id"]), "--remark", "核实")["done"] == 1
    assert clerk.run("household", "visit-list")["done"] == 4
    assert clerk.run("household", "list", "--state", "TO_VISIT", "--limit", "1")["states"] == {"TO_VISIT": 4}
    assert clerk.run("household", "assess", "1")["verdict"] == "incomplete"
    assert clerk.run("household", "assess", "1", "--on", "yesterday", code=3).code == "refused"
    signed_in = ["--config", str(clerk.home), "--as", "jingban", "--password-file", str(clerk.home / "jingban.pw")]
    refused = CliRunner().invoke(app, ["household", "refine-one", "1", "--to", "in", *signed_in])
    assert (refused.exit_code, "move_invalid" in refused.stdout) == (3, True)


def test_members_are_added_by_typing_their_number(clerk: Clerk) -> None:
    number = person(99)
    member = clerk.run(
        "household", "add-member", "1", "--name", "演示补", "--relation", "child", "--remark", "见户口本",
        typed=f"{number}\n",
    )["member"]  # fmt: skip
    shown = clerk.run("household", "members", "1")
    assert shown["members"][-1]["number"] == f"99************{number[-2:]}"
    assert number not in json.dumps(shown)
    clerk.run("household", "remove-member", str(member), "--remark", "登记有误")
    assert clerk.run("household", "show", "1")["household"]["members"] == 2
    assert clerk.run("household", "conflicts") == {"conflicts": []}
    assert clerk.run("household", "settle", "1", "--remark", "x", code=3).code == "conflict_unknown"
