"""What passes between two parties of a one-shot exchange: ``.mcx`` messages, signed and addressed.

    "MCX1" ‖ session[16] ‖ I2OSP(len(envelope), 4) ‖ envelope ‖ part ‖ part …

The envelope is a DSSE document (keys.envelope) whose payload says which step this is, of which
session, for whom, and the length and SHA-256 of each part; the parts are openmined-psi's own
protobufs. So a message that was damaged, mixed up with another, or made by someone else is refused
before anything of it is parsed by foreign code. The same bytes go over files and over HTTP.
docs/reference/exchange.md gives every field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from keys.clock import format_time
from keys.envelope import open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_members, require_text
from psi.errors import VerificationError

Role = Literal["request", "answer"]

MAGIC = b"MCX1"
FORMAT = "mingce-exchange/1"
PAYLOAD_TYPE = "application/vnd.mingce.exchange+json"
MEDIA_TYPE = "application/vnd.mingce.exchange"
PARTS: Mapping[Role, tuple[str, ...]] = {"request": ("request",), "answer": ("setup", "response")}
SESSION_BYTES = 16
MAX_ENVELOPE_BYTES = 16 * 1024
_HEADER_BYTES = len(MAGIC) + SESSION_BYTES + 4
MAX_OVERHEAD = _HEADER_BYTES + MAX_ENVELOPE_BYTES

_MEMBERS = ("format", "role", "session", "recipient", "answers", "created_at", "parts")


class ExchangeMessageInvalid(VerificationError):
    """A message is not the one expected here.

    ``params["reason"]``: ``not_a_message``, ``damaged``, ``another_role``, ``another_recipient``,
    ``another_session`` or ``another_request``.
    """

    code = "exchange_message_invalid"


@dataclass(frozen=True)
class ExchangeMessage:
    """One verified message. ``session`` is 32 hex digits; ``parts`` are unparsed protobufs in the order of PARTS.

    ``answers`` is the :func:`message_digest` of the request that an answer answers, and "" in a request.
    """

    role: Role
    session: str
    answers: str
    parts: tuple[bytes, ...]


def message_digest(encoded: bytes) -> str:
    """Lower-case hex SHA-256 of a whole message: what an answer names as the request it answers."""
    return hashlib.sha256(encoded).hexdigest()


def encode_message(message: ExchangeMessage, sender: Identity, recipient: PublicIdentity, now: datetime) -> bytes:
    names = PARTS[message.role]
    described = [
        {"name": name, "bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()}
        for name, part in zip(names, message.parts, strict=True)
    ]
    header = {
        "format": FORMAT,
        "role": message.role,
        "session": message.session,
        "recipient": recipient.fingerprint,
        "answers": message.answers,
        "created_at": format_time(now),
        "parts": described,
    }
    envelope = sign_envelope(sender, PAYLOAD_TYPE, json.dumps(header, separators=(",", ":")).encode())
    return b"".join((MAGIC, bytes.fromhex(message.session), len(envelope).to_bytes(4, "big"), envelope, *message.parts))


def decode_request(encoded: bytes, *, sender: PublicIdentity, recipient: PublicIdentity) -> ExchangeMessage:
    """A request from the pinned ``sender`` to us. Raises ExchangeMessageInvalid and open_envelope's errors."""
    return _decode(encoded, "request", sender, recipient)


def decode_answer(
    encoded: bytes, *, sender: PublicIdentity, recipient: PublicIdentity, session: str, request_digest: str
) -> ExchangeMessage:
    """The pinned ``sender``'s answer to our very request. Raises ExchangeMessageInvalid and open_envelope's errors."""
    message = _decode(encoded, "answer", sender, recipient)
    if message.session != session:
        raise _invalid("another_session")
    if message.answers != request_digest:
        raise _invalid("another_request")
    return message


def claimed_session(encoded: bytes) -> str:
    """The session a message claims, to find the state it belongs to; nothing is verified.

    Raises ExchangeMessageInvalid.
    """
    if len(encoded) < _HEADER_BYTES:
        raise _invalid("not_a_message")
    return encoded[len(MAGIC) : len(MAGIC) + SESSION_BYTES].hex()


def _decode(encoded: bytes, role: Role, sender: PublicIdentity, recipient: PublicIdentity) -> ExchangeMessage:
    claimed = claimed_session(encoded)
    end = _HEADER_BYTES + int.from_bytes(encoded[_HEADER_BYTES - 4 : _HEADER_BYTES], "big")
    if encoded[: len(MAGIC)] != MAGIC or end > min(len(encoded), _HEADER_BYTES + MAX_ENVELOPE_BYTES):
        raise _invalid("not_a_message")
    payload = open_envelope(encoded[_HEADER_BYTES:end], PAYLOAD_TYPE, sender, max_bytes=MAX_ENVELOPE_BYTES)
    try:
        header = parse_object(payload, _MEMBERS, max_bytes=MAX_ENVELOPE_BYTES)
        texts = {name: require_text(header[name]) for name in _MEMBERS[:-1]}
        described = _described_parts(header["parts"])
    except JsonInvalid:
        raise _invalid("not_a_message") from None
    if texts["format"] != FORMAT or texts["session"] != claimed:
        raise _invalid("not_a_message")
    if texts["role"] != role:
        raise _invalid("another_role")
    if texts["recipient"] != recipient.fingerprint:
        raise _invalid("another_recipient")
    parts = _cut_parts(memoryview(encoded)[end:], described, PARTS[role])
    return ExchangeMessage(role, texts["session"], texts["answers"], parts)


def _described_parts(value: object) -> list[tuple[str, int, str]]:
    """(name, length, SHA-256) of each part. Raises JsonInvalid."""
    if not isinstance(value, list):
        raise JsonInvalid("parts is not a list")
    described = []
    for entry in value:
        part = require_members(entry, ("name", "bytes", "sha256"))
        size = part["bytes"]
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise JsonInvalid("a length is not a number")
        described.append((require_text(part["name"]), size, require_text(part["sha256"])))
    return described


def _cut_parts(body: memoryview, described: list[tuple[str, int, str]], names: tuple[str, ...]) -> tuple[bytes, ...]:
    if tuple(name for name, _, _ in described) != names:
        raise _invalid("not_a_message")
    parts, at = [], 0
    for _, size, digest in described:
        part = bytes(body[at : at + size])
        at += size
        if hashlib.sha256(part).hexdigest() != digest:
            raise _invalid("damaged")
        parts.append(part)
    if at != len(body):
        raise _invalid("damaged")
    return tuple(parts)


def _invalid(reason: str) -> ExchangeMessageInvalid:
    return ExchangeMessageInvalid(reason.replace("_", " "), reason=reason)
