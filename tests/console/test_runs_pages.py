"""匹配与密钥 through a real server: hand-overs, editions on a line, allowances, warrants, alarms, records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, DEPARTMENT, HANDLER, SECRET, add_households, make_office, person
from console_server import RunningConsole, running_console
from handed_over import COUNTY, hand_over, matches, true_receipts
from made_check import DEPARTMENT as CIVIL_AFFAIRS
from made_check import MINZHENG, checked, open_minzheng
from operators_home import LI, ZHANG, keystore_with_operators

from api.console.runs import SHOWN
from keys.clock import SettableClock
from matcher.alarms import AlarmNotFound
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrants
from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.checks.links import CheckLink, CheckRuns, Links
from matcher.households.received import HandoverUnknown, Received
from psi.errors import VerificationError

DAY_S = 86_400
KEY = "ef" * 16


class Tampered(VerificationError):
    """Stands for what a match finds."""

    code = "slice_invalid"


@dataclass
class World:
    office: Office
    store: BankStore
    warrants: Warrants
    links: Links


@pytest.fixture
def world(tmp_path: Path, clock: SettableClock) -> Iterator[World]:
    office = make_office(tmp_path / "bureau", clock)
    add_households(office, 2)
    store = open_minzheng(office.home, clock)
    keys = keystore_with_operators(tmp_path / "keys", clock, "bureau")
    warrants = store.warrants(keys.operators, keys.get_public_identity())
    names = {one.public.fingerprint: one.public.name for one in (ZHANG, LI)}
    link = CheckLink("minzheng", "minzheng", CIVIL_AFFAIRS.public, MINZHENG, (COUNTY,), store, warrants, names)
    yield World(office, store, warrants, Links((link,)))
    office.verify_audit()
    store.close()
    office.close()


@pytest.fixture
def console(world: World) -> Iterator[RunningConsole]:
    with running_console(world.office, links=world.links) as running:
        yield running


def terms(world: World, days: int = 365, begins: int = 0) -> Terms:
    now = world.store.now()
    return Terms(
        "扩中家庭部门核验", "授权", "演示-01", "minzheng", (COUNTY,), 900,
        now + timedelta(days=begins), now + timedelta(days=begins + days),
    )  # fmt: skip


def import_bad_rows(world: World, folder: Path) -> int:
    """A hand-over of which two rows have no true receipt; returns its number."""
    rows = matches(6, first=40)
    store = BureauStore(world.office.home, SECRET, world.office.clock, [COUNTY])
    receipts = true_receipts(rows)
    receipts[1:3] = [bytes(16), bytes(16)]
    done = store.import_handover(hand_over(folder / "bad.mch", rows, receipts), "演示员")
    store.close()
    return done.handover_id


def test_before_anything_happened_pages_say_what_comes(tmp_path: Path, clock: SettableClock) -> None:
    bare = make_office(tmp_path / "bare", clock)
    with running_console(bare) as console:
        handler = console.sign_in(HANDLER)
        assert "没有警报、待签名的授权书或名单冲突" in handler.get("/runs").text
        for path in ("/runs/handovers", "/runs/checks", "/runs/alarms", "/runs/records"):
            page = handler.get(path)
            assert page.status_code == 200, path
            assert 'class="empty"' in page.text, path
    bare.close()


def test_a_hand_over_with_its_header_and_refused_rows(console: RunningConsole, world: World, tmp_path: Path) -> None:
    number = import_bad_rows(world, tmp_path)
    handler = console.sign_in(HANDLER)
    page = handler.get("/runs/handovers").text
    assert "演示银行" in page
    assert '<strong class="late">2</strong>' in page
    page = handler.get(f"/runs/handovers/{number}").text
    assert "没有省里的凭据：2" in page
    assert "cd" * 32 in page  # the manifest's hash, as the bank signed it
    assert page.count('<td class="digits">') == 2
    assert matches(1, first=41)[0].item not in page
    assert "没有拒收的行" in handler.get("/runs/handovers/1").text
    assert handler.get("/runs/handovers/99").status_code in (404, 422)
    out = handler.post("/runs/handovers/export", {"key": KEY, "format": "csv", "reason": "演示"})
    assert out.content.decode("utf-8-sig").count("演示银行") == 2
    assert handler.post("/runs/handovers/export", {"key": KEY, "format": "csv"}).status_code == 422
    with pytest.raises(HandoverUnknown):
        Received(world.office).show(HANDLER, 99)


def test_the_time_line_shows_states_as_they_are(console: RunningConsole, world: World, clock: SettableClock) -> None:
    checked(world.store, [(person(0), None)])
    checked(world.store, [(person(0), None)], edition=3)
    page = console.sign_in(HANDLER).get("/runs").text
    assert re.search(r"基础名单 2026</text>", page)
    assert page.count('class="tick"') == 3  # one of the hand-over, two of the department's editions
    assert re.search(r'<th scope="row">演示民政局</th><td>2025</td><td><span class="state good">有效', page)
    assert "1–3" in page
    for days, words in ((1_745, "将到期"), (60, "已过期")):  # the manifests end on 2030-01-01
        clock.advance(days * DAY_S)
        with running_console(world.office, links=world.links) as later:
            assert words in later.sign_in(CHECKER).get("/runs").text, days


def test_an_allowance_as_it_was_told_with_a_forecast(console: RunningConsole, world: World) -> None:
    assert "还没有部门告知过额度" in console.sign_in(HANDLER).get("/runs").text
    world.store.told.keep("minzheng", "2025", total=1_000, used=900, remaining=100)
    page = console.sign_in(HANDLER).get("/runs/checks").text
    assert "近 30 天没有用量" in page
    checked(world.store, [(person(number), None) for number in range(60)])  # 60 elements: two a day
    page = console.sign_in(HANDLER).get("/runs").text
    assert "每天约 2" in page
    assert "2025-04-22" in page  # fifty days on
    assert "不足两成" in page
    assert 'width="90"' in page
    world.store.told.keep("minzheng", "2025", total=1_000, used=100, remaining=900)
    assert "不足两成" not in console.sign_in(HANDLER).get("/runs").text


def test_warrants_from_waiting_to_over(console: RunningConsole, world: World, clock: SettableClock) -> None:
    record = world.warrants.propose(terms(world), ZHANG)
    handler = console.sign_in(HANDLER)
    assert f"mingce bureau warrant sign {record.sha256[:8]} --dataset minzheng" in handler.get("/runs").text
    assert "待第二人签名" in handler.get("/runs/checks").text
    world.warrants.sign(record.sha256, LI)
    page = handler.get("/runs/checks").text
    assert ">有效<" in page
    assert "张三、李四" in page
    assert "0 / 900" in page
    assert "warrant sign" not in handler.get("/runs").text
    world.warrants.revoke(world.warrants.propose(terms(world, begins=5), ZHANG).sha256, LI)
    assert ">已撤销<" in handler.get("/runs/checks").text
    clock.advance(400 * DAY_S)
    states = {one.state for one in CheckRuns(world.office, world.links).show(AUDITOR)[0].warrants}
    assert states == {"over", "revoked"}


def test_what_a_page_of_runs_shows_goes_out_whole(console: RunningConsole, world: World) -> None:
    """Also beyond the rows that the page has place for; with the departments' names and states in words."""
    for number in range(SHOWN + 2):
        checked(world.store, [(person(number), None)], edition=2 * number + 1)
    world.warrants.propose(terms(world), ZHANG)
    handler = console.sign_in(HANDLER)

    def take(path: str, what: str, as_: httpx.Client = handler) -> list[dict[str, str]]:
        answer = as_.post(path, {"key": KEY, "reason": "核对", "format": "csv", "what": what})
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    runs = take("/runs/checks/export", "runs")
    kept = CheckRuns(world.office, world.links).show(HANDLER)[0]
    assert [row["编号"] for row in runs] == [one.run_id for one in kept.runs]
    assert len(runs) == SHOWN + 2 > handler.get("/runs/checks").text.count('<th scope="row"><code>') - 1
    assert {(row["名单"], row["状态"]) for row in runs} == {("演示民政局", "已完成")}
    (warrant,) = take("/runs/checks/export", "warrants")
    assert (warrant["状态"], warrant["签名"], warrant["最多（人）"]) == ("待第二人签名", ZHANG.public.name, "900")
    editions = take("/runs/checks/export", "editions")
    assert [row["公钥指纹"] for row in editions] == [one.fingerprint for one in kept.editions]
    assert take("/runs/checks/export", "runs", console.sign_in(AUDITOR)) == runs
    for path, what in (("/runs/checks/export", "records"), ("/runs/records/export", "runs")):
        assert handler.post(path, {"key": KEY, "reason": "x", "what": what}).status_code == 422
    for path, what in (("/runs/checks/export", "runs"), ("/runs/records/export", "records")):
        assert handler.post(path, {"key": KEY, "what": what}).status_code == 422
        assert console.sign_in(ADMIN).post(path, {"key": KEY, "reason": "x", "what": what}).status_code == 403


def test_alarms_are_acknowledged_with_a_reason_and_a_row(console: RunningConsole, world: World, tmp_path: Path) -> None:
    import_bad_rows(world, tmp_path)
    world.store.alarms.sound(Tampered("the slice was replaced"), "ab" * 16)
    handler, auditor = console.sign_in(HANDLER), console.sign_in(AUDITOR)
    assert handler.get("/runs").text.count(">警报</span>") == 2
    page = auditor.get("/runs/alarms").text
    assert page.count(">未确认<") == 2
    assert "怎样处理的" not in page  # who only looks acknowledges nothing
    for path in ("/runs/alarms/bureau/1", "/runs/alarms/minzheng/1"):
        assert auditor.post(path, {"reason": "看过"}).status_code == 403
        for bad in ("", person(0)):
            answer = handler.post(path, {"reason": bad})
            assert answer.status_code == 422
            assert f'href="#{"-".join(path.split("/")[-2:])}"' in answer.text
        assert handler.post(path, {"reason": "已电话核对"}).status_code == 303
        assert handler.post(path, {"reason": "再按一次"}).status_code == 303
    assert "没有未确认的警报" in handler.get("/runs/alarms").text
    rows = world.office.database.execute(
        "SELECT subject, detail FROM audit WHERE action = 'alarm.acknowledge' ORDER BY seq"
    ).fetchall()
    assert [subject for subject, _ in rows] == ["alarm/1", "check/minzheng/1"]
    assert all("已电话核对" in detail for _, detail in rows)
    assert handler.post("/runs/alarms/bureau/99", {"reason": "x"}).status_code in (404, 422)
    assert handler.post("/runs/alarms/nowhere/1", {"reason": "x"}).status_code in (404, 422)
    with pytest.raises(AlarmNotFound):
        CheckRuns(world.office, world.links).acknowledge(HANDLER, "minzheng", 99, "x")


def test_services_refuse_who_has_no_business_there(world: World) -> None:
    for call in (
        lambda: Received(world.office).page(DEPARTMENT),
        lambda: Received(world.office).list_alarms(DEPARTMENT),
        lambda: CheckRuns(world.office, world.links).show(DEPARTMENT),
        lambda: Received(world.office).acknowledge(ADMIN, 1, "x"),
        lambda: CheckRuns(world.office, world.links).acknowledge(CHECKER, "minzheng", 1, "x"),
    ):
        with pytest.raises(NotAllowed):
            call()


def test_records_with_their_digests(console: RunningConsole, world: World) -> None:
    checked(world.store, [(person(0), None)])
    run = world.store.runs.list_all()[0]
    rows = [("SIGNED", None), ("COUNTERSIGNED", "2025-03-03T02:00:00Z"), ("DISPUTED", None)]
    for number, (state, settled) in enumerate(rows):
        world.store._database.conn.execute(
            "INSERT INTO exchange_record VALUES (?, ?, 'minzheng', '2025', ?, x'00', 256, '2025-03-03T01:00:00Z', ?)",
            (f"{number:064x}", run.run_id, state, settled),
        )
    page = console.sign_in(AUDITOR).get("/runs/records").text
    for words in ("只有我方签名", "双方已签", "对方有异议", f"{1:064x}", "2025-03-03 10:00"):
        assert words in page
    opening = "INSERT INTO audit_opening VALUES (?, ?, ?, 30, x'00', NULL, NULL, NULL)"
    world.store._database.conn.execute(opening, ("d" * 64, f"{1:064x}", "a" * 64))
    form = {"key": KEY, "reason": "核对", "format": "csv"}
    for what, cells in (
        ("records", [f"{1:064x}", "双方已签", run.run_id, "2025", "256", "2025-03-03 09:00", "2025-03-03 10:00"]),
        ("openings", ["d" * 64, f"{1:064x}", "30", "", ""]),
    ):
        answer = console.sign_in(AUDITOR).post("/runs/records/export", {**form, "what": what})
        assert ["演示民政局", *cells] in list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
