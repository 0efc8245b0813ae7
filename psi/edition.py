"""Editions: the manifest that describes one, its slices, and looking a customer up in them.

The formats are written down in docs/reference/edition.md. Everything here works on
buffers that the caller has read or mapped; signatures belong to keys.envelope, files
to matcher.slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from psi import _native
from psi.columns import Column, data_of, fixed, pc, required_schema
from psi.errors import InputError, VerificationError
from psi.identifiers import NORMALISER
from psi.suites import RISTRETTO255_SHA512

FORMAT: Literal["mingce-edition/1"] = "mingce-edition/1"
PAYLOAD_TYPE = "application/vnd.mingce.manifest+json"
SLICE_MEDIA_TYPE = "application/vnd.apache.arrow.file"
TAG_BYTES = 16
RECEIPT_BYTES = 16
SEAL_OVERHEAD = RECEIPT_BYTES + 16  # the receipt, and the tag of ChaCha20-Poly1305
DEFAULT_LABEL_WIDTH = 64
DEFAULT_BUCKET = 1_024
RECEIPT_SCHEME: Literal["hmac-sha512/16"] = "hmac-sha512/16"

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Division = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


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

    schema_name: Name | Literal["kuozhong/1"] = Field("kuozhong/1", alias="schema")
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
    rows: Annotated[int, Field(ge=0)]
    bucket: Annotated[int, Field(ge=1)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Hex32


class Manifest(_Document):
    """The signed description of one edition."""

    format: Literal["mingce-edition/1"] = FORMAT
    suite: Literal["ristretto255-SHA512"] = "ristretto255-SHA512"
    mode: Literal[1] = 1
    dataset: Name
    epoch: Name
    edition: Annotated[int, Field(ge=1)]
    kind: Literal["full"] = "full"
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


def parse_manifest(payload: bytes) -> Manifest:
    """Read a manifest's payload strictly. Raises ManifestInvalid naming the first faulty field."""
    try:
        manifest = Manifest.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ManifestInvalid(f"{field}: {first['msg']}", field=field) from None
    if manifest.fingerprint != RISTRETTO255_SHA512.key_fingerprint(bytes.fromhex(manifest.public_key)):
        raise ManifestInvalid("the fingerprint is not that of the public key", field="fingerprint")
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


def sorted_slice(tags: Data, versions: Data, sealed_labels: Data, label_width: int) -> Slice:
    """Order rows by tag. Raises InputError if two rows share one (the same item twice)."""
    order = _native.sort_order(tags, TAG_BYTES)
    tags = _native.take_rows(tags, TAG_BYTES, order)
    column = fixed(tags, TAG_BYTES)
    if pc.any(pc.equal(column[1:], column[:-1])).as_py():
        raise InputError("two rows of a slice share one tag")
    return Slice(
        len(column),
        pa.py_buffer(tags),
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
        batch = reader.get_batch(0)
        batch.validate(full=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise SliceInvalid(f"not an Arrow file: {type(error).__name__}") from None
    if any(column.null_count or column.offset for column in batch.columns):
        raise SliceInvalid("a slice has a null")
    return Slice(batch.num_rows, *(data_of(column) for column in batch.columns))


@dataclass(frozen=True)
class Matches:
    """The items found in an edition, in the order of the query.

    ``positions[i]`` is the index in the query of the i-th match, ``slices[i]`` the index of the slice it
    was found in; ``versions`` little-endian u32, ``labels`` n*label width, ``receipts`` n*16 bytes.
    """

    positions: list[int]
    slices: list[int]
    versions: bytes
    labels: bytes
    receipts: bytes


def find_labels(slices: Sequence[Slice], outputs: bytes, manifest: Manifest) -> Matches:
    """Look PRF outputs (n*64 bytes) up in an edition's slices and open the labels found.

    An item is listed under one division only; should a sender list it twice, the first slice counts.
    Raises LabelInvalid if a label does not open: then the edition is not what its manifest says.
    """
    width = manifest.label.width
    tags = _native.derive_tags(outputs, dataset=manifest.dataset, epoch=manifest.epoch)
    taken: dict[int, tuple[int, int]] = {}
    for number, part in enumerate(slices):
        rows = memoryview(_native.find_tags(part.tags, tags)).cast("q")
        for position, row in enumerate(rows):
            if row >= 0:
                taken.setdefault(position, (number, row))
    positions = sorted(taken)
    versions, sealed, found = bytearray(), bytearray(), bytearray()
    sealed_width = manifest.label.sealed_width
    views = [(memoryview(s.versions).cast("B"), memoryview(s.sealed_labels).cast("B")) for s in slices]
    for position in positions:
        number, row = taken[position]
        version_view, sealed_view = views[number]
        versions += version_view[row * 4 : row * 4 + 4]
        sealed += sealed_view[row * sealed_width : (row + 1) * sealed_width]
        found += outputs[position * 64 : position * 64 + 64]
    labels, receipts = _native.open_labels(
        found, sealed, versions, width, dataset=manifest.dataset, epoch=manifest.epoch
    )
    return Matches(positions, [taken[p][0] for p in positions], bytes(versions), labels, receipts)


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
