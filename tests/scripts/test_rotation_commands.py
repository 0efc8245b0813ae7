"""Rotation and fingerprints as their users meet them: commands in a scratch folder, files, exit codes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typed import mingce

from keys.clock import SystemClock
from keys.envelope import open_envelope, sign_envelope
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.bank.store import STORE_SECRET, BankStore
from psi.edition import PAYLOAD_TYPE, parse_manifest

SLICES = "330922"


@dataclass
class Scratch:
    folder: Path

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = mingce(*words, "--json", folder=self.folder)
        assert done.exit_code == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def province(self, *words: str, code: int = 0) -> dict[str, Any]:
        return self.run(*words, "--config", "province", code=code)

    def say(self, *words: str, code: int = 0) -> str:
        done = mingce(*words, folder=self.folder)
        assert done.exit_code == code, done.stdout + done.stderr
        return done.stdout

    def keys(self, home: str) -> KeyStore:
        path = self.folder / home
        return KeyStore(path, FileKek(path / "secrets" / "kek"), clock=SystemClock(), actor="test")

    def states(self) -> dict[str, str]:
        return {each["epoch"]: each["state"] for each in self.province("keys", "list")["epochs"]}

    def current(self) -> str:
        return str(self.province("province", "refresh", "--source", "基础名单.csv", "--dry-run")["epoch"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A province whose first epoch ends in 20 days, with an edition in it."""
    scratch = Scratch(tmp_path_factory.mktemp("made"))
    scratch.run("generate", "county", "基础名单.csv", "--county", SLICES, "--rows", "200")
    scratch.run("province", "init", "province")
    assert scratch.province("keys", "plan")["steps"][0]["reason"] == "no_epoch"
    scratch.province("keys", "create-epoch", "base", "2026", "--activate", "--days", "20")
    scratch.province("province", "refresh", "--source", "基础名单.csv")
    return scratch.folder


@pytest.fixture
def scratch(made: Path, tmp_path: Path) -> Scratch:
    shutil.copytree(made, tmp_path / "work")
    return Scratch(tmp_path / "work")


def test_an_epoch_is_rotated_by_plan_and_cron(scratch: Scratch) -> None:
    steps = scratch.province("keys", "plan")["steps"]
    due = [(each["kind"], each["epoch"]) for each in steps if each["is_due"] and each["kind"] != "warn"]
    assert due == [("create", "2027")]
    dry = scratch.province("keys", "apply", "--dry-run", code=4)
    assert [each["kind"] for each in dry["done"]] == ["create"]
    assert scratch.states() == {"2026": "active"}
    done = scratch.province("keys", "apply")["done"]
    assert [(each["kind"], each["epoch"]) for each in done] == [("create", "2027"), ("activate", "2027")]
    assert scratch.states() == {"2026": "active", "2027": "active"}
    assert scratch.current() == "2026", "nothing is published in the new one yet"
    refreshed = scratch.province("province", "refresh", "--source", "基础名单.csv")
    assert [refreshed["epoch"], *(each["epoch"] for each in refreshed["other_epochs"])] == ["2026", "2027"]
    done = scratch.province("keys", "apply")["done"]
    assert [(each["kind"], each["epoch"]) for each in done] == [("make_current", "2027")]
    assert scratch.current() == "2027"
    assert scratch.province("keys", "apply")["done"] == []


def test_the_plan_is_told_in_words_for_any_time(scratch: Scratch) -> None:
    chinese = scratch.say("keys", "plan", "--config", "province", "--at", "2040-01-01T00:00:00Z")
    english = scratch.say("--lang", "en", "keys", "plan", "--config", "province", "--at", "2040-01-01T00:00:00Z")
    assert "建立 base/2027" in chinese
    assert "各方无法匹配" in chinese
    assert "nobody is served" in english
    assert chinese.count("\n") == english.count("\n")
    scratch.say("keys", "plan", "--config", "province", "--at", "tomorrow", code=3)


def test_a_rotation_by_hand_waits_for_the_first_edition(scratch: Scratch) -> None:
    done = mingce("keys", "rotate", "base", "2026b", "--config", "province", folder=scratch.folder)
    assert done.exit_code == 0
    assert "首个版本" in done.stderr
    assert scratch.current() == "2026"
    scratch.province("province", "refresh", "--source", "基础名单.csv", "--epoch", "2026b")
    scratch.province("keys", "activate", "base", "2026b")
    assert scratch.current() == "2026b"


def test_the_record_of_a_destroyed_key_is_listed(scratch: Scratch) -> None:
    scratch.province("keys", "expire", "base", "2026")
    assert (scratch.folder / "province" / "editions" / "base" / "2026").is_dir()
    scratch.province("keys", "destroy", "base", "2026", "--reason", "试验", "--yes")
    assert not (scratch.folder / "province" / "editions" / "base" / "2026").exists()
    listed = scratch.province("keys", "list")
    (record,) = listed["destructions"]
    assert (record["epoch"], record["reason"], record["is_shredded"]) == ("2026", "试验", True)
    assert record["fingerprint"] == listed["epochs"][0]["fingerprint"]
    assert record["envelope"]["signatures"][0]["keyid"] == listed["identity"]["fingerprint"]
    assert "已销毁 base/2026" in scratch.say("keys", "list", "--config", "province")
    scratch.province("keys", "activate", "base", "2026", code=1)


def test_a_policy_that_contradicts_itself_stops_every_command(scratch: Scratch) -> None:
    config = scratch.folder / "province" / "mingce.toml"
    config.write_text(config.read_text("utf-8").replace("overlap_days = 30", "overlap_days = 90"), "utf-8")
    error = scratch.province("keys", "plan", code=3)["error"]
    assert (error["code"], error["field"]) == ("settings_invalid", "dataset.base.rotation")


# Two banks


def show(scratch: Scratch, bank: str, *, altered: bool = False) -> None:
    """The bank accepts the province's real manifest, or another one that the province signed just for it."""
    home = scratch.folder / bank
    if not home.exists():
        scratch.run("bank", "init", bank, "--name", f"{bank}（演示）", "--division", SLICES)
    keys = scratch.keys("province")
    province = keys.get_identity()
    path = scratch.folder / "province" / "editions" / "base" / "2026" / "1" / "public" / "manifest.json"
    envelope = path.read_bytes()
    if altered:
        manifest = parse_manifest(open_envelope(envelope, PAYLOAD_TYPE, province.public))
        other = manifest.model_copy(update={"divisions": {SLICES: "另一份"}})
        envelope = sign_envelope(province, PAYLOAD_TYPE, other.encode())
    store = BankStore(home, scratch.keys(bank).get_store_secret(STORE_SECRET), SystemClock())
    store.editions.accept(envelope, province.public, "base", "2026")
    store.close()


def test_two_banks_that_were_shown_the_same(scratch: Scratch) -> None:
    for bank in ("甲", "乙"):
        show(scratch, bank)
    mine = scratch.run("bank", "fingerprint", "--config", "甲")["epochs"]
    theirs = scratch.run("bank", "fingerprint", "--out", "乙.json", "--config", "乙")["epochs"]
    assert mine == theirs
    code = mine[0]["code"]
    assert [len(group) for group in code.split()] == [5] * 6
    assert "相同" in scratch.say("bank", "compare-fingerprint", "乙.json", "--config", "甲")
    assert "相同" in scratch.say("bank", "compare-fingerprint", code, "--config", "甲")
    assert scratch.run("bank", "status", "--config", "甲")["alarms"] == []


def test_two_banks_that_were_shown_different_things(scratch: Scratch) -> None:
    show(scratch, "甲")
    show(scratch, "乙", altered=True)
    code = scratch.run("bank", "fingerprint", "--out", "乙.json", "--config", "乙")["epochs"][0]["code"]
    found = scratch.run("bank", "compare-fingerprint", "乙.json", "--config", "甲", code=6)
    assert (found["same"], found["epochs"][0]["part"]) == (False, "edition")
    status = scratch.run("bank", "status", "--config", "甲", code=6)
    assert [alarm["code"] for alarm in status["alarms"]] == ["equivocation"]
    assert "不同！" in scratch.say("bank", "compare-fingerprint", code, "--edition", "1", "--config", "甲", code=6)
    assert "还不能比对" in scratch.say("bank", "compare-fingerprint", code, "--config", "甲", code=4)
    english = scratch.say("--lang", "en", "bank", "compare-fingerprint", "乙.json", "--config", "甲", code=6)
    assert "DIFFERENT: the province showed two banks different things" in english
    (scratch.folder / "坏.json").write_text("{}")
    scratch.say("bank", "compare-fingerprint", "坏.json", "--config", "甲", code=3)


def test_forgetting_an_epoch_at_the_bank(scratch: Scratch) -> None:
    show(scratch, "甲")
    assert scratch.run("bank", "forget-epoch", "2026", "--config", "甲", code=4)["error"]["code"] == "epoch_still_valid"
    assert scratch.run("bank", "forget-epoch", "1999", "--config", "甲", code=3)["error"]["code"] == "epoch_unseen"
    dry = scratch.run("bank", "forget-epoch", "2026", "--early", "--dry-run", "--config", "甲")
    assert (dry["dry_run"], dry["customers"]) == (True, 0)
    with closing(sqlite3.connect(scratch.folder / "甲" / "bank.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM batch").fetchall()
        left = scratch.run("bank", "forget-epoch", "2026", "--early", "--yes", "--config", "甲", code=7)
    assert left["is_shredded"] is False
    done = scratch.run("bank", "forget-epoch", "2026", "--early", "--yes", "--config", "甲")
    assert done["is_shredded"] is True
