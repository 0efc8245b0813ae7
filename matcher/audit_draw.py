"""The auditor's draw: which positions of an exchange record the bank must open.

The positions follow from the record, which the bank signed before, and from a seed that only the auditor
knew until then; so neither side chooses them, and anybody can recompute them.
docs/reference/signed-documents.md has the format.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import cast

from keys.clock import format_time, parse_time
from keys.envelope import open_envelope, sign_envelope, unverified_payload
from keys.identity import Identity, IdentityKind, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_members, require_text
from matcher.exchange_record import ExchangeRecord
from psi.errors import InputError

DRAW_TYPE = "application/vnd.mingce.audit-draw+json"
DRAW_FORMAT = "mingce-audit-draw/1"
SEED_BYTES = 32
MAX_OPENINGS = 10_000
MAX_DRAW_BYTES = 16 * 1024

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEMBERS = ("format", "auditor", "bank", "record_sha256", "elements", "openings", "seed", "drawn_at")


class DrawInvalid(InputError):
    """Bytes are no draw of format mingce-audit-draw/1, or it does not fit its record."""

    code = "draw_invalid"


@dataclass(frozen=True)
class Draw:
    """``elements`` is the record's sum: what is drawn from; ``bank`` and digests are lower-case hex."""

    auditor: PublicIdentity
    bank: str
    record_sha256: str
    elements: int
    openings: int
    seed: bytes
    drawn_at: datetime

    @property
    def positions(self) -> list[int]:
        """The drawn positions, rising: places in the record's batches laid end to end, padding included."""
        return draw_positions(self.seed, self.record_sha256, self.elements, self.openings)


def openings_needed(share: float, confidence: float) -> int:
    """How many openings find at least one of a ``share`` of false positions with probability ``confidence``.

    The smallest m with 1 - (1 - share)^m >= confidence; drawing without replacement finds them at least as
    surely. 1 % and 95 % need 299. Raises InputError.
    """
    if not 0 < share < 1 or not 0 < confidence < 1:
        raise InputError("share and confidence lie between 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log(1 - share))


def detection(openings: int, share: float) -> float:
    """With which probability so many openings find at least one of a ``share`` of false positions."""
    return 1 - (1 - share) ** openings


def draw_positions(seed: bytes, record_sha256: str, elements: int, openings: int) -> list[int]:
    """``openings`` distinct numbers below ``elements`` (all, if there are no more), uniform and rising.

    Rejection sampling from SHAKE-256("mingce/1 audit draw" ‖ 0x00 ‖ seed ‖ record's SHA-256), eight bytes at a time.
    """
    if openings >= elements:
        return list(range(elements))
    limit = 2**64 - 2**64 % elements
    chosen: set[int] = set()
    for number in _numbers(b"mingce/1 audit draw\x00" + seed + bytes.fromhex(record_sha256)):
        if number < limit:
            chosen.add(number % elements)
        if len(chosen) == openings:
            break
    return sorted(chosen)


def locate(record: ExchangeRecord, position: int) -> tuple[int, int]:
    """(index of the batch in the record, place in its request) of a position."""
    ends = list(accumulate(batch.elements for batch in record.batches))
    index = next(index for index, end in enumerate(ends) if position < end)
    return index, position - (ends[index] - record.batches[index].elements)


def sign_draw(draw: Draw, auditor: Identity) -> bytes:
    """The draw file: signed by the auditor, whose public key is in it."""
    document = {
        "format": DRAW_FORMAT,
        "auditor": {
            "name": draw.auditor.name,
            "kind": draw.auditor.kind,
            "verify_key": draw.auditor.verify_key.hex(),
        },
        "bank": draw.bank,
        "record_sha256": draw.record_sha256,
        "elements": draw.elements,
        "openings": draw.openings,
        "seed": draw.seed.hex(),
        "drawn_at": format_time(draw.drawn_at),
    }
    payload = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return sign_envelope(auditor, DRAW_TYPE, payload)


def open_draw(envelope: bytes) -> tuple[Draw, str]:
    """(the draw, its SHA-256), signed by the auditor that it names.

    Whether that is the right auditor is for whoever approves the opening. Raises DrawInvalid,
    IdentityInvalid, EnvelopeInvalid, UntrustedSigner, SignatureInvalid.
    """
    draw = _parse(unverified_payload(envelope, max_bytes=MAX_DRAW_BYTES))
    payload = open_envelope(envelope, DRAW_TYPE, draw.auditor, max_bytes=MAX_DRAW_BYTES)
    return draw, hashlib.sha256(payload).hexdigest()


def _parse(payload: bytes) -> Draw:
    try:
        found = parse_object(payload, _MEMBERS, max_bytes=MAX_DRAW_BYTES)
        auditor = require_members(found["auditor"], ("name", "kind", "verify_key"))
        texts = {name: require_text(found[name]) for name in ("format", "bank", "record_sha256", "seed", "drawn_at")}
        key = require_text(auditor["verify_key"])
        elements, openings = found["elements"], found["openings"]
        if texts["format"] != DRAW_FORMAT:
            raise DrawInvalid("not a mingce-audit-draw/1 document")
        if not all(_SHA256.fullmatch(value) for value in (texts["bank"], texts["record_sha256"], texts["seed"], key)):
            raise DrawInvalid("a member is not 64 lower-case hex digits")
        if type(elements) is not int or type(openings) is not int or not 1 <= openings <= MAX_OPENINGS or elements < 1:
            raise DrawInvalid("a number is out of range")
        identity = PublicIdentity(
            require_text(auditor["name"]), cast(IdentityKind, require_text(auditor["kind"])), bytes.fromhex(key)
        )
        return Draw(
            identity,
            texts["bank"],
            texts["record_sha256"],
            elements,
            openings,
            bytes.fromhex(texts["seed"]),
            parse_time(texts["drawn_at"]),
        )
    except JsonInvalid as error:
        raise DrawInvalid(error.detail) from None
    except ValueError:
        raise DrawInvalid("a time is not of the form 2026-01-05T09:00:00Z") from None


def _numbers(hashed: bytes) -> Iterator[int]:
    """The 64-bit numbers of SHAKE-256's endless output, which is asked for in doubling lengths."""
    stream, done, length = hashlib.shake_256(hashed), 0, 8 * 1024
    while True:
        digest = stream.digest(length)
        for start in range(done, length, 8):
            yield int.from_bytes(digest[start : start + 8], "big")
        done, length = length, 2 * length
