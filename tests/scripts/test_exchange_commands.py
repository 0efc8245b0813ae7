"""``mingce exchange`` as a user runs it: each step a process of its own, in its own party's home."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import private_set_intersection.python as openmined
import pyarrow.parquet as pq
import pytest

from matcher.tables import read_customers
from psi.identifiers import check_character
from scripts.cli import main

OURS, THEIRS = range(40), range(25, 100)
COMMON = [25 <= index < 40 for index in OURS].count(True)


def number(index: int) -> str:
    body = f"990000195003{1 + index % 28:02d}{index:03d}"
    return body + check_character(body)


def mingce(*words: object) -> tuple[int, dict[str, Any]]:
    """Run one command in this process: (exit code, its JSON)."""
    output, errors = io.StringIO(), io.StringIO()
    argv = ["mingce", *map(str, words), "--json"]
    with (
        mock.patch.object(sys, "argv", argv),
        redirect_stdout(output),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0), json.loads(output.getvalue() or "{}")


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """The same as a process of its own."""
    command = [sys.executable, "-m", "scripts.cli", *map(str, words), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def ok(*words: object) -> dict[str, Any]:
    code, result = mingce(*words)
    assert code == 0, result
    return result


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank, a bureau and a stranger with a home each, and the two lists."""
    folder = tmp_path_factory.mktemp("parties")
    ok("bank", "init", folder / "bank", "--division", "330922")
    ok("bank", "init", folder / "stranger", "--division", "330922")
    ok("bureau", "init", folder / "bureau", "--division", "330922")
    with (folder / "ours.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["客户姓名", "证件号码"])
        writer.writerows((f"演示{index}", number(index).lower()) for index in OURS)
        writer.writerows([("坏", "12345"), ("重", number(3))])
    with (folder / "theirs.csv").open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([["身份证号码"], *([number(index)] for index in THEIRS)])
    return folder


@pytest.fixture
def place(parties: Path, tmp_path: Path) -> Path:
    """A folder with fresh copies of the homes, so that tests do not meet one another's sessions."""
    shutil.copytree(parties, tmp_path, dirs_exist_ok=True)
    return tmp_path


def ask_words(place: Path) -> tuple[object, ...]:
    return (
        "exchange", "request", place / "ours.csv", "--to", place / "bureau" / "identity.json",
        "--out", place / "request.mcx", "--config", place / "bank",
    )  # fmt: skip


def ask(place: Path) -> dict[str, Any]:
    return ok(*ask_words(place))


def respond_words(place: Path, limit: int = 100, sender: str = "bank") -> tuple[object, ...]:
    return (
        "exchange", "respond", place / "theirs.csv", place / "request.mcx", "--from", place / sender / "identity.json",
        "--limit", limit, "--out", place / "answer.mcx", "--config", place / "bureau",
    )  # fmt: skip


def respond(place: Path, limit: int = 100, sender: str = "bank") -> tuple[int, dict[str, Any]]:
    return mingce(*respond_words(place, limit, sender))


def finish_words(place: Path, name: str = "common.csv") -> tuple[object, ...]:
    return "exchange", "finish", place / "answer.mcx", "--out", place / name, "--config", place / "bank"


def finish(place: Path, name: str = "common.csv") -> tuple[int, dict[str, Any]]:
    return mingce(*finish_words(place, name))


def pending(place: Path) -> list[Path]:
    return list((place / "bank" / "exchange").glob("*"))


def test_over_files_each_step_a_process(place: Path) -> None:
    steps = []
    for words in (ask_words(place), respond_words(place), finish_words(place)):
        process = start(*words)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        steps.append(json.loads(output))
    asked, answered, found = steps
    assert (asked["numbers"], asked["rejected"]) == (40, 2)
    assert (answered["requested"], answered["numbers"], answered["session"]) == (40, 75, asked["session"])
    assert (found["common"], found["expected_false_matches"]) == (COMMON, 0)
    result = read_customers(place / "common.csv")
    assert result.items.to_pybytes().decode() == "".join(number(index) for index in OURS if index in THEIRS)
    assert result.names.to_pylist() == [f"演示{index}" for index in OURS if index in THEIRS]
    assert pending(place) == []


def test_finish_can_be_repeated_until_it_has_written(place: Path) -> None:
    ask(place)
    respond(place)
    assert finish(place, "no/such/folder/common.csv")[0] == 3
    assert finish(place)[0] == 0
    code, problem = finish(place)
    assert (code, problem["error"]["code"]) == (3, "exchange_unknown")


def test_no_number_in_messages_or_state(place: Path) -> None:
    ask(place)
    respond(place)
    everything = b"".join(path.read_bytes() for path in [*place.glob("*.mcx"), *pending(place)])
    for index in [*OURS, *THEIRS]:
        assert number(index).encode() not in everything
    assert all(path.stat().st_mode & 0o077 == 0 for path in [*place.glob("*.mcx"), *pending(place)])


def test_another_sender_and_a_mixed_up_file(place: Path) -> None:
    ask(place)
    code, problem = respond(place, sender="stranger")
    assert (code, problem["error"]["code"]) == (6, "untrusted_signer")
    respond(place)
    (place / "answer.mcx").write_bytes((place / "request.mcx").read_bytes())
    code, problem = finish(place)
    assert code == 6
    assert len(pending(place)) == 1


@pytest.mark.parametrize(("limit", "reason"), [(30, "too_large"), (39, "count")])
def test_more_than_the_limit(place: Path, limit: int, reason: str) -> None:
    ask(place)
    code, problem = respond(place, limit=limit)
    assert (code, problem["error"]["code"], problem["error"]["reason"]) == (3, "exchange_peer_message", reason)
    assert not (place / "answer.mcx").exists()


def test_wrong_usage(place: Path) -> None:
    for words in (
        ("request", place / "ours.csv"),
        ("request", place / "missing.csv", "--to", place / "bureau" / "identity.json"),
        ("respond", place / "theirs.csv", "--from", place / "bank" / "identity.json"),
        ("finish", place / "theirs.csv", "--out", place / "common.doc"),
    ):
        assert mingce("exchange", *words, "--config", place / "bank")[0] == 2


def test_dry_run_changes_nothing(place: Path) -> None:
    before = sorted(place.rglob("*"))
    to = place / "bureau" / "identity.json"
    result = ok("exchange", "request", place / "ours.csv", "--to", to, "--config", place / "bank", "--dry-run")
    assert (result["numbers"], result["dry_run"]) == (40, True)
    assert sorted(place.rglob("*")) == before


def test_raw_with_the_librarys_own_server(place: Path) -> None:
    raw = place / "raw"
    ok("exchange", "request", place / "ours.csv", "--raw", raw, "--config", place / "bank")
    request = openmined.Request.FromString((raw / "request.pb").read_bytes())
    server = openmined.server.CreateWithNewKey(True)
    items = [number(index) for index in THEIRS]
    setup = server.CreateSetupMessage(1e-6, len(request.encrypted_elements), items, openmined.DataStructure.GCS)
    (raw / "setup.pb").write_bytes(setup.SerializeToString())
    (raw / "response.pb").write_bytes(server.ProcessRequest(request).SerializeToString())
    found = ok("exchange", "finish", "--raw", raw, "--out", place / "common.parquet", "--config", place / "bank")
    assert (found["common"], 0 < found["expected_false_matches"] < 1e-4) == (COMMON, True)
    assert pq.read_table(place / "common.parquet").num_rows == COMMON


def test_raw_with_the_librarys_own_client(place: Path) -> None:
    raw = place / "raw"
    raw.mkdir()
    client = openmined.client.CreateWithNewKey(True)
    (raw / "request.pb").write_bytes(client.CreateRequest([number(index) for index in OURS]).SerializeToString())
    ok("exchange", "respond", place / "theirs.csv", "--raw", raw, "--limit", 40, "--config", place / "bureau")
    setup = openmined.ServerSetup.FromString((raw / "setup.pb").read_bytes())
    response = openmined.Response.FromString((raw / "response.pb").read_bytes())
    assert sorted(client.GetIntersection(setup, response)) == [i for i, index in enumerate(OURS) if index in THEIRS]


class Server:
    def __init__(self, place: Path, *words: object) -> None:
        self._process = start(
            "exchange", "serve", place / "theirs.csv", "--from", place / "bank" / "identity.json",
            "--limit", 100, "--linger", 0.1, "--config", place / "bureau", *words, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        self.url = found[0]

    def wait(self) -> tuple[int, dict[str, Any]]:
        output, _ = self._process.communicate(timeout=30)
        return self._process.returncode, json.loads(output)

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=30)
        return self._process.returncode


def fetch(place: Path, url: str, *words: object) -> tuple[int, dict[str, Any]]:
    return mingce(
        "exchange", "fetch", place / "ours.csv", url, "--to", place / "bureau" / "identity.json",
        "--out", place / "common.csv", "--config", place / "bank", *words,
    )  # fmt: skip


def test_over_http(place: Path) -> None:
    server = Server(place)
    code, found = fetch(place, server.url)
    assert (code, found["common"]) == (0, COMMON)
    code, served = server.wait()
    assert (code, served["requested"], served["limit"]) == (0, 40, 100)
    assert len(read_customers(place / "common.csv")) == COMMON


def test_nobody_comes(place: Path) -> None:
    began = time.monotonic()
    server = Server(place, "--minutes", 0.02)
    code, problem = server.wait()
    assert (code, problem["error"]["code"]) == (5, "exchange_expired")
    assert time.monotonic() - began < 20
    code, problem = fetch(place, server.url, "--minutes", 0.02)
    assert (code, problem["error"]["code"]) == (5, "peer_unavailable")
    assert not (place / "common.csv").exists()


def test_interrupted_server(place: Path) -> None:
    server = Server(place)
    assert server.interrupt() == 130


def test_kill_anywhere_leaves_no_half_file(place: Path) -> None:
    """SIGKILL at different moments of `respond`: there is a whole answer or none."""
    ask(place)
    for delay_s in (0.3, 0.7, 1.0, 1.3):
        process = start(*respond_words(place))
        time.sleep(delay_s)
        process.kill()
        process.communicate()
        if (place / "answer.mcx").exists():
            break
    assert respond(place)[0] == 0
    assert finish(place)[1]["common"] == COMMON
