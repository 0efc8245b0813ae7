"""The desk that hands keys to executors: to a worker of the job, of this very program, while the step runs."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keys.database import DatabaseUnavailable
from matcher.spark import keydesk
from matcher.spark.errors import KeysRefused, SparkMissing, SparkUnguarded
from matcher.spark.keydesk import DeskAddress, KeyDesk, ask_for_keys
from matcher.spark.session import _reason, spark_session

KEYS = {"key": "c2VjcmV0"}


@pytest.fixture
def desk() -> Iterator[KeyDesk]:
    with KeyDesk("127.0.0.1") as opened:
        yield opened


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is kept between the tests, which all run in one process."""
    monkeypatch.setattr(keydesk, "_kept", {})


def refused(address: DeskAddress, step: str = "encode") -> object:
    with pytest.raises(KeysRefused) as error:
        ask_for_keys(address, step)
    return error.value.params["reason"]


def test_keys_come_while_the_step_runs_and_are_counted(desk: KeyDesk) -> None:
    assert refused(desk.address) == "no such step now"
    with desk.handing_out("encode", KEYS):
        assert ask_for_keys(desk.address, "encode") == KEYS
        assert refused(desk.address, "read") == "no such step now"
    assert desk.given == {("encode", "127.0.0.1"): 1}
    assert refused(desk.address) == "no such step now"


def test_a_worker_asks_once_until_its_time_is_up(desk: KeyDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.handing_out("encode", KEYS):
        for _ in range(3):
            ask_for_keys(desk.address, "encode")
        assert desk.given["encode", "127.0.0.1"] == 1
        monkeypatch.setattr(keydesk, "KEPT_S", -1.0)
        keydesk._kept.clear()
        for _ in range(2):
            ask_for_keys(desk.address, "encode")
    assert desk.given["encode", "127.0.0.1"] == 3


def test_strangers_get_nothing(desk: KeyDesk) -> None:
    with desk.handing_out("encode", KEYS):
        assert refused(replace(desk.address, token=bytes(32))) == "not of this job"
    with KeyDesk("127.0.0.1") as other, other.handing_out("encode", KEYS):
        impostor = replace(other.address, public_key=desk.address.public_key)
        assert refused(impostor) == "no answer"


def test_another_program_gets_nothing(desk: KeyDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = keydesk.program_digest()
    asked = iter([bytes(32), ours])
    monkeypatch.setattr(keydesk, "program_digest", lambda: next(asked))
    with desk.handing_out("encode", KEYS):
        assert refused(desk.address) == "another program"


def test_the_program_is_the_code_and_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in keydesk._ROOMS:
        (tmp_path / room).mkdir(parents=True)
    (tmp_path / "psi" / "_native.abi3.so").write_bytes(b"kernel")
    (tmp_path / "matcher" / "spark" / "keydesk.py").write_text("")
    monkeypatch.setattr(keydesk, "__file__", str(tmp_path / "matcher" / "spark" / "keydesk.py"))
    first = keydesk.program_digest.__wrapped__()
    (tmp_path / "psi" / "_native.abi3.so").write_bytes(b"another")
    second = keydesk.program_digest.__wrapped__()
    (tmp_path / "matcher" / "province" / "making.py").write_text("another")
    assert len({first, second, keydesk.program_digest.__wrapped__()}) == 3


def test_a_host_is_recorded_before_it_is_given_keys(desk: KeyDesk) -> None:
    recorded: list[tuple[str, dict[tuple[str, str], int]]] = []

    def record(host: str) -> None:
        recorded.append((host, dict(desk.given)))

    with desk.handing_out("encode", KEYS, record):
        for _ in range(2):
            ask_for_keys(desk.address, "encode")
            keydesk._kept.clear()
    assert recorded == [("127.0.0.1", {})]
    assert desk.given == {("encode", "127.0.0.1"): 2}


def test_what_cannot_be_recorded_is_not_given(desk: KeyDesk) -> None:
    def record(host: str) -> None:
        raise DatabaseUnavailable("the disk is full", file="province.sqlite")

    with desk.handing_out("encode", KEYS, record):
        assert refused(desk.address) == "not recorded"
    assert desk.given == {}


LOST = "Task 0 in stage 0.0 failed 4 times, most recent failure: Lost task 0.3 in stage 0.0 (TID 3) "


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            f"x\n{LOST}(spark-3 executor 1): x.TaskFailed: [[OSError: No space left; spark-3]]\n at y",
            "OSError: No space left; spark-3",
        ),
        (
            f'An error occurred.\n: x: {LOST}(spark-3 executor 1): java.io.IOException: Cannot run program "p"\n\tat y',
            '(spark-3 executor 1): java.io.IOException: Cannot run program "p"',
        ),
        (
            "Traceback (most recent call last):\n  File\nModuleNotFoundError: No module named 'matcher'\n",
            "ModuleNotFoundError: No module named 'matcher'",
        ),
        ("Something else\nhappened", "ValueError: Something else"),
    ],
    ids=["a task of ours", "no interpreter", "no program", "another"],
)
def test_a_failed_job_says_why(said: str, reason: str) -> None:
    assert _reason(ValueError(said)) == reason


@pytest.mark.parametrize("sent", [b"", b"x" * 50, bytes(96) + b"\xff", bytes(96) + b"\x04read"])
def test_half_and_hostile_questions_do_no_harm(desk: KeyDesk, sent: bytes) -> None:
    with desk.handing_out("encode", KEYS):
        with socket.create_connection((desk.address.host, desk.address.port)) as stream:
            stream.sendall(sent)
            stream.shutdown(socket.SHUT_WR)
            assert b"".join(iter(lambda: stream.recv(1_000), b"")) in (b"", b"\x01not of this job")
        assert ask_for_keys(desk.address, "encode") == KEYS


def test_nothing_secret_shows(desk: KeyDesk) -> None:
    assert desk.address.token.hex() not in repr(desk.address)
    assert repr(desk.address.token) not in repr(desk.address)


def test_a_closed_desk_answers_nobody() -> None:
    with KeyDesk("127.0.0.1") as desk:
        address = desk.address
    with pytest.raises(OSError, match="refused"):
        ask_for_keys(address, "encode")


def test_a_secret_is_not_taken_from_a_command_line(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="`make test-spark` runs this where the extra is")
    with pytest.raises(SparkUnguarded, match="command line"), spark_session(None, {"spark.authenticate.secret": "x"}):
        pass
    properties = tmp_path / "spark.conf"
    properties.touch(mode=0o644)
    with pytest.raises(SparkUnguarded, match="others can read"), spark_session(None, {}, properties):
        pass


def test_without_pyspark_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SparkMissing), spark_session(None, {}):
        pass
