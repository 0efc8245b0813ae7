"""The alert rules as Prometheus itself reads them: sound, and loud or silent where they must be."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from api.metrics import Metrics, RequestMetrics
from api.problems import KINDS
from scripts.keeping.textfile import DoctorMetrics

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/mingce.rules.yml"
CASES = Path(__file__).with_name("mingce.rules.test.yml")
PROMTOOL = shutil.which("promtool") or shutil.which(ROOT / "build/prometheus/usr/bin/promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="NOT RUN: promtool is not here (scripts/setup-machine)")


def promtool(*words: str | Path, told: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *words], input=told, capture_output=True, check=False, timeout=60)


@needs_promtool
def test_the_rules_are_sound() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_every_alert_is_loud_and_silent_where_it_must_be(tmp_path: Path) -> None:
    done = promtool("test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr
    deaf = re.sub(r"expr: .*", "expr: vector(0) > 1", RULES.read_text("utf-8"))
    (tmp_path / "deaf.yml").write_text(deaf, "utf-8")
    cases = CASES.read_text("utf-8").replace("../../deploy/prometheus/mingce.rules.yml", str(tmp_path / "deaf.yml"))
    (tmp_path / "cases.yml").write_text(cases, "utf-8")
    assert promtool("test", "rules", tmp_path / "cases.yml").returncode == 1, "rules that never fire pass too"


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]}
    cases = [case for each in yaml.safe_load(CASES.read_text("utf-8"))["tests"] for case in each["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts


@needs_promtool
@pytest.mark.parametrize("metrics", [Metrics, RequestMetrics, DoctorMetrics])
def test_what_is_exported_is_as_prometheus_wants_it(
    metrics: type[Metrics | RequestMetrics | DoctorMetrics],
) -> None:
    done = promtool("check", "metrics", told=generate_latest(metrics().registry))
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_problem_that_comes_up_once_is_an_increase() -> None:
    """Prometheus sees no increase in a series that begins with 1."""
    told = Metrics().render().decode()
    assert [code for code in KINDS if f'mingce_problems_total{{code="{code}"}} 0.0' not in told] == []
