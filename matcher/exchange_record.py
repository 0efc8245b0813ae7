"""The exchange record: which batches a bank sent in a run, as both sides sign it afterwards.

The bank signs it, the province compares it with its own charges and countersigns it. It names every
batch by the digests of its two bodies (psi.transcript), so that neither side can later show other
batches, and it tells the province nothing that it did not see: padded sizes, no names, no counts of
customers. docs/reference/signed-documents.md has the format.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime

from keys.clock import format_time, parse_time
from keys.epochs import check_name
from keys.strictjson import parse_object, require_text
from psi.errors import InputError
from psi.oprf import MAX_BATCH

RECORD_TYPE = "application/vnd.mingce.exchange-record+json"
RECORD_FORMAT = "mingce-exchange-record/1"
MAX_RECORD_BATCHES = 512  # a run over a million customers has 245; a longer one leaves several records
MAX_RECORD_BYTES = 256 * 1024  # of the envelope, with both signatures

_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEMBERS = (
    "format",
    "bank",
    "run",
    "warrant_sha256",
    "dataset",
    "epoch",
    "edition",
    "manifest_sha256",
    "signed_at",
    "batches",
    "elements",
)


class RecordInvalid(InputError):
    """Bytes are no exchange record of format mingce-exchange-record/1."""

    code = "record_invalid"


@dataclass(frozen=True)
class RecordedBatch:
    """One batch: ``elements`` with padding; ``answer_sha256`` is None where the bank kept no answer."""

    request_id: str
    elements: int
    request_sha256: str
    answer_sha256: str | None


@dataclass(frozen=True)
class ExchangeRecord:
    """What both sides sign. ``bank`` is a fingerprint, digests are lower-case hex SHA-256."""

    bank: str
    run_id: str
    warrant_sha256: str
    dataset: str
    epoch: str
    edition: int
    manifest_sha256: str
    signed_at: datetime
    batches: tuple[RecordedBatch, ...]

    @property
    def elements(self) -> int:
        """All that was sent, with padding: what an auditor draws positions from."""
        return sum(batch.elements for batch in self.batches)


def record_sha256(payload: bytes) -> str:
    """How a record is named: the digest of the signed bytes."""
    return hashlib.sha256(payload).hexdigest()


def encode_record(record: ExchangeRecord) -> bytes:
    """The payload that is signed: canonical JSON."""
    document = {
        "format": RECORD_FORMAT,
        "bank": record.bank,
        "run": record.run_id,
        "warrant_sha256": record.warrant_sha256,
        "dataset": record.dataset,
        "epoch": record.epoch,
        "edition": record.edition,
        "manifest_sha256": record.manifest_sha256,
        "signed_at": format_time(record.signed_at),
        "batches": [
            [batch.request_id, batch.elements, batch.request_sha256, batch.answer_sha256] for batch in record.batches
        ],
        "elements": record.elements,
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def decode_record(payload: bytes) -> ExchangeRecord:
    """The inverse of :func:`encode_record`. Raises RecordInvalid."""
    try:
        found = parse_object(payload, _MEMBERS, max_bytes=MAX_RECORD_BYTES)
        if found["format"] != RECORD_FORMAT:
            raise RecordInvalid("not a mingce-exchange-record/1 document")
        batches = found["batches"]
        if not isinstance(batches, list) or not 1 <= len(batches) <= MAX_RECORD_BATCHES:
            raise RecordInvalid(f"a record has 1 to {MAX_RECORD_BATCHES} batches")
        dataset, epoch = require_text(found["dataset"]), require_text(found["epoch"])
        check_name(dataset, "dataset")
        check_name(epoch, "epoch")
        record = ExchangeRecord(
            bank=_hex(found["bank"], _SHA256),
            run_id=_hex(found["run"], _ID),
            warrant_sha256=_hex(found["warrant_sha256"], _SHA256),
            dataset=dataset,
            epoch=epoch,
            edition=_integer(found["edition"], 1, 10**9),
            manifest_sha256=_hex(found["manifest_sha256"], _SHA256),
            signed_at=parse_time(require_text(found["signed_at"])),
            batches=tuple(_batch(entry) for entry in batches),
        )
    except RecordInvalid:
        raise
    except InputError as error:  # no strict JSON, or no name of a dataset or epoch
        raise RecordInvalid(error.detail) from None
    except ValueError:
        raise RecordInvalid("a time is not of the form 2026-01-05T09:00:00Z") from None
    if len({batch.request_id for batch in record.batches}) != len(record.batches):
        raise RecordInvalid("a batch stands twice")
    if found["elements"] != record.elements or type(found["elements"]) is not int:
        raise RecordInvalid("the sum of the elements is wrong")
    return record


def _batch(entry: object) -> RecordedBatch:
    if not isinstance(entry, list) or len(entry) != 4:
        raise RecordInvalid("a batch is request id, elements, and two digests")
    request_id, elements, request, answer = entry
    return RecordedBatch(
        _hex(request_id, _ID),
        _integer(elements, 1, MAX_BATCH),
        _hex(request, _SHA256),
        None if answer is None else _hex(answer, _SHA256),
    )


def _hex(value: object, pattern: re.Pattern[str]) -> str:
    text = require_text(value)
    if not pattern.fullmatch(text):
        raise RecordInvalid("an id or a digest is not lower-case hex of its length")
    return text


def _integer(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise RecordInvalid("a number is out of range")
    return value
