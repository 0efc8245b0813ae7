"""A made-up base list as a file, written as it is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from keys.files import atomic_writer
from matcher.generate.households import CountySpec, Household, make_households

Format = Literal["csv", "parquet"]

COLUMNS = ("证件号码", "家庭编号", "家庭人数", "行政区划", "行政区划名称", "是否扩中家庭", "非扩中原因标签")
_HOUSEHOLDS_AT_ONCE = {"csv": 2_000, "parquet": 20_000}  # a row group of Parquet should not be small


@dataclass
class CountySummary:
    """What was made: ``ages`` counts people by completed years, ``reasons`` households by their reasons."""

    rows: int = 0
    households: int = 0
    ages: Counter[int] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, households: list[Household]) -> None:
        self.households += len(households)
        self.rows += sum(len(household.ages) for household in households)
        self.sizes.update(len(household.ages) for household in households)
        self.reasons.update(household.reasons for household in households)
        self.ages.update(chain.from_iterable(household.ages for household in households))


def generate_county(path: Path, spec: CountySpec, *, format: Format = "csv") -> CountySummary:
    """Write the base list of a made-up county or province, in bounded memory, whole or not at all.

    About 200,000 rows a second. Raises CountyUnknown, TooManyPeople, OSError.
    """
    summary = CountySummary()
    write = {"csv": _write_csv, "parquet": _write_parquet}[format]
    with atomic_writer(path) as stream:
        write(stream, _batches(spec, summary, _HOUSEHOLDS_AT_ONCE[format]))
    return summary


def _batches(spec: CountySpec, summary: CountySummary, size: int) -> Iterator[list[Household]]:
    households = make_households(spec)
    while batch := list(islice(households, size)):
        summary.add(batch)
        yield batch


def _write_csv(stream: BinaryIO, batches: Iterator[list[Household]]) -> None:
    stream.write(b"\xef\xbb\xbf" + (",".join(COLUMNS) + "\r\n").encode())
    for batch in batches:
        lines = []
        for h in batch:
            reasons = f'"{h.reasons}"' if "," in h.reasons else h.reasons
            rest = f",{h.household_no},{len(h.ages)},{h.division},{h.division_name},{h.expanding},{reasons}\r\n"
            lines += [number + rest for number in h.numbers]
        stream.write("".join(lines).encode())


def _write_parquet(stream: BinaryIO, batches: Iterator[list[Household]]) -> None:
    schema = pa.schema([pa.field(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in batches:
            rows = [
                (number, h.household_no, str(len(h.ages)), h.division, h.division_name, h.expanding, h.reasons)
                for h in batch
                for number in h.numbers
            ]
            columns = [pa.array(cells, pa.string()) for cells in zip(*rows, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
