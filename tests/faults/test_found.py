"""What the fault steps found, each as a case of its own."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from failing_disk import HERE, ROOT, FailingDisk, Fault, Mode
from parties import Made


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("mode", [Mode.ONCE, Mode.FROM_THEN_ON])
def test_d31_a_log_whose_flush_failed_is_never_flushed_again(
    tmp_path: Path, disk: FailingDisk, mode: Mode, error: int
) -> None:
    """Found: the next transaction, closing the connection, and another connection flushed it again and believed it."""
    done = subprocess.run(
        [sys.executable, HERE / "database_trials.py", tmp_path, str(int(mode)), str(error)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(disk.library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert trials[-1] == {"failed_at": "", "acknowledged": [0, 1, 2, 3], "found": [0, 1, 2, 3], "flushed_again": 0}
    assert {"fsync /trial.sqlite-wal", "write /trial.sqlite-wal"} & {trial["failed_at"] for trial in trials}
    for trial in trials:
        assert trial["flushed_again"] == 0, trial
        assert set(trial["acknowledged"]) <= set(trial["found"]), trial
        assert len(trial["found"]) == len(set(trial["found"])), trial


def test_a_file_that_cannot_be_written_is_told_as_json_too(tmp_path: Path, disk: FailingDisk, made: Made) -> None:
    """Found: `--json` printed nothing at all, and a full disk was called wrong input (exit code 3)."""
    fault = Fault(1, Mode.FROM_THEN_ON, errno.ENOSPC)
    words = ("keys", "export", "--out", tmp_path / "identity.json", "--config", made.folder / "bank", "--json")
    ended = disk.run(made.folder, *words, fault=fault, root=tmp_path)
    assert ended.code == 1, ended
    error = json.loads(ended.out)["error"]
    assert error["code"] == "file_failed"
    assert str(tmp_path / "identity.json") in error["message"] or "No space" in error["message"]
    assert list(tmp_path.iterdir()) == []
