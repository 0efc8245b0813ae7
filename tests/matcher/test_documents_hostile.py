"""Cases D18 to D22 where this software reads JSON: in the documents that parties send one another.

The endpoint itself reads JSON in signed envelopes only, and those by the same readers.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from case_invariants import check_silent

from keys.envelope import EnvelopeInvalid, open_envelope, sign_envelope
from keys.identity import Identity, IdentityInvalid, PublicIdentity
from keys.receipts import PAYLOAD_TYPE, ReceiptKeysInvalid, open_receipt_keys
from matcher.audit_head import HEAD_TYPE, AuditHeadInvalid, open_head
from matcher.handover import HandoverInvalid, _parse_header
from matcher.personal.purge_record import PURGE_TYPE, PurgeRecordInvalid, open_purge
from psi.edition import LabelSchema, Manifest, ManifestInvalid, SliceEntry, parse_manifest
from psi.errors import MingceError
from psi.suites import RISTRETTO255_SHA512

PROVINCE = Identity("演示省", "province", bytes([7]) * 32)
BUREAU = Identity("演示县财政局", "bureau", bytes([3]) * 32)
NUMBER = "990000198001011234"
KEY = bytes(range(32))

MANIFEST = Manifest(
    dataset="base",
    epoch="2026",
    edition=2,
    public_key=KEY.hex(),
    fingerprint=RISTRETTO255_SHA512.key_fingerprint(KEY),
    created_at="2026-01-05T09:00:00Z",
    not_before="2026-01-01T00:00:00Z",
    not_after="2027-02-01T00:00:00Z",
    label=LabelSchema(),
    divisions={"330922": "嵊泗县"},
    slices=(SliceEntry(division="330922", file="330922.arrow", rows=1024, bucket=1024, bytes=99, sha256="0" * 64),),
    previous=None,
).encode()
HEADER = json.dumps(
    {
        "format": "mingce-handover/1",
        "bank": "ab" * 32,
        "bureau": "cd" * 32,
        "run_id": "12" * 16,
        "dataset": "base",
        "epoch": "2026",
        "edition": 2,
        "manifest_sha256": "ab" * 32,
        "label_width": 64,
        "divisions": ["330922"],
        "rows": 4,
        "payload_sha256": "ab" * 32,
        "created_at": "2026-01-05T09:00:00Z",
        "purpose": "匹配",
        "legal_basis": "同意",
    },
    ensure_ascii=False,
    separators=(",", ":"),
).encode()
RECEIPT_KEYS = json.dumps(
    {"bureau": BUREAU.public.fingerprint, "dataset": "base", "epoch": "2026", "keys": {"330922": "00" * 32}},
    separators=(",", ":"),
).encode()


def open_keys(payload: bytes) -> object:
    """As a province that we know would sign and seal them."""
    sealed = BUREAU.public.seal(sign_envelope(PROVINCE, PAYLOAD_TYPE, payload))
    return open_receipt_keys(sealed, BUREAU, PROVINCE.public)


AUDIT_HEAD = json.dumps(
    {
        "format": "mingce-audit-head/1",
        "home": BUREAU.public.fingerprint,
        "seq": 12,
        "hash": "ab" * 32,
        "signed_by": "shenji",
        "signed_at": "2026-01-05T09:00:00Z",
    },
    separators=(",", ":"),
).encode()
PURGE = json.dumps(
    {
        "format": "mingce-purge/1",
        "home": BUREAU.public.fingerprint,
        "account": "fuhe",
        "at": "2026-01-05T09:00:00Z",
        "kinds": [
            {"kind": "places", "days": 180, "before": "2025-07-09T09:00:00Z", "rows": 3, "references": "ab" * 32}
        ],
        "kept": {"loan_open": 1},
    },
    separators=(",", ":"),
).encode()


Reader = Callable[[bytes], object]
DOCUMENTS: dict[str, tuple[bytes, Reader, type[MingceError]]] = {
    "identity": (PROVINCE.public.to_json(), PublicIdentity.from_json, IdentityInvalid),
    "envelope": (
        sign_envelope(PROVINCE, "text/plain", b"x"),
        lambda data: open_envelope(data, "text/plain", PROVINCE.public),
        EnvelopeInvalid,
    ),
    "manifest": (MANIFEST, parse_manifest, ManifestInvalid),
    "hand-over": (HEADER, _parse_header, HandoverInvalid),
    "receipt keys": (RECEIPT_KEYS, open_keys, ReceiptKeysInvalid),
    "audit head": (
        AUDIT_HEAD,
        lambda payload: open_head(sign_envelope(BUREAU, HEAD_TYPE, payload), BUREAU.public),
        AuditHeadInvalid,
    ),
    "purge": (
        PURGE,
        lambda payload: open_purge(sign_envelope(BUREAU, PURGE_TYPE, payload), BUREAU.public),
        PurgeRecordInvalid,
    ),
}
every_document = pytest.mark.parametrize("name", DOCUMENTS)


def refused(name: str, document: bytes) -> None:
    """By its own error, which repeats nothing."""
    _, read, error = DOCUMENTS[name]
    with pytest.raises(error) as caught:
        read(document)
    check_silent(f"{caught.value} {caught.value.params}".encode(), "an error")


def with_member(document: bytes, text: str) -> bytes:
    """The document with ``text`` as its first member."""
    start = document.index(b"{") + 1
    return document[:start] + text.encode("utf-8", "surrogatepass") + b"," + document[start:]


@every_document
def test_the_documents_are_sound(name: str) -> None:
    document, read, _ = DOCUMENTS[name]
    read(document)


@every_document
def test_d18_other_encodings(name: str) -> None:
    document = DOCUMENTS[name][0]
    text = document.decode()
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        refused(name, text.encode(encoding))
    refused(name, document.replace(b'"', b'"\xff', 1))
    refused(name, document.replace(b'"', b'"\xc0\xaf', 1))


@every_document
def test_d19_a_member_twice_or_unknown(name: str) -> None:
    document = DOCUMENTS[name][0]
    first = next(iter(json.loads(document)))
    refused(name, with_member(document, f'"{first}":null'))
    refused(name, with_member(document, json.dumps(first) + ":" + json.dumps(json.loads(document)[first])))
    refused(name, with_member(document, f'"{NUMBER}":"{NUMBER}"'))


@every_document
@pytest.mark.parametrize("value", ['"\\ud800"', "NaN", "Infinity", "-Infinity", "9223372036854775808", "1e999"])
def test_d20_values_that_no_store_can_hold(name: str, value: str) -> None:
    document = DOCUMENTS[name][0]
    for member in json.loads(document):
        key = f'"{member}":'.encode()
        if key in document:
            refused(name, document.replace(key, f'"{member}":{value},"'.encode() + b'x":', 1))
    refused(name, with_member(document, f'"x":{value}'))


@pytest.mark.parametrize(
    ("name", "member"), [("manifest", "edition"), ("manifest", "mode"), ("hand-over", "edition"), ("hand-over", "rows")]
)
@pytest.mark.parametrize("value", ["true", '"12"', "12.0", "1e3", "-1", "9" * 5_000, "null", "[2]"])
def test_d21_a_count_in_another_form(name: str, member: str, value: str) -> None:
    """There is no money in these documents; the same strictness holds for every number that counts something."""
    document = DOCUMENTS[name][0]
    number = json.loads(document)[member]
    changed = document.replace(f'"{member}":{number}'.encode(), f'"{member}":{value}'.encode(), 1)
    assert changed != document
    refused(name, changed)


@every_document
def test_d22_a_hundred_thousand_brackets(name: str) -> None:
    document = DOCUMENTS[name][0]
    for nested in (b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000):
        refused(name, nested)
        refused(name, with_member(document, f'"x":{nested.decode()}'))
