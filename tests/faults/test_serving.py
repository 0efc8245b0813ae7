"""The endpoint on a disk that begins to fail: nothing half done, and the process ends by itself (security.md)."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import httpx
from failing_disk import HERE, FailingDisk
from parties import Made, check_province, facts, list_charges, serving


def test_an_endpoint_whose_disk_fails_ends_and_the_next_one_goes_on(
    tmp_path: Path, disk: FailingDisk, made: Made
) -> None:
    folder, told = tmp_path / "work", tmp_path / "fail"
    shutil.copytree(made.folder, folder)
    home = folder / "province"
    match = ("bank", "match", "customers.csv", "--config", "bank")
    program = (HERE / "failing_server.py", told, home)
    with serving(folder, *program, LD_PRELOAD=str(disk.library)) as (url, server):
        assert disk.do(folder, *match, "--dry-run", MINGCE_PROVINCE__URL=url)["new"] == 60
        told.touch()
        while told.exists():
            time.sleep(0.01)
        refused = httpx.get(f"{url}/v1/datasets", trust_env=False)  # unsigned: its refusal cannot be put on record
        assert refused.status_code == 401
        assert server.wait(timeout=30) == 1
    log = (folder / "serve.log").read_text("utf-8")
    assert "Traceback" not in log
    assert list_charges(home) == []
    facts(home)
    check_province(home)
    with serving(folder) as (url, _):
        assert disk.do(folder, *match, MINGCE_PROVINCE__URL=url)["matched"] == 20
    assert list_charges(home) == [256]
