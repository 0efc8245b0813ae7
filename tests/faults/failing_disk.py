"""The test's end of the failing disk: compile it, start the forker under it, run commands."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Mode(IntEnum):
    COUNT = 0
    ONCE = 1
    FROM_THEN_ON = 2
    KILL = 3


@dataclass(frozen=True)
class Fault:
    """The ``at``-th step (1, 2, 3 ...) fails."""

    at: int
    mode: Mode
    error: int = 0

    def __str__(self) -> str:
        return f"{self.mode.name} {errno.errorcode.get(self.error, '')} at step {self.at}"


NONE = Fault(0, Mode.COUNT)


# All there are; a sample of the steps takes them in turn.
FAULTS = [
    (Mode.ONCE, errno.EIO),
    (Mode.FROM_THEN_ON, errno.ENOSPC),
    (Mode.KILL, 0),
    (Mode.FROM_THEN_ON, errno.EIO),
    (Mode.ONCE, errno.ENOSPC),
]


def sample(steps: int, size: int) -> Iterator[Fault]:
    """Steps from the first to the last, each with another fault."""
    for number in range(size):
        mode, error = FAULTS[number % len(FAULTS)]
        yield Fault(1 + number * (steps - 1) // (size - 1), mode, error)


def try_every_step(steps: int, mode: Mode, error: int, attempt: Callable[[Fault], None]) -> None:
    """What fails is told in the end: a run takes many minutes."""
    failed = []
    for at in range(1, steps + 1):
        fault = Fault(at, mode, error)
        try:
            attempt(fault)
        except AssertionError as failure:
            failed.append(f"{fault}: {failure}")
    assert not failed, "\n".join(failed)


@dataclass(frozen=True)
class Ended:
    """How a command ended; a killed one counted nothing."""

    code: int
    out: str
    err: str
    steps: int = 0
    failed_at: str = ""
    flushed_again: int = 0

    @property
    def result(self) -> dict[str, Any]:
        """What ``--json`` printed."""
        return dict(json.loads(self.out))


def compile_disk(folder: Path) -> Path:
    library = folder / "failing_disk.so"
    subprocess.run(
        ["cc", "-O1", "-Wall", "-shared", "-fPIC", "-U_FORTIFY_SOURCE", "-o", library, HERE / "failing_disk.c", "-ldl"],
        check=True,
    )
    return library


class FailingDisk:
    """Commands on a disk that fails when told to."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder = folder
        self.library = library
        self._forker = subprocess.Popen(
            [sys.executable, HERE / "forker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(self.library)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forker.communicate(timeout=30)

    def run(
        self, folder: Path, *words: object, fault: Fault = NONE, root: Path | None = None, **environment: str
    ) -> Ended:
        """``mingce words…`` in ``folder``; what it does below ``root`` are its steps."""
        out, err, figures = (self._folder / name for name in ("out", "err", "figures"))
        figures.unlink(missing_ok=True)
        order = {
            "folder": str(folder),
            "words": [str(word) for word in words],
            "environment": environment,
            "root": str(root or folder),
            "at": fault.at,
            "mode": int(fault.mode),
            "error": fault.error,
            "out": str(out),
            "err": str(err),
            "figures": str(figures),
        }
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.write(json.dumps(order) + "\n")
        self._forker.stdin.flush()
        code = int(self._forker.stdout.readline())
        counted = json.loads(figures.read_text("utf-8")) if figures.exists() else {}
        return Ended(code, out.read_text("utf-8"), err.read_text("utf-8"), **counted)

    def do(self, folder: Path, *words: object, **environment: str) -> dict[str, Any]:
        """A command that must succeed; returns its result."""
        ended = self.run(folder, *words, "--json", **environment)
        assert ended.code == 0, (words, ended)
        return ended.result
