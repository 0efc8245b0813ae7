"""Signed and unsigned JSON documents: what a stranger may write, and what a known party may sign."""

from __future__ import annotations

import json
from functools import cache

from fuzz_target import Target

from keys.envelope import claimed_signer, open_envelope, sign_envelope
from keys.identity import Identity, PublicIdentity, parse_fingerprint
from keys.receipts import PAYLOAD_TYPE as RECEIPT_KEYS_TYPE
from keys.receipts import open_receipt_keys
from keys.strictjson import parse_object, require_text
from matcher.bank.fingerprints import EpochView, SeenEdition, View, compare_views, decode_view, encode_view, parse_code
from psi.edition import LabelSchema, Manifest, SliceEntry, parse_manifest
from psi.errors import MingceError
from psi.suites import RISTRETTO255_SHA512

PROVINCE = Identity("演示省", "province", bytes([7]) * 32)
BUREAU = Identity("演示县财政局", "bureau", bytes([3]) * 32)
MEMBERS = ("name", "number", "list")


def read_json(data: bytes) -> None:
    """What is accepted is one object that plain JSON can carry on: no surrogate, no float."""
    document = parse_object(data, MEMBERS, max_bytes=1 << 16)
    require_text(document["name"])
    json.dumps(document, allow_nan=False)


def json_seeds() -> list[bytes]:
    return [
        b'{"name": "\\u6f14\\u793a", "number": 12, "list": [1, {"a": null}]}',
        '{"name": "演示", "number": 990000199001011234, "list": []}'.encode(),
    ]


def read_envelope(data: bytes) -> None:
    claimed_signer(data)
    open_envelope(data, "text/plain", PROVINCE.public)


def envelope_seeds() -> list[bytes]:
    return [sign_envelope(PROVINCE, "text/plain", b"990000199001011234"), sign_envelope(BUREAU, "text/plain", b"")]


def read_identity(data: bytes) -> None:
    identity = PublicIdentity.from_json(data)
    assert PublicIdentity.from_json(identity.to_json()) == identity


def identity_seeds() -> list[bytes]:
    return [PROVINCE.public.to_json(), BUREAU.public.to_json()]


def read_fingerprint(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        parse_fingerprint(text)
    except MingceError:
        parse_code(text)


def fingerprint_seeds() -> list[bytes]:
    fingerprint = PROVINCE.public.fingerprint
    return [fingerprint.encode(), fingerprint.upper().encode(), "１２３４５ 67890 12345 67890-12345 67890".encode()]


def read_manifest(data: bytes) -> None:
    manifest = parse_manifest(data)
    assert parse_manifest(manifest.encode()) == manifest


def manifest_seeds() -> list[bytes]:
    key = bytes(range(32))
    slices = [
        SliceEntry(division=code, file=f"{code}.arrow", rows=1024, bucket=1024, bytes=99, sha256="0" * 64)
        for code in ("330921", "330922")
    ]
    manifest = Manifest(
        dataset="base",
        epoch="2026",
        edition=2,
        public_key=key.hex(),
        fingerprint=RISTRETTO255_SHA512.key_fingerprint(key),
        created_at="2026-01-05T09:00:00Z",
        not_before="2026-01-01T00:00:00Z",
        not_after="2027-02-01T00:00:00Z",
        label=LabelSchema(),
        divisions={"330921": "岱山县", "330922": "嵊泗县"},
        slices=tuple(slices),
        previous="ab" * 32,
    )
    return [manifest.encode(), json.dumps(json.loads(manifest.encode()), indent=1).encode()]


def read_receipt_keys(data: bytes) -> None:
    """As a province that we know would sign and seal them."""
    open_receipt_keys(BUREAU.public.seal(sign_envelope(PROVINCE, RECEIPT_KEYS_TYPE, data)), BUREAU, PROVINCE.public)


def receipt_keys_seeds() -> list[bytes]:
    keys = {"330921": "00" * 32, "330922": "11" * 32}
    return [
        json.dumps({"bureau": BUREAU.public.fingerprint, "dataset": "base", "epoch": "2026", "keys": keys}).encode()
    ]


def read_view(data: bytes) -> None:
    """Another bank's view is compared with our own, which never fails on what was read."""
    theirs = decode_view(data)
    compare_views(decode_view(view_seeds()[0]).epochs, theirs.epochs)


@cache
def view_seeds() -> list[bytes]:
    editions = [
        SeenEdition(edition=number, manifest_sha256=f"{number:064x}", previous=f"{number - 1:064x}")
        for number in (2, 3, 9)
    ]
    epoch = EpochView(dataset="base", epoch="2026", signer="0" * 64, fingerprint="1" * 64, editions=editions)
    view = View(party="演示银行", party_fingerprint="2" * 64, made_at="2026-01-05T09:00:00Z", epochs=[epoch])
    return [encode_view(view)]


TARGETS = [
    Target("strict_json", "any JSON document from a stranger", read_json, json_seeds),
    Target("envelope", "a DSSE envelope", read_envelope, envelope_seeds),
    Target("identity", "an identity document", read_identity, identity_seeds),
    Target("fingerprint", "a fingerprint or code as a person types it", read_fingerprint, fingerprint_seeds),
    Target("manifest", "an edition's manifest behind its signature", read_manifest, manifest_seeds),
    Target("bank_view", "another bank's fingerprint file", read_view, view_seeds),
    Target("receipt_keys", ".mck: receipt keys behind signature and seal", read_receipt_keys, receipt_keys_seeds),
]
