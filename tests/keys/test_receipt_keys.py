from __future__ import annotations

import json

import pytest
from keys_home import SPAN

from keys.envelope import EnvelopeInvalid, UntrustedSigner, sign_envelope
from keys.identity import Identity, SealInvalid
from keys.keystore import KeyStore
from keys.receipts import PAYLOAD_TYPE, ReceiptKeysInvalid, export_receipt_keys, open_receipt_keys

BUREAU = Identity("演示县财政局", "bureau", bytes(range(64, 96)))
OTHER = Identity("另一县财政局", "bureau", bytes(range(96, 128)))


@pytest.fixture
def exported(store: KeyStore) -> bytes:
    store.create_identity("演示省", "province")
    store.create_epoch("kuozhong", "2026", **SPAN)
    return export_receipt_keys(store, BUREAU.public, "kuozhong", "2026", ["339900", "339901"])


def test_a_bureau_gets_the_keys_of_its_divisions(store: KeyStore, exported: bytes) -> None:
    opened = open_receipt_keys(exported, BUREAU, store.get_public_identity())
    assert (opened.dataset, opened.epoch) == ("kuozhong", "2026")
    assert opened.keys == {name: store.receipt_key("kuozhong", "2026", name) for name in ("339900", "339901")}
    for key in opened.keys.values():
        assert key.hex() not in repr(opened)
        assert key.hex().encode() not in exported


def test_nobody_else_opens_them(store: KeyStore, exported: bytes) -> None:
    with pytest.raises(SealInvalid):
        open_receipt_keys(exported, OTHER, store.get_public_identity())
    with pytest.raises(SealInvalid):
        open_receipt_keys(exported[:-1], BUREAU, store.get_public_identity())


def test_a_false_province_is_refused(exported: bytes) -> None:
    with pytest.raises(UntrustedSigner):
        open_receipt_keys(exported, BUREAU, Identity.generate("假省", "province").public)


def test_keys_that_one_bureau_passes_to_another_are_refused(store: KeyStore, exported: bytes) -> None:
    resealed = OTHER.public.seal(BUREAU.unseal(exported))
    with pytest.raises(ReceiptKeysInvalid):
        open_receipt_keys(resealed, OTHER, store.get_public_identity())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps({"bureau": BUREAU.public.fingerprint}).encode(),
        json.dumps({"bureau": BUREAU.public.fingerprint, "dataset": "d", "epoch": "e", "keys": ["00"]}).encode(),
        json.dumps({"bureau": BUREAU.public.fingerprint, "dataset": "d", "epoch": "e", "keys": {"339900": 1}}).encode(),
    ],
)
def test_a_malformed_payload_is_refused_even_if_signed(payload: bytes, province: Identity) -> None:
    content = BUREAU.public.seal(sign_envelope(province, PAYLOAD_TYPE, payload))
    with pytest.raises(ReceiptKeysInvalid):
        open_receipt_keys(content, BUREAU, province.public)


def test_another_signed_document_is_no_file_of_keys(province: Identity) -> None:
    content = BUREAU.public.seal(sign_envelope(province, "application/vnd.mingce.manifest+json", b"{}"))
    with pytest.raises(EnvelopeInvalid):
        open_receipt_keys(content, BUREAU, province.public)
