from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.clock import SettableClock
from keys.epochs import EpochRecord, check_name, context, derive_receipt_key, derive_secret
from psi.errors import InputError

SECRET = bytes(range(32))
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


def hkdf_sha512(ikm: bytes, info: bytes) -> bytes:
    """RFC 5869 with an empty salt and L = 32, written out with the standard library only."""
    prk = hmac.digest(bytes(64), ikm, hashlib.sha512)
    return hmac.digest(prk, info + b"\x01", hashlib.sha512)[:32]


def test_the_context_is_that_of_the_protocol() -> None:
    assert context("kuozhong", "2026") == b"\x08kuozhong\x042026"


@settings(deadline=None)
@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_pairs_of_names_share_a_context(a: str, b: str, c: str, d: str) -> None:
    assert (context(a, b) == context(c, d)) == ((a, b) == (c, d))


def test_the_receipt_key_is_that_of_the_protocol() -> None:
    """protocol.md section 2: info = "mingce/1 receipt key" ‖ 0x00 ‖ context ‖ division."""
    receipts = derive_secret(SECRET, "kuozhong", "2026", "receipts")
    assert receipts == hkdf_sha512(SECRET, b"mingce/1 epoch secret\x00\x08kuozhong\x042026receipts")
    key = derive_receipt_key(receipts, "kuozhong", "2026", "339900")
    assert key == hkdf_sha512(receipts, b"mingce/1 receipt key\x00\x08kuozhong\x042026339900")
    # Fixed for ever: receipts already given out are checked with these keys.
    assert key.hex() == "9e5f7d67f96f9ad8206a7d14d2830d55e2edf6f5b9e94d9b84bf5347afd516ce"


def test_each_purpose_division_and_epoch_has_its_own() -> None:
    derived = {
        derive_secret(SECRET, "a", "b", "receipts"),
        derive_secret(SECRET, "a", "b", "row references"),
        derive_secret(SECRET, "a", "c", "receipts"),
        derive_secret(SECRET, "ab", "c", "receipts"),
        derive_secret(bytes(32), "a", "b", "receipts"),
        derive_receipt_key(SECRET, "a", "b", "339900"),
        derive_receipt_key(SECRET, "a", "b", "339901"),
    }
    assert len(derived) == 7


@pytest.mark.parametrize("purpose", ["", "Receipts", "行", "x" * 64, "a\0b", "-a"])
def test_other_purposes_are_refused(purpose: str) -> None:
    with pytest.raises(InputError):
        derive_secret(SECRET, "a", "b", purpose)


@pytest.mark.parametrize("division", ["", "33992", "3399000", "33990a", "３３９９００", "339900\n"])
def test_other_divisions_are_refused(division: str) -> None:
    with pytest.raises(InputError):
        derive_receipt_key(SECRET, "a", "b", division)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "_a", "A", "a/b", "a\n", "a b", "扩中", "a" * 64, "a\0"])
def test_a_name_can_never_be_a_path(name: str) -> None:
    with pytest.raises(InputError):
        check_name(name, "dataset")


@settings(deadline=None)
@given(NAMES)
def test_names_are_returned_as_they_are(name: str) -> None:
    assert check_name(name, "dataset") == name


def test_the_fingerprint_is_of_the_public_key(clock: SettableClock) -> None:
    record = EpochRecord("a", "b", "pending", bytes(32), clock.now(), clock.now(), clock.now())
    assert record.fingerprint == hashlib.sha256(bytes(32)).hexdigest()
