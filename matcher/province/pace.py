"""Alarms on how fast a legal entity asks: rules that hold for whoever asks its own customers, and its new ones.

The province never learns who matched, so pace is all it can see. There is no rule for an hour: a whole
full pass within an hour is what an honest bank does in January.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from matcher.bank.plan import BATCH_SIZES
from matcher.province.provinceday import day_of
from psi.errors import MingceError

RESERVE_NIGHTS = 4
CLOCK_TOLERANCE = timedelta(hours=1)


class PaceDay(MingceError):
    """In one day more elements than all declared customers and one night's new ones take. Only ever an alarm."""

    code = "pace_day"


class PaceReserve(MingceError):
    """In one day more than four nights' elements beyond the declared customers. Only ever an alarm."""

    code = "pace_reserve"


class ClockBehind(MingceError):
    """Charges of a later day are on record than the clock shows now. Only ever an alarm."""

    code = "clock_behind"


@dataclass(frozen=True)
class Activity:
    """What an entity asked, this charge included: elements on the ``day``, and in the whole epoch."""

    entity: str
    dataset: str
    epoch: str
    day: str
    today: int
    total: int


def find_unusual(activity: Activity, *, expected: int, nightly: int) -> list[MingceError]:
    """The rules that an activity breaks. ``expected`` is what one pass of the declared customers takes."""
    about = {"entity": activity.entity, "dataset": activity.dataset, "epoch": activity.epoch, "day": activity.day}
    found: list[MingceError] = []
    if activity.today > expected + nightly:
        found.append(PaceDay("more than its customers in a day", **about, elements=activity.today, expected=expected))
    beyond = min(activity.today, max(activity.total - expected, 0))
    usual = RESERVE_NIGHTS * max(nightly, BATCH_SIZES[0])
    if beyond > usual:
        found.append(PaceReserve("much beyond its declared customers", **about, elements=beyond, usual=usual))
    return found


def find_clock_behind(day: str, now: datetime) -> list[MingceError]:
    """Whether charges were made on a ``day`` that is still to come; an hour around midnight is no alarm."""
    if day_of(now + CLOCK_TOLERANCE) >= day:
        return []
    return [ClockBehind("the clock was set back", day=day, today=day_of(now))]
