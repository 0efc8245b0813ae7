"""What an endpoint counts, in a registry of its own. Labels have few values and name no one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.problems import KINDS

METRICS_TYPE = CONTENT_TYPE_LATEST


class RequestMetrics:
    """What every endpoint counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("mingce_requests", "Requests answered", ("route", "status"), registry=self.registry)
        self.problems = Counter("mingce_problems", "Problem documents sent, by code", ("code",), registry=self.registry)
        self.alarms_waiting = Gauge(
            "mingce_alarms_waiting", "Alarms that nobody has acknowledged", registry=self.registry
        )

    def render(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)


class Metrics(RequestMetrics):
    """What the province's endpoint counts."""

    def __init__(self) -> None:
        super().__init__()
        for (
            code
        ) in KINDS:  # at zero from the start: `increase` does not see the first one of a series that begins with it
            self.problems.labels(code)
        self.elements = Counter("mingce_elements_evaluated", "Blinded elements evaluated", registry=self.registry)
        self.charged = Counter("mingce_elements_charged", "Elements charged to budgets", registry=self.registry)
        self.evaluation_seconds = Histogram(
            "mingce_evaluation_seconds",
            "Time to evaluate one batch with its proof",
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10),
            registry=self.registry,
        )
        self.in_flight = Gauge("mingce_evaluations_in_flight", "Evaluations taken on", registry=self.registry)
