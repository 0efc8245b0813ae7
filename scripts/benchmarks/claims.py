"""Interest, claims and the nightly job at the size of a large county, by the calls that the commands make."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.claims.service import Claims
from matcher.figures.service import Figures
from matcher.policy import list_examples
from matcher.reports.service import Reports
from scripts.benchmarks.lending import Lender

COUNTY, BANK = "330922", "b" * 64
QUARTERS = 11
LAST, YEAR = date(2025, 12, 31), 2024
_CLERK = Actor("bench", frozenset({Role.BANK_ADMIN}), bank=BANK)


@dataclass
class Claiming:
    """Seconds, and in ``cpu_s`` the processor's for each, which other programs disturb less.

    ``recompute_s``: every line computed anew, nothing to write; ``nightly_s``: interest and figures of a day;
    ``claim_s``: a year's claim frozen and its workbook written.
    """

    households: int
    loans: int
    lines: int = 0
    first_s: float = 0.0
    recompute_s: float = 0.0
    nightly_s: float = 0.0
    nightly_again_s: float = 0.0
    claim_lines: int = 0
    claim_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)


def measure_claims(households: int, loans: int, *, tell: Callable[[str], None] = lambda step: None) -> Claiming:
    """``households``, ``loans`` of which borrow once for some eleven settlements, in a scratch store."""
    done = Claiming(households, loans)
    with tempfile.TemporaryDirectory(prefix="mingce-bench-") as folder:
        home = Path(folder)
        office = Office(home, bytes(range(32)), SettableClock(datetime(2026, 1, 10, 2, 0, tzinfo=UTC)), [COUNTY])
        try:
            _measure(office, home, done, tell)
        finally:
            office.close()
    return done


def _measure(office: Office, home: Path, done: Claiming, tell: Callable[[str], None]) -> None:
    tell("lay")
    (policy,) = [path for path in list_examples() if path.name.startswith(COUNTY)]
    Lender(office, policy, BANK).lay_county(done.households, done.loans, QUARTERS)
    claims = Claims(office)
    tell("accrue")
    with _timed(done, "first_s"):
        done.lines = claims.accrue(LAST).lines
    with _timed(done, "recompute_s"):
        claims.accrue(LAST)
    tell("nightly")
    for name in ("nightly_s", "nightly_again_s"):
        with _timed(done, name):
            claims.accrue(LAST)
            Figures(office).compute(LAST)
    tell("claim")
    claim = claims.open(_CLERK, BANK, COUNTY, YEAR)
    reports = Reports(office)
    with _timed(done, "claim_s"):
        done.claim_lines = claims.freeze(_CLERK, claim).lines
        reports.export(_CLERK, reports.claim(_CLERK, claim), home / "claim.xlsx", format="xlsx", purpose="bench")


@contextmanager
def _timed(done: Claiming, name: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    setattr(done, name, round(time.perf_counter() - wall, 3))
    done.cpu_s[name] = round(time.process_time() - cpu, 3)
