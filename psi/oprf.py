"""The oblivious PRF of RFC 9497, over batches: ristretto255-SHA512, modes OPRF and VOPRF.

The receiver (a bank, the RFC's client)::

    batch = BlindedBatch(MODE_VOPRF, items, width, seed=seed, context=request_id, pad_to=256)
    ... send batch.blinded_elements, receive evaluated_elements and proof ...
    outputs = batch.finalize(evaluated_elements, proof, pinned_public_key)

The sender (a province, the RFC's server)::

    elements = DecodedElements(blinded_elements)    # checked before anything is charged
    evaluated_elements, proof = blind_evaluate(MODE_VOPRF, key, elements)
    outputs = evaluate(MODE_VOPRF, key, items, width)  # its own list, unblinded

Both sides get the same 64 bytes for the same item, and neither learns more: the sender
sees random group elements, the receiver only outputs of items it asked for. Everything
here is the kernel's; its shapes and errors are written in ``_native.pyi``.
"""

from psi._native import (
    MAX_BATCH,
    MODE_OPRF,
    MODE_VOPRF,
    BlindedBatch,
    DecodedElements,
    SecretKey,
    backend_name,
    blind_evaluate,
    evaluate,
    thread_count,
    verify_proof,
)

__all__ = [
    "MAX_BATCH",
    "MODE_OPRF",
    "MODE_VOPRF",
    "BlindedBatch",
    "DecodedElements",
    "SecretKey",
    "backend_name",
    "blind_evaluate",
    "evaluate",
    "thread_count",
    "verify_proof",
]
