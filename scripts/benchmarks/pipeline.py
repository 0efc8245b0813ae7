"""Where the time of an edition goes, from a CSV file to slices on disk, and what a look-up costs."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow as pa

from matcher.generate import CountySpec, generate_county
from matcher.province.editions import build_slices
from matcher.province.rows import label_rows
from matcher.schemas import KUOZHONG
from matcher.tables import read_labelled_list
from psi.columnfile import ColumnFile
from psi.edition import DEFAULT_BUCKET, LabelSchema
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
from psi.noise import noise_streams
from psi.oprf import MODE_VOPRF, SecretKey, evaluate
from psi.remembered import Remembered, empty_state
from psi.slicing import SliceBuilder, full_entries, sealed_run, sealed_schema
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
        runs_of_tags = step("sort", lambda: _write_runs(folder, state, encoded, label))
        step("write, hash", lambda: _write(folder, runs_of_tags, label))
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


def _write_runs(folder: Path, state: pa.Table, encoded: Encoded, label: LabelSchema) -> list[ColumnFile]:
    """The entries and the sealed rows, each as one run on disk."""
    tables = [full_entries(state), pa.table(sealed_run(encoded), schema=sealed_schema(label))]
    for number, table in enumerate(tables):
        with pa.ipc.new_file(str(folder / f"run-{number}"), table.schema) as writer:
            writer.write_table(table)
    return [ColumnFile(folder / f"run-{number}", table.schema) for number, table in enumerate(tables)]


def _write(folder: Path, runs: list[ColumnFile], label: LabelSchema) -> None:
    entries, sealed = runs
    noise = noise_streams(bytes(32), "bench")
    builder = SliceBuilder([entries], [sealed], {}, label, bucket=DEFAULT_BUCKET, noise=noise)
    slices = folder / "slices"
    shutil.rmtree(slices, ignore_errors=True)
    slices.mkdir()
    build_slices(builder, DEFAULT_BUCKET, label, lambda done: None)(slices)
