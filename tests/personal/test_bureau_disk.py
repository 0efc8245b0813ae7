"""The bureau's store in processes that die and beside processes that hold it: cases D38 and D39."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import evidence_work
import httpx
import pysqlite3
import pytest
from bureau_office import CHECKER, HANDLER, add_households, make_office, person
from bureau_server import running_bureau

from keys import database as keys_database
from keys.clock import SettableClock
from keys.database import DatabaseBusy
from matcher.bureau.office import FILE_NAME, Office
from matcher.personal.reveal import Personal
from matcher.rows import fetch_all

KILLS = 200
REVEAL = {"field": "number", "reason": "核对"}
HOLD = """
import sys, time
import pysqlite3
connection = pysqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(10)
"""


@contextmanager
def held(office: Office) -> Iterator[None]:
    connection = pysqlite3.connect(str(office.home / FILE_NAME), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_d38_two_hundred_kills_lose_no_acknowledged_answer(tmp_path: Path, clock: SettableClock) -> None:
    """What was said to be entered is there, once, with its audit row; at most one more a kill, whole or not at all."""
    office = make_office(tmp_path / "bureau", clock)
    add_households(office, 1)
    office.close()
    done = subprocess.run(
        [sys.executable, evidence_work.__file__, str(tmp_path / "bureau"), str(KILLS)],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parents[1]))),
        },
    )
    acknowledged = done.stdout.split()
    assert len(acknowledged) > KILLS
    office = make_office(tmp_path / "bureau", clock)
    stored = [origin for (origin,) in fetch_all(office.database, "SELECT origin FROM department_check")]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    assert len(stored) - len(acknowledged) <= KILLS
    rows = fetch_all(
        office.database, "SELECT json_extract(detail, '$.document') FROM audit WHERE action = 'check.enter'"
    )
    assert sorted(document for (document,) in rows) == sorted(stored), "no change without its row, no row without one"
    office.verify_audit()
    office.close()


def test_d39_nothing_is_shown_that_cannot_be_recorded(
    tmp_path: Path, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_database, "BUSY_TIMEOUT_S", 0.2)
    office = make_office(tmp_path / "bureau", clock)
    add_households(office, 1)
    with held(office), pytest.raises(DatabaseBusy):
        Personal(office).reveal(HANDLER, 1, "number", "核对")
    assert Personal(office).reveal(HANDLER, 1, "number", "核对") == person(0)
    (rows,) = fetch_all(office.database, "SELECT COUNT(*) FROM audit WHERE action = 'person.reveal'")
    assert rows == (1,)
    office.close()


@pytest.mark.slow
def test_d39_another_process_holds_the_bureau_s_store_for_ten_seconds(tmp_path: Path, clock: SettableClock) -> None:
    """A write waits as long as the busy timeout and is put off; the event loop answers others; nothing is lost."""
    office = make_office(tmp_path / "bureau", clock)
    add_households(office, 1)
    with running_bureau(office) as bureau:
        bureau.token(CHECKER)
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(office.home / FILE_NAME)], stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            answers: list[httpx.Response] = []
            started_s = time.monotonic()
            worker = threading.Thread(
                target=lambda: answers.append(bureau.post(CHECKER, "/v1/members/1/reveal", REVEAL))
            )
            worker.start()
            while worker.is_alive():
                asked_s = time.monotonic()
                assert bureau.client.get("/healthz").status_code == 200
                assert time.monotonic() - asked_s < 0.5
                time.sleep(0.05)
            assert (answers[0].status_code, answers[0].json()["code"]) == (503, "busy")
            assert int(answers[0].headers["retry-after"]) >= 1
            assert 4 < time.monotonic() - started_s < 9
        assert bureau.post(CHECKER, "/v1/members/1/reveal", REVEAL).status_code == 200
        bureau.answers.pop()  # what was revealed is meant to be seen
    office.close()
