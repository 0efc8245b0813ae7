"""A small secret as n shares, of which any k give it back and k-1 say nothing about it (Shamir 1979).

The sharing is that of SLIP-0039 ("Sharing a secret"): byte by byte over GF(2^8) modulo x^8 + x^4 + x^3 + x + 1, the
secret at x = 255, and at x = 254 a digest of it, so that shares that do not belong together are noticed. The words and
the passphrase of SLIP-0039 are not used: a share here is a small file (docs/decisions/0018-own-key-shares.md says why).

It runs by hand, on a machine without a network, once in years: it is written to be read, and takes no care of timing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keys.strictjson import JsonInvalid, parse_object, require_text
from psi.errors import InputError, VerificationError

SHARE_FORMAT = "mingce-share/1"
MOST_SHARES = 16
LEAST_BYTES, MOST_BYTES = 16, 4_096

_SECRET_X, _DIGEST_X = 255, 254
_DIGEST_BYTES = 4
_SET_BYTES = 8
_MEMBERS = ("format", "label", "set", "threshold", "shares", "number", "value", "check")


class ShareInvalid(InputError):
    """A file is no share, or was copied with a mistake; ``params["file"]`` where it is known."""

    code = "share_invalid"


class SharesMissing(InputError):
    """Too few different shares; params ``found`` and ``needed``."""

    code = "shares_missing"


class SharesMixed(VerificationError):
    """Shares of different secrets, or one was changed: together they give none."""

    code = "shares_mixed"


@dataclass(frozen=True, repr=False)
class Share:
    """One share: ``number`` from 1 to ``shares``; any ``threshold`` of one ``set`` give the secret."""

    label: str
    set: str
    threshold: int
    shares: int
    number: int
    value: bytes

    def __repr__(self) -> str:
        return f"<Share {self.number} of {self.shares} of {self.set}>"

    def to_json(self) -> bytes:
        document = self._document()
        return (json.dumps({**document, "check": _check(document)}, ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> Share:
        """Raises ShareInvalid. Capitals, and spaces between the digits, are forgiven: people type shares from paper."""
        try:
            found = parse_object(content, _MEMBERS, max_bytes=4 * MOST_BYTES)
            texts = {name: require_text(found[name]) for name in ("format", "label", "set", "value", "check")}
            value = bytes.fromhex("".join(texts["value"].split()))
        except (JsonInvalid, ValueError):
            raise ShareInvalid("not a share") from None
        threshold, shares, number = (found[name] for name in ("threshold", "shares", "number"))
        if texts["format"] != SHARE_FORMAT or not all(type(each) is int for each in (threshold, shares, number)):
            raise ShareInvalid(f"not of format {SHARE_FORMAT}")
        share = cls(texts["label"], texts["set"], int(str(threshold)), int(str(shares)), int(str(number)), value)
        if _check(share._document()) != texts["check"]:
            raise ShareInvalid("a digit was copied wrong")
        if not 2 <= share.threshold <= share.shares <= MOST_SHARES or not 1 <= share.number <= share.shares:
            raise ShareInvalid("its numbers do not fit")
        return share

    def _document(self) -> dict[str, object]:
        return {
            "format": SHARE_FORMAT,
            "label": self.label,
            "set": self.set,
            "threshold": self.threshold,
            "shares": self.shares,
            "number": self.number,
            "value": self.value.hex(" ", 4),
        }


def split_secret(
    secret: bytes, threshold: int, shares: int, label: str, random_bytes: Callable[[int], bytes]
) -> list[Share]:
    """``shares`` shares of a secret of 16 to 4,096 bytes; any ``threshold`` (at least 2) of them give it back.

    Raises InputError.
    """
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise InputError("a secret to be shared has 16 to 4,096 bytes", bytes=len(secret))
    if not 2 <= threshold <= shares <= MOST_SHARES:
        raise InputError(f"2 <= threshold <= shares <= {MOST_SHARES}", threshold=threshold, shares=shares)
    values = split_values(secret, threshold, shares, random_bytes)
    name = random_bytes(_SET_BYTES).hex()
    return [Share(label, name, threshold, shares, x + 1, value) for x, value in enumerate(values)]


def combine_shares(found: Sequence[Share]) -> bytes:
    """The secret. Raises SharesMissing, SharesMixed."""
    if not found:
        raise SharesMissing("no share", found=0, needed=2)
    first = found[0]
    if any((each.set, each.threshold, len(each.value)) != (first.set, first.threshold, len(first.value))
           for each in found):  # fmt: skip
        raise SharesMixed("shares of different secrets")
    different = {each.number: each for each in found}
    if any(different[each.number] != each for each in found):
        raise SharesMixed("two shares of one number")
    if len(different) < first.threshold:
        raise SharesMissing("too few shares", found=len(different), needed=first.threshold)
    return combine_values({number - 1: each.value for number, each in different.items()}, first.threshold)


def split_values(secret: bytes, threshold: int, shares: int, random_bytes: Callable[[int], bytes]) -> list[bytes]:
    """SLIP-0039 SplitSecret for a threshold of 2 or more: the values at x = 0, 1, …, shares-1."""
    values = {x: random_bytes(len(secret)) for x in range(threshold - 2)}
    random_part = random_bytes(len(secret) - _DIGEST_BYTES)
    points = {**values, _DIGEST_X: _digest(random_part, secret) + random_part, _SECRET_X: secret}
    return [values[x] if x in values else _interpolate(points, x) for x in range(shares)]


def combine_values(values: Mapping[int, bytes], threshold: int) -> bytes:
    """SLIP-0039 RecoverSecret for a threshold of 2 or more. Every given value is checked. Raises SharesMixed."""
    chosen = dict(list(values.items())[:threshold])
    secret, digest_share = _interpolate(chosen, _SECRET_X), _interpolate(chosen, _DIGEST_X)
    digest, random_part = digest_share[:_DIGEST_BYTES], digest_share[_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(random_part, secret)):
        raise SharesMixed("the shares give no secret")
    if any(_interpolate(chosen, x) != value for x, value in values.items() if x not in chosen):
        raise SharesMixed("one of the shares does not belong to the others")
    return secret


def _digest(random_part: bytes, secret: bytes) -> bytes:
    return hmac.new(random_part, secret, hashlib.sha256).digest()[:_DIGEST_BYTES]


def _interpolate(points: Mapping[int, bytes], x: int) -> bytes:
    """The value at ``x`` of the polynomials of least degree through ``points``: Lagrange's formula, byte by byte."""
    result = bytearray(len(next(iter(points.values()))))
    for here, value in points.items():
        weight = 1
        for other in points:
            if other != here:
                weight = _multiply(weight, _multiply(x ^ other, _invert(here ^ other)))
        for place, byte in enumerate(value):
            result[place] ^= _multiply(weight, byte)
    return bytes(result)


def _multiply(a: int, b: int) -> int:
    """In GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (0x11b), as in AES."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


def _invert(a: int) -> int:
    """a^254, which is 1/a; 0 for 0."""
    result = 1
    for _ in range(254):
        result = _multiply(result, a)
    return result


def _check(document: Mapping[str, object]) -> str:
    """Against slips of copying only."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
