"""The kernel's functions that take buffers whose lengths, offsets and contents somebody else chose."""

from __future__ import annotations

from collections.abc import Callable

from fuzz_target import Target

from psi import _native
from psi.errors import MingceError
from psi.oprf import MODE_VOPRF, SecretKey, evaluate

KEY = SecretKey.derive(MODE_VOPRF, bytes(32), b"fuzz")
OUTPUTS = evaluate(MODE_VOPRF, KEY, b"990000%012d" % 1, 18)
ELEMENT = KEY.public_key

Call = Callable[[int, bytes, bytes], object]
CALLS: tuple[Call, ...] = (
    lambda n, a, b: _native.DecodedElements(a + b),
    lambda n, a, b: _native.verify_proof(ELEMENT, a, b[:-64], b[-64:]),
    lambda n, a, b: _native.find_tags(a, b),
    lambda n, a, b: _native.sort_order(a + b, n),
    lambda n, a, b: _native.take_rows(a, n, b),
    lambda n, a, b: _native.unpack_labels(a + b, n + 1, 5),
    lambda n, a, b: _native.pack_labels([(a, b), (a, b)], n + 1),
    lambda n, a, b: _native.normalise_ids(a, b),
    lambda n, a, b: _native.open_labels(OUTPUTS, a, b, n + 1, dataset="base", epoch="2026"),
    lambda n, a, b: _native.derive_tags(a + b, dataset="base", epoch="2026"),
    lambda n, a, b: _native.keyed_references(a[:32], b, n),
    lambda n, a, b: _native.receipts(a[:32], a[32:], 18, b[:4], b[4:], n + 1, dataset="base", epoch="2026"),
    lambda n, a, b: SecretKey.from_bytes(a),
)


def call(data: bytes) -> None:
    """One function (first byte) with a width (second), and two buffers split at the third and fourth."""
    which, width, split = data[0] % len(CALLS), data[1], int.from_bytes(data[2:4], "big")
    body = data[4:]
    CALLS[which](width, body[:split], body[split:])


def guarded(data: bytes) -> None:
    if len(data) < 4:
        raise MingceError("too short to name a call")
    call(data)


def seeds() -> list[bytes]:
    label = bytes([1, 65, 1, 51, 6, *b"330922", 1, 49, 0]).ljust(64, b"\0")
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 18, 36))
    inputs = {
        0: (0, ELEMENT, ELEMENT),
        1: (0, ELEMENT, ELEMENT + bytes(64)),
        2: (0, bytes(range(32)), bytes(range(16))),
        3: (16, bytes(range(64)), b""),
        4: (16, bytes(range(64)), (3).to_bytes(4, "little")),
        5: (63, label, label),
        6: (63, offsets, b"x" * 36),
        7: (0, offsets, b"990000198001010019990000198002020027"),
        8: (63, bytes(96), (1).to_bytes(4, "little")),
        9: (0, OUTPUTS, OUTPUTS),
        10: (18, bytes(32), bytes(36)),
        11: (63, bytes(32 + 18), bytes(4) + label),
        12: (0, bytes([1]) + bytes(31), b""),
    }
    assert len(inputs) == len(CALLS)
    return [bytes([which, width, *len(a).to_bytes(2, "big")]) + a + b for which, (width, a, b) in inputs.items()]


TARGETS = [Target("native", "the kernel's functions on buffers of any length", guarded, seeds)]
