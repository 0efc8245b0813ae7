"""A list that was read and checked: in memory, and sealed on disk between `import` and `encode`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from keys.files import make_folder
from keys.keystore import KeyStore
from keys.sealedfile import read_sealed, write_sealed
from matcher.columns import list_columns
from matcher.province.editions import Source
from matcher.province.plan import DatasetPlan, ListShrunk, NothingStaged
from matcher.reasons import for_bank_column
from matcher.rejects import Reject
from matcher.schemas import ListSchema
from matcher.slices import file_sha256
from matcher.tables import LabelledList, read_labelled_list
from psi.columns import data_of, fixed, pc
from psi.edition import LabelSchema, pack_labels
from psi.encoding import ITEM_BYTES, BaseRows
from psi.errors import InputError

STAGING_SECRET = "staging"  # noqa: S105  the name of a secret, not one
BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Staged:
    """A list that was read and checked, ready to be compared and encoded."""

    rows: BaseRows
    divisions: dict[str, str]
    source: Source


def label_rows(listed: LabelledList, schema: ListSchema, label: LabelSchema) -> BaseRows:
    """A list as it is encoded: items, packed labels as a receiver may see them, and the slice of each row."""
    fields = dict(listed.fields)
    for field in schema.fields:
        if field.type == "reasons" and "bank" in schema.receivers:
            fields[field.name] = for_bank_column(fields[field.name])
    labels = pack_labels([fields[name] for name in label.fields], label.width)
    slices = pc.utf8_slice_codeunits(listed.division, 0, 6).cast(pa.uint32())
    return BaseRows(listed.items, labels, slices)


def read_list(plan: DatasetPlan, path: Path) -> tuple[Staged, list[Reject]]:
    """Raises as matcher.tables.read_labelled_list does, ListShrunk if no row can be used."""
    digest = file_sha256(path)
    columns = list_columns(plan.schema, one_division=plan.division is not None).override(plan.columns)
    listed = read_labelled_list(path, plan.schema, columns, division=plan.division, duplicates=plan.duplicates)
    if not len(listed):
        raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=plan.shrink_limit)
    rows, rejects = label_rows(listed, plan.schema, plan.label), listed.rejects
    staged = Staged(rows, listed.division_names, Source(digest, len(rows), len(rejects)))
    del listed  # the labels' bytes say all of it; a large list need not be in memory twice
    pa.default_memory_pool().release_unused()
    return staged, rejects


class Staging:
    """The imported lists of one home, one file for each dataset."""

    def __init__(self, home: Path, keystore: KeyStore) -> None:
        self._home = home
        self._keys = keystore

    def write(self, plan: DatasetPlan, staged: Staged) -> None:
        width = plan.label.width
        about = {"divisions": staged.divisions, "source": asdict(staged.source), "label_width": width}
        table = pa.table(
            [fixed(staged.rows.items, ITEM_BYTES), fixed(staged.rows.labels, width), staged.rows.slices],
            names=["item", "label", "slice"],
        ).replace_schema_metadata({"about": json.dumps(about, ensure_ascii=False)})
        write_sealed(self._path(plan), self._secret(), _stream(table), self._context(plan))

    def read(self, plan: DatasetPlan) -> Staged:
        """Raises NothingStaged, InputError if it was imported for another label, SealedFileInvalid."""
        path = self._path(plan)
        if not path.exists():
            raise NothingStaged("no imported list waits to be encoded", dataset=plan.dataset, epoch=plan.epoch)
        content = b"".join(read_sealed(path, self._secret(), self._context(plan)))
        table = pa.ipc.open_stream(content).read_all().combine_chunks()
        about = json.loads(table.schema.metadata[b"about"])
        if about["label_width"] != plan.label.width:
            raise InputError("the list was imported with another label width", dataset=plan.dataset)
        rows = BaseRows(data_of(table["item"]), data_of(table["label"]), table["slice"].combine_chunks())
        return Staged(rows, about["divisions"], Source(**about["source"]))

    def remove(self, plan: DatasetPlan) -> None:
        self._path(plan).unlink()

    def _path(self, plan: DatasetPlan) -> Path:
        return make_folder(self._home / "staging") / f"{plan.dataset}.sealed"

    def _context(self, plan: DatasetPlan) -> bytes:
        return f"mingce/1 staging {plan.dataset}".encode()

    def _secret(self) -> bytes:
        return self._keys.get_store_secret(STAGING_SECRET)


def _stream(table: pa.Table) -> Iterator[bytes]:
    """The table as an Arrow IPC stream, piece by piece."""
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            writer.write_batch(batch)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
