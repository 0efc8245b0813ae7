"""The demo's commands: each in a process of its own that begins with the program loaded.

Loading it takes most commands longer than their work, and the demo types two hundred.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO, cast

from scripts.ending import close_at_end


class Typed(NamedTuple):
    """A command that has ended, and what it said. A negative exit code is the signal that ended it."""

    exit_code: int
    stdout: str
    stderr: str


class Typist:
    """Stands ready from the first command to the end of this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.demo.typist"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        close_at_end(self._end)

    def type(self, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> Typed:
        """Run ``mingce <words>`` in the folder, with nothing to read. Raises OSError after the typist itself ended."""
        commands, answers = cast("TextIO", self._process.stdin), cast("TextIO", self._process.stdout)
        commands.write(json.dumps({"words": words, "environment": dict(environment), "folder": str(folder)}) + "\n")
        commands.flush()
        answer = answers.readline()
        return Typed(*json.loads(answer)) if answer else Typed(self._process.wait() or 1, "", "")

    def _end(self) -> None:
        self._process.communicate()
