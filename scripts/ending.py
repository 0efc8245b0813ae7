"""The end of a command: what it opened is closed, the last first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

_ending: ContextVar[ExitStack | None] = ContextVar("ending", default=None)


@contextmanager
def one_command() -> Iterator[None]:
    """The block is a command, however it ends."""
    with ExitStack() as ending:
        token = _ending.set(ending)
        try:
            yield
        finally:
            _ending.reset(token)


def close_at_end(close: Callable[[], object]) -> None:
    """Outside a command whoever opens something closes it."""
    ending = _ending.get()
    if ending is not None:
        ending.callback(close)
