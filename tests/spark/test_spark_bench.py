"""``mingce bench spark``: what it measures is the real commands, and their bytes are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.benchmarks.spark import measure_spark


@pytest.mark.slow
def test_both_ways_are_measured_and_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS"):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
    told: list[str] = []
    found = measure_spark(tmp_path, 3_000, told.append)
    assert told == ["generate", "one machine", "Spark"]
    assert found.same_bytes
    assert (found.one_machine.java_s, found.one_machine.workers_s) == (0, 0)
    assert found.spark.java_s > found.spark.workers_s > 0
    assert found.spark.cpu_s > found.one_machine.cpu_s > 0
