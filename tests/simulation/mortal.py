"""Simulated processes that die at a chosen step and leave what was on disk at that moment.

A step is the begin or the end of a database commit, or a named step of a refresh or a match. Death copies the
party's folder as it stands, half-written write-ahead logs and building folders included, and the next life begins
from the copy; what the dying code still does on its way out happens in the old folder, which is thrown away.
(Real processes are killed by real signals in tests/api, tests/matcher and tests/faults.)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pysqlite3


class Killed(BaseException):
    """The simulated process is gone. Not an Exception: no code may handle it."""


class Mortal:
    """A folder, and the one process (or host) that works in it."""

    living: ClassVar[dict[Path, Mortal]] = {}

    def __init__(self, root: Path) -> None:
        self._root = root
        self._life = 0
        self._steps_left = 0
        self.died_at = ""
        self.home = root / "0"
        self.living[self.home] = self

    def arm(self, steps: int) -> None:
        """Die at the ``steps``-th step from now; 0 means never."""
        self._steps_left = steps

    def step(self, name: str) -> None:
        """Go on, or die. Raises Killed."""
        if self.died_at:
            raise Killed(self.died_at)
        if self._steps_left:
            self._steps_left -= 1
            if not self._steps_left:
                self.died_at = name
                shutil.copytree(self.home, self.next_home)
                raise Killed(name)

    def rise(self) -> None:
        """Go on from what death left. The caller has let go of everything of the old life."""
        del self.living[self.home]
        shutil.rmtree(self.home)
        self.home = self.next_home
        self._life += 1
        self.died_at = ""
        self.living[self.home] = self

    @property
    def next_home(self) -> Path:
        return self._root / str(self._life + 1)


class _WatchedConnection(pysqlite3.Connection):  # type: ignore[misc]
    """Tells the owner of the file's folder before and after each commit.

    It never flushes: simulated death leaves what the system's cache holds, so waiting for the disk shows nothing here.
    """

    def __init__(self, database: str, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        file = Path(unquote(urlsplit(database).path))
        self._name = file.name
        self._owner = Mortal.living.get(file.parent)

    def execute(self, sql: str, *args: Any) -> Any:
        if sql == "PRAGMA synchronous = FULL":
            sql = "PRAGMA synchronous = OFF"
        if sql != "COMMIT" or self._owner is None:
            return super().execute(sql, *args)
        self._owner.step(f"before a commit of {self._name}")
        result = super().execute(sql, *args)
        self._owner.step(f"after a commit of {self._name}")
        return result


@contextmanager
def watched_databases() -> Iterator[None]:
    """Databases opened inside belong to their folder's Mortal."""
    connect: Callable[..., Any] = pysqlite3.connect

    def connect_watched(*args: Any, **options: Any) -> Any:
        return connect(*args, factory=_WatchedConnection, **options)

    pysqlite3.connect = connect_watched
    try:
        yield
    finally:
        pysqlite3.connect = connect
