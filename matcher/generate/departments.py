"""A department's made-up list beside the base list of the same county, rows and seed, and the truth about it.

The lists agree with what the base list says of a household (its reasons), except for some people: what
changed since the base list was made is what a department check is for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import pyarrow as pa

from keys.files import write_atomic
from matcher.exports import write_export
from matcher.generate.households import CountySpec, Household, make_households
from matcher.schemas import SchemaField, get_schema

T = TypeVar("T")
Format = Literal["csv", "xlsx", "parquet"]
DepartmentKind = Literal["minzheng", "gongan", "budongchan", "gongjijin"]
Label: TypeAlias = tuple[str, ...]

_RELATIONS = {"a": "head", "h": "head", "s": "spouse", "c": "child", "g": "parent"}
_ASSISTANCE = ("N10", "N11", "N12")
_NEWLY_ASSISTED = 0.01  # households that came on since the base list was made
_NO_LONGER_ASSISTED = 0.05  # of those that the base list names
_NEWLY_DEAD = 0.002  # people
_BANDS = {"2000": 0.6, "3000": 0.3, "4000": 0.1}  # of the monthly base, by their lower ends in yuan
_BANDS_WELL_OFF = {"3000": 0.2, "5000": 0.3, "8000": 0.25, "15000": 0.15, "30000": 0.1}
_WORKING_AGE = range(18, 60)


class PersonRow(NamedTuple):
    """One row: the number, the household's division, and the label that a receiver must get."""

    item: str
    division: str
    label: Label


@dataclass(frozen=True)
class DepartmentSummary:
    """How many people are on the list, and how many households of the county they come from."""

    rows: int
    households: int


def generate_department(
    path: Path, truth: Path, kind: DepartmentKind, spec: CountySpec, *, format: Format = "csv"
) -> DepartmentSummary:
    """Write a department's list as the department would, and beside it the truth: a CSV of ``item`` and the label.

    Raises CountyUnknown, TooManyPeople, OSError.
    """
    fields, source = get_schema(f"{kind}/1").fields, Random(f"cells {kind} {spec.seed}")
    made = make_people(kind, spec)
    people = [person for household in made for person in household]
    headings = ("证件号码", "行政区划", *(field.headings[0] for field in fields))
    rows = [
        (item, division, *(_cell(field, value, source) for field, value in zip(fields, label, strict=True)))
        for item, division, label in people
    ]
    if format == "csv":
        _write_csv(path, headings, rows)
    else:
        columns = [pa.array([row[place] for row in rows], pa.string()) for place in range(len(headings))]
        write_export(path, dict(zip(headings, columns, strict=True)), format=format, id_columns=headings[:1])
    names = tuple(field.name for field in fields)
    _write_csv(truth, ("item", *names), ((person.item, *person.label) for person in people))
    return DepartmentSummary(len(people), len(made))


def make_people(kind: DepartmentKind, spec: CountySpec) -> list[list[PersonRow]]:
    """Who is on the department's list, by household, in the base list's order. Raises CountyUnknown, TooManyPeople."""
    source = Random(f"{kind} {spec.seed}")
    made = []
    for household in make_households(spec):
        labels = _KINDS[kind](household, source, spec.as_of)
        people = [PersonRow(household.numbers[member], household.division, label) for member, label in labels]
        if people:
            made.append(people)
    return made


def _assisted(household: Household, source: Random, as_of: date) -> Iterator[tuple[int, Label]]:
    """民政: every member of a household that receives social assistance."""
    listed = [reason for reason in household.reasons.split(",") if reason in _ASSISTANCE]
    if listed and source.random() < _NO_LONGER_ASSISTED:
        listed = []
    elif not listed and source.random() < _NEWLY_ASSISTED:
        listed = [_pick(source, {"N11": 0.6, "N10": 0.4})]
    if listed:
        granted = _day(source, as_of, 3 * 365)
        for member in range(len(household.numbers)):
            yield member, (listed[0], granted)


def _registered(household: Household, source: Random, as_of: date) -> Iterator[tuple[int, Label]]:
    """公安: every person of the county, with those who moved away or died; vehicles stand with the head."""
    reasons = household.reasons.split(",")
    dead = source.randrange(len(household.numbers)) if "N21" in reasons else None
    vehicles = _pick(source, {0: 0.55, 1: 0.38, 2: 0.07}) + ("N02" in reasons)
    for member, role in enumerate(household.roles):
        state, since = "in", ""
        if member == dead or source.random() < _NEWLY_DEAD:
            state, since = "dead", _day(source, as_of, 700)
        elif "N05" in reasons:
            state, since = "out", _day(source, as_of, 2_000)
        yield member, (state, _RELATIONS[role], str(0 if member else vehicles), since)


def _owners(household: Household, source: Random, as_of: date) -> Iterator[tuple[int, Label]]:
    """不动产: the adult who owns the household's homes, most of them one."""
    many = "N02" in household.reasons.split(",")
    homes = 2 + source.randrange(3) if many else _pick(source, {0: 0.22, 1: 0.72, 2: 0.06})
    if homes:
        owners = [member for member, role in enumerate(household.roles) if role in "ahs"]
        yield source.choice(owners), (str(homes), _day(source, as_of, 7_000))


def _contributors(household: Household, source: Random, as_of: date) -> Iterator[tuple[int, Label]]:
    """公积金: under half of the adults of working age."""
    well_off = "N01" in household.reasons.split(",")
    bands = _BANDS_WELL_OFF if well_off else _BANDS
    for member, age in enumerate(household.ages):
        if age in _WORKING_AGE and source.random() < (0.55 if well_off else 0.35):
            state = _pick(source, {"active": 0.86, "sealed": 0.12, "closed": 0.02})
            yield member, (state, _pick(source, bands), _day(source, as_of, 365))


_KINDS: dict[str, Callable[[Household, Random, date], Iterator[tuple[int, Label]]]] = {
    "minzheng": _assisted,
    "gongan": _registered,
    "budongchan": _owners,
    "gongjijin": _contributors,
}


def _cell(field: SchemaField, value: str, source: Random) -> str:
    """A value as departments write it: one of its words, a date in one of three ways, the amount itself."""
    if field.type == "choice":
        return source.choice(field.values[value])
    if field.type == "band":
        above = next((edge for edge in field.edges if edge > int(value)), int(value) + 5_000)
        return f"{source.uniform(int(value), above - 0.01):.2f}"
    if field.type == "date" and value:
        day = date.fromisoformat(value)
        return source.choice([value, f"{day.year}/{day.month}/{day.day}", f"{day.year}年{day.month}月{day.day}日"])
    return value


def _pick(source: Random, shares: dict[T, float]) -> T:
    return source.choices(list(shares), list(shares.values()))[0]


def _day(source: Random, as_of: date, within: int) -> str:
    """A day before ``as_of``."""
    return (as_of - timedelta(days=source.randrange(1, within))).isoformat()


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())
