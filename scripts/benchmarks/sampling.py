"""Looking at something a few times a second while it works."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self

SAMPLE_S = 0.2


class Sampler(ABC):
    """``look`` is called every ``SAMPLE_S`` seconds, on a thread of its own, until the block ends."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """Once."""

    def _look_on(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.look()
