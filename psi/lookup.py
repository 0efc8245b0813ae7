"""Looking customers up in the divisions of an edition, a delta's over its base's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psi import _native
from psi.columns import data_of, find_positions, pc
from psi.edition import TOMBSTONE, Manifest, Slice


@dataclass(frozen=True)
class Overlay:
    """One division of a delta edition: what it says of a tag counts before what the ``base`` says.

    A row of ``delta`` with the version TOMBSTONE takes the tag out.
    """

    base: Slice
    delta: Slice


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


def find_labels(divisions: Sequence[Slice | Overlay], outputs: bytes, manifest: Manifest) -> Matches:
    """Look PRF outputs (n*64 bytes) up in an edition's divisions and open the labels found.

    An item is listed under one division only; should a sender list it twice, the first one counts.
    Raises LabelInvalid if a label does not open: then the edition is not what its manifest says.
    """
    width, sealed_width = manifest.label.width, manifest.label.sealed_width
    tags = _native.derive_tags(outputs, dataset=manifest.dataset, epoch=manifest.epoch)
    taken: dict[int, tuple[int, _Rows, int]] = {}
    for number, division in enumerate(divisions):
        for position, (part, row) in _find_rows(division, tags).items():
            taken.setdefault(position, (number, part, row))
    positions = sorted(taken)
    versions, sealed, found = bytearray(), bytearray(), bytearray()
    for position in positions:
        _, part, row = taken[position]
        versions += part.versions[row * 4 : row * 4 + 4]
        sealed += part.sealed_labels[row * sealed_width : (row + 1) * sealed_width]
        found += outputs[position * 64 : position * 64 + 64]
    labels, receipts = _native.open_labels(
        found, sealed, versions, width, dataset=manifest.dataset, epoch=manifest.epoch
    )
    return Matches(positions, [taken[p][0] for p in positions], bytes(versions), labels, receipts)


class _Rows(NamedTuple):
    """A slice's columns but its tags, as bytes to cut from."""

    versions: memoryview
    sealed_labels: memoryview


def _find_rows(division: Slice | Overlay, tags: bytes) -> dict[int, tuple[_Rows, int]]:
    """By position in ``tags``, the row that counts in one division."""
    base, delta = (division.base, division.delta) if isinstance(division, Overlay) else (division, None)
    found = _find_in(base, tags)
    if delta is None:
        return found
    for position, (part, row) in _find_in(delta, tags).items():
        if int.from_bytes(part.versions[row * 4 : row * 4 + 4], "little") == TOMBSTONE:
            found.pop(position, None)
        else:
            found[position] = (part, row)
    return found


def _find_in(part: Slice, tags: bytes) -> dict[int, tuple[_Rows, int]]:
    """The rows of one slice. Most queries are in no given slice, so only those found become Python's."""
    columns = _Rows(memoryview(part.versions).cast("B"), memoryview(part.sealed_labels).cast("B"))
    rows = find_positions(part.tags, tags)
    places = pc.indices_nonzero(pc.is_valid(rows))
    numbers = memoryview(data_of(rows.take(places))).cast("q")
    return {place: (columns, row) for place, row in zip(memoryview(data_of(places)).cast("Q"), numbers, strict=True)}
