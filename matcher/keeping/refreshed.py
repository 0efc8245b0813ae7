"""When each list was last refreshed, changed or not: for the doctor, who sees by it that the nights fail."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from keys.clock import format_time, parse_time
from keys.files import write_atomic

LAST_REFRESH = "last-refresh.json"


def note_refresh(home: Path, dataset: str, at: datetime) -> None:
    """A refresh of ``dataset`` came to its end at ``at``. Raises OSError."""
    noted = {**read_last_refreshes(home), dataset: at}
    content = {name: format_time(noted[name]) for name in sorted(noted)}
    write_atomic(home / LAST_REFRESH, json.dumps(content, ensure_ascii=False).encode())


def read_last_refreshes(home: Path) -> dict[str, datetime]:
    """By dataset; nothing of one that was never refreshed, or if the note cannot be read."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        return {name: parse_time(at) for name, at in json.loads((home / LAST_REFRESH).read_bytes()).items()}
    return {}
