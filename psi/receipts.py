"""Receipts: does a row really carry a label that the sender issued (docs/reference/protocol.md section 2)?"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from psi import _native
from psi.columns import data_of, fixed
from psi.edition import RECEIPT_BYTES


def make_receipts(
    key: bytes,
    items: pa.FixedSizeBinaryArray,
    versions: pa.UInt32Array,
    labels: pa.FixedSizeBinaryArray,
    *,
    dataset: str,
    epoch: str,
) -> pa.FixedSizeBinaryArray:
    """The receipt of 16 bytes that ``key`` (32 bytes) gives for each row's item, version and label."""
    receipts = _native.receipts(
        key,
        data_of(items),
        items.type.byte_width,
        data_of(versions),
        data_of(labels),
        labels.type.byte_width,
        dataset=dataset,
        epoch=epoch,
    )
    return fixed(receipts, RECEIPT_BYTES)


def find_sound_receipts(
    key: bytes,
    items: pa.FixedSizeBinaryArray,
    versions: pa.UInt32Array,
    labels: pa.FixedSizeBinaryArray,
    receipts: pa.FixedSizeBinaryArray,
    *,
    dataset: str,
    epoch: str,
) -> pa.BooleanArray:
    """For each row whether its receipt is the one that ``key`` gives."""
    return pc.equal(receipts, make_receipts(key, items, versions, labels, dataset=dataset, epoch=epoch))
