"""Requests made up from the own description of the interface (schemathesis): no failure, answers as described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from bureau_server import RunningBureau, running_bureau
from console.scene import ACTORS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from whole_way import World, walk

from api.bureau.app import list_routes
from matcher.bureau.actors import Actor
from matcher.rows import fetch_all

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KEPT = {("DELETE", "/v1/sessions/current"), ("POST", "/v1/password")}  # they end the session that sends the others


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = walk(tmp_path_factory.mktemp("openapi") / "bureau")
    yield made
    made.office.close()


@pytest.fixture(scope="module")
def bureau(world: World) -> Iterator[RunningBureau]:
    with running_bureau(world.office) as running:
        yield running
        running.answers.clear()


def operations(bureau: RunningBureau) -> list[APIOperation]:
    described = bureau.get(ACTORS[1], "/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(described)
    return [found.ok() for found in schema.get_all_operations()]


def known_numbers(world: World) -> dict[str, list[int]]:
    """What there is, by the names of path parameters."""
    database = world.office.database
    tables = {"household": "household_id", "visit": "visit_id", "decision": "decision_id", "loan": "loan_id",
              "claim": "claim_id", "member": "member_id"}  # fmt: skip
    found = {}
    for table, column in tables.items():
        rows = fetch_all(database, f"SELECT {column} FROM {table} LIMIT 5")  # noqa: S608
        found[table] = found[column] = [row[0] for row in rows]
    return found


def ask(bureau: RunningBureau, operation: APIOperation, numbers: dict[str, list[int]], examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(), actor=st.sampled_from(ACTORS), real=st.booleans(), place=st.integers(0, 4))
    def send(case: schemathesis.Case, actor: Actor, real: bool, place: int) -> None:
        for name in case.path_parameters if real else ():
            if known := numbers.get(name):
                case.path_parameters[name] = known[place % len(known)]
        answer = case.call(base_url=str(bureau.client.base_url), headers=_session(bureau, actor))
        case.validate_response(answer, checks=CHECKS)

    send()


def _session(bureau: RunningBureau, actor: Actor) -> dict[str, Any]:
    return {"Authorization": f"Bearer {bureau.token(actor)}"}


def test_the_description_has_every_route(bureau: RunningBureau) -> None:
    described = {(one.method.upper(), one.path) for one in operations(bureau)}
    assert described == {(route.method, route.path) for route in list_routes()}


def faults_of(bureau: RunningBureau, world: World, examples: int) -> list[str]:
    """What went wrong, operation by operation."""
    numbers, found = known_numbers(world), []
    for operation in operations(bureau):
        if (operation.method.upper(), operation.path) in KEPT:
            continue
        try:
            ask(bureau, operation, numbers, examples)
        except (FailureGroup, Failure) as error:
            found.append(f"{operation.label}: {getattr(error, 'exceptions', error)}")
    return found


def test_made_up_requests_of_every_role_do_no_harm(bureau: RunningBureau, world: World) -> None:
    faults = faults_of(bureau, world, examples=8)
    assert not faults, "\n".join(faults)
    world.office.verify_audit()


@pytest.mark.slow
def test_many_made_up_requests_do_no_harm(bureau: RunningBureau, world: World) -> None:
    faults = faults_of(bureau, world, examples=80)
    assert not faults, "\n".join(faults)
    world.office.verify_audit()
