from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keys.files import (
    BUILDING,
    Locked,
    atomic_writer,
    building_path,
    exclusive_lock,
    make_folder,
    publish_folder,
    remove_leftovers,
    write_atomic,
)


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"one")
    target.chmod(0o644)
    write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomic(target, b"old")

    def fail_half_way() -> None:
        with atomic_writer(target) as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_leftover_of_a_killed_process_is_overwritten_and_private(tmp_path: Path) -> None:
    target = tmp_path / "file"
    leftover = building_path(target)
    leftover.write_bytes(b"much longer than what comes now")
    leftover.chmod(0o666)
    write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", range(1, 5))
def test_d31_an_error_at_any_step_is_not_retried(tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th of open, fsync, rename, fsync of the folder fails once: the error goes up, no half file stays."""
    target = tmp_path / "file"
    write_atomic(target, b"old")
    calls: list[str] = []

    def failing(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object) -> object:
            calls.append(name)
            if len(calls) == step:
                raise OSError(errno.EIO, "Input/output error")
            return real(*args)

        monkeypatch.setattr(os, name, call)

    with monkeypatch.context() as patch:
        monkeypatch = patch
        for name in ("open", "fsync", "replace"):
            failing(name)
        with pytest.raises(OSError, match="Input/output error"):
            write_atomic(target, b"new")
    assert calls == ["open", "fsync", "replace", "open", "fsync"][:step]
    assert target.read_bytes() == (b"old" if step <= 3 else b"new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_published_whole_and_never_over_another(tmp_path: Path) -> None:
    built = make_folder(tmp_path / f"{BUILDING}1")
    (make_folder(built / "public") / "manifest.json").write_bytes(b"{}")
    publish_folder(built, tmp_path / "1")
    assert (tmp_path / "1" / "public" / "manifest.json").read_bytes() == b"{}"
    assert not built.exists()
    other = make_folder(tmp_path / f"{BUILDING}1")
    (other / "x").write_bytes(b"")
    with pytest.raises(OSError):  # noqa: PT011
        publish_folder(other, tmp_path / "1")
    assert (tmp_path / "1" / "public" / "manifest.json").exists()


def test_leftovers_are_removed_and_named(tmp_path: Path) -> None:
    make_folder(tmp_path / f"{BUILDING}7" / "public")
    (tmp_path / f"{BUILDING}file").write_bytes(b"half")
    (tmp_path / "file").write_bytes(b"whole")
    assert [path.name for path in remove_leftovers(tmp_path)] == [f"{BUILDING}7", f"{BUILDING}file"]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert remove_leftovers(tmp_path / "none") == []


def test_a_private_folder(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    make_folder(tmp_path / "a" / "b")


def test_d34_one_holds_the_lock_the_other_is_told(tmp_path: Path) -> None:
    path = tmp_path / "refresh.lock"
    with exclusive_lock(path):
        with pytest.raises(Locked) as caught, exclusive_lock(path):
            pass
        assert caught.value.params == {"lock": "refresh.lock"}
    with exclusive_lock(path):
        pass


def test_d34_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "refresh.lock"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom keys.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Locked), exclusive_lock(path):
            pass
        process.kill()
    with exclusive_lock(path):
        pass
