"""Every page × every role: who has no business there is refused, wherever the page is added."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    PROVINCE,
    TOWNSHIP,
    make_office,
    spring,
)
from console_server import RunningConsole, running_console
from fastapi.routing import APIRoute

from api.console.app import ROUTERS
from api.console.gate import OPEN, OWN
from api.console.sections import BY_PATH, SECTIONS
from matcher.bureau.actors import Actor, Role

# Written down by hand, from the programme's division of work, so that a change of permissions shows here.
OPEN_TO: dict[Role, str] = {
    Role.PROVINCE: "claims dashboard",
    Role.HANDLER: "queue households visits checks loans claims dashboard downloads policies runs",
    Role.CHECKER: "queue households visits loans claims dashboard downloads policies runs audit accounts",
    Role.TOWNSHIP: "households visits dashboard",
    Role.DEPARTMENT: "checks",
    Role.BANK_MANAGER: "households visits",
    Role.BANK_ADMIN: "households visits loans claims dashboard downloads",
    Role.AUDITOR: "households loans claims dashboard downloads policies runs audit accounts",
    Role.ADMIN: "policies runs audit accounts",
}
ACTORS = (PROVINCE, HANDLER, CHECKER, TOWNSHIP, DEPARTMENT, MANAGER, BANK_ADMIN, AUDITOR, ADMIN)


def routes() -> list[tuple[str, str]]:
    """(method, path) of every page, its parameters filled in."""
    found = []
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = re.sub(r"\{[^}]+\}", "1", route.path)
            found += [(method, path) for method in sorted(route.methods)]
    return found


def first_segment(path: str) -> str:
    return path.split("/")[1]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    office = make_office(tmp_path_factory.mktemp("matrix") / "bureau", spring())
    with running_console(office) as running:
        yield running
    office.close()


def test_every_page_stands_in_a_section_or_is_everybodys() -> None:
    strays = {path for _, path in routes() if first_segment(path) not in BY_PATH.keys() | OPEN | OWN}
    assert strays == set()


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: next(iter(actor.roles)).value)
def test_sections_are_open_to_whom_they_should_be(actor: Actor) -> None:
    (role,) = actor.roles
    assert " ".join(one.path for one in SECTIONS if one.is_open_to(actor)) == OPEN_TO[role]


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: next(iter(actor.roles)).value)
def test_every_page_refuses_every_role_without_business_there(console: RunningConsole, actor: Actor) -> None:
    visitor = console.sign_in(actor)
    (role,) = actor.roles
    for method, path in routes():
        section = first_segment(path)
        if section in OPEN | OWN:
            continue
        answer = visitor.get(path) if method == "GET" else visitor.post(path)
        if section in OPEN_TO[role].split():
            assert answer.status_code < 500, (method, path)
            assert (method, path) != ("GET", f"/{section}") or answer.status_code == 200, (path, answer.text)
        else:
            assert answer.status_code == 403, (method, path)
            assert "没有权限" in answer.text


def test_every_page_sends_strangers_to_sign_in(console: RunningConsole) -> None:
    for method, path in routes():
        if first_segment(path) in OPEN:
            continue
        answer = console.visitor().get(path) if method == "GET" else console.visitor().post(path)
        assert (answer.status_code, answer.headers.get("location", "")[:8]) in ((303, "/sign-in"), (401, "")), path


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: next(iter(actor.roles)).value)
def test_the_bar_shows_what_may_be_opened_and_nothing_else(console: RunningConsole, actor: Actor) -> None:
    (role,) = actor.roles
    bar = re.search(r'<nav class="sections".*?</nav>', console.sign_in(actor).get("/me").text, re.S)
    bar_text = bar[0] if bar else ""
    pages = {path for _, path in routes()}
    shown = [section for section in OPEN_TO[role].split() if f"/{section}" in pages]
    assert re.findall(r'href="/([^"]+)"', bar_text) == shown


def test_refusals_are_in_the_audit_log(console: RunningConsole) -> None:
    console.sign_in(DEPARTMENT).get("/accounts")
    rows = console.sign_in(AUDITOR).get(f"/audit?account={DEPARTMENT.name}&action=refused").text
    assert "not_allowed" in rows


def test_templates_run_no_script_of_a_page_and_style_nothing_inline() -> None:
    for template in Path("api/console/templates").glob("*.html"):
        text = template.read_text("utf-8")
        assert not re.search(r"\son[a-z]+=|javascript:|\sstyle=|<style|<script(?! src=\"/static/)", text), template
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), template
        assert "|safe" not in text, template
