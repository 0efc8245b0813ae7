"""What an edition is made from: a whole list on disk (matcher.province.staging), or changes to the last edition
(matcher.province.changes). Both are worked on in parts, cut by the rows' references.
"""

from __future__ import annotations

from typing import Protocol, Self

from matcher.province.editions import Edition
from matcher.province.parts import Reader
from matcher.province.staging import About
from psi.encoding import BaseRows
from psi.remembered import Remembered


class Staged(Protocol):
    """Its length is the rows of the next edition, the canaries among them. ``current`` is the edition served so far."""

    @property
    def about(self) -> About: ...

    @property
    def parts(self) -> int: ...

    @property
    def untouched(self) -> int:
        """How many published rows it says nothing about: they stay."""

    @property
    def misfits(self) -> int:
        """How many of its rows contradict the edition before, and were taken in none the less."""

    def __len__(self) -> int: ...

    def read(self, part: int) -> BaseRows:
        """The rows of one part, in no order."""

    def open_remembered(self, current: Edition | None, *, full: bool) -> Reader:
        """What is remembered and needed to make a full edition, or a delta, a part at a time."""

    def concerned(self, remembered: Remembered, part: int) -> Remembered:
        """The remembered rows that the rows of a part are compared with: one that is not among those has left."""

    def cut_for(self, current: Edition | None, *, full: bool) -> Self:
        """The same in as many parts as making a full edition, or a delta, takes."""
