"""The demo's commands run in forked processes, and come out as if each had been typed into a shell."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from scripts.demo import runner
from scripts.demo.commands import Typist
from scripts.ending import one_command


@pytest.fixture(scope="module")
def typist() -> Iterator[Typist]:
    with one_command():
        yield Typist()


def shell(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("mingce"), *words],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("words", "language"),
    [
        (("--version",), "zh"),
        (("bank", "status"), "zh"),
        (("bank", "status"), "en"),
        (("bank", "status", "--json"), "en"),
        (("bank", "match"), "zh"),
    ],
)
def test_they_end_as_in_a_shell(typist: Typist, tmp_path: Path, words: tuple[str, ...], language: str) -> None:
    typed = typist.type(words, {**os.environ, "MINGCE_LANG": language}, tmp_path)
    assert typed == shell(tmp_path, *words, MINGCE_LANG=language)


def test_they_work_in_the_folder_and_leave_nothing_to_the_next(typist: Typist, tmp_path: Path) -> None:
    made = typist.type(["bank", "init", "b", "--name", "演示", "--division", "330922", "--json"], os.environ, tmp_path)
    assert made.exit_code == 0
    assert json.loads(made.stdout)
    assert (tmp_path / "b" / "mingce.toml").exists()
    there = {**os.environ, "MINGCE_CONFIG": "b", "MINGCE_LANG": "en"}
    assert typist.type(["bank", "status"], there, tmp_path).exit_code == 0
    again = typist.type(["bank", "status"], os.environ, tmp_path)  # neither the home nor the language is remembered
    assert again.exit_code == 3
    assert "下一步" in again.stderr


def test_one_that_is_killed_is_told_and_the_next_goes_on(typist: Typist, tmp_path: Path) -> None:
    def kill_it() -> None:
        children = Path(f"/proc/{typist._process.pid}/task/{typist._process.pid}/children")
        while not (found := children.read_text().split()):
            time.sleep(0.01)
        os.kill(int(found[0]), signal.SIGKILL)

    assert typist.type(["--version"], os.environ, tmp_path).exit_code == 0
    killer = threading.Thread(target=kill_it)
    killer.start()
    words = ["generate", "county", "list.csv", "--county", "330922", "--rows", "5000000"]
    assert typist.type(words, os.environ, tmp_path) == (-signal.SIGKILL, "", "")
    killer.join()
    assert typist.type(["--version"], os.environ, tmp_path).exit_code == 0


def test_the_typist_ends_with_the_command_that_needed_it(tmp_path: Path) -> None:
    with one_command():
        typist = Typist()
        assert typist.type(["--version"], os.environ, tmp_path).exit_code == 0
    assert typist._process.returncode == 0


def test_on_a_terminal_a_bar_stands_below_what_is_typed(
    typist: Typist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(runner, "out", Console(file=screen, force_terminal=True, width=300))
    demo = runner.Demo(tmp_path, quiet=False)
    monkeypatch.setattr(demo, "_typist", typist)
    with demo.watched(2):
        demo.run("policy", "example", "330922", "政策.toml")
        demo.run("policy", "example", "330113", "另一县.toml", echo=False)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert shown.index("0/2") < shown.index("$ mingce policy example 330922") < shown.rindex("2/2")
    assert "330113" not in shown
