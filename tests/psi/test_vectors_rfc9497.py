"""RFC 9497 appendix A.1, ristretto255-SHA512 in modes OPRF and VOPRF, bit by bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey, blind_evaluate, evaluate, verify_proof
from psi.suites import RISTRETTO255_SHA512

VECTORS = Path(__file__).parents[1] / "vectors" / "oprf" / "rfc9497_allVectors.json"
GROUPS = [
    group
    for group in json.loads(VECTORS.read_text())
    if group["identifier"] == RISTRETTO255_SHA512.identifier and group["mode"] in (0, 1)
]
CASES = [(group, vector) for group in GROUPS for vector in group["vectors"]]


def parts(vector: dict[str, Any], field: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in vector[field].split(",")]


def derived_key(group: dict[str, Any]) -> SecretKey:
    return SecretKey.derive(group["mode"], bytes.fromhex(group["seed"]), bytes.fromhex(group["keyInfo"]))


def test_every_vector_is_here() -> None:
    assert [(group["mode"], len(group["vectors"])) for group in GROUPS] == [(0, 2), (1, 3)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"mode{group['mode']}")
def test_derive_key_pair(group: dict[str, Any]) -> None:
    key = derived_key(group)
    assert key.expose_bytes().hex() == group["skSm"]
    if group["mode"] == MODE_VOPRF:
        assert key.public_key.hex() == group["pkSm"]
    assert SecretKey.from_bytes(key.expose_bytes()).public_key == key.public_key


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"mode{group['mode']}")
def test_context_string(group: dict[str, Any]) -> None:
    context = RISTRETTO255_SHA512.context_string(group["mode"])
    assert (b"HashToGroup-" + context).hex() == group["groupDST"]


@pytest.mark.parametrize(("group", "vector"), CASES)
def test_protocol_run(group: dict[str, Any], vector: dict[str, Any]) -> None:
    mode, key = group["mode"], derived_key(group)
    inputs, blinds, outputs = parts(vector, "Input"), parts(vector, "Blind"), parts(vector, "Output")
    # The batched vector's inputs differ in length, so each is a batch of its own here.
    batches = [
        BlindedBatch.with_blinds(mode, data, len(data), blind) for data, blind in zip(inputs, blinds, strict=True)
    ]
    blinded = b"".join(batch.blinded_elements for batch in batches)
    assert blinded == b"".join(parts(vector, "BlindedElement"))

    randomness = bytes.fromhex(vector["Proof"]["r"]) if mode == MODE_VOPRF else None
    evaluated, proof = blind_evaluate(mode, key, blinded, proof_randomness=randomness)
    assert evaluated == b"".join(parts(vector, "EvaluationElement"))
    if mode == MODE_VOPRF:
        assert proof.hex() == vector["Proof"]["proof"]
        verify_proof(key.public_key, blinded, evaluated, proof)
    else:
        assert proof == b""

    for position, (batch, data, output) in enumerate(zip(batches, inputs, outputs, strict=True)):
        own = evaluated[32 * position :][:32]
        if mode == MODE_VOPRF:
            _, own_proof = blind_evaluate(mode, key, batch.blinded_elements)
            assert batch.finalize(own, own_proof, key.public_key) == output
        else:
            assert batch.finalize(own) == output
        assert evaluate(mode, key, data, len(data)) == output
    if len(batches) == 1 and mode == MODE_VOPRF:
        assert batches[0].finalize(evaluated, proof, key.public_key) == outputs[0]
