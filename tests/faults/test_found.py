"""What the fault steps found of a database, as a case of its own. Nothing of a party is needed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from failing_disk import HERE, ROOT, Mode


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("mode", [Mode.ONCE, Mode.FROM_THEN_ON])
def test_d31_a_log_whose_flush_failed_is_never_flushed_again(
    tmp_path: Path, library: Path, mode: Mode, error: int
) -> None:
    """Found: the next transaction, closing the connection, and another connection flushed it again and believed it."""
    done = subprocess.run(
        [sys.executable, HERE / "database_trials.py", tmp_path, str(int(mode)), str(error)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)},
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
