"""The benchmark of case work does at small size what it says it measures at large."""

from __future__ import annotations

from scripts.benchmarks.casework import QUEUE_PAGES, measure_casework


def test_it_takes_a_county_from_the_hand_over_to_the_queue() -> None:
    steps: list[str] = []
    measured = measure_casework(120, steps.append)
    assert steps == ["import", "eligibility", "what_if", "writes", "queue", "audit"]
    assert measured.households == measured.queue_waiting == 120
    assert measured.candidates == measured.handover_rows > 120
    assert measured.audit_rows == 1 + 2 + 4 * 120, "a hand-over, a policy of two persons, four moves of each household"
    timed = (measured.import_s, measured.eligibility_s, measured.what_if_s, measured.audit_verify_s)
    assert all(0 < seconds < 60 for seconds in timed)
    assert measured.writes_per_s > 100
    assert 0 < measured.queue_page_p95_ms < 10_000
    assert QUEUE_PAGES == 60
