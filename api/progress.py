"""How a long match tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total``, in the step's own unit: slices, elements or customers."""

    step: str  # manifest, slices, plan, evaluate, look_up, record, completed
    done: int
    total: int


Observer = Callable[[Progress], object]
