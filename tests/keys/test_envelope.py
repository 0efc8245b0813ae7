from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.envelope import EnvelopeInvalid, UntrustedSigner, claimed_signer, open_envelope, sign_envelope
from keys.identity import Identity, SignatureInvalid
from psi.errors import VerificationError

TYPE = "application/vnd.mingce.manifest+json"
PAYLOAD = b'{"format":"mingce-edition/1"}'


@settings(deadline=None)
@given(st.binary(max_size=2_000), st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_payload_comes_back_as_it_was(payload: bytes, payload_type: str) -> None:
    province = Identity("演示省", "province", bytes(32))
    envelope = sign_envelope(province, payload_type, payload)
    assert open_envelope(envelope, payload_type, province.public) == payload
    assert claimed_signer(envelope) == province.public.fingerprint


def test_the_signed_bytes_are_those_of_dsse() -> None:
    """The example of DSSE's protocol.md: PAE("http://example.com/HelloWorld", "hello world")."""
    signer = Identity("test", "bureau", bytes(32))
    envelope = json.loads(sign_envelope(signer, "http://example.com/HelloWorld", b"hello world"))
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    signer.public.verify(b"DSSEv1 29 http://example.com/HelloWorld 11 hello world", signature)


def _resign(signer: Identity) -> Callable[[dict[str, Any]], object]:
    return lambda _: json.loads(sign_envelope(signer, TYPE, PAYLOAD))


def _with(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda envelope: envelope | changes


def _with_signature(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda envelope: envelope | {"signatures": [envelope["signatures"][0] | changes]}


def _flipped(text: str) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[0] ^= 1
    return base64.b64encode(raw).decode()


OTHER = Identity("另一省", "province", bytes(range(1, 33)))
BAD: dict[str, tuple[Callable[[dict[str, Any]], object], type[VerificationError]]] = {
    "payload: bit flipped": (lambda e: e | {"payload": _flipped(e["payload"])}, SignatureInvalid),
    "payload: cut": (_with(payload=base64.b64encode(PAYLOAD[:-1]).decode()), SignatureInvalid),
    "payload: empty": (_with(payload=""), SignatureInvalid),
    "payload: not text": (_with(payload=7), EnvelopeInvalid),
    "payload: URL alphabet": (_with(payload="-_-_"), EnvelopeInvalid),
    "payload: white space": (lambda e: e | {"payload": e["payload"] + "\n"}, EnvelopeInvalid),
    "payload: padding missing": (_with(payload="aGVsbG8"), EnvelopeInvalid),
    "payload: trailing bits": (_with(payload="aGVsbG9="), EnvelopeInvalid),
    "payload: lone surrogate": (_with(payload="\ud800"), EnvelopeInvalid),
    "payloadType: another": (_with(payloadType="application/vnd.mingce.hand-over+json"), EnvelopeInvalid),
    "payloadType: missing": (lambda e: {k: v for k, v in e.items() if k != "payloadType"}, EnvelopeInvalid),
    "signature: bit flipped": (
        lambda e: _with_signature(sig=_flipped(e["signatures"][0]["sig"]))(e),
        SignatureInvalid,
    ),
    "signature: cut": (_with_signature(sig=base64.b64encode(bytes(63)).decode()), SignatureInvalid),
    "signature: empty": (_with_signature(sig=""), SignatureInvalid),
    "signature: none": (_with(signatures=[]), EnvelopeInvalid),
    "signature: two": (lambda e: e | {"signatures": e["signatures"] * 2}, EnvelopeInvalid),
    "signature: not a list": (lambda e: e | {"signatures": e["signatures"][0]}, EnvelopeInvalid),
    "signature: unknown member": (_with_signature(cert="x"), EnvelopeInvalid),
    "keyid: another's": (_with_signature(keyid=OTHER.public.fingerprint), UntrustedSigner),
    "keyid: capitals": (
        lambda e: _with_signature(keyid=e["signatures"][0]["keyid"].upper())(e),
        EnvelopeInvalid,
    ),
    "keyid: hostile text": (_with_signature(keyid="<script>"), EnvelopeInvalid),
    "signer: another": (_resign(OTHER), UntrustedSigner),
    "signer: another under the pinned keyid": (
        lambda e: _with_signature(keyid=e["signatures"][0]["keyid"])(_resign(OTHER)(e)),  # type: ignore[arg-type]
        SignatureInvalid,
    ),
    "envelope: unknown member": (_with(extra=1), EnvelopeInvalid),
    "envelope: a list": (lambda e: [e], EnvelopeInvalid),
}


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_has_its_error(province: Identity, fault: str) -> None:
    change, error = BAD[fault]
    envelope = json.dumps(change(json.loads(sign_envelope(province, TYPE, PAYLOAD)))).encode()
    with pytest.raises(error) as caught:
        open_envelope(envelope, TYPE, province.public)
    assert type(caught.value) is error


def test_a_foreign_signer_is_shown_with_both_fingerprints(province: Identity) -> None:
    with pytest.raises(UntrustedSigner) as caught:
        open_envelope(sign_envelope(OTHER, TYPE, PAYLOAD), TYPE, province.public)
    assert caught.value.params == {"expected": province.public.fingerprint, "found": OTHER.public.fingerprint}


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "x",
        lambda text: "\ufeff" + text,
        lambda text: text.replace('{"payloadType"', '{"payloadType":"x","payloadType"', 1),
        lambda text: text.replace('{"keyid"', '{"keyid":"x","keyid"', 1),
        lambda text: text.replace('"signatures":[', '"signatures":[NaN,', 1),
        lambda text: text.replace('"signatures":[', '"signatures":[1.0,', 1),
        lambda text: text.replace('"signatures":[', '"signatures":[' + "9" * 5_000 + ",", 1),
        lambda text: "[" * 100_000,
        lambda text: '{"payload":' * 100_000,
    ],
)
def test_ambiguous_or_hostile_json_is_refused(province: Identity, rewrite: Callable[[str], str]) -> None:
    text = sign_envelope(province, TYPE, PAYLOAD).decode()
    with pytest.raises(EnvelopeInvalid):
        open_envelope(rewrite(text).encode(), TYPE, province.public)


def test_other_encodings_are_refused(province: Identity) -> None:
    text = sign_envelope(province, TYPE, PAYLOAD).decode()
    for encoded in (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-32"), b"\xff" + text.encode()):
        with pytest.raises(EnvelopeInvalid):
            open_envelope(encoded, TYPE, province.public)


def test_the_size_limit_is_exact(province: Identity) -> None:
    envelope = sign_envelope(province, TYPE, PAYLOAD)
    assert open_envelope(envelope, TYPE, province.public, max_bytes=len(envelope)) == PAYLOAD
    with pytest.raises(EnvelopeInvalid):
        open_envelope(envelope, TYPE, province.public, max_bytes=len(envelope) - 1)


@settings(deadline=None)
@given(st.data())
def test_no_single_byte_can_be_changed(data: st.DataObject) -> None:
    signer = Identity("演示省", "province", bytes(32))
    envelope = bytearray(sign_envelope(signer, TYPE, PAYLOAD))
    position = data.draw(st.integers(0, len(envelope) - 1))
    envelope[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        open_envelope(bytes(envelope), TYPE, signer.public)
