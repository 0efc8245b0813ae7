"""The code serves exactly what docs/reference/protocol.md promises: routes, methods and error codes."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from province_home import BANK, DATASET, EPOCH, GRANTED, RunningProvince
from starlette.routing import Route

from api.problems import KINDS
from api.routes import evaluate_route, open_router, router
from psi.errors import MingceError

PROTOCOL = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text("utf-8")
PLACES = {"dataset": DATASET, "epoch": EPOCH, "edition": "1", "division": GRANTED}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def section(number: int) -> str:
    return PROTOCOL.split(f"\n## {number}. ")[1].split("\n## ")[0]


def documented_routes() -> dict[str, set[str]]:
    routes = defaultdict(set)
    for method, path in re.findall(r"^\| `([A-Z]+) (/[^`? ]*)", section(4), re.M):
        routes[path].add(method)
    return dict(routes)


def served_routes() -> dict[str, set[str]]:
    routes = defaultdict(set)
    for route in (*open_router.routes, *router.routes, evaluate_route):
        assert isinstance(route, Route | APIRoute)
        routes[route.path] |= set(route.methods or ()) - {"HEAD"}
    return dict(routes)


def error_classes(base: type[MingceError] = MingceError) -> set[type[MingceError]]:
    return {base}.union(*(error_classes(kind) for kind in base.__subclasses__()))


def test_the_reference_lists_exactly_the_routes() -> None:
    assert documented_routes() == served_routes()
    assert len(documented_routes()) >= 9


@pytest.mark.parametrize("path", [path for path in documented_routes() if path.startswith("/v1/")])
def test_other_methods_are_refused(shared_province: RunningProvince, path: str) -> None:
    url = path.format_map(defaultdict(lambda: "1", PLACES))
    for method in METHODS:
        if method in documented_routes()[path]:
            continue
        headers = shared_province.signed_headers(method, url, None, {}, sender=BANK)
        answer = shared_province.keep(shared_province.client.request(method, url, headers=headers))
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), method


def test_every_code_is_raised_by_something() -> None:
    """tests/api/test_problems.py holds the table against section 6; here it is held against the code."""
    assert set(KINDS) <= {kind.code for kind in error_classes()} | {"unavailable"}


def test_every_code_that_the_text_names_is_in_the_table() -> None:
    codes = set(re.findall(r"^\| \d{3} \| `(\w+)`", section(6), re.M))
    named = set(re.findall(r"\d{3} `([a-z_]+)`", PROTOCOL.replace("| `", "`")))
    assert "in_flight" in named
    assert named <= codes
