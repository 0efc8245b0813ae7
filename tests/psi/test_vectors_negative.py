"""What RFC 9497 section 2.1 refuses, is refused wherever foreign bytes come in: D01, D02, D03, D11."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from psi import _native
from psi.errors import BadElement, BadScalar, InputError, ProofInvalid
from psi.oprf import (
    MODE_OPRF,
    MODE_VOPRF,
    BlindedBatch,
    DecodedElements,
    SecretKey,
    blind_evaluate,
    verify_proof,
)

FILE = Path(__file__).parents[1] / "vectors" / "oprf" / "derived_negative_encodings.json"
SUITE = json.loads(FILE.read_text())["suite"]["ristretto255-SHA512"]
ELEMENTS = [bytes.fromhex(case["hex"]) for case in SUITE["elements"]]
# Of 0 or 64 bytes within a batch the kernel sees one element fewer or more: the wire's count tells.
IN_A_BATCH = [element for element in ELEMENTS if len(element) not in (0, 64)]
SCALARS = [bytes.fromhex(case["hex"]) for case in SUITE["scalars"]]
ZEROS = [bytes.fromhex(case["hex"]) for case in SUITE["scalars_zero_policy"]]

KEY = SecretKey.from_bytes((7).to_bytes(32, "little"))
SIZE = 300  # more than one chunk of the kernel
BATCH = BlindedBatch(MODE_VOPRF, b"".join(b"%018d" % i for i in range(SIZE)), 18)
GOOD = BATCH.blinded_elements
EVALUATED, PROOF = blind_evaluate(MODE_VOPRF, KEY, GOOD)


def with_element(batch: bytes, position: int, element: bytes) -> bytes:
    return batch[: 32 * position] + element + batch[32 * (position + 1) :]


def test_counts() -> None:
    assert (len(ELEMENTS), len(SCALARS), len(ZEROS)) == (37, 7, 1)


@pytest.mark.parametrize("element", IN_A_BATCH, ids=lambda element: element.hex()[:16])
@pytest.mark.parametrize("position", [0, 150, SIZE - 1], ids=["first", "middle", "last"])
def test_d01_d02_d03_sender_refuses_the_whole_batch(element: bytes, position: int) -> None:
    batch = with_element(GOOD, position, element)
    for mode in (MODE_OPRF, MODE_VOPRF):
        with pytest.raises(InputError) as refused:
            blind_evaluate(mode, KEY, batch)
        if len(element) == 32:
            assert type(refused.value) is BadElement
            assert refused.value.params == {"index": position, "batch": "blinded_elements"}
    with pytest.raises(InputError):
        DecodedElements(batch)


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.hex()[:16] or "empty")
@pytest.mark.parametrize("position", [0, 150, SIZE - 1], ids=["first", "middle", "last"])
def test_d11_receiver_refuses_the_answer(element: bytes, position: int) -> None:
    answer = with_element(EVALUATED, position, element)
    with pytest.raises(InputError) as refused:
        BATCH.finalize(answer, PROOF, KEY.public_key)
    if len(element) == 32:
        assert type(refused.value) is BadElement
        assert refused.value.params == {"index": position, "batch": "evaluated_elements"}
    with pytest.raises(InputError):
        verify_proof(KEY.public_key, GOOD, answer, PROOF)


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.hex()[:16] or "empty")
def test_a_bad_public_key(element: bytes) -> None:
    with pytest.raises(BadElement) as refused:
        BATCH.finalize(EVALUATED, PROOF, element)
    assert refused.value.params["batch"] == "public_key"


@pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.hex()[:16] or "empty")
def test_decode(element: bytes) -> None:
    with pytest.raises(BadElement):
        _native._decode_element(element)


def test_the_first_of_several_bad_elements_is_named() -> None:
    batch = GOOD
    for position in (299, 257, 40):
        batch = with_element(batch, position, bytes(32))
    with pytest.raises(BadElement) as refused:
        blind_evaluate(MODE_VOPRF, KEY, batch)
    assert refused.value.params["index"] == 40
    with pytest.raises(BadElement) as refused:
        DecodedElements(batch)
    assert refused.value.params["index"] == 40


@pytest.mark.parametrize("scalar", SCALARS + ZEROS, ids=lambda scalar: scalar.hex()[-16:] or "empty")
def test_bad_scalars_as_key_blind_and_randomness(scalar: bytes) -> None:
    with pytest.raises(BadScalar):
        SecretKey.from_bytes(scalar)
    with pytest.raises(BadScalar):
        blind_evaluate(MODE_VOPRF, KEY, GOOD, proof_randomness=scalar)
    with pytest.raises(InputError):  # a blind of another length cannot be told apart from a wrong count
        BlindedBatch.with_blinds(MODE_OPRF, b"item", 4, scalar)


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: scalar.hex()[-16:] or "empty")
def test_bad_scalars_in_a_proof(scalar: bytes) -> None:
    for proof in (scalar + PROOF[32:], PROOF[:32] + scalar):
        with pytest.raises(ProofInvalid):
            verify_proof(KEY.public_key, GOOD, EVALUATED, proof)
