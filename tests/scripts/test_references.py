"""Documents made from the program are what the program says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.bureau.app import list_routes
from matcher.bureau.actors import PERMISSION_WORDS, ROLE_WORDS, Permission, Role
from scripts.references import DOCUMENTS

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == DOCUMENTS[name](), "make reference"


def test_every_role_and_permission_has_words() -> None:
    assert set(ROLE_WORDS) == set(Role)
    assert set(PERMISSION_WORDS) == set(Permission)


def test_only_signing_in_is_open() -> None:
    assert {(route.method, route.path) for route in list_routes() if route.is_open} == {
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("POST", "/v1/sessions"),
        ("POST", "/v1/password"),
    }


def test_every_route_says_what_it_does() -> None:
    assert [route for route in list_routes() if not route.summary] == []
