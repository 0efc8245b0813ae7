"""A first edition on Spark beside one on one machine, from one list under one key: the same bytes, and what each took.

The cluster is Spark's local one: a master, workers and executors as processes of this machine. So the wall-clock times
say what Spark costs here, not what more machines bring; the processor's time is what counts.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matcher.generate import CountySpec, generate_county
from matcher.spark.errors import SparkMissing
from scripts.benchmarks.sampling import Sampler
from scripts.benchmarks.whole_job import BenchFailed, Job

EXECUTORS, CORES, MEMORY_MIB = 2, 1, 1024
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Took:
    """Seconds by the clock and of the processor: all of it, of Java, of the executors' Python, of the driver's."""

    way: str
    wall_s: float
    rows_per_s: int
    cpu_s: float
    cpu_us_a_row: float
    java_s: float
    workers_s: float
    driver_s: float


@dataclass(frozen=True)
class Beside:
    rows: int
    cluster: str
    one_machine: Took
    spark: Took
    same_bytes: bool


def lay_out_cluster(folder: Path) -> dict[str, str]:
    """Environment for a local cluster all of whose files are below ``folder``. Raises SparkMissing."""
    try:
        import pyspark
    except ImportError:
        raise SparkMissing("PySpark is not installed") from None
    installed = Path(pyspark.__file__).parent
    for name in ("conf", "local"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "jars"):
        if not (folder / name).exists():
            (folder / name).symlink_to(installed / name)
    return {
        "SPARK_HOME": str(folder),
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }


def write_properties(path: Path, **more: str) -> Path:
    """Spark's settings with a new secret, readable by their owner only; in ``more`` ``_`` stands for a dot."""
    settings = {"authenticate.secret": secrets.token_hex(32), "driver.host": "127.0.0.1"}
    settings |= {"driver.bindAddress": "127.0.0.1", "ui.enabled": "false"}
    settings |= {name.replace("_", "."): value for name, value in more.items()}
    path.touch(mode=0o600)
    path.write_text("".join(f"spark.{name} {value}\n" for name, value in settings.items()), "utf-8")
    return path


def measure_spark(folder: Path, rows: int, tell: Callable[[str], object]) -> Beside:
    """Make up a list below ``folder``, which is empty, and publish it both ways. Raises BenchFailed, SparkMissing."""
    os.environ |= lay_out_cluster(folder / "spark")
    job = Job(folder)
    tell("generate")
    generate_county(folder / "base.csv", CountySpec(rows=rows, county="province"))
    job.run("province", "init", "one", "--name", "bench province")
    job.run("keys", "create-epoch", "base", "2026", "--activate", "--config", "one")
    shutil.copytree(folder / "one", folder / "many")
    cluster = f"local-cluster[{EXECUTORS},{CORES},{MEMORY_MIB}]"
    properties = write_properties(folder / "spark.conf")
    source = ("--source", "base.csv", "--json", "--config")
    tell("one machine")
    alone = _run(job, rows, "one machine", "province", "refresh", *source, "one")
    tell("Spark")
    master = ("--master", cluster, "--properties", properties)
    on_spark = _run(job, rows, "Spark", "province", "encode-on-spark", *source, "many", *master)
    same = _slices(folder / "one") == _slices(folder / "many")
    if not same:
        raise BenchFailed("the slices differ", step="encode-on-spark")
    return Beside(rows, cluster, alone, on_spark, same)


def _run(job: Job, rows: int, way: str, *words: object) -> Took:
    process = job.start(*words)
    with _Watch(process.pid) as watch:
        step = job.finish(process)
    java_s, workers_s, driver_s = (watch.seconds(kind) for kind in ("java", "worker", "driver"))
    cpu_s = java_s + workers_s + driver_s if java_s else step.cpu_s
    return Took(
        way,
        step.wall_s,
        round(rows / step.wall_s),
        round(cpu_s, 1),
        round(cpu_s / rows * 1e6, 1),
        round(java_s, 1),
        round(workers_s, 1),
        round(driver_s, 1),
    )


def _slices(home: Path) -> dict[str, bytes]:
    paths = (home / "editions" / "base" / "2026" / "1" / "public" / "slices").glob("*.arrow")
    return {path.name: path.read_bytes() for path in paths}


class _Watch(Sampler):
    """Processor seconds of a process and its descendants, as of the last moment each was seen."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._pid = pid
        self._seen: dict[int, tuple[str, float]] = {}

    def seconds(self, kind: str) -> float:
        return sum(seconds for each, seconds in self._seen.values() if each == kind)

    def look(self) -> None:
        parents, found = {}, {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                line = (path / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            parents[int(path.name)] = int(fields[1])
            known = self._seen.get(int(path.name), ("driver", 0.0))[0]  # one that has ended has no command line
            kind = "worker" if "pyspark.daemon" in line else "java" if "java" in line.split("\0")[0] else known
            found[int(path.name)] = (kind, (int(fields[11]) + int(fields[12])) / _TICKS)
        mine: set[int] = {self._pid}
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        self._seen |= {pid: found[pid] for pid in mine if pid in found}
