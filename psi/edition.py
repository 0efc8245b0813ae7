"""Editions: the manifest that describes one, its slices, and the labels in them.

The formats are written down in docs/reference/edition.md. Everything here works on
buffers that the caller has read or mapped; signatures belong to keys.envelope, files
to matcher.slices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from psi import _native
from psi.arrowipc import read_batches
from psi.columns import Column, data_of, fixed, pc, required_schema
from psi.errors import InputError, VerificationError
from psi.identifiers import NORMALISER
from psi.suites import RISTRETTO255_SHA512

FORMAT: Literal["mingce-edition/1"] = "mingce-edition/1"
PAYLOAD_TYPE = "application/vnd.mingce.manifest+json"
SLICE_MEDIA_TYPE = "application/vnd.apache.arrow.file"
TAG_BYTES = 16
_FILE_HEAD_BYTES = 8  # before the stream in an Arrow file
RECEIPT_BYTES = 16
SEAL_OVERHEAD = RECEIPT_BYTES + 16  # the receipt, and the tag of ChaCha20-Poly1305
DEFAULT_LABEL_WIDTH = 64
DEFAULT_BUCKET = 1_024
_PLACE = re.compile(r"[a-z_]{1,32}(256)?|[0-9]{1,6}")  # a member's name or a position; nothing like an ID number
TOMBSTONE = 0  # the version of a row that takes one out; row versions begin at 1
RECEIPT_SCHEME: Literal["hmac-sha512/16"] = "hmac-sha512/16"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
SchemaName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,55}/[1-9][0-9]{0,3}$")]  # its name / its version
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Division = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Number = Annotated[int, Field(ge=1, le=999_999_999)]  # of an edition
Size = Annotated[int, Field(ge=0, le=10**12)]


def _existing(moment: str) -> str:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        raise ValueError("there is no such moment") from None
    return moment


Moment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"), AfterValidator(_existing)
]


Data = bytes | pa.Buffer


class ManifestInvalid(VerificationError):
    """A manifest does not follow docs/reference/edition.md, or asks for what we do not speak."""

    code = "manifest_invalid"


class SliceInvalid(VerificationError):
    """A slice's bytes are not a slice of the expected shape."""

    code = "slice_invalid"


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LabelSchema(_Document):
    """How a label's bytes are laid out, and whether a receipt follows them."""

    schema_name: SchemaName = Field("kuozhong/1", alias="schema")
    width: Annotated[int, Field(ge=8, le=4_096)] = DEFAULT_LABEL_WIDTH
    fields: tuple[Name, ...] = ("household_no", "household_size", "division", "expanding", "reasons")
    receipt: Literal["hmac-sha512/16"] | None = RECEIPT_SCHEME

    @property
    def sealed_width(self) -> int:
        return self.width + SEAL_OVERHEAD


class SliceEntry(_Document):
    """One slice as the manifest lists it; ``rows`` counts the dummies too."""

    division: Division
    file: Annotated[str, Field(pattern=r"^[0-9]{6}\.arrow$")]
    rows: Size
    bucket: Annotated[int, Field(ge=1, le=10**12)]
    bytes: Size
    sha256: Hex32


class BaseReference(_Document):
    """The full edition that a delta edition changes."""

    edition: Number
    manifest_sha256: Hex32


class Manifest(_Document):
    """The signed description of one edition. A delta's slices hold only what differs from its ``base``."""

    format: Literal["mingce-edition/1"] = FORMAT
    suite: Literal["ristretto255-SHA512"] = "ristretto255-SHA512"
    mode: Annotated[int, Field(ge=1, le=1)] = 1  # no Literal: that takes true for 1
    dataset: Name
    epoch: Name
    edition: Number
    kind: Literal["full", "delta"] = "full"
    base: BaseReference | None = None
    public_key: Hex32
    fingerprint: Hex32
    normaliser: Literal["gb11643/1"] = NORMALISER
    created_at: Moment
    not_before: Moment
    not_after: Moment
    label: LabelSchema
    divisions: dict[str, str]
    slices: tuple[SliceEntry, ...]
    previous: Hex32 | None

    def encode(self) -> bytes:
        return self.model_dump_json(by_alias=True).encode()

    def get_slice(self, division: str) -> SliceEntry:
        """The entry of one division. Raises InputError if the edition has none."""
        for entry in self.slices:
            if entry.division == division:
                return entry
        raise InputError("the edition has no slice for this division", division=division)

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.slices)


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where a stranger's document fails first, and how. A name that could be the stranger's own is not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    parts = [str(part) for part in first["loc"]]
    return ".".join(part if _PLACE.fullmatch(part) else "?" for part in parts), first["msg"]


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A member that stands twice would let two banks read one signed manifest in two ways."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ManifestInvalid("a member stands twice")
    return members


def parse_manifest(payload: bytes) -> Manifest:
    """Read a manifest's payload strictly. Raises ManifestInvalid naming the first faulty field."""
    try:
        json.loads(payload, object_pairs_hook=_unique_members)
    except (ValueError, RecursionError):
        raise ManifestInvalid("not JSON") from None
    try:
        manifest = Manifest.model_validate_json(payload)
    except ValidationError as error:
        field, message = first_fault(error)
        raise ManifestInvalid(f"{field}: {message}", field=field) from None
    if manifest.fingerprint != RISTRETTO255_SHA512.key_fingerprint(bytes.fromhex(manifest.public_key)):
        raise ManifestInvalid("the fingerprint is not that of the public key", field="fingerprint")
    if (manifest.kind == "delta") != (manifest.base is not None):
        raise ManifestInvalid("a delta names its base, a full edition none", field="base")
    if manifest.base is not None and manifest.base.edition >= manifest.edition:
        raise ManifestInvalid("the base is not an earlier edition", field="base")
    divisions = [entry.division for entry in manifest.slices]
    if divisions != sorted(set(divisions)):
        raise ManifestInvalid("slices are not in order, or one stands twice", field="slices")
    return manifest


@dataclass(frozen=True)
class Slice:
    """One division's rows, ordered by tag: three parallel columns as contiguous buffers.

    ``tags`` is rows*16 bytes, ``versions`` rows little-endian u32, ``sealed_labels`` rows*(label width + 32).
    """

    rows: int
    tags: pa.Buffer
    versions: pa.Buffer
    sealed_labels: pa.Buffer


def slice_schema(label_width: int) -> pa.Schema:
    columns: dict[str, pa.DataType] = {
        "tag": pa.binary(TAG_BYTES),
        "version": pa.uint32(),
        "sealed_label": pa.binary(label_width + SEAL_OVERHEAD),
    }
    return required_schema(columns)


def order_tags(tags: Data) -> tuple[bytes, bytes]:
    """The ascending order of n tags (n little-endian u32) and the tags in it.

    Raises InputError if two are the same: the same item twice.
    """
    order = _native.sort_order(tags, TAG_BYTES)
    ordered = _native.take_rows(tags, TAG_BYTES, order)
    column = fixed(ordered, TAG_BYTES)
    if pc.any(pc.equal(column[1:], column[:-1])).as_py():
        raise InputError("two rows of a slice share one tag")
    return order, ordered


def sorted_slice(tags: Data, versions: Data, sealed_labels: Data, label_width: int) -> Slice:
    """A slice of rows in any order. Raises InputError if two rows share one tag."""
    order, ordered = order_tags(tags)
    return Slice(
        len(order) // 4,
        pa.py_buffer(ordered),
        pa.py_buffer(_native.take_rows(versions, 4, order)),
        pa.py_buffer(_native.take_rows(sealed_labels, label_width + SEAL_OVERHEAD, order)),
    )


def write_slice(sink: pa.NativeFile, rows: Slice, label_width: int) -> None:
    """Write a slice's Arrow IPC file: uncompressed, one record batch, so that it can be mapped."""
    schema = slice_schema(label_width)
    buffers = (rows.tags, rows.versions, rows.sealed_labels)
    columns = [
        pa.Array.from_buffers(field.type, rows.rows, [None, buffer])
        for field, buffer in zip(schema, buffers, strict=True)
    ]
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def parse_slice(content: pa.Buffer, label_width: int) -> Slice:
    """Read a slice in place, without copying. Raises SliceInvalid."""
    try:
        reader = pa.ipc.open_file(pa.BufferReader(content))
        if reader.schema != slice_schema(label_width) or reader.num_record_batches != 1:
            raise SliceInvalid("not the schema of a slice, or not one record batch")
        (batch,) = read_batches(content.slice(_FILE_HEAD_BYTES), reader.schema)
        batch.validate(full=True)
    except (pa.ArrowException, ValueError, OSError) as error:  # ValueError: another number of batches than the footer's
        raise SliceInvalid(f"not an Arrow file: {type(error).__name__}") from None
    if any(column.null_count or column.offset for column in batch.columns):
        raise SliceInvalid("a slice has a null")
    return Slice(batch.num_rows, *(data_of(column) for column in batch.columns))


def pack_labels(columns: Sequence[Column], label_width: int) -> bytes:
    """Labels (n*label_width bytes) from string columns, one for each field of the schema, all of one length."""
    return _native.pack_labels([string_buffers(column) for column in columns], label_width)


def unpack_labels(labels: bytes, schema: LabelSchema) -> dict[str, Column]:
    """String columns from labels: the inverse of :func:`pack_labels`."""
    parts = _native.unpack_labels(labels, schema.width, len(schema.fields))
    rows = len(labels) // schema.width
    return {
        name: pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))
        for name, (offsets, data) in zip(schema.fields, parts, strict=True)
    }


def string_buffers(column: Column | pa.ChunkedArray[Any]) -> tuple[pa.Buffer, pa.Buffer]:
    """A string column without nulls as (int32 offsets starting at 0, UTF-8 data)."""
    whole: Column = column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
    if whole.null_count:
        raise InputError("a label column has an empty cell")
    if whole.offset:
        whole = pa.concat_arrays([whole, whole[:0]])  # a copy that starts at offset 0
    _, offsets, data = whole.buffers()
    if offsets is None:
        return pa.py_buffer(bytes(4)), pa.py_buffer(b"")
    return offsets.slice(0, 4 * (len(whole) + 1)), data or pa.py_buffer(b"")
