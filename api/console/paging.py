"""Pages of a list that is counted: what the macro ``pager`` shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """``number`` counts from 1; one behind the last shows nothing."""

    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        return max(-(-self.total // self.size), 1)

    @property
    def first(self) -> int:
        """How many rows come before."""
        return (self.number - 1) * self.size
