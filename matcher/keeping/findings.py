"""What the doctor looks at, and what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from keys.clock import Clock
from keys.database import connect, typed_errors
from keys.files import BUILDING
from keys.rotation import RotationPolicy
from keys.wrap import KekProvider

Level = Literal["error", "warning"]

KEYS_FILE = "keys.sqlite"
STORE_OF = {"province": "province.sqlite", "department": "province.sqlite", "bank": "bank.sqlite",
            "bureau": "bureau.sqlite"}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: ``error`` if work stops or is unsafe, ``warning`` if it soon will be.

    ``code`` is that of an error of the software or one of the doctor's own (docs/how-to/watch.md lists them).
    """

    level: Level
    code: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ListPlan:
    """What the configuration says of one list of a sender. ``source`` is the file that the refresh reads."""

    renew_days: int
    rotation: RotationPolicy
    source: Path | None


@dataclass(frozen=True)
class Subject:
    """A home, and what its configuration says. ``kek`` is None if only a person can give the passphrase."""

    home: Path
    party: str
    clock: Clock
    kek: KekProvider | None
    backup_max_age: timedelta
    lists: Mapping[str, ListPlan] = field(default_factory=dict)
    certificates: Mapping[str, tuple[Path, Path | None]] = field(default_factory=dict)  # setting: (file, private key)
    files: Mapping[str, Path] = field(default_factory=dict)  # setting: a file that must be there
    edition_max_age_days: int = 30

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @property
    def store(self) -> Path:
        return self.home / STORE_OF[self.party]


def everything_in(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Each file and folder with what is known of it (of a link: of the link); what a job takes away is passed over."""
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            path = Path(folder, name)
            try:
                about = path.lstat()
            except FileNotFoundError:
                continue
            yield path, about


def databases_in(home: Path) -> list[Path]:
    """All databases of the home, but not the copies that a backup makes at this moment."""
    found = (path for path, _ in everything_in(home) if path.suffix == ".sqlite")
    return sorted(path for path in found if not any(part.startswith(BUILDING) for part in path.relative_to(home).parts))


@contextmanager
def looking(path: Path) -> Iterator[Any]:
    """A connection for reading; nothing is created, brought up to date or written. Raises as keys.database does."""
    with typed_errors(path.name):
        database = connect(path)
        try:
            database.conn.execute("PRAGMA query_only = ON")
            yield database
        finally:
            database.close()


def rows(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows of a query; none if the file or a table of it is not there."""
    if not path.exists():
        return []
    with looking(path) as database:
        tables = {name for (name,) in database.conn.execute("SELECT name FROM sqlite_schema")}
        wanted = sql.split(" FROM ", 1)[1].split()[0]
        return list(database.conn.execute(sql, values).fetchall()) if wanted in tables else []
