"""Who signs: one Ed25519 key pair for each province, bank, bureau and department, and for each of their operators.

The same key signs requests (keys.httpsig) and documents (keys.envelope); the two can
never be taken for one another, because the signed bytes start differently (``"@method"``
and ``DSSEv1``). Its X25519 form receives sealed boxes.

An identity is known by its fingerprint, the SHA-256 of the 32 public key bytes, which
two people compare over the phone before they trust one another's documents.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast, get_args

import nacl.bindings
import nacl.exceptions
from nacl.public import SealedBox
from nacl.signing import SigningKey, VerifyKey

from keys.strictjson import JsonInvalid, parse_object, require_text
from psi.errors import InputError, VerificationError

IdentityKind = Literal["province", "bank", "bureau", "department", "operator"]

IDENTITY_FORMAT = "mingce-identity/1"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
MAX_NAME_CHARACTERS = 100
_MAX_DOCUMENT_BYTES = 4_096
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


class IdentityInvalid(InputError):
    """A name, kind or key, or a document holding them, is not an identity we can use."""

    code = "identity_invalid"


class SignatureInvalid(VerificationError):
    """The signature was not made over these bytes by the named identity."""

    code = "signature_invalid"


class SealInvalid(VerificationError):
    """A sealed box was damaged, or was sealed to another identity."""

    code = "seal_invalid"


@dataclass(frozen=True, repr=False)
class PublicIdentity:
    """The public half. Raises IdentityInvalid unless ``verify_key`` is a sound Ed25519 point."""

    name: str
    kind: IdentityKind
    verify_key: bytes

    def __post_init__(self) -> None:
        if self.kind not in get_args(IdentityKind):
            raise IdentityInvalid("unknown kind of identity")
        if not (0 < len(self.name) <= MAX_NAME_CHARACTERS) or self.name != self.name.strip():
            raise IdentityInvalid("a name has 1 to 100 characters and no space around it")
        if not self.name.isprintable():  # also keeps out the marks that reorder or hide text
            raise IdentityInvalid("a name has printable characters only")
        # libsodium's check refuses what RFC 8032 leaves open: non-canonical and small-order points.
        if len(self.verify_key) != KEY_BYTES or not nacl.bindings.crypto_core_ed25519_is_valid_point(self.verify_key):
            raise IdentityInvalid("not an Ed25519 public key")

    def __repr__(self) -> str:
        return f"PublicIdentity({self.kind} {self.name!r} {self.fingerprint[:16]}…)"

    @cached_property
    def fingerprint(self) -> str:
        """Lower-case hex SHA-256 of the 32 public key bytes: 64 characters."""
        return hashlib.sha256(self.verify_key).hexdigest()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check an Ed25519 signature (RFC 8032). Raises SignatureInvalid."""
        try:
            VerifyKey(self.verify_key).verify(message, signature)
        except nacl.exceptions.CryptoError:
            raise SignatureInvalid("signature does not verify", fingerprint=self.fingerprint) from None

    def seal(self, plaintext: bytes) -> bytes:
        """An anonymous sealed box (libsodium ``crypto_box_seal``), 48 bytes longer than the plaintext.

        Only this identity opens it; it does not say who sealed it.
        """
        return SealedBox(VerifyKey(self.verify_key).to_curve25519_public_key()).encrypt(plaintext)

    def to_json(self) -> bytes:
        """The document a person mails to the other party (format ``mingce-identity/1``)."""
        document = {
            "format": IDENTITY_FORMAT,
            "name": self.name,
            "kind": self.kind,
            "verify_key": self.verify_key.hex(),
            "fingerprint": self.fingerprint,
        }
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, document: bytes | str) -> PublicIdentity:
        """The inverse of :meth:`to_json`. Raises IdentityInvalid.

        The fingerprint inside guards against a slip of copying only. Whoever wants to know
        that the document is genuine compares the fingerprint with its owner.
        """
        raw = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
        members = ("format", "name", "kind", "verify_key", "fingerprint")
        try:
            parsed = parse_object(raw, members, max_bytes=_MAX_DOCUMENT_BYTES)
            texts = {member: require_text(parsed[member]) for member in members}
        except JsonInvalid as error:
            raise IdentityInvalid(f"identity document: {error.detail}") from None
        if texts["format"] != IDENTITY_FORMAT:
            raise IdentityInvalid("not a mingce-identity/1 document")
        if not re.fullmatch(r"[0-9a-f]{64}", texts["verify_key"]):
            raise IdentityInvalid("verify_key is not 64 lower-case hex digits")
        identity = cls(texts["name"], cast(IdentityKind, texts["kind"]), bytes.fromhex(texts["verify_key"]))
        if identity.fingerprint != texts["fingerprint"]:
            raise IdentityInvalid("the fingerprint is not that of the key", fingerprint=identity.fingerprint)
        return identity


class Identity:
    """An identity with its secret key. Printing shows the fingerprint only."""

    __slots__ = ("_signing_key", "public")

    def __init__(self, name: str, kind: IdentityKind, seed: bytes) -> None:
        """``seed`` is the 32 bytes of an RFC 8032 private key."""
        if len(seed) != KEY_BYTES:
            raise IdentityInvalid("a seed has 32 bytes")
        self._signing_key = SigningKey(seed)
        self.public = PublicIdentity(name, kind, bytes(self._signing_key.verify_key))

    @classmethod
    def generate(cls, name: str, kind: IdentityKind) -> Identity:
        """A new identity from the system's randomness."""
        return cls(name, kind, bytes(SigningKey.generate()))

    def __repr__(self) -> str:
        return f"Identity({self.public.fingerprint})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an identity's secret key does not leave by pickling")

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature (RFC 8032); the same message gives the same bytes."""
        return self._signing_key.sign(message).signature

    def unseal(self, sealed: bytes) -> bytes:
        """Open what :meth:`PublicIdentity.seal` made. Raises SealInvalid."""
        try:
            return SealedBox(self._signing_key.to_curve25519_private_key()).decrypt(sealed)
        except nacl.exceptions.CryptoError:
            raise SealInvalid("sealed box does not open") from None

    def expose_seed(self) -> bytes:
        """The 32 secret bytes, for wrapping only."""
        return bytes(self._signing_key)


def readable_fingerprint(fingerprint: str) -> str:
    """Sixteen groups of four characters, to be read aloud. Raises IdentityInvalid."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise IdentityInvalid("a fingerprint is 64 lower-case hex digits")
    return " ".join(fingerprint[start : start + 4] for start in range(0, 64, 4))


def parse_fingerprint(text: str) -> str:
    """A fingerprint as a person types it: spaces, colons and capitals are forgiven. Raises IdentityInvalid."""
    fingerprint = re.sub(r"[\s:-]", "", text).lower()
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise IdentityInvalid("a fingerprint is 64 hex digits")
    return fingerprint
