"""One multiplication of a point by a secret scalar, beside other libraries' X25519, in turns."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from psi.oprf import MODE_OPRF, MODE_VOPRF, BlindedBatch, DecodedElements, SecretKey, blind_evaluate
from scripts.benchmarks.kernel import ITEM_BYTES, SEED, made_up_items
from scripts.benchmarks.measure import Work

LANES = 8  # points that crypto_mb multiplies at once


@dataclass(frozen=True)
class Peer:
    """Another library's multiplication: the median of its processor time, and ours over its.

    ``ratio`` is the median of the rounds' ratios. ``ratio_undisturbed`` is that of the fastest rounds: on a
    shared machine another guest on the same core slows ours, which fills the core, more than theirs.
    """

    us: float
    ratio: float
    ratio_undisturbed: float


@dataclass(frozen=True)
class Multiplications:
    """Microseconds of processor time: ours (multiply and encode; the decoding beside it), and the peers
    that are installed."""

    ours_us: float
    decode_us: float
    rounds: int
    peers: dict[str, Peer]


def measure_multiplications(items: int, rounds: int) -> Multiplications:
    """Short rounds of ``items`` multiplications, ours and the peers' by turns."""
    blinded = BlindedBatch(MODE_VOPRF, made_up_items(items), ITEM_BYTES, seed=SEED).blinded_elements
    key = SecretKey.generate()
    works: dict[str, tuple[Work, int]] = {
        "all": (lambda: blind_evaluate(MODE_OPRF, key, blinded, threads=1), items),
        "decode": (lambda: DecodedElements(blinded), items),
        "OpenSSL X25519": (_openssl(items // LANES), items // LANES),
    }
    if (crypto_mb := _crypto_mb(items // LANES)) is not None:
        works["crypto_mb X25519"] = (crypto_mb, items // LANES * LANES)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for work, _ in works.values():
        work()
    for _ in range(rounds):
        for name, (work, count) in works.items():
            began = time.process_time()
            work()
            taken[name].append((time.process_time() - began) / count * 1e6)
    decode = taken.pop("decode")
    ours = [both - alone for both, alone in zip(taken.pop("all"), decode, strict=True)]
    peers = {name: _peer(ours, theirs) for name, theirs in taken.items()}
    return Multiplications(round(median(ours), 3), round(median(decode), 3), rounds, peers)


def _peer(ours: list[float], theirs: list[float]) -> Peer:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Peer(round(median(theirs), 3), round(median(ratios), 3), round(min(ours) / min(theirs), 3))


def _openssl(exchanges: int) -> Work:
    key = X25519PrivateKey.generate()
    point = X25519PrivateKey.generate().public_key()

    def work() -> None:
        for _ in range(exchanges):
            key.exchange(point)

    return work


def _crypto_mb(calls: int) -> Callable[[], None] | None:
    """Intel's crypto_mb, a benchmark-only extra: the environment variable MINGCE_CRYPTO_MB names its
    libcrypto_mb.so; the compiler's runtime libraries are looked for beside it. None where it is not installed."""
    library = os.environ.get("MINGCE_CRYPTO_MB") or ctypes.util.find_library("crypto_mb")
    if library is None:
        return None
    for name in ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so"):
        if (runtime := Path(library).with_name(name)).exists():
            ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
    multiply = ctypes.CDLL(library).mbx_x25519_mb8
    multiply.restype = ctypes.c_uint32
    buffers = [[ctypes.create_string_buffer(secrets.token_bytes(32), 32) for _ in range(LANES)] for _ in range(3)]

    def work() -> None:
        # The addresses are taken here, where the buffers are certain to live.
        results, keys, points = ((ctypes.c_void_p * LANES)(*map(ctypes.addressof, eight)) for eight in buffers)
        for _ in range(calls):
            if multiply(results, keys, points):
                raise AssertionError("crypto_mb refused a point")

    return work
