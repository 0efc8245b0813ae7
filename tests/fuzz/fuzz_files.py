"""Whole files that pass between the parties: slices, hand-overs, exchange messages, sealed files."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
from fuzz_documents import BUREAU, manifest_seeds
from fuzz_target import Target, scratch, scratch_file

sys.path.append(str(Path(__file__).resolve().parents[1]))
import handed_over  # the hand-over tests' own matched rows

from api.exchange_message import PAYLOAD_TYPE as EXCHANGE_TYPE
from api.exchange_message import (
    ExchangeMessage,
    claimed_session,
    decode_answer,
    decode_request,
    encode_message,
    message_digest,
)
from keys.clock import SettableClock, format_time
from keys.envelope import sign_envelope
from keys.sealedfile import read_sealed, write_sealed
from matcher.handover import PAYLOAD_TYPE as HANDOVER_TYPE
from matcher.handover import read_handover, write_handover
from psi import _native
from psi.edition import LabelSchema, Slice, parse_manifest, parse_slice, sorted_slice, unpack_labels, write_slice
from psi.errors import MingceError
from psi.lookup import Overlay, find_labels
from psi.oprf import MODE_VOPRF, SecretKey, evaluate

BANK = handed_over.BANK
CLOCK = SettableClock()
LABEL = LabelSchema()
ITEMS = b"".join(b"990000%012d" % number for number in range(8))
KEY = SecretKey.derive(MODE_VOPRF, bytes(32), b"fuzz")
OUTPUTS = evaluate(MODE_VOPRF, KEY, ITEMS, 18)
SEAL_KEY, CONTEXT = bytes(range(32)), b"fuzz"


def read_slice(data: bytes) -> None:
    """A slice as a bank uses it, and as a delta or its base: parsed, looked up in, labels opened and taken apart."""
    manifest = parse_manifest(manifest_seeds()[0])
    rows = parse_slice(pa.py_buffer(data), LABEL.width)
    for division in (rows, Overlay(sound_slice(), rows), Overlay(rows, sound_slice())):
        found = find_labels([division], OUTPUTS, manifest)
        for column in unpack_labels(found.labels, LABEL).values():
            column.validate(full=True)


@cache
def sound_slice() -> Slice:
    return parse_slice(pa.py_buffer(slice_seeds()[1]), LABEL.width)


def slice_seeds() -> list[bytes]:
    labels = b"".join(bytes([1, 65 + n, 1, 51, 6, *b"330922", 1, 49, 0]).ljust(LABEL.width, b"\0") for n in range(8))
    versions = (1).to_bytes(4, "little") * 8
    tags, sealed = _native.encode_rows(
        KEY, ITEMS, 18, dataset="base", epoch="2026", versions=versions, labels=labels, label_width=LABEL.width
    )
    seeds = []
    for rows in (8, 2, 0):
        sink = pa.BufferOutputStream()
        write_slice(
            sink,
            sorted_slice(tags[: rows * 16], versions[: rows * 4], sealed[: rows * LABEL.sealed_width], LABEL.width),
            LABEL.width,
        )
        seeds.append(sink.getvalue().to_pybytes())
    return seeds


@cache
def handover_parts() -> tuple[bytes, bytes]:
    """(header, rows) of a sound hand-over: what a registered bank signs."""
    path = scratch() / "sound.mch"
    write_handover(
        path,
        identity=BANK,
        bureau=BUREAU.public,
        run=handed_over.RUN,
        created_at=format_time(CLOCK.now()),
        records=[handed_over.screening(handed_over.matches(4))],
    )
    plain = BUREAU.unseal(path.read_bytes()[5:])
    end = 4 + int.from_bytes(plain[:4], "big")
    header = base64.b64decode(json.loads(plain[4:end])["payload"])
    return header, plain[end:]


def read_handover_rows(data: bytes) -> None:
    """Rows that a registered bank made up: the header is true to them, signed and sealed."""
    header = json.loads(handover_parts()[0])
    header["payload_sha256"] = hashlib.sha256(data).hexdigest()
    _open_handover(json.dumps(header).encode(), data)


def read_handover_header(data: bytes) -> None:
    _open_handover(data, handover_parts()[1])


def _open_handover(header: bytes, rows: bytes) -> None:
    envelope = sign_envelope(BANK, HANDOVER_TYPE, header)
    sealed = BUREAU.public.seal(len(envelope).to_bytes(4, "big") + envelope + rows)
    read_handover(scratch_file("a.mch", b"MCHO\x01" + sealed), identity=BUREAU, trusted_banks=[BANK.public])


def read_handover_frame(data: bytes) -> None:
    """What stands inside the seal, which anyone can make for a bureau."""
    path = scratch_file("b.mch", b"MCHO\x01" + BUREAU.public.seal(data))
    read_handover(path, identity=BUREAU, trusted_banks=[BANK.public])


def handover_frame_seeds() -> list[bytes]:
    header, rows = handover_parts()
    envelope = sign_envelope(BANK, HANDOVER_TYPE, header)
    return [len(envelope).to_bytes(4, "big") + envelope + rows]


SESSION = "ab" * 16


def read_exchange(data: bytes) -> None:
    """A message as it comes, taken for either role."""
    claimed_session(data)
    try:
        decode_request(data, sender=BANK.public, recipient=BUREAU.public)
    except MingceError:
        decode_answer(
            data, sender=BUREAU.public, recipient=BANK.public, session=SESSION, request_digest=exchange_digest()
        )


@cache
def exchange_request() -> bytes:
    message = ExchangeMessage("request", SESSION, "", (b"a request",))
    return encode_message(message, BANK, BUREAU.public, CLOCK.now())


def exchange_digest() -> str:
    return message_digest(exchange_request())


def exchange_seeds() -> list[bytes]:
    answer = ExchangeMessage("answer", SESSION, exchange_digest(), (b"a set-up", b"a response"))
    return [exchange_request(), encode_message(answer, BUREAU, BANK.public, CLOCK.now())]


def read_exchange_header(data: bytes) -> None:
    """A header that the pinned peer made up and signed."""
    envelope = sign_envelope(BANK, EXCHANGE_TYPE, data)
    encoded = b"MCX1" + bytes.fromhex(SESSION) + len(envelope).to_bytes(4, "big") + envelope + b"a request"
    decode_request(encoded, sender=BANK.public, recipient=BUREAU.public)


def exchange_header_seeds() -> list[bytes]:
    encoded = exchange_request()
    end = 24 + int.from_bytes(encoded[20:24], "big")
    return [base64.b64decode(json.loads(encoded[24:end])["payload"])]


def read_sealed_file(data: bytes) -> None:
    for _ in read_sealed(scratch_file("a.sealed", data), SEAL_KEY, CONTEXT):
        pass


def sealed_seeds() -> list[bytes]:
    seeds = []
    for content in ([], [b"990000199001011234"], [random.Random(1).randbytes(70_000)]):
        write_sealed(scratch() / "sound.sealed", SEAL_KEY, content, CONTEXT)
        seeds.append((scratch() / "sound.sealed").read_bytes())
    return seeds


TARGETS = [
    Target("slice", "a slice's Arrow file, to the opened labels", read_slice, slice_seeds),
    Target(
        "handover_rows",
        ".mch: Arrow rows that a registered bank signs",
        read_handover_rows,
        lambda: [handover_parts()[1]],
    ),
    Target(
        "handover_header",
        ".mch: a header that a registered bank signs",
        read_handover_header,
        lambda: [handover_parts()[0]],
    ),
    Target("handover_frame", ".mch: what a stranger seals to the bureau", read_handover_frame, handover_frame_seeds),
    Target("exchange_message", ".mcx: an exchange message", read_exchange, exchange_seeds),
    Target("exchange_header", ".mcx: a header that the peer signs", read_exchange_header, exchange_header_seeds),
    Target("sealed_file", "a sealed file", read_sealed_file, sealed_seeds, max_bytes=1 << 17),
]
