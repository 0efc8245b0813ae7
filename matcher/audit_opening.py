"""The opening: what a bank shows of the drawn positions, signed by the bank and sealed to the auditor.

    file    = "MCAO" ‖ 0x01 ‖ crypto_box_seal(auditor, I2OSP(len(envelope), 4) ‖ envelope ‖ requests)

The signed envelope names item, scalar and file reference of each drawn position; ``requests`` are the
bodies, end to end, of the batches that hold them: without the whole body nobody could compare the digest
that both sides signed. The other elements in a body stay blinded. docs/reference/signed-documents.md.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from typing import Literal, cast, get_args

from keys.envelope import open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_text
from psi.errors import VerificationError
from psi.identifiers import ITEM_BYTES
from psi.opening import Blinding

OPENING_TYPE = "application/vnd.mingce.audit-opening+json"
OPENING_FORMAT = "mingce-audit-opening/1"
MAX_OPENING_BYTES = 2 * 1024**3
MAX_HEADER_BYTES = 8 * 1024 * 1024

Kind = Literal["customer", "padding"]

_MAGIC = b"MCAO\x01"
_LENGTH = struct.Struct(">I")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEMBERS = ("format", "bank", "auditor", "draw_sha256", "record_sha256", "blinding", "approved_by", "lists",
            "requests", "positions")  # fmt: skip


class OpeningInvalid(VerificationError):
    """A file is no opening for this auditor, or not of this draw."""

    code = "opening_invalid"


@dataclass(frozen=True, repr=False)
class OpenedPosition:
    """One position as the bank opens it. ``item`` and ``row`` (in the customer file) are None for padding."""

    position: int
    kind: Kind
    scalar: bytes
    item: bytes | None
    row: int | None


@dataclass(frozen=True)
class ListReference:
    """The customer file that a batch's row numbers are about. ``sha256`` is None where the list came from no file."""

    name: str
    sha256: str | None


@dataclass(frozen=True, repr=False)
class Opening:
    """``requests`` gives a body's length by its batch's index in the record; ``lists`` the customer file likewise.

    ``approved_by`` are the names of the operators at the bank.
    """

    bank: str
    auditor: str
    draw_sha256: str
    record_sha256: str
    blinding: Blinding
    approved_by: tuple[str, ...]
    lists: dict[int, ListReference]
    requests: dict[int, int]
    positions: tuple[OpenedPosition, ...]


def seal_opening(opening: Opening, bodies: dict[int, bytes], bank: Identity, auditor: PublicIdentity) -> bytes:
    """The file's bytes. ``bodies`` are the requests by index, of the lengths that the opening states."""
    document = {
        "format": OPENING_FORMAT,
        "bank": opening.bank,
        "auditor": opening.auditor,
        "draw_sha256": opening.draw_sha256,
        "record_sha256": opening.record_sha256,
        "blinding": opening.blinding,
        "approved_by": list(opening.approved_by),
        "lists": [[index, one.name, one.sha256] for index, one in sorted(opening.lists.items())],
        "requests": [[index, length] for index, length in sorted(opening.requests.items())],
        "positions": [
            [one.position, one.kind, one.scalar.hex(), None if one.item is None else one.item.decode("ascii"), one.row]
            for one in opening.positions
        ],
    }
    payload = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    envelope = sign_envelope(bank, OPENING_TYPE, payload)
    plain = b"".join((_LENGTH.pack(len(envelope)), envelope, *(body for _, body in sorted(bodies.items()))))
    return _MAGIC + auditor.seal(plain)


def unseal_opening(content: bytes, auditor: Identity, bank: PublicIdentity) -> tuple[Opening, dict[int, bytes]]:
    """(the opening, the request bodies by index): signed by the bank, made for this auditor, nothing else checked.

    Raises OpeningInvalid, SealInvalid, EnvelopeInvalid, UntrustedSigner, SignatureInvalid.
    """
    if not content.startswith(_MAGIC) or len(content) > MAX_OPENING_BYTES:
        raise OpeningInvalid("not an opening of version 1")
    plain = auditor.unseal(content[len(_MAGIC) :])
    if len(plain) < _LENGTH.size:
        raise OpeningInvalid("the file is cut")
    end = _LENGTH.size + _LENGTH.unpack_from(plain)[0]
    payload = open_envelope(plain[_LENGTH.size : end], OPENING_TYPE, bank, max_bytes=MAX_HEADER_BYTES)
    opening = _parse(payload)
    if (opening.bank, opening.auditor) != (bank.fingerprint, auditor.public.fingerprint):
        raise OpeningInvalid("made by another bank, or for another auditor")
    bodies: dict[int, bytes] = {}
    for index, length in sorted(opening.requests.items()):
        bodies[index], end = plain[end : end + length], end + length
    if end != len(plain):
        raise OpeningInvalid("the requests are not as long as stated")
    return opening, bodies


def _parse(payload: bytes) -> Opening:
    try:
        found = parse_object(payload, _MEMBERS, max_bytes=MAX_HEADER_BYTES)
        texts = {
            name: require_text(found[name]) for name in ("format", "bank", "auditor", "draw_sha256", "record_sha256")
        }
        if texts.pop("format") != OPENING_FORMAT or not all(_SHA256.fullmatch(text) for text in texts.values()):
            raise OpeningInvalid("not a mingce-audit-opening/1 document")
        if found["blinding"] not in get_args(Blinding):
            raise OpeningInvalid("an unknown blinding")
        lists = {_number(i): ListReference(require_text(n), _digest(s)) for i, n, s in _entries(found["lists"], 3)}
        return Opening(
            **texts,
            blinding=cast(Blinding, found["blinding"]),
            approved_by=tuple(require_text(name) for name in _list(found["approved_by"])),
            lists=lists,
            requests={_number(index): _number(length) for index, length in _entries(found["requests"], 2)},
            positions=tuple(_position(entry) for entry in _entries(found["positions"], 5)),
        )
    except (JsonInvalid, ValueError):
        raise OpeningInvalid("the header is malformed") from None


def _position(entry: list[object]) -> OpenedPosition:
    position, kind, scalar, item, row = entry
    if kind not in get_args(Kind) or not (kind == "padding") == (item is None) == (row is None):
        raise OpeningInvalid("a position is a customer's with item and row, or padding without")
    encoded = None if item is None else require_text(item).encode("ascii")
    if encoded is not None and len(encoded) != ITEM_BYTES:
        raise OpeningInvalid("an item has 18 characters")
    return OpenedPosition(
        _number(position),
        cast(Kind, kind),
        bytes.fromhex(require_text(scalar)),
        encoded,
        None if row is None else _number(row),
    )


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise OpeningInvalid("a member is not a list")
    return value


def _entries(value: object, length: int) -> list[list[object]]:
    """A list of lists of ``length`` members, the first of each, its key, never twice."""
    entries = [_list(entry) for entry in _list(value)]
    if any(len(entry) != length for entry in entries):
        raise OpeningInvalid("an entry has another number of members")
    if len({str(entry[0]) for entry in entries}) != len(entries):
        raise OpeningInvalid("an entry stands twice")
    return entries


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise OpeningInvalid("a number is out of range")
    return value


def _digest(value: object) -> str | None:
    if value is not None and not _SHA256.fullmatch(require_text(value)):
        raise OpeningInvalid("not a digest")
    return cast("str | None", value)
