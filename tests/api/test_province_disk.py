"""The endpoint and its ledger on disks that fail and in processes that die: cases D30, D38, D39."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress

import charging
import httpx
import pytest
import structlog
from province_home import BANK, BUDGET, OTHER_BANK, STRANGER, ProvinceHome, RunningProvince, blinded

from api.logs import configure_logging

KILLS = 200
HOLD = """
import sys, time
import pysqlite3
connection = pysqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(10)
"""


def test_d38_two_hundred_kills_lose_no_acknowledged_charge(province_home: ProvinceHome) -> None:
    """What was said to be charged is there, once; at most one more a kill; and budget, charges and chain add up."""
    done = subprocess.run(
        [sys.executable, charging.__file__, str(province_home.path), OTHER_BANK.public.fingerprint, str(KILLS)],
        capture_output=True,
        text=True,
        check=True,
    )
    acknowledged = done.stdout.split()
    assert len(acknowledged) > KILLS
    stored = [key for (key,) in province_home.query("SELECT idempotency_key FROM charge")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    assert len(stored) - len(acknowledged) <= KILLS
    assert province_home.used(OTHER_BANK) == charging.N * len(stored)
    assert province_home.query("SELECT COUNT(*) FROM audit WHERE action = 'charge'") == [(len(stored),)]


def test_d30_a_log_that_cannot_be_written_stops_nothing(province_home: ProvinceHome) -> None:
    """/dev/full gives ENOSPC for every byte."""
    before, full = structlog.get_config(), open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
    configure_logging(full)
    province = RunningProvince.start(province_home)
    try:
        _, elements = blinded(5)
        assert province.client.get("/healthz").status_code == 200
        assert province.evaluate(province.request(elements)).status_code == 200
        assert province.get(BUDGET).status_code == 200
        assert province.get(BUDGET, STRANGER).status_code == 401
        assert province_home.used(BANK) == 5
        province.check_refusals_recorded()
    finally:
        province.stop()
        structlog.configure(**before)
        with suppress(OSError):  # closing it fails too
            full.close()


@pytest.mark.slow
def test_d39_another_process_holds_the_database_for_ten_seconds(province: RunningProvince) -> None:
    """A write waits as long as the busy timeout and is put off; the event loop answers others; nothing is lost."""
    _, elements = blinded(5)
    request = province.request(elements)
    ledger = str(province.home.path / "province.sqlite")
    with subprocess.Popen([sys.executable, "-c", HOLD, ledger], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        answers: list[httpx.Response] = []
        started_s = time.monotonic()
        worker = threading.Thread(target=lambda: answers.append(province.evaluate(request)))
        worker.start()
        while worker.is_alive():
            asked_s = time.monotonic()
            assert province.client.get("/healthz").status_code == 200
            assert time.monotonic() - asked_s < 0.5
            time.sleep(0.05)
        waited_s = time.monotonic() - started_s
        assert (answers[0].status_code, answers[0].json()["code"]) == (503, "busy")
        assert int(answers[0].headers["retry-after"]) >= 1
        assert 4 < waited_s < 9
    assert province.evaluate(request).status_code == 200
    assert province.home.used() == 5
