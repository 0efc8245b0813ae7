"""The screening records of a run: every person of the list, with the label or without.

They are kept in sealed blocks of Arrow IPC, and read back as Arrow batches for an
export (初筛名单) or for the hand-over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlite_utils import Database

from keys.database import write_transaction
from matcher.bank.batches import Answers
from matcher.rows import fetch_all
from matcher.schemas import KUOZHONG
from matcher.sealing import Sealer
from matcher.tables import CustomerList
from psi.columns import data_of, fixed, uint32
from psi.edition import RECEIPT_BYTES, Manifest, Slice, unpack_labels
from psi.errors import MingceError
from psi.identifiers import ITEM_BYTES, Verdict
from psi.lookup import Overlay, find_labels

BLOCK_ROWS = 32_768


def screening_schema(label_fields: Sequence[str]) -> pa.Schema:
    """The columns of a screening record whose label has these fields."""
    fields: list[pa.Field[Any]] = [
        pa.field("row_no", pa.int64(), nullable=False),  # in the receiver's own list, as a person counts them there
        pa.field("name", pa.string()),  # 客户姓名, from the receiver's own row
        pa.field("item", pa.string(), nullable=False),  # 证件号码, normalised
        pa.field("matched", pa.bool_(), nullable=False),
        *(pa.field(name, pa.string()) for name in label_fields),  # this and what follows is null where nothing matched
        pa.field("row_version", pa.uint32()),
        pa.field("receipt", pa.binary(RECEIPT_BYTES)),
        pa.field("input_state", pa.string(), nullable=False),  # the normaliser's remark, such as ok_converted_15
    ]
    return pa.schema(fields)


SCREENING_SCHEMA = screening_schema(KUOZHONG.field_names)

_STATE_OF_VERDICT = pa.array(
    [Verdict(value).code if value in set(Verdict) else None for value in range(256)], pa.string()
)


class CustomerNotAsked(MingceError):
    """A customer of the list has no stored PRF output: the batches of this epoch are not complete."""

    code = "customer_not_asked"


def screen(
    customers: CustomerList, answers: Answers, divisions: Sequence[Slice | Overlay], manifest: Manifest
) -> Iterator[pa.RecordBatch]:
    """Look every customer up and open the labels found: batches of screening_schema in the list's order.

    ``divisions`` are those of the edition that the bank uses. Raises CustomerNotAsked before the first
    batch, LabelInvalid.
    """
    items = fixed(customers.items, ITEM_BYTES)
    places = pc.index_in(items, value_set=answers.items)
    if places.null_count:
        raise CustomerNotAsked("customers without a stored output", customers=places.null_count)
    schema = screening_schema(manifest.label.fields)
    verdicts = pa.Array.from_buffers(pa.uint8(), len(customers), [None, customers.verdicts])
    states = _STATE_OF_VERDICT.take(verdicts)
    for start in range(0, len(items), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        labels = _labels_of(data_of(answers.outputs.take(places[block])).to_pybytes(), divisions, manifest)
        yield pa.RecordBatch.from_pydict(
            {
                "row_no": customers.rows[block],
                "name": customers.names[block],
                "item": items[block].cast(pa.binary()).cast(pa.string()),
                "input_state": states[block],
                **labels,
            },
            schema=schema,
        )


def _labels_of(outputs: bytes, divisions: Sequence[Slice | Overlay], manifest: Manifest) -> dict[str, pa.Array[Any]]:
    """The label columns for n PRF outputs, null where an output is in no division."""
    matches = find_labels(divisions, outputs, manifest)
    fields = unpack_labels(matches.labels, manifest.label)
    rows = pa.array(range(len(outputs) // 64), pa.int64())
    match_of_row = pc.index_in(rows, value_set=pa.array(matches.positions, pa.int64()))
    columns = {name: column.take(match_of_row) for name, column in fields.items()}
    return {
        "matched": pc.is_valid(match_of_row),
        "row_version": uint32(matches.versions).take(match_of_row),
        "receipt": fixed(matches.receipts, RECEIPT_BYTES).take(match_of_row),
        **columns,
    }


class Screenings:
    """The table ``screening_block``."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    def add_block(self, run_id: str, block: int, records: pa.RecordBatch) -> int:
        """Seal and store one batch of screening_schema; returns how many of its rows matched."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, records.schema) as writer:
            writer.write_batch(records)
        sealed = self._sealer.seal(sink.getvalue().to_pybytes(), "screening_block", "sealed", f"{run_id}/{block}")
        matched = int(pc.sum(records["matched"].cast(pa.int64())).as_py() or 0)
        with write_transaction(self._database):
            self._database.execute(
                "INSERT INTO screening_block VALUES (?, ?, ?, ?, ?)", [run_id, block, records.num_rows, matched, sealed]
            )
        return matched

    def remove_within(self, run_id: str) -> None:
        """Delete a run's records, in a transaction that the caller has begun."""
        self._database.execute("DELETE FROM screening_block WHERE run_id = ?", [run_id])

    def iterate(self, run_id: str, *, matched_only: bool = False) -> Iterator[pa.RecordBatch]:
        """The records of a run in the order of the customer list."""
        blocks = fetch_all(
            self._database, "SELECT block FROM screening_block WHERE run_id = ? ORDER BY block", [run_id]
        )
        for (block,) in blocks:
            ((sealed,),) = fetch_all(
                self._database, "SELECT sealed FROM screening_block WHERE run_id = ? AND block = ?", [run_id, block]
            )
            content = self._sealer.open(sealed, "screening_block", "sealed", f"{run_id}/{block}")
            with pa.ipc.open_stream(content) as reader:
                records = reader.read_next_batch()
            yield records.filter(records["matched"]) if matched_only else records
