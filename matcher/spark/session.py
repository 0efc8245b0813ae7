"""A Spark session that keeps what passes through it: encrypted on its disks and wires, and closed to strangers.

The pieces of a list are sealed by ourselves before Spark sees them. These settings are the second lock, and the one
on everything else: who may join the cluster, and what it writes down of its tasks.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from matcher.spark.errors import SparkFailed, SparkMissing, SparkUnguarded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GUARDS = {
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.io.encryption.enabled": "true",
}
_DEFAULTS = {
    "spark.io.encryption.keySizeBits": "256",
    "spark.sql.adaptive.enabled": "false",  # as many tasks as there are parts, however small they look
    "spark.speculation": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16",  # a record is a sealed piece of some megabytes
    "spark.ui.showConsoleProgress": "false",
}
_SECRET = "spark.authenticate.secret"  # noqa: S105  the name of a setting
_REASON = re.compile(r"TaskFailed: \[\[(.{1,300}?)\]\]")
_LOST = re.compile(r"most recent failure: Lost task .*?(\([^()]+ executor \w+\): .{1,300})")
_RAISED = re.compile(r"^(\w+(?:Error|Exception): .{1,200})$", re.MULTILINE)  # by Python, before it came to our tasks


@contextmanager
def spark_session(
    master: str | None, settings: Mapping[str, str], properties: Path | None = None
) -> Iterator[SparkSession]:
    """A session of its own, stopped at the end. Raises SparkMissing, SparkUnguarded, SparkFailed.

    ``settings`` are Spark's own and go before the defaults here; ``properties`` is a file of more of them. The secret
    of ``spark.authenticate`` belongs into that file: ``settings`` come to a command line, which every process of this
    host can read.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise SparkMissing("PySpark is not installed") from None
    if _SECRET in settings:
        raise SparkUnguarded("a secret on the command line", setting=_SECRET, wanted="--properties", found="***")
    if properties is not None:
        _require_private(properties)
        os.environ["PYSPARK_SUBMIT_ARGS"] = f"--properties-file {shlex.quote(str(properties.resolve()))} pyspark-shell"
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder: Any = SparkSession.builder.appName("mingce province encode-on-spark")
    for name, value in {**_DEFAULTS, **GUARDS, **settings}.items():
        builder = builder.config(name, value)
    if master is not None:
        builder = builder.master(master)
    try:
        session: SparkSession = builder.getOrCreate()
    except Exception as error:  # of Java's, of py4j's, of the gateway's that does not start
        raise SparkFailed("no session", reason=_first_line(error)) from None
    try:
        require_guards(session)
        yield session
    finally:
        session.stop()


def _require_private(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SparkUnguarded("others can read the secret", setting=path.name, wanted="0600", found=f"{mode:04o}")


def require_guards(session: SparkSession) -> None:
    """Raises SparkUnguarded for a session that would write or send in the clear, or let anybody join."""
    found = session.sparkContext.getConf()
    for setting, wanted in GUARDS.items():
        value = str(found.get(setting, "false"))
        if value.lower() != wanted:
            raise SparkUnguarded("Spark is not guarded", setting=setting, wanted=wanted, found=value)


def run(
    session: SparkSession, tasks: int, step: Callable[[Iterable[Any]], Iterator[Any]], schema: pa.Schema
) -> list[str]:
    """``step`` for each number below ``tasks``, in a task of its own; the notes. Raises SparkFailed."""
    numbers = session.range(0, tasks, 1, numPartitions=tasks)
    return _collect(numbers.mapInArrow(step, _ddl(schema)))


def run_and_shuffle(
    session: SparkSession,
    tasks: int,
    step: Callable[[Iterable[Any]], Iterator[Any]],
    schema: pa.Schema,
    parts: int,
    then: Callable[[Iterable[Any]], Iterator[Any]],
    then_schema: pa.Schema,
) -> list[str]:
    """The same, and then all that ``step`` gave for one ``part`` in one task of ``then``; the notes of that."""
    numbers = session.range(0, tasks, 1, numPartitions=tasks)
    shuffled = numbers.mapInArrow(step, _ddl(schema)).repartitionById(parts, "part")
    return _collect(shuffled.mapInArrow(then, _ddl(then_schema)))


def _collect(frame: Any) -> list[str]:
    try:
        return [row["note"] for row in frame.collect()]
    except Exception as error:  # Spark has many kinds; what a task of ours said stands somewhere in the text
        raise SparkFailed("a job failed", reason=_reason(error)) from None


def _reason(error: Exception) -> str:
    text = str(error)
    for pattern in (_REASON, _LOST, _RAISED):
        if found := pattern.findall(text):
            return str(found[-1])
    return _first_line(error)


def _first_line(error: Exception) -> str:
    """An error of Spark's own holds no cell of ours: its tasks see sealed pieces only."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _ddl(schema: pa.Schema) -> str:
    kinds = {pa.int32(): "int", pa.int64(): "bigint", pa.binary(): "binary", pa.string(): "string"}
    return ", ".join(f"{field.name} {kinds[field.type]}" for field in schema)
