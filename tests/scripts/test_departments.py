"""A department and a bureau by the command line: two datasets of one sender, checks over HTTP, and who sees what."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import typed
from bureau_office import AUDITOR, HANDLER, make_account
from typed import Typed
from typer.testing import CliRunner

from psi.errors import InputError
from scripts.cli import app
from scripts.county.acting import open_office
from scripts.home import open_home

ROWS, COUNTY = "3000", "330922"
PASSPHRASE = "correct horse battery staple"
OFFICE = "嵊泗县数管局"
BUREAU, OTHER_BUREAU = "嵊泗县财政局", "临县财政局"


@dataclass
class World:
    """One office that hosts 民政's and 公积金's lists; one bureau is granted both, the other 公积金's alone."""

    folder: Path
    server: subprocess.Popen[bytes]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return mingce(self.folder, *words)

    def result(self, *words: str) -> dict[str, object]:
        return dict(json.loads(in_process(self.folder, [*words, "--json"])))

    def check(self, bureau: str, people: str, dataset: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("bureau", "check", people, "--dataset", dataset, "--config", bureau, "--json", *words)

    def truth(self, name: str) -> dict[str, tuple[str, ...]]:
        with (self.folder / f"{name}.truth.csv").open(encoding="utf-8", newline="") as stream:
            return {item: tuple(label) for item, *label in list(csv.reader(stream))[1:]}


def mingce(folder: Path, *words: str) -> Typed:
    return typed.mingce(*words, folder=folder)


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.exit_code == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("departments")
    (folder / "passphrase").write_text(PASSPHRASE)
    run_all(folder, set_up())
    with closing(open_office(open_home(folder / "bureau", "bureau"))) as office:
        for actor in (HANDLER, AUDITOR):
            (folder / f"{actor.name}.password").write_text(make_account(office, actor), "utf-8")
    server = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "department", "serve", "--port", "0", "--address-file", "address",
         "--config", "office"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=(folder / "serve.log").open("wb"),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (folder / "address").exists():
            assert time.monotonic() < deadline
            assert server.poll() is None, (folder / "serve.log").read_text()
            time.sleep(0.05)
        run_all(folder, connect((folder / "address").read_text()))
        yield World(folder, server)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def in_process(folder: Path, words: list[str]) -> str:
    """A command that must succeed, without the second that a process of its own takes to start."""
    with chdir(folder):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"{words}: {done.output} {done.exception!r}"
    return done.stdout


def run_all(folder: Path, commands: list[str]) -> None:
    for line in commands:
        in_process(folder, line.split())


def set_up() -> list[str]:
    made = f"--county {COUNTY} --rows {ROWS}"
    signed = "--passphrase-file passphrase --config office"
    commands = [
        f"generate department minzheng.csv --kind minzheng --truth minzheng.truth.csv {made}",
        f"generate department gongjijin.xlsx --kind gongjijin --truth gongjijin.truth.csv {made}",
        f"generate customers people.xlsx --truth people.truth.csv --customers 400 --dirty 0.05 {made}",
        f"department init office --name {OFFICE} --label minzheng/1",
        "department add-dataset gongjijin --label gongjijin/1 --config office",
        f"bureau init bureau --name {BUREAU} --division {COUNTY}",
        f"bureau init other --name {OTHER_BUREAU} --division {COUNTY}",
        "bank init bank --name 演示银行",
    ]
    for person in ("zhang", "li"):
        commands.append(f"operator create {person} --out {person}.operator --passphrase-file passphrase")
        commands += [
            f"operator register {person}.operator.identity.json --config {home}"
            for home in ("office", "bureau", "other")
        ]
    for dataset, source in (("minzheng", "minzheng.csv"), ("gongjijin", "gongjijin.xlsx")):
        commands.append(f"keys create-epoch {dataset} 2026 --activate --config office")
        commands.append(f"department refresh --dataset {dataset} --source {source} --config office")
    for number, dataset in enumerate(("minzheng", "gongjijin"), start=1):
        commands += [
            f"department register bureau/identity.json --division {COUNTY} --dataset {dataset} --config office",
            f"department declare {BUREAU} --customers 1500 --reason 核验 --dataset {dataset}"
            f" --operator zhang.operator {signed}",
            f"department approve {number} --operator li.operator {signed}",
        ]
    commands.append(f"department register other/identity.json --division {COUNTY} --dataset gongjijin --config office")
    return commands


def connect(url: str) -> list[str]:
    link = f"--identity office/identity.json --url {url}"
    commands = [
        f"bureau add-department {name} --label {name}/1 {link} --config {home}"
        for home in ("bureau", "other")
        for name in ("minzheng", "gongjijin")
    ]
    commands += [
        f"bureau warrant propose --dataset {name} --agreement 01 --max-new-people 2000"
        " --operator zhang.operator --passphrase-file passphrase --config bureau"
        for name in ("minzheng", "gongjijin")
    ]
    return commands


def sign_warrant(world: World, dataset: str) -> None:
    link = ("--dataset", dataset, "--config", "bureau")
    (warrant,) = world.result("bureau", "warrant", "list", *link)["warrants"]  # type: ignore[misc]
    signer = ("--operator", "li.operator", "--passphrase-file", "passphrase")
    world.result("bureau", "warrant", "sign", warrant["warrant"][:12], *signer, *link)


def signed_in(name: str) -> tuple[str, ...]:
    return "--as", name, "--password-file", f"{name}.password"


def exported(world: World, home: str, dataset: str, *words: str) -> list[dict[str, str]]:
    signed = signed_in(HANDLER.name)
    world.result("bureau", "export-check", "out.csv", "--dataset", dataset, "--config", home, *signed, *words)
    with (world.folder / "out.csv").open(encoding="utf-8-sig", newline="") as stream:
        return [{name: cell.strip("\t") for name, cell in row.items()} for row in csv.DictReader(stream)]


def asked_people(world: World) -> dict[str, str]:
    """By row of the list that is checked, the number that it counts as."""
    with (world.folder / "people.truth.csv").open(encoding="utf-8", newline="") as stream:
        return {row["row"]: row["item"] for row in csv.DictReader(stream) if row["item"]}


def budget(world: World, entity: str, dataset: str) -> dict[str, int]:
    budgets = world.result("department", "budgets", "--config", "office")["budgets"]
    (found,) = [one for one in budgets if (one["entity"], one["dataset"]) == (entity, dataset)]  # type: ignore[attr-defined]
    return dict(found)


class TestChecks:
    """In the file's order: each goes on where the one before left the world."""

    def test_no_check_without_two_persons(self, world: World) -> None:
        refused = world.check("bureau", "people.xlsx", "minzheng")
        assert refused.exit_code == 4
        assert json.loads(refused.stdout)["error"]["code"] == "warrant_not_in_force"
        assert budget(world, BUREAU, "minzheng")["used"] == 0

    def test_a_check_finds_exactly_what_the_department_has(self, world: World) -> None:
        sign_warrant(world, "minzheng")
        truth, people = world.truth("minzheng"), asked_people(world)
        run = result_of(world.check("bureau", "people.xlsx", "minzheng"))
        expected = {row: truth[item] for row, item in people.items() if item in truth}
        assert run["matched"] == len(expected) > 5
        assert run["customers"] == len(people)

        rows = exported(world, "bureau", "minzheng", "--unmasked", "--reason", "对账")
        assert {row["行号"]: row["证件号码"] for row in rows} == people
        words = {"N10": "低保", "N11": "低边", "N12": "特困"}
        assert {row["行号"]: (row["救助类别"], row["认定日期"]) for row in rows if row["是否在名单"] == "是"} == {
            row: (words[assistance], as_of) for row, (assistance, as_of) in expected.items()
        }
        for row in rows:
            assert row["版本"] == "minzheng/2026/1"
            assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["数据截至"])
            assert row["是否在名单"] == "是" or row["救助类别"] == ""

    def test_the_same_people_again_cost_nothing(self, world: World) -> None:
        before = budget(world, BUREAU, "minzheng")["used"]
        assert before > 0
        again = result_of(world.check("bureau", "people.xlsx", "minzheng"))
        assert again["asked"] == 0
        assert budget(world, BUREAU, "minzheng")["used"] == before

    def test_the_other_dataset_has_a_key_a_budget_and_a_warrant_of_its_own(self, world: World) -> None:
        assert world.check("bureau", "people.xlsx", "gongjijin").exit_code == 4
        used = budget(world, BUREAU, "minzheng")["used"]
        assert budget(world, BUREAU, "gongjijin")["used"] == 0
        sign_warrant(world, "gongjijin")
        truth, people = world.truth("gongjijin"), asked_people(world)
        run = result_of(world.check("bureau", "people.xlsx", "gongjijin"))
        assert run["matched"] == sum(item in truth for item in people.values()) > 20
        assert budget(world, BUREAU, "gongjijin")["used"] > 0
        assert budget(world, BUREAU, "minzheng")["used"] == used
        keys = world.result("keys", "list", "--config", "office")["epochs"]
        assert len({one["fingerprint"] for one in keys}) == len(keys) == 2  # type: ignore[index,arg-type]

    def test_a_check_is_recorded_by_both_sides_and_can_be_audited(self, world: World) -> None:
        link = ("--dataset", "minzheng", "--config", "bureau")
        secret = ("--passphrase-file", "passphrase")
        (record,) = world.result("bureau", "records", *link)["records"]  # type: ignore[misc]
        assert record["state"] == "COUNTERSIGNED"
        world.result("bureau", "records", "--export", record["sha256"], "--out", "record.json", *link)
        theirs = world.result("department", "records", "--config", "office")["records"]
        assert record["sha256"] in [one["sha256"] for one in theirs]  # type: ignore[index]
        world.result("operator", "create", "auditor", "--out", "auditor.operator", *secret)
        auditor = ("--operator", "auditor.operator", *secret)
        parties = ("--bank", "bureau/identity.json", "--province", "office/identity.json")
        world.result("audit", "draw", "record.json", "--openings", "20", "--out", "draw.json", *auditor, *parties)
        for person in ("zhang", "li"):
            world.result("audit", "approve", "draw.json", "--operator", f"{person}.operator", *secret, *link)
        world.result("audit", "open", "draw.json", "--out", "opened.mao", *link)
        check = ("audit", "check", "opened.mao", "--draw", "draw.json", "--record", "record.json", *auditor, *parties)
        assert world.result(*check)["fits"] is True

    def test_amounts_leave_as_bands(self, world: World) -> None:
        truth, people = world.truth("gongjijin"), asked_people(world)
        rows = exported(world, "bureau", "gongjijin", "--listed-only", "--unmasked", "--reason", "对账")
        bands = {row["行号"]: int(row["月缴存基数"].split(" ")[0].replace(",", "")) for row in rows}
        assert bands == {row: int(truth[item][1]) for row, item in people.items() if item in truth}

    def test_a_bureau_without_a_grant_does_not_see_the_dataset(self, world: World) -> None:
        refused = world.check("other", "people.xlsx", "minzheng", "--dry-run")
        assert refused.exit_code != 0
        error = json.loads(refused.stdout)["error"]
        assert (error["code"], error["status"]) == ("access_refused", 404)
        preview = result_of(world.check("other", "people.xlsx", "gongjijin", "--dry-run"))
        assert (preview["new"], preview["remaining"]) == (len(asked_people(world)), 0)

    def test_a_bank_cannot_be_granted_a_departments_list(self, world: World) -> None:
        refused = world.run(
            "department", "register", "bank/identity.json", "--division", COUNTY, "--dataset", "minzheng",
            "--config", "office", "--json",
        )  # fmt: skip
        assert refused.exit_code == 3
        assert json.loads(refused.stdout)["error"]["code"] == "receiver_refused"

    def test_a_bureau_refuses_another_schema_than_the_one_agreed_on(self, world: World) -> None:
        config = (world.folder / "bureau" / "mingce.toml").read_text("utf-8")
        shutil.copytree(world.folder / "bureau", world.folder / "mistaken")
        wrong = config.replace('label = "minzheng/1"', 'label = "gongan/1"')
        (world.folder / "mistaken" / "mingce.toml").write_text(wrong, "utf-8")
        refused = world.check("mistaken", "people.xlsx", "minzheng")
        assert refused.exit_code == 6
        assert json.loads(refused.stdout)["error"]["code"] == "manifest_refused"
        assert world.run("bureau", "checks", "--config", "mistaken").exit_code == 6

    def test_masked_unless_a_reason_is_given(self, world: World) -> None:
        for words in (
            (*signed_in(HANDLER.name), "--unmasked"),
            (*signed_in(AUDITOR.name), "--unmasked", "--reason", "抽查"),  # departments' answers are not for auditors
            (),
        ):
            refused = world.run(
                "bureau", "export-check", "x.csv", "--dataset", "minzheng", "--config", "bureau", *words
            )
            assert refused.exit_code != 0
            assert not (world.folder / "x.csv").exists()
        rows = exported(world, "bureau", "minzheng")
        assert all(re.fullmatch(r"33\*{12}[0-9]{1}[0-9X]", row["证件号码"]) for row in rows)
        assert all(row["姓名"].endswith("**") for row in rows)

    def test_a_new_epoch_of_one_dataset_leaves_the_other_alone(self, world: World) -> None:
        before = world.result("department", "status", "--config", "office")
        world.result("keys", "create-epoch", "minzheng", "2027", "--config", "office")
        shown = world.result("department", "status", "--config", "office")
        epochs = {(one["dataset"], one["epoch"]) for one in shown["epochs"]}  # type: ignore[attr-defined]
        assert epochs == {("minzheng", "2026"), ("minzheng", "2027"), ("gongjijin", "2026")}
        of_other = [[one for one in status["epochs"] if one["dataset"] == "gongjijin"] for status in (before, shown)]  # type: ignore[attr-defined]
        assert of_other[0] == of_other[1]
        assert result_of(world.check("bureau", "people.xlsx", "gongjijin"))["asked"] == 0

    def test_d46_no_number_stays_in_the_clear(self, world: World) -> None:
        numbers = {
            item.encode()
            for item in [*world.truth("minzheng"), *world.truth("gongjijin"), *asked_people(world).values()]
        }
        kept = [
            path
            for home in ("office", "bureau", "other")
            for path in (world.folder / home).rglob("*")
            if path.is_file()
        ]
        content = b"\n".join(path.read_bytes() for path in [*kept, world.folder / "serve.log"])
        assert len(content) > 100_000
        assert not numbers & set(re.findall(rb"(?=(\d{17}[\dX]))", content))


def test_what_a_person_who_forgets_the_dataset_is_told(world: World) -> None:
    for words in (
        ["department", "refresh", "--config", "office"],
        ["bureau", "check", "people.xlsx", "--config", "bureau"],
    ):
        done = world.run(*words)
        assert done.exit_code == 3
        assert "minzheng" in done.stderr
        assert "gongjijin" in done.stderr


def test_a_dataset_never_changes_what_its_rows_are(world: World) -> None:
    """Else a label meant for bureaus would reach whoever was granted the old one."""
    shutil.copytree(world.folder / "office", world.folder / "changed")
    config = world.folder / "changed" / "mingce.toml"
    config.write_text(config.read_text("utf-8").replace('label = "gongjijin/1"', 'label = "minzheng/1"'), "utf-8")
    refused = world.run(
        "department", "refresh", "--dataset", "gongjijin", "--source", "minzheng.csv", "--config", "changed", "--json"
    )
    assert refused.exit_code == 3
    assert json.loads(refused.stdout)["error"]["code"] == "label_schema_changed"


RENSHE = """
name = "renshe/1"
title = "养老保险"
receivers = ["bureau"]
width = 16

[[field]]
name = "insured"
headings = ["参保状态"]
type = "yes_no"
why = "收入核对"
"""


def test_a_schema_of_ones_own(tmp_path: Path) -> None:
    """Its file is copied into both homes; a dataset's name may hold a dot."""
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "renshe.toml").write_text(RENSHE, "utf-8")
    (tmp_path / "list.csv").write_text("证件号码,参保状态\n990000198001010012,是\n", "utf-8")
    in_process(tmp_path, ["department", "init", "office", "--label", "draft/renshe.toml", "--division", "330922"])
    in_process(
        tmp_path, ["department", "add-dataset", "renshe.2", "--label", "draft/renshe.toml", "--config", "office"]
    )
    shutil.rmtree(tmp_path / "draft")
    for dataset in ("renshe", "renshe.2"):
        in_process(tmp_path, ["keys", "create-epoch", dataset, "2026", "--activate", "--config", "office"])
    refresh = ["department", "refresh", "--dataset", "renshe", "--source", "list.csv", "--config", "office", "--json"]
    assert json.loads(in_process(tmp_path, refresh))["rows"] == 1
    in_process(tmp_path, ["bureau", "init", "bureau", "--division", "330922"])
    link = "--identity office/identity.json --label office/renshe.toml --config bureau"
    in_process(tmp_path, ["bureau", "add-department", "renshe.2", *link.split()])
    assert (tmp_path / "bureau" / "renshe.toml").read_text("utf-8") == RENSHE
    assert json.loads(in_process(tmp_path, ["bureau", "checks", "--config", "bureau", "--json"]))["departments"]


def test_a_dataset_that_cannot_be_added_leaves_the_configuration_as_it_was(tmp_path: Path) -> None:
    in_process(tmp_path, ["department", "init", "office", "--label", "minzheng/1"])
    before = (tmp_path / "office" / "mingce.toml").read_bytes()
    for words in (
        ["minzheng", "--label", "minzheng/1"],
        ["../x", "--label", "minzheng/1"],
        ["x]\ny", "--label", "minzheng/1"],
        ["other", "--label", "unknown/1"],
        ["other", "--label", "minzheng/1", "--division", "3309"],
        ["other", "--label", "minzheng/1", "--title", "\x7f"],
    ):
        with chdir(tmp_path):
            done = CliRunner().invoke(app, ["department", "add-dataset", *words, "--config", "office"])
        assert isinstance(done.exception, InputError), (words, done.exception)
        assert (tmp_path / "office" / "mingce.toml").read_bytes() == before
    assert mingce(tmp_path, "department", "init", "office", "--label", "minzheng/1").exit_code == 3
