"""Encoding on Spark, in a local cluster of real processes: the same bytes, whatever dies, and no key left anywhere."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from publishing import HEADER, create_home, number
from spark_home import (
    CLUSTER,
    DATASET,
    EPOCH,
    SPARK_PLAN,
    descendants,
    done_files,
    encode_on_spark,
    executors,
    job_folder,
    open_publisher,
    prepare,
    prepare_spark,
    when,
)
from test_large_lists import public_bytes, served, write_mixed

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.canaries import Canaries
from matcher.province.plan import Observer
from matcher.province.staging import STAGING_SECRET
from matcher.spark import ahead
from matcher.spark.errors import SparkFailed
from matcher.spark.keydesk import KeyDesk
from matcher.spark.session import spark_session
from psi.errors import InputError

pytestmark = pytest.mark.slow

PEOPLE = {person: 1 + person % 5 for person in range(9_000)}
PARTS = 18  # at least, of 500 rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "PYSPARK_PYTHON", "PYSPARK_SUBMIT_ARGS"):
            patch.setenv(name, "")
            patch.delenv(name)
        with spark_session(CLUSTER, {}, prepare_spark(folder)) as opened:
            yield opened


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    """Two divisions under two names each, repeated numbers, some with other contents, and unusable ones."""
    return write_mixed(folder / "list.csv", PEOPLE, 1)


@pytest.fixture(scope="module")
def made(folder: Path, source: Path) -> Path:
    """A home with an epoch's key, and canaries to be published with the list."""
    home = folder / "made"
    create_home(home)
    publisher = open_publisher(home)
    keystore = open_keys(home)
    canaries = Canaries(home, keystore, publisher._ledger, SettableClock(), os.urandom)
    canaries.plant(SPARK_PLAN, source, division="330922", count=5, prefix="990000", actor="演示员")
    publisher._ledger.close()
    keystore.close()
    return home


@pytest.fixture(scope="module")
def alone(made: Path, folder: Path, source: Path) -> tuple[Any, ...]:
    """What one machine makes of the list."""
    home = copied(made, folder / "alone")
    return result(home, open_publisher(home).refresh(SPARK_PLAN, source))


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return copied(made, tmp_path / "province")


def copied(made: Path, home: Path) -> Path:
    subprocess.run(["cp", "-r", str(made), str(home)], check=True)
    return home


def open_keys(home: Path) -> KeyStore:
    return KeyStore(home, FileKek(home / "kek"), clock=SettableClock(), actor="test")


def result(home: Path, told: tuple[Any, Any]) -> tuple[Any, ...]:
    """What was said and made: the outcome, the refused rows, the public bytes, the remembered rows."""
    outcome, rejects = told
    edition = served(home)
    state = edition.open_state()
    return outcome.as_dict(), rejects, public_bytes(edition), state.read(0, len(state)), edition.source


def nothing_published(home: Path) -> bool:
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    publisher._ledger.close()
    return record is None and not list((home / "editions").rglob("manifest.json"))


def test_the_same_bytes_as_on_one_machine(session: Any, made: Path, home: Path, source: Path, tmp_path: Path) -> None:
    """A first edition, a night and a compaction, in two homes with one key; one of them works on Spark."""
    other = copied(made, tmp_path / "other")
    later = {person: 1 + (person % 5 if person % 50 else 7) for person in range(30, 9_050)}
    lists = [source, write_mixed(tmp_path / "2.csv", later, 2), write_mixed(tmp_path / "3.csv", {**later, 4: 9}, 3)]
    plans = (SPARK_PLAN, SPARK_PLAN, replace(SPARK_PLAN, delta_limit=0))
    for each, plan in zip(lists, plans, strict=True):
        on_spark = result(home, encode_on_spark(session, home, each, plan))
        on_one = result(other, open_publisher(other).refresh(plan, each))
        assert on_spark == on_one
        assert on_spark[0]["rejected"] > 300
        assert len(on_spark[2]) == 3, "a manifest and two slices"
    assert [path for path in (home / "staging").rglob("*") if path.is_file()] == []


def test_what_is_wrong_with_the_list_is_said_as_on_one_machine(session: Any, home: Path, tmp_path: Path) -> None:
    """A cell that is no text, far from the first row: an executor finds it."""
    people = [(number(person), f"H{person}", "3", "330922", "是", "") for person in range(2_000)]
    columns = dict(zip(HEADER.split(","), zip(*people, strict=True), strict=True))
    table = pa.table({name: pa.array(cells) for name, cells in columns.items()})
    names = table["家庭编号"].combine_chunks()
    _, offsets, data = names.buffers()
    broken = data.to_pybytes()[:-1] + b"\xff"
    table = table.set_column(1, "家庭编号", pa.StringArray.from_buffers(len(names), offsets, pa.py_buffer(broken)))
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=500)
    errors = []
    for work in (lambda: prepare(session, home, path), lambda: open_publisher(home).refresh(SPARK_PLAN, path)):
        with pytest.raises(InputError) as error:
            work()
        errors.append((error.value.code, error.value.detail, error.value.params))
    assert errors[0] == errors[1]
    assert errors[0][0] == "table_damaged"
    assert nothing_published(home)


def test_the_same_list_again_is_not_worked_on_again(session: Any, home: Path, source: Path) -> None:
    steps: list[str] = []

    class Noting(Observer):
        def step(self, name: str, total: int | None = None) -> None:
            steps.append(name)

    assert open_publisher(home).refresh(SPARK_PLAN, source)[0].outcome == "published"
    prepare(session, home, source, observer=Noting())
    assert steps == ["look"]
    assert open_publisher(home).refresh(SPARK_PLAN, source)[0].outcome == "unchanged"


def test_executors_that_are_killed_at_work(session: Any, home: Path, source: Path, alone: tuple[Any, ...]) -> None:
    """One while parts are settled, so that pieces in its shuffle files are lost, and one while parts are encoded."""
    killed: list[int] = []

    def kill_one() -> None:
        victim = executors()[-1]
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)

    settled: list[int] = []

    def kill_reader() -> None:
        settled.append(len(done_files(home, "read")))
        kill_one()

    with (
        when(lambda: len(done_files(home, "read")) >= 3, kill_reader),
        when(lambda: len(done_files(home, "encode")) >= 3, kill_one),
    ):
        told = encode_on_spark(session, home, source)
    assert len(set(killed)) == 2
    assert settled[0] < PARTS
    assert result(home, told) == alone


def test_a_full_disk_publishes_nothing_and_the_next_run_goes_on(
    session: Any, home: Path, source: Path, alone: tuple[Any, ...]
) -> None:
    """No file may grow beyond a few kilobytes in any worker, once the list was read."""
    limited: list[int] = []

    class Filling(Observer):
        def step(self, name: str, total: int | None = None) -> None:
            if name == "encode":
                limited.extend(pid for pid, line in descendants().items() if "pyspark.daemon" in line)
                limit_files(limited, 4_096)

    try:
        with pytest.raises(SparkFailed) as failed:
            prepare(session, home, source, observer=Filling())
    finally:
        limit_files(limited, resource.RLIM_INFINITY)
    assert limited
    assert "File too large" in str(failed.value.params["reason"])
    assert nothing_published(home)
    assert not list(job_folder(home).rglob("*.json"))
    assert result(home, encode_on_spark(session, home, source)) == alone


def limit_files(processes: list[int], limit: int) -> None:
    for pid in processes:
        if Path(f"/proc/{pid}").exists():
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, hard))


def test_no_key_and_no_number_is_left_anywhere(
    session: Any, home: Path, source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark's disks, event log, logs, command lines and environments, while it works and after."""
    tokens: list[bytes] = []

    class NotedDesk(KeyDesk):
        def __init__(self, *where: str) -> None:
            super().__init__(*where)
            tokens.append(self.address.token)

    monkeypatch.setattr(ahead, "KeyDesk", NotedDesk)
    keystore = open_keys(home)
    secrets = [
        keystore.open_epoch_key(DATASET, EPOCH).expose_bytes(),
        keystore.get_store_secret(STAGING_SECRET),
        keystore.receipt_key(DATASET, EPOCH, "330922"),
        *(keystore.derive_epoch_secret(DATASET, EPOCH, each) for each in ("row references", "row digests", "receipts")),
    ]
    keystore.close()
    places = [folder / "spark", job_folder(home)]
    seen: list[str] = []

    class Looking(Observer):
        def step(self, name: str, total: int | None = None) -> None:
            look(name)

    def look(name: str) -> None:
        found = everything(places)
        seen.extend(f"{name} {path}" for path in found)
        needles = [form for secret in (*secrets, *tokens) for form in forms(secret)]
        needles += [number(person).encode() for person in (0, 17, 4_711, 8_999)]
        for path, content in found.items():
            assert not any(needle in content for needle in needles), f"{name}: {path}"

    with when(lambda: len(done_files(home, "encode")) >= 5, lambda: look("at work")) as looked:
        prepare(session, home, source, observer=Looking())
    look("after")
    assert looked.is_set()
    assert tokens
    assert any("shuffle_" in place and place.endswith(".data") for place in seen), "no shuffle file was looked through"
    for part in ("events/", "logs/spark.log", "/stderr", "cmdline", "environ", "list/rows-", "-sealed.arrow"):
        assert any(part in place for place in seen), part
    (folder / "spark" / "planted").write_bytes(b64encode(secrets[0]))
    with pytest.raises(AssertionError, match="planted"):
        look("planted")
    (folder / "spark" / "planted").unlink()


def forms(secret: bytes) -> list[bytes]:
    encoded = b64encode(secret).rstrip(b"=")
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), encoded, encoded.translate(_URL)]


_URL = bytes.maketrans(b"+/", b"-_")


def everything(places: list[Path]) -> dict[str, bytes]:
    """Files below the places, and what the kernel shows of Spark's processes, by name. Files come and go."""
    paths = [path for place in places for path in place.rglob("*") if not path.is_symlink() and path.is_file()]
    paths = [path for path in paths if not any(part in ("bin", "jars") for part in path.parts)]
    mine = [pid for pid, line in descendants().items() if "spark" in line]
    paths += [Path(f"/proc/{pid}/{name}") for pid in mine for name in ("cmdline", "environ")]
    found = {}
    for path in paths:
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


@pytest.mark.parametrize("moment", ["read/3", "encode/3"])
def test_a_driver_that_is_killed_has_published_nothing_and_is_run_again(
    home: Path, source: Path, alone: tuple[Any, ...], tmp_path: Path, moment: str
) -> None:
    words = [sys.executable, str(Path(__file__).with_name("spark_home.py")), str(tmp_path), str(home), str(source)]
    killed = subprocess.run([*words, moment], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2_000:]
    assert nothing_published(home)
    before = {path.name: path.stat().st_mtime_ns for path in done_files(home, "encode")}
    assert (len(before) >= 3) == moment.startswith("encode")
    assert len(hosts_given_the_key(home)) == moment.startswith("encode")
    told = open_publisher(home).refresh(SPARK_PLAN, source)  # one machine goes on from what Spark left
    assert result(home, told) == alone


def hosts_given_the_key(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "province.sqlite")) as database:
        rows = database.execute(
            "SELECT json_extract(detail, '$.worker') FROM audit WHERE action = 'hand_out_epoch_key'"
        )
        return [host for (host,) in rows]


def test_the_command_and_what_it_refuses(made: Path, tmp_path: Path) -> None:
    """`mingce province encode-on-spark` in a home of its own, and Spark without its encryption."""
    properties = prepare_spark(tmp_path)
    environment = {**os.environ, "MINGCE_LANGUAGE": "en"}
    (tmp_path / "a.csv").write_text(
        "\n".join([HEADER, *(f"{number(person)},H{person},3,330922,是," for person in range(50))]) + "\n", "utf-8"
    )

    def mingce(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scripts.cli", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)

    assert mingce("province", "init", "province", "--name", "演示省").returncode == 0
    assert mingce("keys", "create-epoch", "base", "2026", "--activate", "--config", "province").returncode == 0
    words = [
        "province",
        "encode-on-spark",
        "--source",
        "a.csv",
        "--config",
        "province",
        "--json",
        "--master",
        "local[1]",
    ]
    words += ["--properties", str(properties)]
    open_wide = mingce(*words, "--setting", "spark.io.encryption.enabled=false")
    assert open_wide.returncode == 3
    assert '"spark_unguarded"' in open_wide.stdout
    assert not list((tmp_path / "province").rglob("manifest.json"))
    told = mingce(*words)
    assert told.returncode == 0, told.stderr[-2_000:]
    assert '"published"' in told.stdout
    assert '"rows": 50' in told.stdout
