"""Lists and state of the one-shot exchange (psi.exchange): what a party reads, keeps sealed, and writes.

A requester must keep its session key and its list from the request to the answer. They are in one
sealed file for each session, ``<home>/exchange/<session>.sealed``, which goes when the result is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from keys.files import make_folder
from keys.sealedfile import read_sealed, write_sealed
from matcher.columns import CUSTOMER_COLUMNS, ColumnMapping
from matcher.rejects import Reject
from matcher.tables.batch import DEFAULT_BATCH_ROWS
from matcher.tables.checks import Columns, check_customer
from matcher.tables.lists import read_list
from psi.columns import data_of, fixed
from psi.errors import InputError
from psi.identifiers import ITEM_BYTES

STORE_SECRET = "exchange"  # noqa: S105  (a name, not a secret)
SESSION_PATTERN = re.compile(r"[0-9a-f]{32}")
EXCHANGE_COLUMNS = ColumnMapping(
    {"number": CUSTOMER_COLUMNS.fields["number"], "name": replace(CUSTOMER_COLUMNS.fields["name"], required=False)}
)
_FIELDS: list[pa.Field[Any]] = [
    pa.field("row", pa.int64()),
    pa.field("item", pa.binary(ITEM_BYTES)),
    pa.field("name", pa.string()),
]
_SCHEMA = pa.schema(_FIELDS)


class ExchangeUnknown(InputError):
    """No session of this home waits for that answer; ``params["session"]`` names it."""

    code = "exchange_unknown"


@dataclass(frozen=True, repr=False)
class ExchangeList:
    """Distinct usable numbers of a file in its order: ``table`` has the columns row, item (18 bytes) and name.

    Names are null where the file has none. Of rows with one number the first is kept; every other is in ``rejects``.
    """

    table: pa.Table
    rejects: list[Reject]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def items(self) -> bytes:
        """n*18 bytes."""
        return data_of(self.table["item"]).to_pybytes()


@dataclass(frozen=True, repr=False)
class PendingExchange:
    """What a requester keeps until the answer comes. ``peer`` is an identity document, "" for a raw exchange."""

    session: str
    key: bytes
    request_digest: str
    peer: str
    table: pa.Table


def read_exchange_list(path: Path) -> ExchangeList:
    """Read the numbers (and names, if there are any) of a CSV, XLSX or Parquet file. Raises as read_table does."""
    read = read_list(path, EXCHANGE_COLUMNS, _check, "first", DEFAULT_BATCH_ROWS)
    names = read.columns.get("name", pa.nulls(len(read), pa.string()))
    return ExchangeList(pa.table([read.rows, fixed(read.items, ITEM_BYTES), names], schema=_SCHEMA), read.rejects)


def _check(cells: Mapping[str, pa.Array[Any]]) -> tuple[Columns, pa.Array[Any]]:
    if "name" in cells:
        return check_customer(cells)
    return {}, pa.nulls(len(cells["number"]), pa.string())


def common_columns(table: pa.Table, positions: Sequence[int]) -> dict[str, pa.ChunkedArray[Any]]:
    """The common rows of a requester's list, under the headings of the result file."""
    common = table.take(pa.array(positions, pa.int64()))
    columns = {
        "行号": common["row"].cast(pa.string()),
        "证件号码": common["item"].cast(pa.binary()).cast(pa.string()),
        "客户姓名": common["name"],
    }
    if common["name"].null_count == len(common):
        del columns["客户姓名"]
    return columns


def save_pending(home: Path, secret: bytes, pending: PendingExchange) -> Path:
    """Seal a session's state into its file; ``secret`` is the home's store secret STORE_SECRET."""
    header = {
        "key": pending.key.hex(),
        "request_digest": pending.request_digest,
        "peer": pending.peer,
    }
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_table(pending.table)
    path = _pending_path(home, pending.session)
    make_folder(path.parent)
    encoded = json.dumps(header, ensure_ascii=False).encode()
    write_sealed(
        path, secret, (len(encoded).to_bytes(4, "big"), encoded, bytes(sink.getvalue())), _context(pending.session)
    )
    return path


def load_pending(home: Path, secret: bytes, session: str) -> PendingExchange:
    """Raises ExchangeUnknown, SealedFileInvalid."""
    path = _pending_path(home, session)
    if not path.exists():
        raise ExchangeUnknown("no such session waits for an answer", session=session)
    plaintext = b"".join(read_sealed(path, secret, _context(session)))
    end = 4 + int.from_bytes(plaintext[:4], "big")
    header = json.loads(plaintext[4:end])
    table = pa.ipc.open_file(pa.py_buffer(plaintext[end:])).read_all()
    return PendingExchange(session, bytes.fromhex(header["key"]), header["request_digest"], header["peer"], table)


def forget_pending(home: Path, session: str) -> None:
    """Remove a session's state: its key is gone and its answer can no longer be read."""
    _pending_path(home, session).unlink(missing_ok=True)


def _pending_path(home: Path, session: str) -> Path:
    if SESSION_PATTERN.fullmatch(session) is None:
        raise ExchangeUnknown("that is no session", session=session[:8])
    return home / "exchange" / f"{session}.sealed"


def _context(session: str) -> bytes:
    return b"exchange pending\x00" + session.encode()
