"""Every route of the bureau's endpoint, whatever part it belongs to: closed to strangers, and unmoved by nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from bureau_office import ADMIN, HANDLER, add_households, make_office
from bureau_server import RunningBureau, running_bureau

from api.bureau.app import RouteLine, list_routes

CLOSED = [route for route in list_routes() if not route.is_open]
FOR_EVERYBODY = {"/v1/sessions/current", "/v1/openapi.json", "/v1/policies", "/v1/visits/form-schema"}
FOR_ADMINISTRATORS = {"/v1/audit"}
ONCE_BY_NATURE = {
    ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/policies"),
    ("POST", "/v1/policies/{sha256}/adopt"),
    ("POST", "/v1/policies/{sha256}/withdraw"),
}
CHANGES_NOTHING = {
    ("POST", "/v1/conflicts/{conflict}/names"),
    ("POST", "/v1/members/{member}/reveal"),
    ("POST", "/v1/people/search"),
    ("POST", "/v1/policy-trials"),
    ("POST", "/v1/subsidy/explain"),
    ("POST", "/v1/visits/{visit}/form/compare"),
}
NONSENSE = ("1", "0", "-1", "9007199254740993", "9" * 40, "x", "%00", "%2e%2e", "１", "x" * 2_000)
BODIES = (b"", b"{}", b"[]", b'{"a": 1}', b'"x"', b"1", b"null", b"\xff")


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBureau]:
    """One for all: nothing here changes it."""
    office = make_office(tmp_path_factory.mktemp("routes") / "bureau")
    add_households(office, 2)
    with running_bureau(office) as running:
        running.token(ADMIN)
        running.token(HANDLER)
        yield running
    office.close()


def name(route: RouteLine) -> str:
    return f"{route.method} {route.path}"


every_closed_route = pytest.mark.parametrize("route", CLOSED, ids=name)


def address(route: RouteLine, value: str = "1") -> str:
    return re.sub(r"\{\w+\}", value, route.path)


def test_what_changes_something_takes_a_key() -> None:
    without = {(route.method, route.path) for route in CLOSED if route.method != "GET" and not route.takes_key}
    assert without <= ONCE_BY_NATURE | CHANGES_NOTHING


@every_closed_route
def test_d41_without_a_session_nothing_answers(bureau: RunningBureau, route: RouteLine) -> None:
    for value in ("1", "x"):
        answer = bureau.send(
            None, route.method, address(route, value), content=b"{}" if route.method != "GET" else None
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid")


def refuse(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert answer.status_code != 401


@every_closed_route
def test_an_administrator_learns_and_changes_nothing_of_the_work(bureau: RunningBureau, route: RouteLine) -> None:
    """Whoever gives accounts has none of the work's own rights."""
    if route.path == "/v1/sessions/current" or (
        route.method == "GET" and route.path in FOR_EVERYBODY | FOR_ADMINISTRATORS
    ):
        return
    if route.method == "GET":
        refuse(bureau.get(ADMIN, address(route)))
    else:
        refuse(bureau.send(ADMIN, route.method, address(route), json={}, headers={"Idempotency-Key": '"k"'}))


@every_closed_route
def test_nonsense_is_refused_and_nothing_fails(bureau: RunningBureau, route: RouteLine) -> None:
    if route.path == "/v1/sessions/current":  # it would end the session
        return
    headers = {"Idempotency-Key": '"k"', "Content-Type": "application/json"}
    for value in NONSENSE if "{" in route.path else ("1",):
        answer = bureau.send(
            HANDLER, route.method, address(route, value), content=None if route.method == "GET" else b"{}",
            headers=headers,
        )  # fmt: skip
        assert answer.status_code < 500, answer.text[:300]
    if route.method != "GET":
        for body in BODIES:
            answer = bureau.send(HANDLER, route.method, address(route), content=body, headers=headers)
            assert answer.status_code < 500, answer.text[:300]
