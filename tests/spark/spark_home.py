"""A Spark cluster of this machine's own for the tests: a master, two workers and two executors, each a process.

Run as a program it is a driver that encodes and publishes: ``spark_home.py FOLDER HOME SOURCE [STEP/N]``, and kills
itself with SIGKILL once N files of that step are there.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "matcher"))

from publishing import DATASET, EPOCH, PLAN, open_publisher

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan, Observer, Outcome
from matcher.rejects import Reject
from matcher.spark.ahead import SparkAhead
from matcher.spark.session import spark_session

CLUSTER = "local-cluster[2,1,1024]"
PART_ROWS, PIECE_BYTES = 500, 60_000
SPARK_PLAN = replace(PLAN, bucket=16, duplicates="first")
_LOG4J = """rootLogger.level = info
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {logs}/spark.log
appender.file.append = true
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{HH:mm:ss.SSS}} %p %c: %m%n%ex
"""
_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def prepare_spark(folder: Path) -> Path:
    """All that Spark writes goes below ``folder``. The file of its settings, with the cluster's secret."""
    import pyspark

    installed, home = Path(pyspark.__file__).parent, folder / "spark"
    for name in ("conf", "logs", "local", "events"):
        (home / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "jars"):
        if not (home / name).exists():
            (home / name).symlink_to(installed / name)
    (home / "conf" / "log4j2.properties").write_text(_LOG4J.format(logs=home / "logs"))
    os.environ.update(SPARK_HOME=str(home), SPARK_CONF_DIR=str(home / "conf"), SPARK_LOCAL_DIRS=str(home / "local"))
    settings = {
        "spark.authenticate.secret": secrets.token_hex(32),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (home / "events").as_uri(),
        "spark.eventLog.compress": "false",
        "spark.cleaner.referenceTracking": "false",  # shuffle files stay, to be looked through
        "spark.driver.extraJavaOptions": _QUICK_JVM,
        "spark.executor.extraJavaOptions": _QUICK_JVM,
    }
    properties = folder / "spark.conf"
    properties.touch(mode=0o600)
    properties.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    return properties


def prepare(
    session: Any, home: Path, source: Path, plan: DatasetPlan = SPARK_PLAN, observer: Observer | None = None
) -> None:
    """What the command does on Spark, in parts and pieces so small that a little list has many."""
    clock = SettableClock()
    keystore, ledger = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test"), Ledger.open(home, clock)
    ahead = SparkAhead(session, home, keystore, ledger, clock, part_rows=PART_ROWS, piece_bytes=PIECE_BYTES)
    try:
        ahead.prepare(plan, source, observer or Observer(), actor="演示员", accept_shrink=False, full=False)
    finally:
        ledger.close()
        keystore.close()


def encode_on_spark(
    session: Any, home: Path, source: Path, plan: DatasetPlan = SPARK_PLAN, observer: Observer | None = None
) -> tuple[Outcome, list[Reject]]:
    """What the command does: on Spark, and then a refresh that must find all of it done."""
    prepare(session, home, source, plan, observer)
    return open_publisher(home).refresh(plan, source, observer=FindsAllDone(home))


class FindsAllDone(Observer):
    """Notes what files there are when encoding begins; none may be made anew."""

    def __init__(self, home: Path) -> None:
        self._batches = job_folder(home) / "batches"
        self._before: dict[str, int] = {}

    def step(self, name: str, total: int | None = None) -> None:
        assert name not in ("read", "stage"), "the list was read again"
        if name == "encode":
            self._before = self._files()
        if name == "write slices":
            assert self._files() == self._before, "a part was encoded again"

    def _files(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in self._batches.glob("*")}


def job_folder(home: Path) -> Path:
    return home / "staging" / DATASET / f"epoch-{EPOCH}"


def done_files(home: Path, step: str) -> list[Path]:
    """What a step has finished so far."""
    job = job_folder(home)
    return list((job / "list").glob("rows-*") if step == "read" else (job / "batches").glob("*.json"))


def descendants(of: int | None = None) -> dict[int, str]:
    """Command lines by process, of this one's descendants."""
    parents, lines = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
    found = {os.getpid() if of is None else of}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: lines[pid] for pid in found if pid in lines}


def executors() -> list[int]:
    return sorted(pid for pid, line in descendants().items() if "CoarseGrainedExecutorBackend" in line)


@contextmanager
def when(condition: Callable[[], bool], act: Callable[[], None]) -> Iterator[threading.Event]:
    """``act`` once, as soon as ``condition`` holds within the block; whether it did."""
    happened, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if condition():
                act()
                happened.set()
                return
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield happened
    finally:
        ended.set()
        watcher.join()


def die_at(home: Path, moment: str) -> None:
    """Watch from a thread, and kill this process once so many files of the step are there."""
    step, _, files = moment.partition("/")

    def watch() -> None:
        while len(done_files(home, step)) < int(files):
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    folder, home, source, *rest = sys.argv[1:]
    properties = prepare_spark(Path(folder))
    with spark_session(CLUSTER, {}, properties) as session:
        if rest:
            die_at(Path(home), rest[0])
        prepare(session, Path(home), Path(source))
    open_publisher(Path(home)).refresh(SPARK_PLAN, Path(source))
