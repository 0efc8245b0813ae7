"""A refresh on a disk that is full: ``full_disk.py DISK NEW_LIST limit|tmpfs``, as a process of its own.

DISK holds a province's home with edition 1. Each attempt has a little more room than the one before; every attempt
that fails must leave edition 1 served, whole, and the ledger sound. Prints how many failed before one passed.

``tmpfs``: DISK is a small file system of its own, filled up but for the room. ``limit``: no file may grow beyond the
room (RLIMIT_FSIZE), for machines that let nobody mount.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from publishing import DATASET, EPOCH, open_publisher, refresh

from keys.database import DatabaseUnavailable
from matcher.province.publisher import Observer

ROOMS = (0, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 1 << 20, 1 << 22)
BALLAST = "ballast"
FAILED, UNEXPECTED = 1, 99


def leave_room(disk: Path, room: int, way: str) -> None:
    if way == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        return
    ballast = disk / BALLAST
    ballast.unlink(missing_ok=True)
    facts = os.statvfs(disk)
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, facts.f_bavail * facts.f_bsize - room))


def make_room(disk: Path, way: str) -> None:
    if way == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (disk / BALLAST).unlink(missing_ok=True)


def served_edition(home: Path) -> int:
    """The edition that the ledger names, every file of it checked."""
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    assert record is not None
    publisher.folders.read(DATASET, EPOCH, record.edition).check_files()
    publisher._ledger.verify_audit()
    publisher._ledger.close()
    return record.edition


def publishes(home: Path, source: Path) -> bool:
    """In a process of its own, as every job is: one whose disk failed is done with its databases."""
    process = os.fork()
    if process == 0:
        code = UNEXPECTED
        try:
            code = 0 if refresh(home, source, Observer()).outcome == "published" else UNEXPECTED
        except (OSError, DatabaseUnavailable):
            code = FAILED
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, FAILED)
    return code == 0


def main(disk: Path, source: Path, way: str) -> None:
    home = disk / "province"
    for failed, room in enumerate(ROOMS):
        leave_room(disk, room, way)
        published = publishes(home, source)
        make_room(disk, way)
        if published:
            assert served_edition(home) == 2
            print(failed)
            return
        assert served_edition(home) == 1
    raise AssertionError("it never passed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
