"""Cases D37 and D46 by the command line: damaged homes, and processes that crash."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typed import mingce

ROOT = Path(__file__).resolve().parents[2]
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one page zeroed": lambda content: content[:4096] + bytes(4096) + content[8192:],
    "header damaged": lambda content: b"X" * 16 + content[16:],
    "file truncated": lambda content: content[: len(content) // 2],
}


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["province.sqlite", "keys.sqlite"])
def test_d37_a_damaged_home_does_not_start_and_says_how_to_restore(tmp_path: Path, file: str, damage: str) -> None:
    assert mingce("province", "init", "p", folder=tmp_path).exit_code == 0
    status = mingce("province", "status", "--config", "p", folder=tmp_path)
    assert status.exit_code == 0, status.stderr
    path = tmp_path / "p" / file
    damaged = DAMAGES[damage](path.read_bytes())
    for log in path.parent.glob(f"{file}-*"):
        log.unlink()
    path.write_bytes(damaged)
    for command in ("serve", "status"):
        done = mingce("province", command, "--config", "p", folder=tmp_path)
        assert done.exit_code == 1
        assert f"cp 备份目录/{file} {file}" in done.stderr
        assert "Traceback" not in done.stderr
    english = mingce("--lang", "en", "province", "serve", "--config", "p", folder=tmp_path)
    assert f"restore the backup: cp BACKUP/{file} {file}" in " ".join(english.stderr.split())
    assert path.read_bytes() == damaged, "left as it is, for whoever repairs it"


def test_d46_a_crash_leaves_no_core_file(tmp_path: Path) -> None:
    """A process that holds keys and lists may dump no memory, even where the machine allows it."""
    assert mingce("province", "init", "p", folder=tmp_path).exit_code == 0
    pipe, ours = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "province", "import", "/dev/stdin", "--config", "p"],
        cwd=tmp_path,
        stdin=pipe,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        preexec_fn=allow_core_files,
    )
    try:
        limits = Path(f"/proc/{process.pid}/limits")
        wait_until(lambda: core_limit(limits) == ("0", "0"))
        process.send_signal(signal.SIGABRT)
        assert process.wait(timeout=10) == -signal.SIGABRT
    finally:
        os.close(ours)
        os.close(pipe)
        process.kill()
        process.wait()
    assert [path for path in tmp_path.rglob("core*") if path.is_file()] == []


def allow_core_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def core_limit(limits: Path) -> tuple[str, ...]:
    line = next(line for line in limits.read_text().splitlines() if line.startswith("Max core file size"))
    return tuple(line.split()[4:6])


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
