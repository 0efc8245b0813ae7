"""Which rows of a hand-over are refused: another county's, without the province's receipt, or canaries."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from matcher.handover import Handover, whole_column
from psi.columns import fixed
from psi.errors import MingceError, VerificationError
from psi.receipts import find_sound_receipts

FOREIGN_DIVISION = "foreign_division"
RECEIPT_INVALID = "receipt_invalid"
CANARY = "canary"


class ReceiptKeyMissing(MingceError):
    """The province's receipt keys for these divisions have not been stored yet; nothing was imported."""

    code = "receipt_key_missing"


class RowsRefused(VerificationError):
    """Rows of a hand-over were refused; the others were imported. Only ever an alarm, never raised."""

    code = "handover_rows_refused"


class CanaryFound(VerificationError):
    """A hand-over holds canaries with the province's own receipts: the bank asked for numbers of no customer.

    Only ever an alarm, never raised; those rows were refused.
    """

    code = "canary_found"


def find_refusals(
    handover: Handover, own: frozenset[str], receipt_keys: Mapping[str, bytes], canaries: Collection[str]
) -> pa.Array[Any]:
    """For each row why it is refused, or null. Raises ReceiptKeyMissing.

    A canary's row is one only if its receipt is sound: nobody can blame a bank without the province's own mark.
    """
    records, header = handover.records, handover.header
    counties = pc.utf8_slice_codeunits(whole_column(records, "division"), 0, 6)
    needed = own.intersection(str(county) for county in counties.unique().to_pylist())
    missing = sorted(needed - set(receipt_keys)) if receipt_keys else sorted(own)
    if missing:
        raise ReceiptKeyMissing(
            "receipt keys are missing", dataset=header.dataset, epoch=header.epoch, divisions=missing
        )
    labels = fixed(handover.labels, header.label_width)
    sound: list[pa.Array[Any]] = [pa.array([], pa.uint64())]
    for division in sorted(needed):
        rows = pc.indices_nonzero(pc.equal(counties, pa.scalar(division)))
        part = records.take(rows)
        is_sound = find_sound_receipts(
            receipt_keys[division],
            whole_column(part, "item"),
            whole_column(part, "row_version"),
            labels.take(rows),
            whole_column(part, "receipt"),
            dataset=header.dataset,
            epoch=header.epoch,
        )
        sound.append(rows.filter(is_sound))
    everything = pa.array(range(records.num_rows), pa.uint64())
    is_own = pc.is_in(counties, value_set=pa.array(sorted(own), pa.string()))
    reason = pc.if_else(is_own, pa.scalar(RECEIPT_INVALID), pa.scalar(FOREIGN_DIVISION))
    accepted = pc.is_in(everything, value_set=pa.concat_arrays(sound))
    households = whole_column(records, "household_no")
    is_canary = pc.is_in(households, value_set=pa.array(sorted(canaries), pa.string()))
    sound_reason = pc.if_else(is_canary, pa.scalar(CANARY), pa.scalar(None, pa.string()))
    refused: pa.Array[Any] = pc.if_else(accepted, sound_reason, reason)
    return refused
