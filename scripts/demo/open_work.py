"""The demo's last part: another township half-way, so that everybody who opens the console finds something to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from scripts.demo.runner import Demo

NEXT_TOWNSHIP = "330922105"  # 嵊山镇, after the smallest
EARLY, VISITED, LEFT, ASSIGNED = 2, 22, 4, 10
"""Households that are visited long before the others, and those that are visited by then; of these whose forms wait
for a checker; and those whose visits are to come."""
LATE_DAYS = 17  # since the early ones wait: the queue calls it late after fifteen


def leave_work(show: Demo, day: date) -> None:
    """Visits to make and to accept, households to review and to confirm, and the figures. Raises DemoFailed."""
    show.title("另一乡镇进行到一半：各岗位都有待办", "Another township half-way: something for everybody to do")
    show.go_to(day)
    show.act("jingban", "household", "visit-list", "--area", NEXT_TOWNSHIP)
    listed = show.act(
        "jingban", "household", "list", "--area", NEXT_TOWNSHIP, "--state", "TO_VISIT", "--limit", 100, echo=False
    )
    waiting = [row["household_id"] for row in listed["shown"]]
    _visit(show, waiting[:EARLY], day, left=0)
    day += timedelta(days=LATE_DAYS)
    show.go_to(day)
    _visit(show, waiting[EARLY : EARLY + VISITED], day, left=LEFT)
    show.act("jingban", "generate", "checks")
    day += timedelta(days=2)
    show.go_to(day)
    queue = show.act("jingban", "review", "queue", "--township", NEXT_TOWNSHIP, echo=False)["items"]
    if newer := [row["household_id"] for row in queue[len(queue) // 2 :]]:
        show.act("jingban", "review", "propose", *newer, "--verdict", "approve", accept=(0, 3))
    _assign(show, waiting[EARLY + VISITED :][:ASSIGNED], day)
    show.run("bureau", "nightly", "--day", day - timedelta(days=1), "--config", "bureau")


def _visit(show: Demo, households: Sequence[int], day: date, *, left: int) -> None:
    """Visits on that day, all of them accepted but ``left``."""
    _assign(show, households, day)
    show.act("jingli", "generate", "visits", "--seed", 2)
    submitted = [visit["visit_id"] for visit in _visits(show, "SUBMITTED")]
    if submitted[left:]:
        show.act("fuhe", "visit", "accept", *submitted[left:])


def _assign(show: Demo, households: Sequence[int], day: date) -> None:
    """Plan visits of these households, if a small demo has any, and give them to the bank's manager."""
    if not households:
        return
    chosen = [word for household in households for word in ("--household", household)]
    show.act("jingban", "visit", "plan", NEXT_TOWNSHIP, "--on", day, *chosen)
    planned = [visit["visit_id"] for visit in _visits(show, "PLANNED")]
    show.act("jingban", "visit", "assign", *planned, "--to", "jingli", "--officer", "演示网格员")


def _visits(show: Demo, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = show.act("fuhe", "visit", "list", "--state", state, "--size", 500, echo=False)[
        "visits"
    ]
    return found
