"""``mingce review`` as its users meet it: the month from the queue to the final list, and what is refused."""

from __future__ import annotations

import csv
import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import bureau_office
import pytest
from bureau_office import CHECKER, HANDLER, OTHER_CHECKER, TOWNSHIP, make_office, password_of, person, spring
from handed_over import BANK, COUNTY
from reviewing import add_waiting, begin, state_of
from typer.testing import CliRunner, Result

from matcher.bureau.actors import Actor
from matcher.bureau.office import STORE_SECRET, Office
from psi.errors import MingceError
from scripts.cli import app
from scripts.home import DEMO_CLOCK, open_home
from scripts.messages import Refused

DAY, AFTER = "2025-03-03T01:00:00Z", "2025-03-11T01:00:00Z"


class Bureau:
    """A bureau's home in its folder, three households that wait for their review, and what a person types."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.at(DAY)
        with chdir(folder):
            done = CliRunner().invoke(app, ["bureau", "init", "bureau", "--name", "演示", "--division", COUNTY])
            assert done.exit_code == 0, done.output
        config = folder / "bureau" / "mingce.toml"
        config.write_text(f"demo = true\n{config.read_text('utf-8')}", "utf-8")
        home = open_home(folder / "bureau", "bureau")
        monkeypatch.setattr(bureau_office, "SECRET", home.open_keys().get_store_secret(STORE_SECRET))
        office = make_office(home.path, spring())
        begin(office)
        self.households = add_waiting(office, 3)
        office.close()

    def at(self, moment: str) -> None:
        self._monkeypatch.setenv(DEMO_CLOCK, moment)

    def run(self, actor: Actor, *words: str) -> Result:
        (self.folder / "password").write_text(password_of(actor), "utf-8")
        signed = ("--as", actor.name, "--password-file", "password", "--config", "bureau")
        with chdir(self.folder):
            return CliRunner().invoke(app, ["review", *words, *signed])

    def result(self, actor: Actor, *words: str, code: int = 0) -> dict[str, Any]:
        done = self.run(actor, *words, "--json")
        assert done.exit_code == code, f"{words}: {done.output} {done.exception!r}"
        return dict(json.loads(done.stdout))

    def refused(self, actor: Actor, *words: str) -> str:
        done = self.run(actor, *words)
        assert isinstance(done.exception, MingceError), done.output
        return done.exception.code

    def office(self) -> Office:
        return make_office(self.folder / "bureau", spring())


@pytest.fixture
def bureau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bureau:
    return Bureau(tmp_path, monkeypatch)


def test_a_month_from_the_queue_to_the_final_list(bureau: Bureau) -> None:
    first, second, third = (str(number) for number in bureau.households)
    assert bureau.result(HANDLER, "queue")["total"] == 3
    bureau.result(HANDLER, "claim", first)
    assert bureau.result(HANDLER, "queue", "--claimed", "mine")["total"] == 1
    one = bureau.result(HANDLER, "propose", first, "--verdict", "approve")["reference"]
    many = bureau.result(HANDLER, "propose", second, third, "99", "--verdict", "approve", code=3)
    assert (many["done"], many["refused"]) == (2, 1)
    items = bureau.result(CHECKER, "queue", "--stage", "to_confirm")["items"]
    references = [f"{item['decision_id']}@{item['digest'][:12]}" for item in items]
    assert one in references
    back = next(reference for reference in references if reference != one)
    assert bureau.result(CHECKER, "send-back", back, "--remark", "佐证不全")["state"] == "sent_back"
    waiting = [reference for reference in references if reference != back]
    assert bureau.result(CHECKER, "confirm", *waiting)["done"] == 2
    begun = bureau.result(HANDLER, "confirm-list", "--all", "--sms", "短信.csv", "--village", "评议.xlsx")
    assert (begun["done"], begun["sms"]["rows"], begun["village"]["rows"]) == (2, 2, 2)
    confirming = [str(i["household_id"]) for i in bureau.result(TOWNSHIP, "queue", "--stage", "confirming")["items"]]
    bureau.result(TOWNSHIP, "deliberation", *confirming, "--held-on", "2025-03-03", "--agreed")
    speech = ("--who", "邻居", "--why", "不在本村", "--received-on", "2025-03-03")
    bureau.result(TOWNSHIP, "objection", confirming[1], *speech)
    assert bureau.result(CHECKER, "close", "--all")["done"] == 0  # the days run until the 10th
    bureau.at(AFTER)
    assert bureau.result(CHECKER, "close", "--all")["done"] == 1
    assert bureau.result(HANDLER, "final", "名单.csv", "--purpose", "归档")["rows"] == 1
    with (bureau.folder / "名单.csv").open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["客户姓名"] == "演**"
    bureau.result(HANDLER, "final", "银行.csv", "--purpose", "放款", "--bank", BANK.public.name)
    assert person(0) in (bureau.folder / "银行.csv").read_text("utf-8")
    ended = bureau.result(HANDLER, "end", confirming[0], "--verdict", "graduate", "--reason", "N30")["reference"]
    bureau.result(CHECKER, "confirm", ended)
    office = bureau.office()
    assert state_of(office, int(confirming[0])) == "GRADUATED"
    office.verify_audit()
    office.close()


def test_a_refused_family_appeals(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    said = ("--reason", "N01", "--remark", "另有未申报收入")
    reference = bureau.result(HANDLER, "propose", household, "--verdict", "reject", *said)["reference"]
    assert "另有未申报收入" in bureau.run(CHECKER, "show", household).output
    bureau.result(CHECKER, "confirm", reference)
    speech = ("--who", "户主", "--why", "收入有误", "--received-on", "2025-03-03")
    bureau.result(TOWNSHIP, "appeal", household, *speech)
    assert bureau.refused(TOWNSHIP, "appeal", household, *speech) == "move_invalid"


def test_what_is_refused_says_so(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    assert bureau.refused(TOWNSHIP, "queue") == "not_allowed"
    assert bureau.refused(HANDLER, "propose", household, "--verdict", "reject") == "reason_missing"
    assert bureau.refused(HANDLER, "show", "99") == "household_unknown"
    reference = bureau.result(HANDLER, "propose", household, "--verdict", "approve")["reference"]
    number = reference.partition("@")[0]
    assert bureau.refused(CHECKER, "confirm", f"{number}@000000000000") == "evidence_changed"
    for words in (
        ("queue", "--stage", "x"), ("queue", "--claimed", "x"), ("confirm", number), ("confirm", "x@y"),
        ("propose", household, "--verdict", "graduate"), ("end", household, "--verdict", "approve"),
    ):  # fmt: skip
        assert bureau.refused(CHECKER, *words) == Refused.code, words
    bureau.result(CHECKER, "confirm", reference)
    assert bureau.refused(OTHER_CHECKER, "confirm", reference) == "decision_made"
    assert bureau.refused(HANDLER, "tell", household, "--how", "电话") == "move_invalid"


def test_a_person_reads_tables_and_sentences(bureau: Bureau) -> None:
    household = str(bureau.households[0])
    table = bureau.run(HANDLER, "queue").output
    assert "演**" in table
    assert "待审核" in table
    bureau.run(HANDLER, "propose", household, "--verdict", "approve")
    shown = bureau.run(CHECKER, "show", household).output
    assert "年满 40 周岁" in shown
    assert "待复核 1@" in shown
    assert person(0) not in table + shown
    assert "已退回队列" in bureau.run(CHECKER, "release", household).output
