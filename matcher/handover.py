"""The hand-over: what a bank gives to a bureau after a match. docs/reference/handover.md has the format.

A file sealed to the bureau, with a header signed by the bank and the matched rows. Whether
the labels are the province's is for the bureau's store to check, by their receipts.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keys.clock import Clock, format_time
from keys.envelope import MAX_ENVELOPE_BYTES, claimed_signer, open_envelope, sign_envelope
from keys.files import write_atomic
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object
from matcher.bank.editions import LABEL_FIELDS
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from psi.arrowipc import read_batches
from psi.edition import RECEIPT_BYTES, Division, Hex32, Moment, Name, Number, Size, first_fault, pack_labels
from psi.errors import InputError, VerificationError
from psi.identifiers import ITEM_BYTES

PAYLOAD_TYPE = "application/vnd.mingce.handover+json"
MAX_FILE_BYTES = 1 << 30

_MAGIC = b"MCHO\x01"
_LENGTH = struct.Struct(">I")

_FIELDS: list[pa.Field[Any]] = [
    pa.field("name", pa.string(), nullable=False),
    pa.field("item", pa.binary(ITEM_BYTES), nullable=False),
    pa.field("household_no", pa.string(), nullable=False),
    pa.field("household_size", pa.string(), nullable=False),
    pa.field("division", pa.string(), nullable=False),
    pa.field("expanding", pa.string(), nullable=False),
    pa.field("reasons", pa.string(), nullable=False),
    pa.field("row_version", pa.uint32(), nullable=False),
    pa.field("receipt", pa.binary(RECEIPT_BYTES), nullable=False),
]
HANDOVER_SCHEMA = pa.schema(_FIELDS)


class HandoverInvalid(VerificationError):
    """A file is not a sound hand-over for this bureau."""

    code = "handover_invalid"


class BankUntrusted(VerificationError):
    """The hand-over is signed by a bank that this bureau has not registered. Params: its fingerprint."""

    code = "bank_untrusted"


class HandoverHeader(BaseModel):
    """What the bank signs."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal["mingce-handover/1"] = "mingce-handover/1"
    bank: Hex32
    bureau: Hex32
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    dataset: Name
    epoch: Name
    edition: Number
    manifest_sha256: Hex32
    label_width: Annotated[int, Field(ge=8, le=4_096)]
    divisions: tuple[Division, ...]
    rows: Size
    payload_sha256: Hex32
    created_at: Moment
    purpose: str
    legal_basis: str


@dataclass(frozen=True, repr=False)
class Handover:
    """A hand-over that was opened and verified, but for the receipts of its rows.

    ``records`` has HANDOVER_SCHEMA; ``labels`` are its label columns as the n*label_width bytes that the
    receipts cover; ``sha256`` is the file's, ``envelope`` the signed header as evidence.
    """

    header: HandoverHeader
    bank: PublicIdentity
    sha256: str
    envelope: bytes
    records: pa.Table
    labels: bytes


def write_handover(
    path: Path,
    *,
    identity: Identity,
    bureau: PublicIdentity,
    run: Run,
    created_at: str,
    records: Iterable[pa.RecordBatch],
) -> HandoverHeader:
    """Write the matched rows among ``records``, a finished run's screening records, for ``bureau``.

    The file appears whole or not at all. Raises InputError if it cannot be written there.
    """
    payload, rows = _encode_payload(records)
    header = HandoverHeader(
        bank=identity.public.fingerprint,
        bureau=bureau.fingerprint,
        run_id=run.run_id,
        dataset=run.dataset,
        epoch=run.epoch,
        edition=run.edition,
        manifest_sha256=run.manifest_sha256,
        label_width=run.label_width,
        divisions=run.divisions,
        rows=rows,
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        created_at=created_at,
        purpose=run.purpose,
        legal_basis=run.legal_basis,
    )
    envelope = sign_envelope(identity, PAYLOAD_TYPE, header.model_dump_json().encode())
    try:
        write_atomic(path, _MAGIC + bureau.seal(_LENGTH.pack(len(envelope)) + envelope + payload))
    except OSError as error:
        raise InputError(f"the file cannot be written: {error.strerror}", file=path.name) from None
    return header


def write_run_handover(
    path: Path, store: BankStore, run: Run, identity: Identity, bureau: PublicIdentity, clock: Clock
) -> int:
    """Hand a finished run of the bank's store over and record its release; returns how many rows were written.

    Raises RunStateInvalid.
    """
    header = write_handover(
        path,
        identity=identity,
        bureau=bureau,
        run=run,
        created_at=format_time(clock.now()),
        records=store.iterate_records(run.run_id, matched_only=True),
    )
    store.runs.release(run.run_id, run.operator, f"hand-over to {bureau.name}, {bureau.fingerprint}")
    return header.rows


def read_handover(path: Path, *, identity: Identity, trusted_banks: Iterable[PublicIdentity]) -> Handover:
    """Open a hand-over made for ``identity`` and verify everything but its receipts.

    Raises InputError (no such file), HandoverInvalid, BankUntrusted, SealInvalid, EnvelopeInvalid, SignatureInvalid.
    """
    content = _read_file(path)
    plain = identity.unseal(content[len(_MAGIC) :])
    envelope, payload = _split(plain)
    signer = claimed_signer(envelope)
    bank = next((bank for bank in trusted_banks if bank.fingerprint == signer), None)
    if bank is None:
        raise BankUntrusted("signed by a bank that is not registered here", found=signer)
    header = _parse_header(open_envelope(envelope, PAYLOAD_TYPE, bank))
    if (header.bank, header.bureau) != (bank.fingerprint, identity.public.fingerprint):
        raise HandoverInvalid("the header names another bank or bureau")
    if hashlib.sha256(payload).hexdigest() != header.payload_sha256:
        raise HandoverInvalid("the rows are not those that the header's hash names")
    records = _decode_payload(payload)
    if records.num_rows != header.rows:
        raise HandoverInvalid("the number of rows is not the header's")
    try:
        labels = pack_labels([whole_column(records, name) for name in LABEL_FIELDS], header.label_width)
    except InputError as error:
        raise HandoverInvalid(f"a row's fields are no label: {error.detail}") from None
    return Handover(header, bank, hashlib.sha256(content).hexdigest(), envelope, records, labels)


def _encode_payload(records: Iterable[pa.RecordBatch]) -> tuple[bytes, int]:
    """The matched rows as an Arrow IPC stream of HANDOVER_SCHEMA, and their number."""
    sink, rows = pa.BufferOutputStream(), 0
    with pa.ipc.new_stream(sink, HANDOVER_SCHEMA) as writer:
        for batch in records:
            matched = batch.filter(batch["matched"])
            columns = {name: matched[name] for name in HANDOVER_SCHEMA.names}
            columns["item"] = columns["item"].cast(pa.binary()).cast(pa.binary(ITEM_BYTES))
            columns["name"] = columns["name"].fill_null("")
            writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=HANDOVER_SCHEMA))
            rows += matched.num_rows
    return sink.getvalue().to_pybytes(), rows


def _decode_payload(payload: bytes) -> pa.Table:
    try:
        records = pa.Table.from_batches(read_batches(pa.py_buffer(payload), HANDOVER_SCHEMA), HANDOVER_SCHEMA)
        records.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise HandoverInvalid(f"the rows cannot be read: {type(error).__name__}") from None
    if any(column.null_count for column in records.columns):
        raise HandoverInvalid("a row has an empty cell")
    return records


def whole_column(table: pa.Table, name: str) -> Any:
    """A column as one array of its type, starting at its first row."""
    return pa.concat_arrays([*table[name].chunks, pa.array([], table.schema.field(name).type)])


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise HandoverInvalid("the file is larger than any hand-over", file=path.name)
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", file=path.name) from None
    if not content.startswith(_MAGIC):
        raise HandoverInvalid("not a hand-over of version 1", file=path.name)
    return content


def _split(plain: bytes) -> tuple[bytes, bytes]:
    """(envelope, payload) of the unsealed content."""
    if len(plain) < _LENGTH.size:
        raise HandoverInvalid("the file is cut")
    (length,) = _LENGTH.unpack_from(plain)
    end = _LENGTH.size + length
    if len(plain) < end:
        raise HandoverInvalid("the file is cut")
    return plain[_LENGTH.size : end], plain[end:]


def _parse_header(payload: bytes) -> HandoverHeader:
    try:
        parse_object(payload, HandoverHeader.model_fields, max_bytes=MAX_ENVELOPE_BYTES)  # no member twice
        return HandoverHeader.model_validate_json(payload)
    except JsonInvalid as error:
        raise HandoverInvalid(f"the header is not that of a hand-over: {error.detail}") from None
    except ValidationError as error:
        field, message = first_fault(error)
        raise HandoverInvalid(f"the header is not that of a hand-over: {field}: {message}") from None
