"""Where files that come and go over the network lie for a moment: in the home, because they hold ID numbers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from keys.files import make_folder

FOLDER = "transit"
_FORGOTTEN_S = 3_600  # what is older was left by a process that was killed


@contextmanager
def private_folder(home: Path) -> Iterator[Path]:
    """A folder that only this process's owner reads, gone afterwards."""
    parent = make_folder(home / FOLDER)
    forget_old(parent)
    with TemporaryDirectory(dir=parent) as name:
        yield Path(name)


def forget_old(parent: Path) -> None:
    """Remove what was left behind."""
    for left in parent.iterdir():
        with suppress(FileNotFoundError):  # its owner was faster
            if time.time() - left.stat().st_mtime > _FORGOTTEN_S:  # the file system's clock, not the office's
                shutil.rmtree(left, ignore_errors=True)
