"""What the doctor found as Prometheus text, for the node exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from keys.files import write_atomic
from matcher.keeping.backup import LastBackup
from matcher.keeping.findings import Finding

FILE_MODE = 0o644  # the collector is another user, and nothing in it is secret


class DoctorMetrics:
    """Every series carries ``party``: one host may keep several homes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.finding = Gauge(
            "mingce_doctor_finding",
            "1 for each kind of fault that the doctor found",
            ("party", "level", "code"),
            registry=self.registry,
        )
        self.run_at = Gauge(
            "mingce_doctor_run_timestamp_seconds", "When the doctor last ran", ("party",), registry=self.registry
        )
        self.refresh_at = Gauge(
            "mingce_refresh_timestamp_seconds",
            "When the list that waits longest was last refreshed",
            ("party",),
            registry=self.registry,
        )
        self.backup_at = Gauge(
            "mingce_backup_timestamp_seconds", "When the newest backup was made", ("party",), registry=self.registry
        )

    def write(
        self,
        path: Path,
        party: str,
        found: Sequence[Finding],
        backup: LastBackup | None,
        refreshed: datetime | None,
        now: datetime,
    ) -> None:
        """Replace ``path`` (….prom) in one step; no series of an earlier run stays."""
        for finding in found:
            self.finding.labels(party, finding.level, finding.code).set(1)
        self.run_at.labels(party).set(now.timestamp())
        if refreshed is not None:
            self.refresh_at.labels(party).set(refreshed.timestamp())
        if backup is not None:
            self.backup_at.labels(party).set(backup.at.timestamp())
        write_atomic(path, generate_latest(self.registry))
        path.chmod(FILE_MODE)
