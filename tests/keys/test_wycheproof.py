"""Project Wycheproof's vectors through our own functions, as far as their shape reaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keys import epochs, wrap
from keys.identity import PublicIdentity, SignatureInvalid
from keys.wrap import KeyUnwrapFailed

VECTORS = Path(__file__).parent.parent / "vectors" / "wycheproof"


def load(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    groups = json.loads((VECTORS / name).read_text())["testGroups"]
    return [(group, case) for group in groups for case in group["tests"]]


def test_ed25519() -> None:
    cases = load("ed25519_test.json")
    for group, case in cases:
        identity = PublicIdentity("test", "bank", bytes.fromhex(group["publicKey"]["pk"]))
        message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
        if case["result"] == "valid":
            identity.verify(message, signature)
        else:
            with pytest.raises(SignatureInvalid):
                identity.verify(message, signature)
    assert len(cases) == 151


def test_aes_256_gcm_as_keys_are_wrapped() -> None:
    """Cases with the one key, nonce and tag size that wrapping knows."""
    seen = {"valid": 0, "invalid": 0}
    for group, case in load("aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        seen[case["result"]] += 1
        key, context, message = (bytes.fromhex(case[part]) for part in ("key", "aad", "msg"))
        rest = bytes.fromhex(case["iv"] + case["ct"] + case["tag"])
        if case["result"] == "valid":
            assert wrap._decrypt(key, b"", rest, context) == message
        else:
            with pytest.raises(KeyUnwrapFailed):
                wrap._decrypt(key, b"", rest, context)
    assert seen["valid"] > 30
    assert seen["invalid"] > 20


def test_hkdf_sha_512_as_secrets_are_derived() -> None:
    """Cases without salt; ours is the first 32 bytes of the output (RFC 5869 section 2.3)."""
    seen = 0
    for _, case in load("hkdf_sha512_test.json"):
        if case["salt"] or case["size"] < 32 or case["result"] != "valid":
            continue
        derived = epochs._hkdf(bytes.fromhex(case["ikm"]), bytes.fromhex(case["info"]))
        assert derived == bytes.fromhex(case["okm"])[:32]
        seen += 1
    assert seen > 10
