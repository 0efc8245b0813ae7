"""Where and when a visit began, as the tablet reports it: 定位 and 轨迹. Sensitive (PIPL article 28), so sealed."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keys.clock import BEIJING, Clock, format_time, parse_time
from matcher.visits.model import PlaceInvalid

MAX_TRACK = 2_000  # points: a day, every 40 seconds
CLOCK_TOLERANCE_S = 300  # by which a tablet's clock may be fast
LONGEST_OFFLINE_DAYS = 60

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return []


class TrackPoint(_Part):
    latitude: Latitude
    longitude: Longitude
    at: str


class Place(_Part):
    """WGS-84 degrees; ``accuracy_m`` is the radius that the tablet gives."""

    latitude: Latitude
    longitude: Longitude
    accuracy_m: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
    track: Annotated[tuple[TrackPoint, ...], Field(max_length=MAX_TRACK)] = ()


def read_place(values: object) -> Place:
    """A place from JSON's values. Raises PlaceInvalid naming the first faulty field, not what stood there."""
    try:
        place = Place.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:60]
        raise PlaceInvalid(
            "the place cannot be used", field=field if first["type"] != "extra_forbidden" else ""
        ) from None
    for number, point in enumerate(place.track):
        _parse(point.at, f"track.{number}.at")
    return place


def check_start(clock: Clock, started_at: str) -> str:
    """A start that the tablet reports: not later than now, not older than it may have been offline."""
    moment, now = _parse(started_at, "started_at"), clock.now()
    if not now - timedelta(days=LONGEST_OFFLINE_DAYS) <= moment <= now + timedelta(seconds=CLOCK_TOLERANCE_S):
        raise PlaceInvalid("the start is in the future or long ago", field="started_at")
    return format_time(min(moment, now))


def beijing_time(text: str) -> str:
    """``2026-01-05 14:30`` in China as the one stored form; whatever else stands there is left to be refused."""
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M"):
        with suppress(ValueError):
            return format_time(datetime.strptime(text, form).replace(tzinfo=BEIJING))
    return "?"


def number_or_text(cell: str) -> float | str:
    """A cell's number; what is none is left to be refused by :func:`read_place`, which does not repeat it."""
    try:
        return float(cell)
    except ValueError:
        return "?"


def _parse(text: str, field: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError:
        raise PlaceInvalid("not a time of the form 2026-01-05T09:00:00Z", field=field) from None
