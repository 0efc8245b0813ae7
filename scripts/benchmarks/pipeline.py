"""Where the time of an edition goes, from a CSV file to slices on disk, and what a look-up costs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow as pa

from matcher.generate import CountySpec, generate_county
from matcher.province.staging import label_rows
from matcher.schemas import KUOZHONG
from matcher.slices import write_slice_file
from matcher.tables import read_labelled_list
from psi.edition import DEFAULT_BUCKET, LabelSchema, Slice
from psi.encoding import (
    ITEM_BYTES,
    BaseRows,
    Comparison,
    Encoded,
    EncodingKeys,
    changed_rows,
    compare,
    encode_changed,
)
from psi.oprf import MODE_VOPRF, SecretKey, evaluate
from psi.remembered import Remembered, empty_state
from psi.slicing import build_full
from scripts.benchmarks.measure import Timing, measure, measure_one

T = TypeVar("T")
DATASET, EPOCH = "bench", "2026"
NOTHING = Remembered(empty_state(), empty_state())


@dataclass(frozen=True)
class Pipeline:
    """Microseconds a row for each step, on one core and on all.

    ``besides_percent``: everything but the encode, as a share of the encode.
    ``encode_over_kernel_percent``: what an encode costs beyond the bare PRF: tags, sealing, receipts, gathering.
    """

    rows: int
    steps_us: dict[str, float]
    encode_us: dict[str, float]
    kernel_us: dict[str, float]
    besides_percent: dict[str, float]
    encode_over_kernel_percent: dict[str, float]


def measure_pipeline(rows: int, runs: int) -> Pipeline:
    """Run each step of Publisher.refresh by itself on a made-up county of ``rows`` people."""
    label = KUOZHONG.label()
    with TemporaryDirectory(prefix="mingce-bench-") as name:
        folder = Path(name)
        generate_county(folder / "list.csv", CountySpec(rows=rows))
        steps: dict[str, Timing] = {}

        def step(name: str, work: Callable[[], T]) -> T:
            steps[name] = measure_one(work, runs)
            return work()

        listed = step("read, normalise", lambda: read_labelled_list(folder / "list.csv"))
        packed = step("pack labels", lambda: label_rows(listed, KUOZHONG, label))
        keys = _keys(packed)
        compared = step("compare", lambda: compare(NOTHING, packed, keys, label))
        encoded = _encode(compared, packed, keys, label, 0)
        state = step("remember", lambda: NOTHING.replace(changed_rows(NOTHING, compared, packed, encoded)).whole())
        slices = step("sort", lambda: _slices(state, encoded, label))
        step("write, hash", lambda: _write(folder, slices, label))
        times = measure(
            {
                "encode one": lambda: _encode(compared, packed, keys, label, 1),
                "kernel one": lambda: evaluate(MODE_VOPRF, keys.key, packed.items, ITEM_BYTES, threads=1),
                "encode all": lambda: _encode(compared, packed, keys, label, 0),
                "kernel all": lambda: evaluate(MODE_VOPRF, keys.key, packed.items, ITEM_BYTES),
            },
            runs,
        )
    encode = {"one_core": times["encode one"], "all_cores": times["encode all"]}
    kernel = {"one_core": times["kernel one"], "all_cores": times["kernel all"]}
    besides = sum(timing.wall_s for timing in steps.values())
    return Pipeline(
        len(packed),
        {name: timing.microseconds(len(packed)) for name, timing in steps.items()},
        {name: timing.microseconds(len(packed)) for name, timing in encode.items()},
        {name: timing.microseconds(len(packed)) for name, timing in kernel.items()},
        {name: round(100 * besides / timing.wall_s, 1) for name, timing in encode.items()},
        {name: round(100 * (timing.wall_s / kernel[name].wall_s - 1), 1) for name, timing in encode.items()},
    )


def _keys(rows: BaseRows) -> EncodingKeys:
    receipt_keys = {division: secrets.token_bytes(32) for division in rows.slices.to_pylist() if division is not None}
    return EncodingKeys(SecretKey.generate(), secrets.token_bytes(32), secrets.token_bytes(32), receipt_keys)


def _encode(compared: Comparison, rows: BaseRows, keys: EncodingKeys, label: LabelSchema, threads: int) -> Encoded:
    return encode_changed(compared, rows, keys, label, dataset=DATASET, epoch=EPOCH, threads=threads)


def _slices(state: pa.Table, encoded: Encoded, label: LabelSchema) -> list[tuple[int, Slice]]:
    built = build_full(state, encoded, {}, label, bucket=DEFAULT_BUCKET, random_bytes=secrets.token_bytes)
    return list(built)


def _write(folder: Path, slices: list[tuple[int, Slice]], label: LabelSchema) -> None:
    for division, rows in slices:
        write_slice_file(folder, f"{division:06d}", rows, DEFAULT_BUCKET, label)
