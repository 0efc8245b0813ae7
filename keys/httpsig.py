"""Request signatures: RFC 9421 with Ed25519, narrowed to docs/reference/protocol.md section 3.

The library signs. Of all that it could verify this profile allows one shape (components,
parameters, label, canonical form), and for that the signature base is six lines that this
module writes itself: a server spends a fifth of the time on them, and the tests hold every
fault against the library's signatures. The body is bound by its RFC 9530 Content-Digest,
which the server can hash while the body streams in. Nonces are checked for form here and
for replay by whoever keeps the table of nonces seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn, cast

import http_sf
from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from keys.identity import Identity, PublicIdentity, SignatureInvalid
from psi.errors import InputError, VerificationError

LABEL = "mingce"
TAG = "mingce/1"
ALGORITHM = "ed25519"
WINDOW_S = 300
SINGLE_HEADERS = frozenset({"signature", "signature-input", "content-digest", "content-type", "idempotency-key"})

_PARAMETERS = frozenset({"created", "keyid", "alg", "nonce", "tag"})
_NONCE = re.compile(r"[A-Za-z0-9_-]{22,128}")
_KEYID = re.compile(r"[0-9a-f]{64}")
_EMPTY_BODY = hashlib.sha256(b"").digest()
_LINE = re.compile(r"[ -~]*")
_SIGNATURE = re.compile(rf"{LABEL}=:([A-Za-z0-9+/]{{86}}==):")


class BadSignature(VerificationError):
    """A request is not signed as protocol.md section 3 says. The detail repeats nothing of it."""

    code = "bad_signature"


class ClockSkew(VerificationError):
    """The request is genuine but too old or too new; ``params["seconds"]`` is now minus created."""

    code = "clock_skew"


@dataclass(frozen=True)
class VerifiedRequest:
    """Who signed a request, with which nonce, and when by their own clock."""

    identity: PublicIdentity
    nonce: str
    created_at: datetime


def content_digest(body_digest: bytes) -> str:
    """The Content-Digest field (RFC 9530 section 2) for the raw SHA-256 of a body."""
    return f"sha-256=:{base64.b64encode(body_digest).decode()}:"


def sign_request(
    identity: Identity,
    *,
    method: str,
    url: str,
    headers: MutableMapping[str, str],
    body: bytes | None,
    now: datetime,
    nonce: str | None = None,
) -> None:
    """Add Content-Digest (with a body), Signature-Input and Signature to ``headers``.

    ``url`` is absolute and percent-encoded, exactly as it will be sent; an empty body is no
    body. Whatever an earlier attempt left in ``headers`` is replaced, so a retry signs again.
    Raises InputError if a body has no Content-Type or the URL cannot be signed.
    """
    for name in [name for name in headers if name.lower() == "content-digest"]:
        del headers[name]
    if body:
        headers["Content-Digest"] = content_digest(hashlib.sha256(body).digest())
    present = {name.lower() for name in headers}
    request = _Request(method, url, headers)
    signer = HTTPMessageSigner(signature_algorithm=_Ed25519)
    try:
        prepared = signer.prepare(
            request,
            key_id=identity.public.fingerprint,
            created=now,
            nonce=secrets.token_urlsafe(16) if nonce is None else nonce,
            label=LABEL,
            tag=TAG,
            covered_component_ids=_components(bool(body), "idempotency-key" in present),
            use_existing_digest=bool(body),
        )
        signer.apply(request, prepared, identity.sign(prepared.signature_base))
    except HTTPMessageSignaturesException as error:
        raise InputError(f"request cannot be signed: {error}") from None


def verify_request(
    *,
    method: str,
    path: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    body_digest: bytes | None,
    find_identity: Callable[[str], PublicIdentity | None],
    now: datetime,
    window_s: int = WINDOW_S,
) -> VerifiedRequest:
    """Check a request as it was received; nothing in it may be believed before this returns.

    ``path`` and ``query`` are the raw, still percent-encoded parts of the request target
    (``query`` without its ``?``); ``headers`` are all field lines in order; ``body_digest``
    is the SHA-256 of the body bytes, or None without a body. ``find_identity`` gets a
    fingerprint and answers the identity pinned for it, or None.
    Raises BadSignature; ClockSkew for a genuine request outside the window.
    """
    if body_digest == _EMPTY_BODY:
        body_digest = None
    fields = _single_fields(headers)
    claim = _parse_claim(fields, _components(body_digest is not None, "idempotency-key" in fields))
    _check_digest(fields.get("content-digest"), body_digest)
    base = _signature_base(method, path, query, fields, claim)
    signature = _signature(fields["signature"])
    identity = find_identity(claim.keyid)
    if identity is None or identity.fingerprint != claim.keyid:
        raise BadSignature("unknown key")
    try:
        identity.verify(base, signature)
    except SignatureInvalid:
        raise BadSignature("the signature does not verify") from None
    skew_s = now.timestamp() - claim.created
    if abs(skew_s) > window_s:
        raise ClockSkew("the request's time is outside the window", seconds=round(skew_s))
    return VerifiedRequest(identity, claim.nonce, datetime.fromtimestamp(claim.created, UTC))


@dataclass(frozen=True)
class _Request:
    """What the library wants to see of a message."""

    method: str
    url: str
    headers: MutableMapping[str, str]


@dataclass(frozen=True)
class _Claim:
    """``parameters`` is what the line ``@signature-params`` of the signature base says."""

    components: list[str]
    parameters: str
    created: int
    keyid: str
    nonce: str


def _components(has_body: bool, has_idempotency_key: bool) -> list[str]:
    """The covered components, in the order of protocol.md section 3."""
    names = ["@method", "@path", "@query"]
    if has_body:
        names += ["content-digest", "content-type"]
    if has_idempotency_key:
        names.append("idempotency-key")
    return names


def _single_fields(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The fields that matter here, by lower-case name; a second line of one of them is refused."""
    fields: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered not in SINGLE_HEADERS:
            continue
        if lowered in fields:
            raise BadSignature(f"header {lowered} stands twice")
        fields[lowered] = value
    return fields


def _parse_claim(fields: dict[str, str], components: list[str]) -> _Claim:
    """What Signature-Input claims, if its form is exactly ours. Nothing is verified yet."""
    covered, parameters = _signature_input(fields)
    if covered != [(name, {}) for name in components]:
        raise BadSignature("the covered components are not those of protocol.md section 3")
    if set(parameters) != _PARAMETERS:
        raise BadSignature("the signature parameters are not those of protocol.md section 3")
    created, keyid, nonce = parameters["created"], parameters["keyid"], parameters["nonce"]
    if type(created) is not int or not 0 <= created < 2**36:
        raise BadSignature("created is not a time")
    if (parameters["alg"], parameters["tag"]) != (ALGORITHM, TAG):
        raise BadSignature("another algorithm or tag")
    if type(keyid) is not str or not _KEYID.fullmatch(keyid):
        raise BadSignature("keyid is not a fingerprint")
    if type(nonce) is not str or not _NONCE.fullmatch(nonce):
        raise BadSignature("nonce is not 22 to 128 URL-safe base64 characters")
    canonical = f"({' '.join(map(_quoted, components))})" + "".join(
        f";{name}={value if type(value) is int else _quoted(value)}" for name, value in parameters.items()
    )
    if fields["signature-input"] != f"{LABEL}={canonical}":
        raise BadSignature("Signature-Input is not in its canonical form")
    return _Claim(components, canonical, created, keyid, nonce)


def _quoted(value: object) -> str:
    """A string of RFC 9651; none of ours holds a character that needs escaping."""
    return f'"{value}"'


def _signature_input(fields: dict[str, str]) -> tuple[object, dict[str, object]]:
    """(covered components, parameters) of the single member ``mingce`` (RFC 9421 section 4.1)."""
    text = fields.get("signature-input")
    if text is None or "signature" not in fields:
        raise BadSignature("the request is not signed")

    def refuse(_name: str, _context: str) -> NoReturn:
        raise BadSignature("a signature label or parameter stands twice")

    try:
        parsed = http_sf.parse(text.encode(), tltype="dictionary", on_duplicate_key=refuse)
        dictionary = cast(dict[str, tuple[object, dict[str, object]]], parsed)
    except ValueError:
        raise BadSignature("Signature-Input is malformed") from None
    if list(dictionary) != [LABEL]:
        raise BadSignature("expected the one signature label mingce")
    covered, parameters = dictionary[LABEL]
    return covered, parameters


def _check_digest(field: str | None, body_digest: bytes | None) -> None:
    if body_digest is None:
        if field is not None:
            raise BadSignature("Content-Digest without a body")
    elif field is None:
        raise BadSignature("Content-Digest is missing")
    elif not hmac.compare_digest(field.encode(), content_digest(body_digest).encode()):
        raise BadSignature("Content-Digest is not that of the body")


def _signature_base(method: str, path: str, query: str, fields: dict[str, str], claim: _Claim) -> bytes:
    """RFC 9421 section 2.5 for the components of protocol.md section 3.

    A raw path holds no ``?`` or ``#``; one that does was decoded on the way, and
    ``/a%3Fb`` would pass for ``/a?b``.
    """
    if not path.startswith("/") or "?" in path or "#" in path + query:
        raise BadSignature("path and query are not those of a request target")
    values = {"@method": method, "@path": path, "@query": f"?{query}", **fields}
    try:
        lines = [f'"{name}": {values[name]}' for name in claim.components]
    except KeyError:
        raise BadSignature("a covered field is missing") from None
    if not all(_LINE.fullmatch(line) for line in lines):
        raise BadSignature("a covered component is not printable ASCII")
    return "\n".join([*lines, f'"@signature-params": {claim.parameters}']).encode("ascii")


def _signature(field: str) -> bytes:
    """The 64 bytes of ``mingce=:…:``, in the one spelling that base64 has for them."""
    found = _SIGNATURE.fullmatch(field)
    signature = base64.b64decode(found[1]) if found else b""
    if not found or base64.b64encode(signature).decode() != found[1]:
        raise BadSignature("Signature is malformed")
    return signature


class _Ed25519(HTTPSignatureAlgorithm):
    """Only its name: the signature is made by :meth:`Identity.sign`."""

    algorithm_id = ALGORITHM
