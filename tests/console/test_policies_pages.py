"""政策 through a real server: in words, side by side, proposed and adopted by two, tried without changing anything."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, HANDLER, add_households, make_office
from console_server import RunningConsole, Visitor
from pydantic import BaseModel
from visiting import adopt_policy, to_be_visited

from api.console.policy_view import LABELS, compare, rules_of
from api.console.sessions import SESSION, form_token
from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.households.trials import Trials
from matcher.policy import Policy, list_examples, load_policy

SHENGSI = next(path for path in list_examples() if path.name.startswith("330922"))
CONTENT = SHENGSI.read_bytes()
STRICTER = CONTENT.replace(b'"2023-1"', b'"2025-1"').replace(b"2023-06-10", b"2025-01-01").replace(
    b"highest = 65", b"highest = 30"
)  # fmt: skip
KEY = "ab" * 16


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.verify_audit()
    opened.close()


def upload(visitor: Visitor, path: str, content: bytes | None, **fields: str) -> tuple[int, str]:
    answer = visitor.send(
        "POST",
        path,
        data={"token": form_token(visitor.cookies[SESSION]), **fields},
        files={"file": ("" if content is None else "政策.toml", content or b"")},
        headers={"origin": visitor.url, "sec-fetch-site": "same-origin"},
    )
    return answer.status_code, answer.headers.get("location", "") or answer.text


def propose(visitor: Visitor, content: bytes = CONTENT) -> str:
    status, location = upload(visitor, "/policies/_propose", content)
    assert status == 303, location
    return location.split("/")[2].partition("?")[0]


def result_of(visitor: Visitor, address: str) -> str:
    """The trial's page once it is computed."""
    for _ in range(200):
        answer = visitor.get(address)
        if "refresh" not in answer.headers:
            return answer.text
        time.sleep(0.05)
    raise AssertionError("the trial does not end")


def settings(part: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in part.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_setting_has_words() -> None:
    said = {path for path in settings(Policy) if not path.endswith("clause")}
    assert said - {"format", "assumed", "targets"} == set(LABELS)


def test_every_example_is_told_whole() -> None:
    for path in list_examples():
        policy = load_policy(path).policy
        rules = rules_of(policy, lambda words: words, english=False)
        assert all(rule.words and "%(" not in rule.words for rule in rules)
        assumed = {one.id for rule in rules for one in rule.settings if one.is_assumed}
        present = {one for one in policy.assumed if policy.setting(one) is not None}
        assert assumed == present, path.name


def test_a_difference_is_marked_and_what_is_alike_is_not() -> None:
    from matcher.policy import parse_policy

    found = compare(*(parse_policy(one).policy for one in (CONTENT, STRICTER)), lambda words: words, english=False)
    changed = {(one.label, one.before, one.after) for one in found if one.changed}
    assert changed == {
        ("最高年龄（周岁，含）", "65", "30"), ("版本", "2023-1", "2025-1"), ("自", "2023-06-10", "2025-01-01"),
    }  # fmt: skip


def test_the_way_of_a_policy_over_pages(console: RunningConsole, office: Office) -> None:
    handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
    assert "还没有政策" in handler.get("/policies").text
    assert "330922 今天没有生效的政策" in handler.get("/policies").text
    sha256 = propose(handler)
    page = handler.get(f"/policies/{sha256}?done=proposed").text
    assert "已提出。请另一位" in page
    assert "申请人须满 18 周岁、不大于 65 周岁。" in page
    assert "二、项目对象：年满18周岁不大于65周岁" in page
    assert page.count(">假定<") == len(load_policy(SHENGSI).policy.assumed)
    assert "/adopt" not in page
    assert handler.post(f"/policies/{sha256}/adopt").status_code == 403
    assert "采用 嵊泗县 2023-1" in checker.get(f"/policies/{sha256}").text
    assert checker.post(f"/policies/{sha256}/adopt").status_code == 303
    assert "今天生效" in checker.get("/policies").text
    other = propose(handler, STRICTER)
    page = checker.get(f"/policies/{other}").text
    assert "<del>65</del>" in page
    assert "<ins>30</ins>" in page
    assert f"before={sha256}&amp;after={other}" in page
    page = handler.get(f"/policies/_compare?before={sha256}&after={other}").text
    assert "有 3 项不同" in page
    assert 'class="quiet">相同' not in page
    assert 'class="quiet">相同' in handler.get(f"/policies/_compare?before={sha256}&after={other}&all=true").text
    assert handler.post(f"/policies/{other}/withdraw").status_code == 303
    assert "已撤回" in handler.get(f"/policies/{other}").text
    assert handler.post(f"/policies/{sha256}/withdraw").status_code in (404, 409, 422)  # what was adopted stays


def test_two_that_begin_on_one_day_clash_with_words(console: RunningConsole, office: Office) -> None:
    adopt_policy(office)
    other = propose(console.sign_in(HANDLER), CONTENT.replace(b'"2023-1"', b'"2023-2"'))
    answer = console.sign_in(CHECKER).post(f"/policies/{other}/adopt")
    assert answer.status_code == 409
    assert 'href="#decide"' in answer.text
    assert "请给新版本另定生效日" in answer.text


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b'limit = "100000.00"', b"limit = 100000", "第 33 行 income.limit 须写在引号里"),
        (b"[age]", b"[age", "第 26 行 不是正确的 TOML"),
        (b"highest = 65", b"highest = 6", "第 26 行 age 下限高于上限"),
        (b"lowest = 18", b"lowest = 18\nwidest = 3", "age.widest 没有这个参数"),
        (b'"income.reading",', b'"income.readin",', "assumed 里有不存在的参数"),
        (b"330922", b"330923", "330923"),
        (b"\xe5", b"\xff", "utf-8"),
    ],
)
def test_a_faulty_file_is_told_with_its_line(
    console: RunningConsole, office: Office, before: bytes, after: bytes, words: str
) -> None:
    assert before in CONTENT
    status, page = upload(console.sign_in(HANDLER), "/policies/_propose", CONTENT.replace(before, after, 1))
    assert status == 422
    assert words in page
    if words.startswith("第 "):
        assert 'class="faulty"' in page
    assert Trials(office).list_all(HANDLER) == []
    assert office.database.execute("SELECT COUNT(*) FROM policy").fetchone() == (0,)


def test_no_file_says_so(console: RunningConsole) -> None:
    for content in (None, b""):
        status, page = upload(console.sign_in(HANDLER), "/policies/_propose", content)
        assert status == 422
        assert 'href="#file"' in page


def test_who_may_only_look_finds_no_way_to_act(console: RunningConsole, office: Office) -> None:
    sha256 = adopt_policy(office)
    for actor in (AUDITOR, ADMIN):
        visitor = console.sign_in(actor)
        page = visitor.get(f"/policies/{sha256}").text
        assert 'method="post" action="/policies' not in page
        assert visitor.get("/policies/_propose").status_code == 403
        assert visitor.get("/policies/trials").status_code == 403
        assert visitor.post("/policies/trials", {"key": KEY, "policy": sha256}).status_code == 403
        assert upload(visitor, "/policies/_propose", CONTENT)[0] == 403


def test_a_trial_is_kept_under_its_address_and_changes_nothing(console: RunningConsole, office: Office) -> None:
    adopt_policy(office)
    households = add_households(office, 3, born=1985)
    to_be_visited(office, households)
    before = office.database.execute("SELECT household_id, state, updated_at FROM household").fetchall()
    handler = console.sign_in(HANDLER)
    status, address = upload(handler, "/policies/trials", STRICTER, key=KEY, cost_each="280.50")
    assert status == 303
    assert upload(handler, "/policies/trials", STRICTER, key=KEY, cost_each="280.50") == (
        303,
        address,
    )  # a second click
    page = result_of(handler, address)
    assert "将退出的家庭" in page
    assert re.search(r"将退出</dt><dd>3</dd>", page)
    assert "-841.50" in page  # 3 × 280.50 yuan less
    assert "N03" in page or "N04" in page
    assert office.database.execute("SELECT household_id, state, updated_at FROM household").fetchall() == before
    assert office.database.execute("SELECT COUNT(*) FROM policy WHERE state = 'proposed'").fetchone() == (0,)
    listed = console.sign_in(CHECKER).get("/policies/trials").text
    assert f'href="{address}"' in listed
    assert "-3" in listed
    out = handler.post(f"{address}/export", {"key": "cd" * 16, "format": "csv", "reason": "演示"})
    assert "将退出" in out.content.decode("utf-8-sig")


def test_a_trial_that_was_interrupted_says_so_and_can_be_asked_again(console: RunningConsole, office: Office) -> None:
    sha256 = adopt_policy(office)
    number = Trials(office).ask(HANDLER, CONTENT)  # and the process ended before it was computed
    handler = console.sign_in(HANDLER)
    page = handler.get(f"/policies/trials/{number}").text
    assert "没有算完" in page
    (key,) = set(re.findall(r'again" class="buttons">.*?name="key" value="([0-9a-f]{32})"', page))
    answer = handler.post(f"/policies/trials/{number}/again", {"key": key})
    assert "没有家庭会退出" in result_of(handler, answer.headers["location"])
    assert sha256[:12] in handler.get(answer.headers["location"]).text


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"on": "2025-02-30"}, "on"), ({"cost_each": "viel"}, "cost_each"), ({"on": "2020-01-01"}, "on"), ({}, "file")],
)
def test_a_trial_that_cannot_be_is_refused_beside_its_field(
    console: RunningConsole, office: Office, fields: dict[str, str], field: str
) -> None:
    adopt_policy(office)
    content = None if not fields else CONTENT
    status, page = upload(console.sign_in(HANDLER), "/policies/trials", content, key=KEY, **fields)
    assert status == 422
    assert f'href="#{field}"' in page
    assert Trials(office).list_all(HANDLER) == []


def test_a_trial_of_nobody_is_not_found(console: RunningConsole) -> None:
    assert console.sign_in(HANDLER).get("/policies/trials/999").status_code in (404, 422)
    assert console.sign_in(HANDLER).get(f"/policies/{'0' * 64}").status_code in (404, 422)
    assert console.sign_in(HANDLER).get("/policies/<script>").status_code in (404, 422)
