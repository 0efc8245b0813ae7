from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.sealing import NONCE_BYTES, SealedDataDamaged, Sealer, derive_store_key

SECRET = bytes(range(32))
PLACE = ("batch", "sealed_items", "a1")


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_in_its_place(plaintext: bytes) -> None:
    sealer = Sealer(SECRET, "bank")
    assert sealer.open(sealer.seal(plaintext, *PLACE), *PLACE) == plaintext


@pytest.mark.parametrize(
    "place", [("run", "sealed_items", "a1"), ("batch", "sealed_outputs", "a1"), ("batch", "sealed_items", "a2")]
)
def test_a_ciphertext_moved_elsewhere_does_not_open(place: tuple[str, str, str]) -> None:
    sealer = Sealer(SECRET, "bank")
    with pytest.raises(SealedDataDamaged):
        sealer.open(sealer.seal(b"item", *PLACE), *place)


def test_another_store_or_secret_does_not_open() -> None:
    sealed = Sealer(SECRET, "bank").seal(b"item", *PLACE)
    for other in (Sealer(SECRET, "bureau"), Sealer(bytes(32), "bank")):
        with pytest.raises(SealedDataDamaged):
            other.open(sealed, *PLACE)


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    sealer = Sealer(SECRET, "bank")
    sealed = bytearray(sealer.seal(b"item", *PLACE))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealedDataDamaged):
        sealer.open(bytes(sealed), *PLACE)


@pytest.mark.parametrize("length", [0, 1, NONCE_BYTES, NONCE_BYTES + 15])
def test_a_cut_ciphertext(length: int) -> None:
    sealer = Sealer(SECRET, "bank")
    with pytest.raises(SealedDataDamaged):
        sealer.open(sealer.seal(b"item", *PLACE)[:length], *PLACE)


def test_nothing_secret_is_printed() -> None:
    assert repr(Sealer(SECRET, "bank")) == "<Sealer bank>"
    assert derive_store_key(SECRET, "one") != derive_store_key(SECRET, "two")
