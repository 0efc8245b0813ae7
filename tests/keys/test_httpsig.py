"""Request signatures: what is accepted is one shape; each fault has its named error."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.httpsig import BadSignature, ClockSkew, VerifiedRequest, content_digest, sign_request, verify_request
from keys.identity import Identity, PublicIdentity
from psi.errors import InputError

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NONCE = "abcdefghijklmnopqrstuv"
PATH = "/v1/datasets/kuozhong/epochs/2026/evaluate"
BODY = b"MCEQ\x01\x01\x01\x00"
SIGNER = Identity("演示银行", "bank", bytes(range(32)))
OTHER = Identity("另一银行", "bank", bytes(range(1, 33)))


@dataclass(frozen=True)
class Received:
    """A request as the server sees it."""

    method: str = "POST"
    path: str = PATH
    query: str = "a=b"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = BODY
    now: datetime = NOW
    known: tuple[Identity, ...] = (SIGNER, OTHER)

    def header(self, name: str) -> str:
        return next(value for field_name, value in self.headers if field_name == name)

    def with_header(self, name: str, value: str | None) -> Received:
        """With another value, or without the header."""
        others = [line for line in self.headers if line[0] != name]
        return replace(self, headers=others if value is None else [*others, (name, value)])

    def edited(self, old: str, new: str) -> Received:
        """With a part of Signature-Input rewritten; the signature stays."""
        value = self.header("Signature-Input")
        assert old in value
        return self.with_header("Signature-Input", value.replace(old, new))

    def verify(self) -> VerifiedRequest:
        pinned = {identity.public.fingerprint: identity.public for identity in self.known}
        return verify_request(
            method=self.method,
            path=self.path,
            query=self.query,
            headers=self.headers,
            body_digest=None if self.body is None else hashlib.sha256(self.body).digest(),
            find_identity=pinned.get,
            now=self.now,
        )


def signed(signer: Identity = SIGNER, body: bytes | None = BODY, *, key: bool = True, method: str = "POST") -> Received:
    headers = {"Content-Type": "application/vnd.mingce.evaluate-request"} if body else {}
    if key:
        headers["Idempotency-Key"] = '"00112233445566778899aabbccddeeff"'
    url = f"https://province.example{PATH}?a=b"
    sign_request(signer, method=method, url=url, headers=headers, body=body, now=NOW, nonce=NONCE)
    return Received(method=method, headers=list(headers.items()), body=body)


def test_a_signed_request_is_accepted() -> None:
    assert signed().verify() == VerifiedRequest(SIGNER.public, NONCE, NOW)


def test_the_signature_base_is_the_one_in_the_document() -> None:
    """protocol.md section 3 and RFC 9421 section 2.5, written out by hand."""
    request = signed()
    parameters = (
        '("@method" "@path" "@query" "content-digest" "content-type" "idempotency-key")'
        f';created={int(NOW.timestamp())};keyid="{SIGNER.public.fingerprint}"'
        f';alg="ed25519";nonce="{NONCE}";tag="mingce/1"'
    )
    base = (
        '"@method": POST\n'
        f'"@path": {PATH}\n'
        '"@query": ?a=b\n'
        f'"content-digest": sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:\n'
        '"content-type": application/vnd.mingce.evaluate-request\n'
        '"idempotency-key": "00112233445566778899aabbccddeeff"\n'
        f'"@signature-params": {parameters}'
    )
    assert request.header("Signature-Input") == f"mingce={parameters}"
    signature = base64.b64decode(request.header("Signature").removeprefix("mingce=:").removesuffix(":"))
    SIGNER.public.verify(base.encode(), signature)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.from_regex(r"(/[A-Za-z0-9._~:@!$&'()*+,;=-]{0,9}(%[0-9A-F]{2})?){1,4}", fullmatch=True),
    query=st.from_regex(r"([A-Za-z0-9._~/?=&-]|%[0-9A-F]{2}){0,20}", fullmatch=True),
    body=st.none() | st.binary(max_size=100),
    idempotent=st.booleans(),
)
def test_any_request_is_accepted_as_signed(
    method: str, path: str, query: str, body: bytes | None, idempotent: bool
) -> None:
    headers = httpx.Headers({"Accept": "*/*", "content-type": "application/json"})
    if idempotent:
        headers["Idempotency-Key"] = '"1"'
    url = f"https://province.example:8443{path}" + (f"?{query}" if query else "")
    sign_request(SIGNER, method=method, url=url, headers=headers, body=body, now=NOW)
    received = Received(method, path, query, [*headers.multi_items()], body)
    assert received.verify().identity == SIGNER.public


def test_signing_again_replaces_the_first_attempt() -> None:
    headers = {"content-type": "text/plain"}
    for body in (b"first", b"second"):
        sign_request(SIGNER, method="POST", url=f"https://x{PATH}?a=b", headers=headers, body=body, now=NOW)
    assert sorted(name.lower() for name in headers) == [
        "content-digest",
        "content-type",
        "signature",
        "signature-input",
    ]
    Received(headers=list(headers.items()), body=b"second").verify()


def test_nonces_differ_by_themselves() -> None:
    nonces = set()
    for _ in range(50):
        headers: dict[str, str] = {}
        sign_request(SIGNER, method="GET", url=f"https://x{PATH}?a=b", headers=headers, body=None, now=NOW)
        nonces.add(Received("GET", headers=list(headers.items()), body=None).verify().nonce)
    assert len(nonces) == 50


def test_an_empty_body_is_no_body() -> None:
    request = signed(body=b"")
    assert "Content-Digest" not in dict(request.headers)
    request.verify()
    replace(request, body=None).verify()


def test_what_cannot_be_signed_says_so() -> None:
    for url, headers, body in (
        ("https://x/a", {}, b"body without a type"),
        ("/relative", {}, None),
        ("https://x/a b", {}, None),
        ("https://x/嵊泗", {}, None),
        ("https://x/a", {"Content-Type": "text/plain\nX: y"}, b"body"),
        ("https://x/a", {"Content-Type": "文本"}, b"body"),
    ):
        with pytest.raises(InputError):
            sign_request(SIGNER, method="GET", url=url, headers=dict(headers), body=body, now=NOW)


def _double(name: str) -> Callable[[Received], Received]:
    return lambda r: replace(r, headers=[*r.headers, (name.lower(), r.header(name))])


def _flip_signature(r: Received) -> Received:
    raw = bytearray(base64.b64decode(r.header("Signature").removeprefix("mingce=:").removesuffix(":")))
    raw[5] ^= 1
    return r.with_header("Signature", f"mingce=:{base64.b64encode(raw).decode()}:")


def _second_signature(r: Received) -> Received:
    for name in ("Signature-Input", "Signature"):
        value = r.header(name)
        r = r.with_header(name, f"{value}, other={value.removeprefix('mingce=')}")
    return r


def _relabelled(r: Received) -> Received:
    for name in ("Signature-Input", "Signature"):
        r = r.with_header(name, r.header(name).replace("mingce=", "sig1=", 1))
    return r


FULL = '("@method" "@path" "@query" "content-digest" "content-type" "idempotency-key")'
BAD: dict[str, Callable[[Received], Received]] = {
    "method: another": lambda r: replace(r, method="PUT"),
    "method: small letters": lambda r: replace(r, method="post"),
    "path: another": lambda r: replace(r, path=PATH + "s"),
    "path: query moved in, as a decoding server would see /evaluate%3Fa=b": lambda r: replace(
        r, path=f"{PATH}?a=b", query=""
    ),
    "path: relative": lambda r: replace(r, path=PATH[1:]),
    "path: empty": lambda r: replace(r, path=""),
    "path: fragment": lambda r: replace(r, path=f"{PATH}#"),
    "path: line break": lambda r: replace(r, path=f"{PATH}\n"),
    "path: another authority": lambda r: replace(r, path=f"@evil.example{PATH}"),
    "query: another": lambda r: replace(r, query="a=c"),
    "query: dropped": lambda r: replace(r, query=""),
    "query: fragment": lambda r: replace(r, query="a=b#c"),
    "body: another": lambda r: replace(r, body=BODY + b"\0"),
    "body: dropped": lambda r: replace(r, body=None),
    "body: added": lambda r: replace(signed(body=None, key=False), body=BODY),
    "content-digest: missing": lambda r: r.with_header("Content-Digest", None),
    "content-digest: of another body": lambda r: replace(
        r.with_header("Content-Digest", content_digest(hashlib.sha256(b"x").digest())), body=b"x"
    ),
    "content-digest: another algorithm": lambda r: r.with_header(
        "Content-Digest", f"sha-512=:{base64.b64encode(hashlib.sha512(BODY).digest()).decode()}:"
    ),
    "content-digest: not ASCII": lambda r: r.with_header("Content-Digest", "sha-256=:é:"),
    "content-type: replaced": lambda r: r.with_header("Content-Type", "text/plain"),
    "content-type: missing": lambda r: r.with_header("Content-Type", None),
    "idempotency-key: replaced": lambda r: r.with_header("Idempotency-Key", '"ff"'),
    "idempotency-key: dropped": lambda r: r.with_header("Idempotency-Key", None),
    "idempotency-key: added": lambda r: signed(key=False).with_header("Idempotency-Key", '"ff"'),
    "header twice: signature": _double("Signature"),
    "header twice: signature-input": _double("Signature-Input"),
    "header twice: content-digest": _double("Content-Digest"),
    "header twice: content-type": _double("Content-Type"),
    "header twice: idempotency-key": _double("Idempotency-Key"),
    "signature: missing": lambda r: r.with_header("Signature", None),
    "signature: bit flipped": _flip_signature,
    "signature: cut": lambda r: r.with_header("Signature", "mingce=:AAAA:"),
    "signature: empty": lambda r: r.with_header("Signature", "mingce=::"),
    "signature: not bytes": lambda r: r.with_header("Signature", 'mingce="x"'),
    "signature: another label": lambda r: r.with_header("Signature", "sig1" + r.header("Signature")[6:]),
    "signature: not a dictionary": lambda r: r.with_header("Signature", "(((("),
    "signature: two": _second_signature,
    "signature: one label twice": lambda r: r.with_header("Signature", ", ".join([r.header("Signature")] * 2)),
    "signature: of another request of the same key": lambda r: r.with_header(
        "Signature", signed(body=b"x").header("Signature")
    ),
    "signature: another key under this keyid": lambda r: r.with_header("Signature", signed(OTHER).header("Signature")),
    "label: another": _relabelled,
    "signature-input: missing": lambda r: r.with_header("Signature-Input", None),
    "signature-input: empty": lambda r: r.with_header("Signature-Input", ""),
    "signature-input: not a dictionary": lambda r: r.with_header("Signature-Input", '"mingce"'),
    "signature-input: not a list": lambda r: r.with_header("Signature-Input", "mingce=1"),
    "signature-input: a flag": lambda r: r.with_header("Signature-Input", "mingce"),
    "signature-input: not ASCII": lambda r: r.with_header("Signature-Input", "mingce=(é)"),
    "signature-input: lone surrogate": lambda r: r.with_header("Signature-Input", "mingce=(\udc80)"),
    "signature-input: one label twice": lambda r: r.with_header(
        "Signature-Input", ", ".join([r.header("Signature-Input")] * 2)
    ),
    "components: none": lambda r: r.edited(FULL, "()"),
    "components: one missing": lambda r: r.edited(' "content-digest"', ""),
    "components: one more": lambda r: r.edited('"@method"', '"@method" "@authority"'),
    "components: one twice": lambda r: r.edited('"@method"', '"@method" "@method"'),
    "components: another order": lambda r: r.edited('"@method" "@path"', '"@path" "@method"'),
    "components: with a parameter": lambda r: r.edited('"content-type"', '"content-type";sf'),
    "components: of a related request": lambda r: r.edited('"@method"', '"@method";req'),
    "components: a token": lambda r: r.edited('"content-type"', "content-type"),
    "created: missing": lambda r: r.edited(f";created={int(NOW.timestamp())}", ""),
    "created: text": lambda r: r.edited(f"created={int(NOW.timestamp())}", f'created="{int(NOW.timestamp())}"'),
    "created: decimal": lambda r: r.edited(f"created={int(NOW.timestamp())}", f"created={int(NOW.timestamp())}.0"),
    "created: true": lambda r: r.edited(f"created={int(NOW.timestamp())}", "created"),
    "created: huge": lambda r: r.edited(f"created={int(NOW.timestamp())}", "created=999999999999999"),
    "created: negative": lambda r: r.edited("created=", "created=-"),
    "created: later by a second": lambda r: r.edited(
        f"created={int(NOW.timestamp())}", f"created={int(NOW.timestamp()) + 1}"
    ),
    "expires: added": lambda r: r.edited(";alg", ";expires=1;alg"),
    "parameter: unknown": lambda r: r.edited(";alg", ";x=1;alg"),
    "alg: missing": lambda r: r.edited(';alg="ed25519"', ""),
    "alg: another": lambda r: r.edited("ed25519", "hmac-sha256"),
    "alg: a token": lambda r: r.edited('"ed25519"', "ed25519"),
    "tag: missing": lambda r: r.edited(';tag="mingce/1"', ""),
    "tag: another": lambda r: r.edited("mingce/1", "mingce/2"),
    "nonce: missing": lambda r: r.edited(f';nonce="{NONCE}"', ""),
    "nonce: another": lambda r: r.edited(NONCE, NONCE[::-1]),
    "nonce: short": lambda r: r.edited(NONCE, NONCE[:-1]),
    "nonce: long": lambda r: r.edited(NONCE, NONCE * 6),
    "nonce: other alphabet": lambda r: r.edited(NONCE, NONCE[:-1] + "+"),
    "nonce: a token": lambda r: r.edited(f'"{NONCE}"', NONCE),
    "keyid: missing": lambda r: r.edited(f';keyid="{SIGNER.public.fingerprint}"', ""),
    "keyid: a number": lambda r: r.edited(f'"{SIGNER.public.fingerprint}"', "1"),
    "keyid: capitals": lambda r: r.edited(SIGNER.public.fingerprint, SIGNER.public.fingerprint.upper()),
    "keyid: another's": lambda r: r.edited(SIGNER.public.fingerprint, OTHER.public.fingerprint),
    "keyid: unknown": lambda r: replace(r, known=(OTHER,)),
    "keyid: nobody known": lambda r: replace(r, known=()),
}


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_is_a_bad_signature(fault: str) -> None:
    request = BAD[fault](signed())
    with pytest.raises(BadSignature) as caught:
        request.verify()
    assert SIGNER.public.fingerprint not in str(caught.value)  # nothing sent is repeated
    assert caught.value.params == {}


CREATED = int(NOW.timestamp())
PARAMETERS = f';created={CREATED};keyid="{SIGNER.public.fingerprint}";alg="ed25519";nonce="{NONCE}";tag="mingce/1"'
VALUES = {
    '"@method"': "GET",
    '"@path"': PATH,
    '"@query"': "?a=b",
    '"@authority"': "x",
    '"content-digest"': "sha-256=:eA==:",
}


def sound(
    components: str = '"@method" "@path" "@query"', parameters: str = PARAMETERS, *, label: str = "mingce"
) -> Received:
    """A GET signed by hand: the signature is right for whatever is covered and claimed."""
    covered = components.split(" ")
    base = "\n".join(
        [*(f"{name}: {VALUES[name]}" for name in covered), f'"@signature-params": ({components}){parameters}']
    )
    signature = base64.b64encode(SIGNER.sign(base.encode())).decode()
    headers = [
        ("Signature-Input", f"{label}=({components}){parameters}"),
        ("Signature", f"{label}=:{signature}:"),
        ("Host", "x"),
    ]
    return Received("GET", headers=headers, body=None)


def test_a_request_signed_by_hand_is_accepted() -> None:
    assert sound().verify().nonce == NONCE


def _and_another(r: Received) -> Received:
    """Two sound signatures: ours, and the same under another label."""
    for name in ("Signature-Input", "Signature"):
        r = r.with_header(name, f"{r.header(name)}, other={r.header(name).removeprefix('mingce=')}")
    return r


SOUND_BUT_WRONG: dict[str, Received] = {
    "covers too little": sound('"@method" "@path"'),
    "covers more": sound('"@method" "@path" "@query" "@authority"'),
    "covers in another order": sound('"@query" "@path" "@method"'),
    "covers a digest without a body": sound('"@method" "@path" "@query" "content-digest"').with_header(
        "Content-Digest", "sha-256=:eA==:"
    ),
    "a digest without a body": sound().with_header("Content-Digest", "sha-256=:eA==:"),
    "expires": sound(parameters=f"{PARAMETERS};expires=9999999999"),
    "created before 1970": sound(parameters=PARAMETERS.replace("created=", "created=-")),
    "created beyond any calendar": sound(parameters=PARAMETERS.replace(f"{CREATED}", "999999999999999")),
    "no created": sound(parameters=PARAMETERS.replace(f";created={CREATED}", "")),
    "no alg": sound(parameters=PARAMETERS.replace(';alg="ed25519"', "")),
    "another alg": sound(parameters=PARAMETERS.replace("ed25519", "hmac-sha256")),
    "no tag": sound(parameters=PARAMETERS.replace(';tag="mingce/1"', "")),
    "another tag": sound(parameters=PARAMETERS.replace("mingce/1", "mingce/2")),
    "no nonce": sound(parameters=PARAMETERS.replace(f';nonce="{NONCE}"', "")),
    "short nonce": sound(parameters=PARAMETERS.replace(NONCE, NONCE[1:])),
    "long nonce": sound(parameters=PARAMETERS.replace(NONCE, "a" * 129)),
    "nonce of another alphabet": sound(parameters=PARAMETERS.replace(NONCE, NONCE + "=")),
    "another label": sound(label="sig1"),
    "two signatures": _and_another(sound()),
    "one label twice": replace(
        sound(),
        headers=[(name, f"{value}, {value}" if name != "Host" else value) for name, value in sound().headers],
    ),
    "a parameter twice": sound().edited(";alg", f";created={CREATED};alg"),
}


@pytest.mark.parametrize("fault", SOUND_BUT_WRONG)
def test_a_fault_does_not_hide_behind_a_sound_signature(fault: str) -> None:
    with pytest.raises(BadSignature):
        SOUND_BUT_WRONG[fault].verify()


@pytest.mark.parametrize("keyid", [OTHER.public.fingerprint, SIGNER.public.fingerprint.upper(), "", "x" * 64])
def test_a_look_up_is_asked_for_fingerprints_and_not_believed_about_others(keyid: str) -> None:
    """The signature is sound, and the look-up answers the signer whatever it is asked."""
    asked: list[str] = []

    def find(fingerprint: str) -> PublicIdentity:
        asked.append(fingerprint)
        return SIGNER.public

    request = sound(parameters=PARAMETERS.replace(SIGNER.public.fingerprint, keyid))
    with pytest.raises(BadSignature):
        verify_request(
            method="GET",
            path=PATH,
            query="a=b",
            headers=request.headers,
            body_digest=None,
            find_identity=find,
            now=NOW,
        )
    assert asked == ([keyid] if keyid == OTHER.public.fingerprint else [])


@pytest.mark.parametrize("seconds", [-300, -1, 0, 1, 300])
def test_the_window_is_300_seconds_each_way(seconds: int) -> None:
    assert replace(signed(), now=NOW + timedelta(seconds=seconds)).verify().created_at == NOW


def test_the_window_has_no_spare_second() -> None:
    with pytest.raises(ClockSkew):
        replace(signed(), now=NOW + timedelta(seconds=300, milliseconds=1)).verify()


@pytest.mark.parametrize("seconds", [-86_400, -600, -301, 301, 600, 86_400])
def test_outside_the_window_the_error_says_by_how_much(seconds: int) -> None:
    with pytest.raises(ClockSkew) as caught:
        replace(signed(), now=NOW + timedelta(seconds=seconds)).verify()
    assert caught.value.params == {"seconds": seconds}


def test_a_forged_request_learns_nothing_about_the_clock() -> None:
    with pytest.raises(BadSignature):
        replace(_flip_signature(signed()), now=NOW + timedelta(days=1)).verify()


def test_a_failing_look_up_is_not_taken_for_a_bad_signature() -> None:
    def find(_: str) -> PublicIdentity:
        raise RuntimeError("database is locked")

    request = signed(body=None)
    with pytest.raises(RuntimeError):
        verify_request(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body_digest=None,
            find_identity=find,
            now=NOW,
        )


@settings(deadline=None)
@given(
    signature_input=st.text(max_size=80) | st.from_regex(r"mingce=\(.{0,30}\)(;[a-z]{1,8}=.{1,20}){0,5}"),
    signature=st.text(max_size=80) | st.from_regex(r"mingce=:[A-Za-z0-9+/=]{0,90}:"),
    path=st.text(max_size=20) | st.just(PATH),
)
def test_noise_is_a_bad_signature(signature_input: str, signature: str, path: str) -> None:
    request = signed().with_header("Signature-Input", signature_input).with_header("Signature", signature)
    with pytest.raises(BadSignature):
        replace(request, path=path).verify()


@settings(deadline=None)
@given(st.data())
def test_noise_in_the_other_fields_is_a_bad_signature(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["Content-Digest", "Content-Type", "Idempotency-Key", "Signature"]))
    request = signed()
    noise = data.draw(st.text(max_size=40).filter(lambda text: text.strip(" \t") != request.header(name)))
    with pytest.raises(BadSignature):
        request.with_header(name, noise).verify()


@settings(deadline=None)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=8))
def test_noise_in_the_request_line_is_a_bad_signature(path: str, query: str, method: str) -> None:
    with pytest.raises(BadSignature):
        replace(signed(), path=path, query=query, method=method).verify()
