"""Metrics, alert rules and units: what is exported is documented, what is used exists, what is linked is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from homes import mingce
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from test_docs import anchors

from api.metrics import Metrics
from api.problems import KINDS
from matcher.keeping.refreshed import note_refresh
from scripts.keeping.advice import ADVICE
from scripts.keeping.textfile import DoctorMetrics
from scripts.references.command_line import reference

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference/metrics.md"
RULES = ROOT / "deploy/prometheus/mingce.rules.yml"
EARLIER = datetime(2026, 1, 5, tzinfo=UTC)
UNITS = sorted((ROOT / "deploy/systemd").iterdir())


def exported(registry: CollectorRegistry) -> dict[str, tuple[str, tuple[str, ...]]]:
    """By the name that Prometheus shows: type and labels."""
    found = {}
    for collector in list(registry._collector_to_names):
        name, kind = collector._name, collector._type
        labels = (*collector._labelnames, *(("le",) if kind == "histogram" else ()))
        found[f"{name}_total" if kind == "counter" else name] = (kind, labels)
    return found


def all_exported() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {**exported(Metrics().registry), **exported(DoctorMetrics().registry)}


def test_every_metric_is_documented_and_every_documented_one_is_exported() -> None:
    rows = re.findall(r"^\| `(mingce_\w+)` \| (\w+) \|([^|]*)\|", REFERENCE.read_text("utf-8"), re.M)
    documented = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert documented == all_exported()


def test_rules_use_what_is_exported_and_say_what_to_do() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
    known = {name for name in all_exported()}
    series = known | {f"{name}_bucket" for name, (kind, _) in all_exported().items() if kind == "histogram"}
    used = set()
    for rule in rules:
        names = set(re.findall(r"\bmingce_\w+", rule["expr"]))
        assert names <= series, rule["alert"]
        used |= names
        for code in re.findall(r'code=~?"([^"]+)"', rule["expr"]):
            assert set(code.split("|")) <= set(KINDS), rule["alert"]
        for name, values in re.findall(r'\b(\w+)="([^"]+)"', rule["expr"]):
            labels = {label for each in names for label in all_exported()[each.removesuffix("_bucket")][1]}
            assert name in labels | {"job"}, (rule["alert"], name, values)
        document, _, anchor = rule["annotations"]["how_to"].partition("#")
        assert (ROOT / document).is_file(), rule["alert"]
        assert not anchor or anchor in anchors(ROOT / document), rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rules) >= 10
    assert {"mingce_alarms_waiting", "mingce_doctor_finding", "mingce_backup_timestamp_seconds"} <= used


def test_the_doctors_file(place: Path) -> None:
    mingce(place, "backup", "create", "--out", "b.mcbk", "--recipient", "backup.key.pub", "--config", "bank")
    (place / "bank").chmod(0o755)
    (place / "m.prom").write_text('mingce_doctor_finding{code="old"} 1\n', "utf-8")
    found = mingce(place, "doctor", "--config", "bank", "--metrics", "m.prom", code=1)["findings"]
    families = {
        family.name: {tuple(sorted(sample.labels.items())): sample.value for sample in family.samples}
        for family in text_string_to_metric_families((place / "m.prom").read_text("utf-8"))
    }
    told = {(("code", finding["code"]), ("level", finding["level"]), ("party", "bank")): 1.0 for finding in found}
    assert families["mingce_doctor_finding"] == told
    assert families["mingce_doctor_run_timestamp_seconds"].keys() == {(("party", "bank"),)}
    assert families["mingce_refresh_timestamp_seconds"] == {}
    assert families["mingce_backup_timestamp_seconds"][(("party", "bank"),)] > 1.7e9
    assert (place / "m.prom").stat().st_mode & 0o777 == 0o644


def test_the_doctor_tells_the_last_refresh_that_succeeded(place: Path) -> None:
    """An unchanged list counts, a refused one does not."""

    def told() -> float:
        mingce(place, "doctor", "--config", "province", "--metrics", "m.prom", code=(0, 1, 4))
        found = re.search(r"^mingce_refresh_timestamp_seconds.* (\S+)$", (place / "m.prom").read_text("utf-8"), re.M)
        assert found is not None
        return float(found[1])

    source = ("--source", "base.csv", "--config", "province")
    mingce(place, "province", "refresh", *source)
    note_refresh(place / "province", "base", EARLIER)
    mingce(place, "province", "refresh", *source, "--dry-run")
    assert told() == EARLIER.timestamp()
    mingce(place, "province", "refresh", *source)
    assert told() > EARLIER.timestamp()
    note_refresh(place / "province", "base", EARLIER)
    (place / "base.csv").write_text("\n".join((place / "base.csv").read_text("utf-8").splitlines()[:3]), "utf-8")
    mingce(place, "province", "refresh", *source, code=4)
    assert told() == EARLIER.timestamp()


def test_every_finding_is_documented() -> None:
    text = (ROOT / "docs/how-to/watch.md").read_text("utf-8")
    assert [code for code in ADVICE if f"`{code}`" not in text] == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_sound(unit: Path, tmp_path: Path) -> None:
    """systemd accepts them (with a program that is there), and those that run our code are closed in."""
    text = unit.read_text("utf-8")
    if unit.suffix == ".service" and "mingce-alarm@" not in unit.name:
        for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "UMask=0077", "LimitCORE=0", "User=mingce",
                     "OnFailure=mingce-alarm@%n.service", "SystemCallFilter=@system-service"):  # fmt: skip
            assert line in text.splitlines(), line
    for words in re.findall(r"^Exec\w+=/opt/mingce/bin/mingce (.+)$", text, re.M):
        known = reference()
        command = re.match(r"(\w+)( [a-z][a-z-]+)?", words)
        assert command is not None
        assert f"## mingce {command[0]}\n" in known or f"## mingce {command[1]}\n" in known, words
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not here")
    for other in UNITS:
        content = re.sub(r"/opt/mingce/bin/mingce|/usr/bin/logger", "/bin/true", other.read_text("utf-8"))
        for name in {other.name, other.name.replace("@.", "@province.")}:
            (tmp_path / name).write_text(content, "utf-8")
    name = unit.name.replace("@.", "@province.")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
