"""Spark's own standalone cluster, as docs/how-to/encode-on-spark.md says: a master, workers, and `spark-submit`."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from publishing import HEADER, number
from test_spark import forms

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SPARK = Path(pytest.importorskip("pyspark", reason="`make test-spark` runs this where the extra is").__file__).parent
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
ROWS = 3_000


def as_properties(settings: dict[str, str]) -> str:
    return "".join(f"spark.{name} {value}\n" for name, value in settings.items())


class Cluster:
    """A master and two workers on loopback addresses of their own, each a process group."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = secrets.token_hex(32)
        self._running: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))},
            "SPARK_HOME": str(SPARK),
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_LOCAL_DIRS": str(folder / "local"),
            "SPARK_DAEMON_JAVA_OPTS": QUICK,
            "PYSPARK_PYTHON": sys.executable,
            "MINGCE_LANG": "en",
        }
        (folder / "conf").mkdir(parents=True)
        guards = (
            f"spark.authenticate true\nspark.authenticate.secret {self.secret}\nspark.network.crypto.enabled true\n"
        )
        (folder / "conf" / "spark-defaults.conf").write_text(guards)
        self.properties = folder / "spark.conf"
        self.properties.touch(mode=0o600)
        settings = {
            "master": f"spark://127.0.0.1:{self.port}",
            "authenticate.secret": self.secret,
            "driver.host": "127.0.0.1",
            "executor.memory": "1g",
            "executor.cores": "1",
            "eventLog.enabled": "true",
            "eventLog.compress": "false",
            "eventLog.dir": (folder / "events").as_uri(),
            "driver.extraJavaOptions": QUICK,
            "executor.extraJavaOptions": QUICK,
        }
        (folder / "events").mkdir()
        self.properties.write_text(as_properties(settings))

    def start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{what}-{len(self._running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [SPARK / "bin" / "spark-class", f"org.apache.spark.deploy.{what.lower()}.{what}", *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def wait_for_workers(self, count: int) -> None:
        until = time.monotonic() + 60
        while (self.folder / "Master-0.log").read_text("utf-8").count("Registering worker") < count:
            assert time.monotonic() < until, "the workers do not come"
            time.sleep(0.1)

    def submit(self, *words: str) -> subprocess.CompletedProcess[str]:
        script = str(ROOT / "scripts" / "spark_job.py")
        return subprocess.run(
            [SPARK / "bin" / "spark-submit", "--properties-file", self.properties, script, *words],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def stop(self) -> None:
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster_of_two(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        cluster.start("Master", "--host", "127.0.0.1", "--port", str(cluster.port), "--webui-port", "0")
        for number_ in (2, 3):
            host = f"127.0.0.{number_}"
            words = ["--host", host, "--webui-port", "0", "--cores", "1", "--memory", "1g"]
            words += ["--work-dir", str(folder / f"work-{number_}"), f"spark://127.0.0.1:{cluster.port}"]
            cluster.start("Worker", *words)
        cluster.wait_for_workers(2)
        yield cluster
    finally:
        cluster.stop()


def mingce(place: Path, *words: str) -> None:
    environment = {**os.environ, "MINGCE_LANG": "en"}
    subprocess.run([sys.executable, "-m", "scripts.cli", *words], cwd=place, env=environment, check=True)


def slices(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "editions").rglob("slices/*.arrow")}


def test_submitted_to_a_cluster_of_two_hosts(tmp_path: Path) -> None:
    """The bytes of one machine; the cluster's secret is in no log of Spark's."""
    rows = (f"{number(person)},H{person},{1 + person % 4},330922,是," for person in range(ROWS))
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    mingce(tmp_path, "province", "init", "alone", "--name", "演示省")
    mingce(tmp_path, "keys", "create-epoch", "base", "2026", "--activate", "--config", "alone")
    shutil.copytree(tmp_path / "alone", tmp_path / "province")
    mingce(tmp_path, "province", "refresh", "--source", "a.csv", "--config", "alone")
    source = ("--source", str(tmp_path / "a.csv"), "--config", str(tmp_path / "province"), "--json")
    with cluster_of_two(tmp_path / "spark") as cluster:
        done = cluster.submit(*source)
        assert done.returncode == 0, done.stderr[-3_000:]
        assert f'"rows": {ROWS}' in done.stdout
        written = [path for path in (tmp_path / "spark").rglob("*") if path.is_file()]
        written = [path for path in written if path.suffix != ".conf"]
        assert {"stdout", "stderr"} <= {path.name for path in written}
        assert any("events" in path.parts for path in written)
        leaks = [path for path in written if any(form in path.read_bytes() for form in forms(cluster.secret.encode()))]
        assert leaks == []
    assert slices(tmp_path / "province") == slices(tmp_path / "alone")
    assert len(slices(tmp_path / "alone")) == 1
