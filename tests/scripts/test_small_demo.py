"""A small demo has a small last township: no step is typed without the numbers that it needs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from scripts.demo.open_work import leave_work
from scripts.demo.runner import Demo

NEEDS_NUMBERS = (("visit", "assign"), ("visit", "accept"), ("review", "propose"))


class Small(Demo):
    """Writes down what would be typed; every visit that is planned is made, whose form then waits to be accepted."""

    def __init__(self, folder: Path, households: int) -> None:
        super().__init__(folder, quiet=True)
        self.typed: list[list[str]] = []
        self._households = list(range(1, households + 1))
        self._planned: list[str] = []
        self._submitted: list[str] = []

    def run(self, *words: object, echo: bool = True, accept: tuple[int, ...] = (0,)) -> dict[str, Any]:
        command = [str(word) for word in words]
        self.typed.append(command)
        if command[:2] == ["household", "list"]:
            return {"shown": [{"household_id": household} for household in self._households]}
        if command[:2] == ["visit", "plan"]:
            self._planned = [command[at + 1] for at, word in enumerate(command) if word == "--household"]
        if command[:2] == ["generate", "visits"]:
            self._submitted, self._planned = self._planned, []
        if command[:2] == ["visit", "list"]:
            numbers = self._planned if "PLANNED" in command else self._submitted
            return {"visits": [{"visit_id": number} for number in numbers]}
        return {"items": [{"household_id": household} for household in self._households]}


@pytest.mark.parametrize("households", [0, 1, 2, 3, 6, 24, 25, 100])
def test_no_step_lacks_its_numbers(tmp_path: Path, households: int) -> None:
    demo = Small(tmp_path, households)
    leave_work(demo, date(2026, 1, 5))
    typed = [command for command in demo.typed if tuple(command[:2]) in NEEDS_NUMBERS]
    assert all(command[2].isdigit() for command in typed)
    assert sum(command[:2] == ["visit", "assign"] for command in typed) == sum(households > at for at in (0, 2, 24))
