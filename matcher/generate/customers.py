"""A bank's made-up customer list, and the truth about it for tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, TypeAlias

import pyarrow as pa

from keys.files import write_atomic
from matcher.exports import write_export
from matcher.generate.dirt import HARMLESS, REFUSED
from matcher.generate.households import CountySpec, make_households
from matcher.generate.names import make_name
from psi.errors import InputError

Format = Literal["csv", "xlsx", "parquet"]

COLUMNS = ("证件号码", "客户姓名")
TRUTH_COLUMNS = ("row", "kind", "item", "listed", "household_no", "household_size", "division", "expanding", "reasons")
_NO_LABEL = ("",) * 5
_ADULT = 18
_ADULT_SHARE = 0.7  # of any made-up county at least


Person: TypeAlias = tuple[str, tuple[str, ...]]  # an item, and its label or ()


class OverlapTooLarge(InputError):
    """The base list has fewer adults than customers were to be taken from it; ``params``: wanted, adults."""

    code = "overlap_too_large"


@dataclass(frozen=True)
class CustomerSpec:
    """A customer list beside a made-up county.

    ``overlap`` is the share of the customers who are on the base list, ``dirty`` the share of rows
    with a spoiled cell: about half of those still mean a person, the others must be refused.
    """

    county: CountySpec
    customers: int
    overlap: float = 0.6
    dirty: float = 0.02
    seed: int = 1


class Customer(NamedTuple):
    """One row: what the file says, and what must come of it (``item`` is empty if the row must be refused)."""

    cell: str
    name: str
    kind: str
    item: str
    label: tuple[str, ...]


def generate_customers(path: Path, truth: Path, spec: CustomerSpec, *, format: Format = "csv") -> int:
    """Write the customer list and its truth file (CSV, :data:`TRUTH_COLUMNS`); returns how many must match.

    The truth holds where the first of several rows with one number is kept. The county's people are
    made again for this, so it takes as long as the county did. Raises OverlapTooLarge, CountyUnknown,
    TooManyPeople, OSError.
    """
    customers = make_customers(spec)
    if format == "csv":
        _write_csv(path, COLUMNS, ((customer.cell, customer.name) for customer in customers))
    else:
        cells = pa.array([customer.cell for customer in customers], pa.string())
        names = pa.array([customer.name for customer in customers], pa.string())
        write_export(path, dict(zip(COLUMNS, (cells, names), strict=True)), format=format, id_columns=COLUMNS[:1])
    _write_csv(truth, TRUTH_COLUMNS, _truth(customers))
    return sum(bool(customer.label) for customer in customers)


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())


def _truth(customers: Iterable[Customer]) -> Iterator[tuple[object, ...]]:
    for row, customer in enumerate(customers, start=2):
        yield row, customer.kind, customer.item, int(bool(customer.label)), *(customer.label or _NO_LABEL)


def make_customers(spec: CustomerSpec) -> list[Customer]:
    """The customers in the file's order. Raises OverlapTooLarge."""
    source = Random(f"customers {spec.seed}")
    people = _listed_people(spec.county, round(spec.customers * spec.overlap), source)
    people += _strangers(spec.county, spec.customers - len(people), source)
    source.shuffle(people)
    customers: list[Customer] = []
    for item, label in people:
        clean = Customer(item, make_name(source.random), "clean", item, label)
        dirty = source.random() < spec.dirty
        customers.append(_soil(clean, customers, source) if dirty else clean)
    return customers


def _listed_people(county: CountySpec, wanted: int, source: Random) -> list[Person]:
    """Adults of the base list, drawn evenly over it."""
    drawn = source.sample(range(county.rows), min(county.rows, ceil(wanted / _ADULT_SHARE) + 100))
    places = iter(sorted(drawn))
    next_place = next(places, county.rows)
    adults: list[Person] = []
    start = 0
    for household in make_households(county):
        end = start + len(household.numbers)
        while next_place < end:
            member = next_place - start
            if household.ages[member] >= _ADULT:
                adults.append((household.numbers[member], household.label))
            next_place = next(places, county.rows)
        start = end
    if len(adults) < wanted:
        raise OverlapTooLarge("the base list has too few adults", wanted=wanted, adults=len(adults))
    source.shuffle(adults)
    return adults[:wanted]


def _strangers(county: CountySpec, wanted: int, source: Random) -> list[Person]:
    """Adults who are on no base list of this county."""
    numbers = county.number_source()
    return [
        (
            numbers.next_stranger(
                source.randrange(numbers.areas), source.randrange(7_000, 29_000), source.random() < 0.5
            ),
            (),
        )
        for _ in range(wanted)
    ]


def _soil(customer: Customer, before: list[Customer], source: Random) -> Customer:
    if source.random() < 0.5:
        while (cell := HARMLESS[kind := source.choice(list(HARMLESS))](customer.item, source.random)) == customer.item:
            pass  # that way cannot be used on this number
        return customer._replace(cell=cell, kind=kind)
    kind = source.choice([*REFUSED, "duplicate"])
    if kind == "duplicate":
        earlier = source.choice(before) if before else customer
        if earlier.kind == "clean":
            return earlier._replace(kind=kind, item="", label=())
        kind = "bad_check"
    return customer._replace(cell=REFUSED[kind](customer.item, source.random), kind=kind, item="", label=())
