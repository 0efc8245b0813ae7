"""A province and its banks through whatever may happen, with every answer compared with a plain model's.

docs/explanation/simulation.md tells what is simulated and how a failure is played again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import seed as with_seed
from hypothesis.stateful import run_state_machine_as_test
from machine import BATCH_SIZES, Simulation
from mortal import watched_databases

from api import matching
from matcher.bank import plan

STEPS_OF_A_WORLD = 50
SEEDS = [int(seed) for seed in os.environ.get("MINGCE_SIMULATION_SEED", "1").split()]
ORDINARY = settings(max_examples=44, stateful_step_count=STEPS_OF_A_WORLD, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small batches, one at a time so that every run of a seed is the same, and databases that can die."""
    monkeypatch.setattr(plan, "BATCH_SIZES", BATCH_SIZES)
    monkeypatch.setattr(matching, "IN_FLIGHT", 1)
    logging = structlog.get_config()
    with watched_databases():
        yield
    structlog.configure(**logging)


def test_two_thousand_steps() -> None:
    Simulation.steps = 0
    run_state_machine_as_test(Simulation, settings=ORDINARY)
    assert Simulation.steps >= 2_000


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_many_more_steps(seed: int) -> None:
    """Other worlds for each seed; the test's name tells it, and MINGCE_SIMULATION_SEED plays it again."""
    longer = settings(ORDINARY, max_examples=30, stateful_step_count=100, derandomize=False, database=None)
    machine = type("Simulation", (Simulation,), {})
    run_state_machine_as_test(with_seed(seed)(machine), settings=longer)
