"""What every page carries: the number of things that wait, the day of the figures, the switch of languages."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, DEPARTMENT, HANDLER, MANAGER, OTHER_ADMIN, TOWNSHIP, make_office
from console.browser import needs_browser, open_tab, running_browser
from console.pages import todo_of
from console_server import RunningConsole, Visitor, running_console
from reviewing import add_waiting, begin, decide
from starlette.requests import Request

from api.console import todo
from api.console.rendering import rate, render
from api.limits import Limits
from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.bureau.actors import Role
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from matcher.waiting import list_waiting


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    begin(opened)
    yield opened
    opened.close()


def waiting(office: Office, actor: object) -> dict[str, int]:
    return {one.kind: one.count for one in list_waiting(office, actor)}  # type: ignore[arg-type]


def test_what_waits_follows_the_work_from_one_person_to_the_next(office: Office) -> None:
    families = add_waiting(office, 3)
    reviews = Reviews(office)
    assert waiting(office, HANDLER) == {"propose": 3}
    reviews.queue.claim(HANDLER, families[0])
    assert waiting(office, HANDLER) == {"propose": 2, "own": 1}
    reviews.decisions.propose(HANDLER, families[0], "approve")
    assert waiting(office, HANDLER) == {"propose": 2}, "what one did oneself waits for another"
    assert waiting(office, CHECKER) == {"confirm": 1}
    decide(office, families[1])
    assert waiting(office, HANDLER) == {"propose": 1, "begin": 1}
    assert waiting(office, TOWNSHIP) == {}


def test_what_waits_at_the_end_of_a_confirmation(office: Office, clock: SettableClock) -> None:
    (family,) = add_waiting(office)
    decide(office, family)
    reviews = Reviews(office)
    reviews.confirmations.begin(HANDLER, [family])
    clock.advance(30 * 86_400)
    assert waiting(office, CHECKER) == {}, "neither told nor spoken of"
    assert (waiting(office, HANDLER), waiting(office, TOWNSHIP)) == ({"tell": 1}, {})
    reviews.confirmations.tell(HANDLER, family, "电话告知")
    assert (waiting(office, HANDLER), waiting(office, TOWNSHIP)) == ({"village": 1}, {"village": 1})
    reviews.deliberations.record(TOWNSHIP, [family], "agreed", office.today())
    assert waiting(office, CHECKER) == {"close": 1}
    reviews.confirmations.close(CHECKER, [family])
    reviews.decisions.propose(HANDLER, family, "suspend", reasons=["N30"])
    assert waiting(office, CHECKER) == {"end": 1}
    assert waiting(office, HANDLER) == {}


def test_a_refused_family_waits_until_it_was_told(office: Office) -> None:
    (family,) = add_waiting(office)
    decide(office, family, "reject", reasons=["N01"], remark="收入超限")
    assert (waiting(office, HANDLER), waiting(office, CHECKER)) == ({"refusal": 1}, {})
    Reviews(office).refusals.tell(HANDLER, family, "电话告知")
    assert waiting(office, HANDLER) == {}


def test_an_account_that_another_proposed_waits_for_an_administrator(console: RunningConsole, office: Office) -> None:
    first, second = console.sign_in(ADMIN), console.sign_in(OTHER_ADMIN)
    Accounts(office).propose(ADMIN, NewAccount("xin", "演示", frozenset({Role.HANDLER}), (), None))
    assert todo_of(second.get("/todo").text) == 1
    assert "新账号待审批" in second.get("/todo").text
    assert "没有等您办理的事" in first.get("/todo").text


def test_the_number_is_new_after_ones_own_step_and_soon_after_others(console: RunningConsole, office: Office) -> None:
    families = add_waiting(office, 2)
    handler = console.sign_in(HANDLER)
    page = handler.get("/queue").text
    assert todo_of(page) == 2
    Reviews(office).queue.claim(HANDLER, families[0])
    Reviews(office).decisions.propose(HANDLER, families[0], "approve")
    assert todo_of(handler.get("/me").text) == 2, "remembered for a moment"
    handler.post(f"/households/{families[1]}/claim")
    assert todo_of(handler.get("/me").text) == 1


def test_what_is_remembered_ends(office: Office) -> None:
    at = [0.0]
    known = todo.Todo(office, lambda: at[0])
    assert (known.last(HANDLER), known.count(HANDLER)) == (None, 0)
    add_waiting(office)
    at[0] = todo.KEPT_S
    assert known.count(HANDLER) == 0
    at[0] += 0.1
    assert (known.count(HANDLER), known.last(HANDLER)) == (1, 1)


def test_every_kind_that_can_wait_leads_to_a_page_that_its_account_may_open(
    console: RunningConsole, office: Office
) -> None:
    """A new kind has to have words and an address here."""
    assert set(todo.KINDS) == {
        "conflict", "propose", "own", "not_met", "begin", "confirm", "close", "end", "visit", "accept", "claim",
        "download", "policy", "account", "reset", "tell", "refusal", "village",
    }  # fmt: skip
    handler = console.sign_in(HANDLER)
    for kind in ("own", "propose", "confirm", "end", "begin", "tell", "refusal", "village", "close", "conflict"):
        assert handler.get(todo.KINDS[kind][1]).status_code == 200, kind


@pytest.mark.parametrize("actor", [DEPARTMENT, MANAGER, AUDITOR], ids=lambda actor: actor.name)
def test_everybody_has_the_page_of_what_waits(console: RunningConsole, office: Office, actor: object) -> None:
    page = console.sign_in(actor).get("/todo")  # type: ignore[arg-type]
    assert (page.status_code, todo_of(page.text)) == (200, 0)


def test_figures_say_up_to_which_day_they_go(console: RunningConsole, office: Office) -> None:
    app_of = console.sign_in(HANDLER).get("/todo")
    assert "数据截至" not in app_of.text

    class State:
        todo = None
        site = type("Site", (), {"name": "演示县", "demo": True})()

    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": [], "state": {},
             "app": type("App", (), {"state": State})()}  # fmt: skip
    page = render(Request(scope), "error.html", title="甲", as_of="2025-03-02", words="", next_step="", request_id="")
    assert "数据截至 2025-03-02（T+1）" in bytes(page.body).decode()


def test_no_account_takes_every_place(office: Office) -> None:
    """A form that never comes to its end holds a place of its account, and nobody else's."""
    limits = Limits(open_requests_per_party=1, unknown_refusals_per_minute=100_000)
    with running_console(office, limits=limits) as console:
        handler, checker = console.sign_in(HANDLER), console.sign_in(CHECKER)
        host = httpx.URL(console.url)
        cookies = "; ".join(f"{name}={value}" for name, value in handler.cookies.items())
        head = (
            f"POST /households/search HTTP/1.1\r\nhost: {host.host}:{host.port}\r\norigin: {console.url}\r\n"
            f"cookie: {cookies}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 99\r\n\r\n"
        )
        with socket.create_connection((host.host, host.port or 0), 5) as slow:
            slow.sendall(head.encode())
            time.sleep(0.3)  # else the next request may come first, and this one be refused
            refused = _first_refusal(handler)
            assert "系统正忙" in refused.text
            assert checker.get("/me").status_code == 200
        for _ in range(100):  # the server hears of the end a moment later
            if handler.get("/me").status_code == 200:
                break
        assert handler.get("/me").status_code == 200
        console.answers[:] = [one for one in console.answers if one.status_code != 503]  # they were asked for


def _first_refusal(visitor: Visitor) -> httpx.Response:
    """The server takes the other request in hand a moment after it was sent."""
    for _ in range(100):
        answer = visitor.get("/me")
        if answer.status_code == 503:
            return answer
    raise AssertionError("nothing was refused")


@needs_browser
def test_the_bar_stays_within_a_small_screen_and_the_skip_link_leads_to_the_content(
    console: RunningConsole, office: Office
) -> None:
    visitor = console.sign_in(HANDLER)
    with running_browser() as browser:
        tab = open_tab(browser, console.url, visitor, (360, 740))
        page = tab.goto("/households")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.emulate_media(media="print")
        assert not page.locator(".sections").is_visible()
        assert tab.complaints == []


@pytest.mark.parametrize(("percent", "shown"), [("3.8", "3.80"), ("4", "4.00"), ("4.35", "4.35"), ("3.625", "3.625")])
def test_a_rate_has_two_places_at_the_least(percent: str, shown: str) -> None:
    assert rate(percent) == shown
