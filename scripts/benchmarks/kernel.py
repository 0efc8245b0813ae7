"""The kernel's operations of RFC 9497, in microseconds for one item."""

from __future__ import annotations

from psi.oprf import (
    MODE_OPRF,
    MODE_VOPRF,
    BlindedBatch,
    DecodedElements,
    SecretKey,
    blind_evaluate,
    evaluate,
    verify_proof,
)
from scripts.benchmarks.measure import Scaling, measure_one, measure_scaling

ITEM_BYTES = 18
SEED = bytes(32)


def made_up_items(count: int, start: int = 0) -> bytes:
    """``count`` * 18 bytes that look like normalised numbers of a prefix that was never assigned."""
    return b"".join(b"990000%012d" % index for index in range(start, start + count))


def measure_kernel(items: int, runs: int) -> list[Scaling]:
    """One batch of ``items`` through each operation."""
    packed = made_up_items(items)
    key = SecretKey.generate()
    batch = BlindedBatch(MODE_VOPRF, packed, ITEM_BYTES, seed=SEED)
    blinded = batch.blinded_elements
    evaluated, proof = blind_evaluate(MODE_VOPRF, key, blinded)

    def blind(threads: int) -> object:
        return BlindedBatch(MODE_VOPRF, packed, ITEM_BYTES, seed=SEED, threads=threads)

    def serve(threads: int) -> object:
        return blind_evaluate(MODE_VOPRF, key, blinded, threads=threads)

    def multiply(threads: int) -> object:
        return blind_evaluate(MODE_OPRF, key, blinded, threads=threads)

    def finalize(threads: int) -> object:
        return batch.finalize(evaluated, proof, key.public_key, threads=threads)

    def own(threads: int) -> object:
        return evaluate(MODE_VOPRF, key, packed, ITEM_BYTES, threads=threads)

    works = {
        "evaluate": own,
        "blind": blind,
        "blind_evaluate without proof": multiply,
        "blind_evaluate with proof": serve,
        "finalize with verification": finalize,
    }
    return [measure_scaling(name, items, work, runs) for name, work in works.items()]


def measure_checks(items: int, runs: int) -> dict[str, float]:
    """The two checks that use all cores always, in microseconds for one element."""
    key = SecretKey.generate()
    blinded = BlindedBatch(MODE_VOPRF, made_up_items(items), ITEM_BYTES, seed=SEED).blinded_elements
    evaluated, proof = blind_evaluate(MODE_VOPRF, key, blinded)
    verify = measure_one(lambda: verify_proof(key.public_key, blinded, evaluated, proof), runs)
    decode = measure_one(lambda: DecodedElements(blinded), runs)
    return {"verify_proof": verify.microseconds(items), "decode": decode.microseconds(items)}
