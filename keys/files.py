"""Files that appear whole or not at all, readable by their owner only.

The order is always: write beside the target, fsync, rename, fsync the folder. An
error from fsync is never retried on the same file (after it the kernel may have
dropped the dirty pages); the temporary file is removed and the error goes up.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from psi.errors import MingceError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
BUILDING = ".building-"


class Locked(MingceError):
    """Another process holds the lock; ``params["lock"]`` names it."""

    code = "locked"


def make_folder(path: Path) -> Path:
    """Create a private folder (and its parents, private too) if it is not there yet."""
    for folder in reversed([path, *path.parents]):  # mkdir's own ``parents`` would leave them open
        if not folder.exists():
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)  # tells what a file in its place means
    return path


def fsync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def building_path(target: Path) -> Path:
    """Where a file or folder is built before it takes its place; a leftover there is garbage."""
    return target.with_name(f"{BUILDING}{target.name}")


@contextmanager
def atomic_writer(target: Path) -> Iterator[BinaryIO]:
    """A stream whose content replaces ``target`` in one step when the block ends without an error.

    After a crash ``target`` is the old or the new one. One writer of a target at a time.
    """
    temporary = building_path(target)
    temporary.unlink(missing_ok=True)  # a leftover may have been made under other permissions
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(target.parent)


def write_atomic(target: Path, content: bytes) -> None:
    """Replace ``target`` by ``content`` in one step (:func:`atomic_writer`)."""
    with atomic_writer(target) as stream:
        stream.write(content)


def publish_folder(built: Path, target: Path) -> None:
    """Move a finished folder to its final name after flushing everything in it."""
    for path in sorted(built.rglob("*"), reverse=True):
        (fsync_folder if path.is_dir() else fsync_file)(path)
    fsync_folder(built)
    os.rename(built, target)
    fsync_folder(target.parent)


def remove_leftovers(parent: Path) -> list[Path]:
    """Delete what a killed process left half-built in ``parent``; returns what was there."""
    leftovers = sorted(parent.glob(f"{BUILDING}*")) if parent.is_dir() else []
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return leftovers


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold ``path`` as a lock, or raise :class:`Locked` at once.

    The kernel drops the lock with the process, so a killed job leaves none behind.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked("another process holds the lock", lock=path.name) from None
        yield
    finally:
        os.close(handle)
