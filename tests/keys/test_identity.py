from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.identity import (
    Identity,
    IdentityInvalid,
    PublicIdentity,
    SealInvalid,
    SignatureInvalid,
    parse_fingerprint,
    readable_fingerprint,
)

# RFC 8032 section 7.1, TEST 3
RFC8032_SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
RFC8032_KEY = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
RFC8032_SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)


def test_signs_as_rfc_8032() -> None:
    identity = Identity("test", "bank", RFC8032_SEED)
    assert identity.public.verify_key == RFC8032_KEY
    assert identity.sign(b"\xaf\x82") == RFC8032_SIGNATURE
    identity.public.verify(b"\xaf\x82", RFC8032_SIGNATURE)


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_what_is_sealed_opens_for_its_receiver_only(plaintext: bytes) -> None:
    receiver, other = Identity.generate("甲", "bureau"), Identity.generate("乙", "bureau")
    sealed = receiver.public.seal(plaintext)
    assert len(sealed) == len(plaintext) + 48
    assert receiver.unseal(sealed) == plaintext
    with pytest.raises(SealInvalid):
        other.unseal(sealed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda sealed: b"",
        lambda sealed: sealed[:47],
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + b"\0",
        lambda sealed: bytes([sealed[0] ^ 1]) + sealed[1:],
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
        lambda sealed: bytes(32) + sealed[32:],
    ],
)
def test_a_damaged_box_does_not_open(bank: Identity, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SealInvalid):
        bank.unseal(damage(bank.public.seal(b"receipt key")))


@pytest.mark.parametrize(
    "damage",
    [
        lambda signature: b"",
        lambda signature: signature[:63],
        lambda signature: signature + b"\0",
        lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
        lambda signature: signature[:63] + bytes([signature[63] ^ 0x80]),
        lambda signature: bytes(64),
    ],
)
def test_a_damaged_signature_is_refused(bank: Identity, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SignatureInvalid) as caught:
        bank.public.verify(b"message", damage(bank.sign(b"message")))
    assert caught.value.params == {"fingerprint": bank.public.fingerprint}


def test_another_message_or_key_is_refused(bank: Identity, province: Identity) -> None:
    signature = bank.sign(b"message")
    with pytest.raises(SignatureInvalid):
        bank.public.verify(b"Message", signature)
    with pytest.raises(SignatureInvalid):
        province.public.verify(b"message", signature)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        bytes(31),
        bytes(33),
        bytes(32),  # y = 0, of order 4
        b"\x01" + bytes(31),  # the identity
        b"\xec" + b"\xff" * 30 + b"\x7f",  # y = -1, of order 2
        b"\xee" + b"\xff" * 30 + b"\x7f",  # y = p + 1, not canonical
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),  # of order 8
        b"\x02" + bytes(31),  # not on the curve
    ],
)
def test_an_unsound_public_key_is_refused(key: bytes) -> None:
    with pytest.raises(IdentityInvalid):
        PublicIdentity("test", "bank", key)


@pytest.mark.parametrize("name", ["", " 银行", "银行 ", "a\nb", "a\u202eb", "a\u200bb", "x" * 101, "\ud800"])
def test_a_name_that_could_mislead_is_refused(name: str) -> None:
    with pytest.raises(IdentityInvalid):
        Identity.generate(name, "bank")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(IdentityInvalid):
        Identity.generate("test", "court")  # type: ignore[arg-type]


def test_the_document_survives_the_mail(bank: Identity) -> None:
    document = bank.public.to_json()
    assert json.loads(document)["format"] == "mingce-identity/1"
    assert "演示银行" in document.decode()
    assert PublicIdentity.from_json(document) == bank.public
    assert PublicIdentity.from_json(document.decode()) == bank.public
    assert bank.public.fingerprint == hashlib.sha256(bank.public.verify_key).hexdigest()


BAD_DOCUMENTS: dict[str, Callable[[dict[str, object]], object]] = {
    "not an object": lambda document: [document],
    "no fingerprint": lambda document: {k: v for k, v in document.items() if k != "fingerprint"},
    "unknown member": lambda document: document | {"note": "x"},
    "other format": lambda document: document | {"format": "mingce-identity/2"},
    "other kind": lambda document: document | {"kind": "court"},
    "key of another": lambda document: document | {"verify_key": RFC8032_KEY.hex()},
    "key in capitals": lambda document: document | {"verify_key": str(document["verify_key"]).upper()},
    "key cut": lambda document: document | {"verify_key": str(document["verify_key"])[:-2]},
    "name is a number": lambda document: document | {"name": 1},
    "name is a lone surrogate": lambda document: document | {"name": "\ud800"},
}


@pytest.mark.parametrize("fault", BAD_DOCUMENTS)
def test_a_faulty_document_is_refused(bank: Identity, fault: str) -> None:
    document = BAD_DOCUMENTS[fault](json.loads(bank.public.to_json()))
    with pytest.raises(IdentityInvalid):
        PublicIdentity.from_json(json.dumps(document))


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_noise_is_refused(document: bytes | str) -> None:
    with pytest.raises(IdentityInvalid):
        PublicIdentity.from_json(document)


def test_fingerprints_are_read_in_fours_and_typed_loosely(bank: Identity) -> None:
    readable = readable_fingerprint(bank.public.fingerprint)
    assert [len(group) for group in readable.split(" ")] == [4] * 16
    assert parse_fingerprint(f" {readable.upper()}\n") == bank.public.fingerprint
    for faulty in ("", readable[:-1], readable + "0", readable.replace(readable[0], "g")):
        with pytest.raises(IdentityInvalid):
            parse_fingerprint(faulty)
    with pytest.raises(IdentityInvalid):
        readable_fingerprint(bank.public.fingerprint.upper())


def test_the_secret_key_does_not_print_or_travel() -> None:
    identity = Identity("test", "bank", RFC8032_SEED)
    for text in (repr(identity), str(identity), f"{identity}", repr([identity]), repr(identity.public)):
        assert RFC8032_SEED.hex() not in text
        assert repr(RFC8032_SEED)[2:20] not in text
        assert identity.public.fingerprint[:16] in text
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            travel(identity)
    assert identity.expose_seed() == RFC8032_SEED
