"""A bureau in the middle of its work, so that every page of every role has something on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

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
    add_households,
)
from console_server import RunningConsole, running_console
from reviewing import add_waiting
from visiting import collect, form_values, household_items, plan_and_assign, to_be_visited
from whole_way import World, walk

from matcher.bureau.actors import Actor
from matcher.figures.service import Figures
from matcher.reviews import Reviews
from scripts.benchmarks.pages import Found, Reader, find_pages

ACTORS = (PROVINCE, HANDLER, CHECKER, TOWNSHIP, DEPARTMENT, MANAGER, BANK_ADMIN, AUDITOR, ADMIN)
"""One for each role."""


@contextmanager
def working_console(home: Path) -> Iterator[tuple[RunningConsole, World]]:
    """whole_way's four households, one more for each queue, visits to make and to accept, and yesterday's figures."""
    world = walk(home)
    office = world.office
    add_waiting(office, first=10)
    (proposed,) = add_waiting(office, first=11)
    Reviews(office).decisions.propose(HANDLER, proposed, "approve")
    to_visit = add_households(office, 2, first=12)
    to_be_visited(office, to_visit)
    _, submitted = plan_and_assign(office, to_visit)
    collect(office, submitted, form_values(household_items(13), office.today().isoformat()))
    add_households(office, 3, first=14)
    Figures(office).compute(office.today() - timedelta(days=1))
    try:
        with running_console(office) as console:
            yield console, world
    finally:
        office.close()


def find(console: RunningConsole, actor: Actor) -> Found:
    """Every shape of page that this account's links and filters lead to."""
    reader = Reader(console.url, console.sign_in(actor).cookies)
    try:
        return find_pages(reader)
    finally:
        reader.close()


def pages_of(console: RunningConsole, actor: Actor) -> dict[str, list[str]]:
    """Their addresses by shape."""
    return dict(find(console, actor).addresses)
