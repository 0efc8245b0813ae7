"""A refresh on a failing disk: cases D30 and D31, and D36's file that comes twice."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from publishing import DATASET, EPOCH, create_home, open_publisher, refresh, write_list

from matcher.province.editions import Edition
from matcher.province.publisher import Observer

PROGRAM = Path(__file__).with_name("full_disk.py")
OLD = {person: 2 for person in range(40)}
NEW = {person: 3 if person == 7 else 2 for person in range(2, 45)}
MOUNTING = "mount -t tmpfs -o size=16m,mode=700 tmpfs disk && cp -r province disk/ && exec {program} disk new.csv tmpfs"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "province")
    refresh(tmp_path / "province", write_list(tmp_path / "old.csv", OLD), Observer())
    write_list(tmp_path / "new.csv", NEW)
    return tmp_path / "province"


def served(home: Path) -> Edition:
    """The edition that the ledger names, every file of it checked."""
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    assert record is not None
    edition = publisher.folders.read(DATASET, EPOCH, record.edition)
    edition.check_files()
    publisher._ledger.close()
    return edition


def leftovers(home: Path) -> list[str]:
    return [path.name for path in home.rglob(".building-*")]


def may_mount() -> bool:
    tried = (
        subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
        if shutil.which("unshare")
        else None
    )
    return tried is not None and tried.returncode == 0


def run(folder: Path, *command: str) -> int:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_d30_no_room_for_any_file(home: Path) -> None:
    """Slices, manifest, staged list and ledger: whichever cannot grow, the job fails and the old edition is served."""
    failed = run(home.parent, sys.executable, str(PROGRAM), ".", "new.csv", "limit")
    assert failed >= 3
    assert served(home).manifest.edition == 2
    assert leftovers(home) == []


@pytest.mark.skipif(not may_mount(), reason="nobody may mount here: the file-size limit above stands for it")
def test_d30_a_full_disk(home: Path) -> None:
    """The same on a file system of its own that is really full (ENOSPC)."""
    (home.parent / "disk").mkdir()
    program = f"{sys.executable} {PROGRAM}"
    failed = run(home.parent, "unshare", "-rm", "sh", "-c", MOUNTING.format(program=program))
    assert failed >= 3


class Failing:
    """One of os's functions; its n-th call fails with EIO, and nothing may come to the same file after it."""

    def __init__(self, name: str, n: int) -> None:
        self._real = getattr(os, name)
        self._n = n
        self.calls: list[str] = []

    def __call__(self, what: object, *rest: object) -> object:
        place = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else str(what)
        if self.has_failed:
            assert place != self.calls[self._n - 1], "tried again on the same file"
        self.calls.append(place)
        if len(self.calls) == self._n:
            raise OSError(errno.EIO, "Input/output error")
        return self._real(what, *rest)

    @property
    def has_failed(self) -> bool:
        return len(self.calls) >= self._n


@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_d31_an_error_of_the_disk_aborts_the_job(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th call fails, for n = 1, 2, 3 … until a job passes without it."""
    failed = 0
    for n in range(1, 200):
        failing = Failing(name, n)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                refresh(home, home.parent / "new.csv", Observer())
            except OSError:
                failed += 1
        if not failing.has_failed:
            break
        open_publisher(home)._ledger.verify_audit()
        if served(home).manifest.edition == 2:
            break  # the error came after the ledger had named the new edition
    assert failed >= 1
    refresh(home, home.parent / "new.csv", Observer())
    assert served(home).manifest.edition == 2
    assert leftovers(home) == []


def test_d36_the_same_file_twice_is_no_new_edition(home: Path, tmp_path: Path) -> None:
    outcome = refresh(home, tmp_path / "old.csv", Observer())
    assert (outcome.outcome, outcome.edition) == ("unchanged", 1)
    (tmp_path / "copy.csv").write_bytes((tmp_path / "old.csv").read_bytes())
    assert refresh(home, tmp_path / "copy.csv", Observer()).outcome == "unchanged"
    assert served(home).manifest.edition == 1
