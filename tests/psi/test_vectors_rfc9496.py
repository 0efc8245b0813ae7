"""RFC 9496 appendix A (ristretto255) through the Python face.

A.4, square roots of ratios in the field, is below this face: it is covered by the
encodings and the maps, which are built on it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from psi import _native
from psi.errors import BadElement
from psi.oprf import MODE_OPRF, SecretKey, blind_evaluate

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ristretto255" / "rfc9496_ristretto255.json").read_text())
MULTIPLES = [bytes.fromhex(encoding) for encoding in VECTORS["multiples_of_generator"]]


@pytest.mark.parametrize("multiple", range(1, 16))
def test_multiples_of_the_generator(multiple: int) -> None:
    key = SecretKey.from_bytes(multiple.to_bytes(32, "little"))
    assert key.public_key == MULTIPLES[multiple]
    assert _native._decode_element(MULTIPLES[multiple]) == MULTIPLES[multiple]
    # The same multiples by the variable-base path.
    assert blind_evaluate(MODE_OPRF, key, MULTIPLES[1]) == (MULTIPLES[multiple], b"")


def test_the_identity_is_a_canonical_encoding_but_no_element_of_the_protocol() -> None:
    assert MULTIPLES[0] == bytes(32)
    with pytest.raises(BadElement):
        _native._decode_element(MULTIPLES[0])


@pytest.mark.parametrize("case", VECTORS["bad_encodings"], ids=lambda case: case["encoding"][:8])
def test_bad_encodings(case: dict[str, str]) -> None:
    with pytest.raises(BadElement):
        _native._decode_element(bytes.fromhex(case["encoding"]))


@pytest.mark.parametrize("case", VECTORS["from_uniform_bytes"], ids=lambda case: case["input"][:8])
def test_element_derivation(case: dict[str, str]) -> None:
    assert _native._element_from_uniform_bytes(bytes.fromhex(case["input"])).hex() == case["output"]


@pytest.mark.parametrize("case", VECTORS["from_sha512_of_label"], ids=lambda case: case["label"][:16])
def test_element_derivation_from_a_hash(case: dict[str, str]) -> None:
    digest = hashlib.sha512(case["label"].encode()).digest()
    assert digest.hex() == case["sha512"]
    assert _native._element_from_uniform_bytes(digest).hex() == case["output"]


@pytest.mark.parametrize("uniform", VECTORS["from_uniform_bytes_same_output"]["inputs"])
def test_inputs_with_equal_outputs(uniform: str) -> None:
    output = VECTORS["from_uniform_bytes_same_output"]["output"]
    assert _native._element_from_uniform_bytes(bytes.fromhex(uniform)).hex() == output
