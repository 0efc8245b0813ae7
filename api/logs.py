"""Logs of a service: one JSON object a line, no ID number in any of them.

Whoever logs takes care to log nothing of a person; the mask here is for the day someone does not.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from psi.identifiers import mask

_LIKE_AN_ID = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|\d{15})(?!\d)")


def configure_logging(stream: TextIO) -> None:
    """Send everything that is logged by structlog to ``stream``."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_numbers,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Unfailing(stream))),
    )


class _Unfailing:
    """A stream that drops the lines it cannot write: a full disk under the log stops no request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def mask_numbers(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: whatever looks like an ID number is masked, at any depth."""
    return {name: _masked(value) for name, value in event.items()}


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(inner) for inner in value]
    if isinstance(value, bool | float) or value is None:
        return value
    text = _LIKE_AN_ID.sub(lambda found: mask(found.group()), str(value))
    return value if isinstance(value, int) and text == str(value) else text
