from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keys_home import CHEAP, raw, reopened

from keys.envelope import (
    AlreadySigned,
    EnvelopeInvalid,
    SignaturesMissing,
    SignerUnknown,
    add_signature,
    claimed_signers,
    open_countersigned,
    open_envelope,
    sign_envelope,
)
from keys.identity import Identity, IdentityInvalid, PublicIdentity, SignatureInvalid
from keys.keystore import KeyStore
from keys.operators import (
    OperatorConflict,
    OperatorKeyInvalid,
    OperatorNotAllowed,
    OperatorUnknown,
    create_operator_key,
    open_operator_key,
    read_operator_key,
)
from keys.wrap import FileKek, KeyUnwrapFailed, PassphraseTooShort
from psi.errors import InputError, VerificationError

TYPE = "application/vnd.mingce.warrant+json"
PASSPHRASE = "correct horse 正确"
ZHANG, LI, WANG, ZHAO = (
    Identity(name, "operator", bytes([number]) * 32) for number, name in enumerate(("张三", "李四", "王五", "赵六"), 1)
)


def key_file(name: str = "张三") -> bytes:
    return create_operator_key(name, PASSPHRASE, lambda n: bytes(range(n)), cost=CHEAP)


# Key files


def test_an_operators_key_opens_under_its_passphrase() -> None:
    identity = open_operator_key(key_file(), PASSPHRASE)
    assert identity.expose_seed() == bytes(range(32))
    assert identity.public == read_operator_key(key_file())
    assert (identity.public.name, identity.public.kind) == ("张三", "operator")


def test_the_seed_does_not_stand_in_the_file() -> None:
    assert bytes(range(32)).hex() not in key_file().decode()


def test_a_wrong_passphrase_opens_nothing() -> None:
    with pytest.raises(KeyUnwrapFailed):
        open_operator_key(key_file(), PASSPHRASE + "x")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(PassphraseTooShort):
        create_operator_key("张三", "short", bytes, cost=CHEAP)


OTHER_KEY = Identity("张三", "operator", bytes(32)).public.verify_key.hex()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": "mingce-operator-key/2"}, OperatorKeyInvalid),
        ({"name": "李四"}, KeyUnwrapFailed),
        ({"name": ""}, IdentityInvalid),
        ({"verify_key": OTHER_KEY}, KeyUnwrapFailed),
        ({"verify_key": "00" * 32}, IdentityInvalid),
        ({"verify_key": 7}, OperatorKeyInvalid),
        ({"wrapped_seed": ""}, OperatorKeyInvalid),
        ({"wrapped_seed": "abc"}, OperatorKeyInvalid),
        ({"wrapped_seed": "00"}, KeyUnwrapFailed),
        ({"extra": 1}, OperatorKeyInvalid),
    ],
)
def test_a_changed_key_file_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    document = json.loads(key_file()) | change
    with pytest.raises(error):
        open_operator_key(json.dumps(document).encode(), PASSPHRASE)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * 5_000])
def test_garbage_is_no_key_file(data: bytes) -> None:
    with pytest.raises(OperatorKeyInvalid):
        open_operator_key(data, PASSPHRASE)


# Countersigning


def known(*identities: Identity) -> Callable[[str], PublicIdentity | None]:
    return {identity.public.fingerprint: identity.public for identity in identities}.get


def test_two_signatures_stand_side_by_side_over_the_same_bytes() -> None:
    envelope = add_signature(sign_envelope(ZHANG, TYPE, b"payload"), LI)
    opened = open_countersigned(envelope, TYPE, known(ZHANG, LI))
    assert opened.payload == b"payload"
    assert opened.signers == (ZHANG.public, LI.public)
    assert claimed_signers(envelope) == [ZHANG.public.fingerprint, LI.public.fingerprint]


def test_one_person_signs_once() -> None:
    once = sign_envelope(ZHANG, TYPE, b"payload")
    with pytest.raises(AlreadySigned):
        add_signature(once, ZHANG)
    twice = json.loads(once)
    twice["signatures"] *= 2
    with pytest.raises(EnvelopeInvalid):
        open_countersigned(json.dumps(twice).encode(), TYPE, known(ZHANG))


def test_one_signature_is_not_two() -> None:
    with pytest.raises(SignaturesMissing) as caught:
        open_countersigned(sign_envelope(ZHANG, TYPE, b"payload"), TYPE, known(ZHANG, LI))
    assert caught.value.params == {"found": 1, "needed": 2}


def test_every_signature_counts_even_those_beyond_the_minimum() -> None:
    envelope = add_signature(add_signature(sign_envelope(ZHANG, TYPE, b"payload"), LI), WANG)
    with pytest.raises(SignerUnknown) as caught:
        open_countersigned(envelope, TYPE, known(ZHANG, LI))
    assert caught.value.params == {"found": WANG.public.fingerprint}


def test_a_payload_changed_after_the_first_signature_does_not_open() -> None:
    changed = json.loads(sign_envelope(ZHANG, TYPE, b"payload"))
    changed["payload"] = json.loads(sign_envelope(ZHANG, TYPE, b"another"))["payload"]
    envelope = add_signature(json.dumps(changed).encode(), LI)
    with pytest.raises(SignatureInvalid):
        open_countersigned(envelope, TYPE, known(ZHANG, LI))


def test_a_document_of_one_party_never_opens_with_two_signatures() -> None:
    with pytest.raises(EnvelopeInvalid):
        open_envelope(add_signature(sign_envelope(ZHANG, TYPE, b"payload"), LI), TYPE, ZHANG.public)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {**e, "signatures": []},
        lambda e: {**e, "signatures": e["signatures"] * 5},
        lambda e: {**e, "signatures": [*e["signatures"], "x"]},
        lambda e: {**e, "payloadType": "another"},
        lambda e: {**e, "signatures": [{**e["signatures"][0], "sig": e["signatures"][1]["sig"]}, e["signatures"][1]]},
    ],
)
def test_a_damaged_countersigned_document_is_refused(change: Callable[[Any], object]) -> None:
    envelope = json.loads(add_signature(sign_envelope(ZHANG, TYPE, b"payload"), LI))
    with pytest.raises(VerificationError):
        open_countersigned(json.dumps(change(envelope)).encode(), TYPE, known(ZHANG, LI))


# Registration


@pytest.fixture
def two(store: KeyStore) -> KeyStore:
    """A home with two operators."""
    store.create_identity("演示银行", "bank")
    store.operators.register(ZHANG.public)
    store.operators.register(LI.public)
    return store


def test_the_first_two_are_registered_by_whoever_holds_the_home(two: KeyStore) -> None:
    assert [(one.name, one.roles, one.state) for one in two.operators.list_all()] == [
        ("张三", ("propose", "approve"), "active"),
        ("李四", ("propose", "approve"), "active"),
    ]
    assert two.operators.find(ZHANG.public.fingerprint) == ZHANG.public
    assert two.operators.get_by_name("李四").identity == LI.public


def test_a_third_needs_two_signatures(two: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    with pytest.raises(SignaturesMissing):
        two.operators.register(WANG.public)
    assert two.operators.register(WANG.public, signer=ZHANG) is None
    assert two.operators.find(WANG.public.fingerprint) is None
    with pytest.raises(AlreadySigned):
        two.operators.register(WANG.public, signer=ZHANG)
    again = reopened(two, tmp_path, kek)  # the proposal waits on disk
    registered = again.operators.register(WANG.public, signer=LI)
    assert registered is not None
    assert again.operators.find(WANG.public.fingerprint) == WANG.public
    assert [event.action for event in again.list_events()][-3:] == [
        "operator propose register",
        "operator approve register",
        "operator register",
    ]


def test_the_second_signature_is_for_the_same_decision(two: KeyStore) -> None:
    two.operators.register(WANG.public, ["propose"], signer=ZHANG)
    with pytest.raises(OperatorConflict):
        two.operators.register(WANG.public, ["propose", "approve"], signer=LI)
    assert two.operators.register(WANG.public, ["propose"], signer=LI) is not None


def test_nobody_registers_themselves_in(two: KeyStore) -> None:
    with pytest.raises(OperatorNotAllowed):
        two.operators.register(WANG.public, signer=WANG)
    two.operators.register(WANG.public, signer=ZHANG)
    with pytest.raises(OperatorNotAllowed):
        two.operators.register(WANG.public, signer=WANG)


def test_a_revocation_needs_two_and_is_for_good(two: KeyStore) -> None:
    for signer in (ZHANG, LI):
        two.operators.register(WANG.public, signer=signer)
    assert two.operators.revoke(ZHANG.public.fingerprint, signer=LI) is None
    assert two.operators.find(ZHANG.public.fingerprint) == ZHANG.public
    revoked = two.operators.revoke(ZHANG.public.fingerprint, signer=WANG)
    assert revoked is not None
    assert revoked.state == "revoked"
    assert two.operators.find(ZHANG.public.fingerprint) is None
    for again in (ZHANG, Identity("张三", "operator", bytes([9]) * 32), Identity("别名", "operator", bytes([1]) * 32)):
        with pytest.raises(OperatorConflict):
            two.operators.register(again.public, signer=LI)
    with pytest.raises(OperatorConflict):
        two.operators.revoke(ZHANG.public.fingerprint, signer=LI)
    with pytest.raises(OperatorNotAllowed):
        two.operators.register(ZHAO.public, signer=ZHANG)


def test_what_a_revoked_operator_began_is_void(two: KeyStore) -> None:
    for signer in (ZHANG, LI):
        two.operators.register(WANG.public, signer=signer)
    two.operators.register(ZHAO.public, signer=ZHANG)
    for signer in (LI, WANG):
        two.operators.revoke(ZHANG.public.fingerprint, signer=signer)
    assert two.operators.register(ZHAO.public, signer=LI) is None  # begun anew: one signature, not two


def test_below_two_the_holder_of_the_home_fills_up_again(two: KeyStore) -> None:
    for signer in (LI, ZHANG):
        two.operators.revoke(ZHANG.public.fingerprint, signer=signer)
    assert two.operators.register(WANG.public) is not None
    with pytest.raises(SignaturesMissing):
        two.operators.register(ZHAO.public)


@pytest.mark.parametrize(("first", "second"), [(["approve"], ["approve"]), (["propose"], ["propose"])])
def test_roles_are_not_swapped(store: KeyStore, first: list[Any], second: list[Any]) -> None:
    store.create_identity("演示银行", "bank")
    store.operators.register(ZHANG.public, first)
    store.operators.register(LI.public, second)
    envelope = add_signature(sign_envelope(ZHANG, TYPE, b"{}"), LI)
    with pytest.raises(OperatorNotAllowed):
        store.operators.open_decision(envelope, TYPE)


def test_a_proposer_and_an_approver_decide(store: KeyStore) -> None:
    store.create_identity("演示银行", "bank")
    store.operators.register(ZHANG.public, ["propose"])
    store.operators.register(LI.public, ["approve"])
    proposed = sign_envelope(ZHANG, TYPE, b"{}")
    assert store.operators.open_proposal(proposed, TYPE).signers == (ZHANG.public,)
    with pytest.raises(SignaturesMissing):
        store.operators.open_decision(proposed, TYPE)
    assert store.operators.open_decision(add_signature(proposed, LI), TYPE).signers == (ZHANG.public, LI.public)
    with pytest.raises(OperatorNotAllowed):
        store.operators.open_proposal(sign_envelope(LI, TYPE, b"{}"), TYPE)
    assert store.operators.require(LI.public.fingerprint, "approve").name == "李四"
    with pytest.raises(OperatorNotAllowed):
        store.operators.require(LI.public.fingerprint, "propose")
    with pytest.raises(OperatorNotAllowed):
        store.operators.require(WANG.public.fingerprint, "propose")


def test_only_a_persons_key_becomes_an_operator(store: KeyStore, bank: Identity) -> None:
    with pytest.raises(InputError):
        store.operators.register(bank.public)
    with pytest.raises(InputError):
        store.operators.register(ZHANG.public, [])
    with pytest.raises(OperatorUnknown):
        store.operators.get_by_name("张三")


def test_a_row_put_into_the_store_by_hand_must_still_be_sound(two: KeyStore, tmp_path: Path) -> None:
    raw(tmp_path).execute("UPDATE operator SET verify_key = zeroblob(32) WHERE name = '张三'")
    with pytest.raises(IdentityInvalid):
        two.operators.find(ZHANG.public.fingerprint)
