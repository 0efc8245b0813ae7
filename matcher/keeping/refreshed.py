"""When each list was last refreshed, changed or not, and why a later try failed, for the doctor to tell of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from keys.clock import Clock, format_time, parse_time
from keys.database import DatabaseBusy
from keys.files import Locked, write_atomic
from psi.errors import MingceError

LAST_REFRESH = "last-refresh.json"
FAILED_REFRESH = "failed-refresh.json"


@dataclass(frozen=True)
class FailedRefresh:
    """The last try, if it failed: with which error's code, and ``file`` if that was not there."""

    at: datetime
    error: str
    file: str


@contextmanager
def noting_refresh(home: Path, dataset: str, clock: Clock) -> Iterator[None]:
    """The block is a refresh of ``dataset``: that it came to its end, or why it did not, is noted.

    One that finds another job at work, or is killed, is no failure: it is run again.
    """
    try:
        yield
    except (Locked, DatabaseBusy):
        raise
    except (MingceError, OSError) as error:
        code, params = (error.code, error.params) if isinstance(error, MingceError) else ("file_failed", {})
        file = str(params.get("file", "")) if code == "file_absent" else ""
        with suppress(OSError):  # the refresh's own error is the one to tell
            this = {"at": format_time(clock.now()), "error": code, "file": file}
            _write(home / FAILED_REFRESH, {**_failed(home, dataset), dataset: this})
        raise
    note_refresh(home, dataset, clock.now())


def note_refresh(home: Path, dataset: str, at: datetime) -> None:
    """A refresh of ``dataset`` came to its end at ``at``. Raises OSError."""
    if dataset in read_failed_refreshes(home):
        _write(home / FAILED_REFRESH, _failed(home, dataset))
    noted = {**read_last_refreshes(home), dataset: at}
    _write(home / LAST_REFRESH, {name: format_time(noted[name]) for name in noted})


def read_last_refreshes(home: Path) -> dict[str, datetime]:
    """By dataset; nothing of one that was never refreshed, or if the note cannot be read."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {name: parse_time(at) for name, at in json.loads((home / LAST_REFRESH).read_bytes()).items()}
    return {}


def read_failed_refreshes(home: Path) -> dict[str, FailedRefresh]:
    """By dataset, where the last refresh failed; nothing if the note cannot be read."""
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        noted = json.loads((home / FAILED_REFRESH).read_bytes())
        return {
            name: FailedRefresh(parse_time(one["at"]), str(one["error"]), str(one["file"]))
            for name, one in noted.items()
        }
    return {}


def _failed(home: Path, but: str) -> dict[str, object]:
    """What is noted of the other lists' failures, as it is written."""
    found = read_failed_refreshes(home)
    return {name: {**vars(one), "at": format_time(one.at)} for name, one in found.items() if name != but}


def _write(path: Path, content: Mapping[str, object]) -> None:
    write_atomic(path, json.dumps(content, ensure_ascii=False, sort_keys=True).encode())
