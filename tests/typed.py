"""``mingce`` typed by a test, each command in a process of its own that begins with the program loaded.

Loading it takes most commands longer than their work. What starts from nothing is tested by the tutorials, the bundle
and whatever starts a server.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from scripts.demo.commands import Typed, Typist


@cache
def _typist() -> Typist:
    return Typist()


def mingce(*words: object, folder: Path, **environment: str) -> Typed:
    return _typist().type([str(word) for word in words], {**os.environ, **environment}, folder)
