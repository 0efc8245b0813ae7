"""The protocol as its two parties use it: agreement, refusals, repetition."""

from __future__ import annotations

import hashlib
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.errors import BatchSize, InputError, ProofInvalid
from psi.oprf import (
    MAX_BATCH,
    MODE_OPRF,
    MODE_VOPRF,
    BlindedBatch,
    DecodedElements,
    SecretKey,
    blind_evaluate,
    evaluate,
    verify_proof,
)
from psi.suites import RISTRETTO255_SHA512
from psi.transcript import BatchDigests, TranscriptMismatch, digest_batch

KEY = SecretKey.derive(MODE_VOPRF, bytes(range(32)), b"test key")
OTHER_KEY = SecretKey.derive(MODE_VOPRF, bytes(range(32)), b"another key")
SEED = bytes(range(100, 132))
WIDTH = 18
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group: RFC 9496 section 4


def items(count: int) -> bytes:
    return b"".join(b"990000%012d" % i for i in range(count))


def ask(mode: int, data: bytes, width: int, pad_to: int = 0) -> bytes:
    batch = BlindedBatch(mode, data, width, pad_to=pad_to)
    evaluated, proof = blind_evaluate(mode, KEY, batch.blinded_elements)
    return batch.finalize(evaluated, proof, KEY.public_key) if mode == MODE_VOPRF else batch.finalize(evaluated)


@pytest.mark.parametrize("mode", [MODE_OPRF, MODE_VOPRF])
@pytest.mark.parametrize(("count", "pad_to"), [(1, 0), (1, 256), (255, 256), (256, 256), (257, 0), (1000, 1024)])
def test_both_sides_get_the_same_outputs(mode: int, count: int, pad_to: int) -> None:
    data = items(count)
    batch = BlindedBatch(mode, data, WIDTH, pad_to=pad_to)
    assert len(batch) == count
    assert len(batch.blinded_elements) == 32 * max(count, pad_to)
    assert ask(mode, data, WIDTH, pad_to) == evaluate(mode, KEY, data, WIDTH)


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from([MODE_OPRF, MODE_VOPRF]),
    width=st.integers(1, 200),
    count=st.integers(1, 6),
    pad_to=st.integers(0, 9),
    data=st.data(),
)
def test_agreement_for_any_items(mode: int, width: int, count: int, pad_to: int, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=width * count, max_size=width * count))
    outputs = ask(mode, raw, width, pad_to)
    assert outputs == evaluate(mode, KEY, raw, width)
    # An output depends on its item alone.
    last = raw[-width:]
    assert outputs[-64:] == evaluate(mode, KEY, last, width)


def test_modes_and_keys_are_separated() -> None:
    outputs = {evaluate(mode, key, items(1), WIDTH) for mode in (MODE_OPRF, MODE_VOPRF) for key in (KEY, OTHER_KEY)}
    assert len(outputs) == 4


def test_equal_items_get_equal_outputs_and_unlike_blinds() -> None:
    data = items(1) * 3
    batch = BlindedBatch(MODE_VOPRF, data, WIDTH, seed=SEED)
    elements = batch.blinded_elements
    assert len({elements[i * 32 : i * 32 + 32] for i in range(3)}) == 3
    assert ask(MODE_VOPRF, data, WIDTH) == evaluate(MODE_VOPRF, KEY, items(1), WIDTH) * 3


def test_the_same_element_twice_is_evaluated_twice() -> None:
    element = BlindedBatch(MODE_VOPRF, items(1), WIDTH).blinded_elements
    evaluated, proof = blind_evaluate(MODE_VOPRF, KEY, element * 2)
    assert evaluated[:32] == evaluated[32:]
    verify_proof(KEY.public_key, element * 2, evaluated, proof)


class TestRepetition:
    def test_a_seed_gives_the_same_batch_again(self) -> None:
        batches = [BlindedBatch(MODE_VOPRF, items(300), WIDTH, seed=SEED, context=b"r1", pad_to=512) for _ in range(2)]
        assert batches[0].blinded_elements == batches[1].blinded_elements
        evaluated, proof = blind_evaluate(MODE_VOPRF, KEY, batches[0].blinded_elements)
        assert batches[1].finalize(evaluated, proof, KEY.public_key) == evaluate(MODE_VOPRF, KEY, items(300), WIDTH)

    def test_another_seed_context_or_item_shares_no_element(self) -> None:
        base = BlindedBatch(MODE_VOPRF, items(3), WIDTH, seed=SEED, context=b"r1", pad_to=8).blinded_elements
        others = [
            BlindedBatch(MODE_VOPRF, items(3), WIDTH, seed=SEED, context=b"r2", pad_to=8),
            BlindedBatch(MODE_VOPRF, items(3), WIDTH, seed=bytes(32), context=b"r1", pad_to=8),
            BlindedBatch(MODE_VOPRF, items(3), WIDTH, pad_to=8),
        ]
        for other in others:
            theirs = other.blinded_elements
            assert not {base[i : i + 32] for i in range(0, 256, 32)} & {theirs[i : i + 32] for i in range(0, 256, 32)}

    def test_padding_looks_like_elements_and_differs(self) -> None:
        elements = BlindedBatch(MODE_VOPRF, items(1), WIDTH, seed=SEED, pad_to=256).blinded_elements
        DecodedElements(elements)
        assert len({elements[i : i + 32] for i in range(0, len(elements), 32)}) == 256

    @pytest.mark.parametrize("blinding", ["additive", "multiplicative"])
    def test_the_documented_derivation(self, blinding: str) -> None:
        """docs/reference/protocol.md section 7, with the blind computed here and its element by `with_blinds`."""
        context, position, item = b"request", 1, items(2)[WIDTH:]
        hashed = b"mingce/1 blind\0" + len(context).to_bytes(2, "big") + context + SEED + position.to_bytes(8, "big")
        blind = int.from_bytes(hashlib.sha512(hashed + item).digest(), "little") % ORDER
        batch = BlindedBatch(MODE_VOPRF, items(2), WIDTH, seed=SEED, context=context, pad_to=3, blinding=blinding)
        opened = BlindedBatch.with_blinds(MODE_VOPRF, item, WIDTH, blind.to_bytes(32, "little"), blinding=blinding)
        assert batch.blinded_elements[32:64] == opened.blinded_elements

        hashed = b"mingce/1 padding\0" + len(context).to_bytes(2, "big") + context + SEED + bytes(8)
        scalar = int.from_bytes(hashlib.sha512(hashed).digest(), "little") % ORDER
        assert batch.blinded_elements[64:] == SecretKey.from_bytes(scalar.to_bytes(32, "little")).public_key

    @pytest.mark.parametrize("count", [1, 255, 257, 1000])
    def test_the_two_blindings_agree(self, count: int) -> None:
        for blinding in ("additive", "multiplicative"):
            batch = BlindedBatch(MODE_VOPRF, items(count), WIDTH, seed=SEED, blinding=blinding)
            evaluated, proof = blind_evaluate(MODE_VOPRF, KEY, batch.blinded_elements)
            assert batch.finalize(evaluated, proof, KEY.public_key) == evaluate(MODE_VOPRF, KEY, items(count), WIDTH)

    def test_additive_blinding_needs_a_proof(self) -> None:
        with pytest.raises(InputError):
            BlindedBatch(MODE_OPRF, items(1), WIDTH, blinding="additive")
        with pytest.raises(InputError):
            BlindedBatch(MODE_VOPRF, items(1), WIDTH, blinding="xor")

    def test_the_same_request_gives_the_same_proof(self) -> None:
        elements = BlindedBatch(MODE_VOPRF, items(300), WIDTH, seed=SEED).blinded_elements
        answers = {blind_evaluate(MODE_VOPRF, KEY, elements, threads=threads) for threads in (0, 1, 2, 3)}
        assert len(answers) == 1

    def test_unlike_batches_have_unlike_nonces(self) -> None:
        """Were a nonce r used twice, s - s' = (c' - c) * k would give away the key."""
        secret = int.from_bytes(KEY.expose_bytes(), "little")
        nonces = set()
        for count in range(1, 9):
            _, proof = blind_evaluate(
                MODE_VOPRF, KEY, BlindedBatch(MODE_VOPRF, items(count), WIDTH, seed=SEED).blinded_elements
            )
            c, s = (int.from_bytes(half, "little") for half in (proof[:32], proof[32:]))
            nonces.add((s + c * secret) % ORDER)
        assert len(nonces) == 8


class TestProof:
    """D08, D09, D10: whatever the sender changes, the receiver keeps nothing."""

    SIZE = 300
    BATCH = BlindedBatch(MODE_VOPRF, items(SIZE), WIDTH, seed=SEED)
    EVALUATED, PROOF = blind_evaluate(MODE_VOPRF, KEY, BATCH.blinded_elements)

    def refuse(self, evaluated: bytes, proof: bytes, public_key: bytes = KEY.public_key) -> None:
        with pytest.raises(ProofInvalid):
            self.BATCH.finalize(evaluated, proof, public_key)
        with pytest.raises(ProofInvalid):
            verify_proof(public_key, self.BATCH.blinded_elements, evaluated, proof)

    def test_the_untouched_answer_is_accepted(self) -> None:
        assert len(self.BATCH.finalize(self.EVALUATED, self.PROOF, KEY.public_key)) == 64 * self.SIZE

    @given(bit=st.integers(0, 511))
    @settings(max_examples=40, deadline=None)
    def test_d08_a_flipped_bit(self, bit: int) -> None:
        proof = bytearray(self.PROOF)
        proof[bit // 8] ^= 1 << bit % 8
        self.refuse(self.EVALUATED, bytes(proof))

    @pytest.mark.parametrize("proof", [b"", PROOF[:-1], PROOF + b"\0", PROOF[:32], bytes(64), PROOF[32:] + PROOF[:32]])
    def test_d08_a_proof_of_another_shape(self, proof: bytes) -> None:
        self.refuse(self.EVALUATED, proof)

    def test_d08_the_proof_of_another_batch(self) -> None:
        other = BlindedBatch(MODE_VOPRF, items(self.SIZE), WIDTH)
        self.refuse(self.EVALUATED, blind_evaluate(MODE_VOPRF, KEY, other.blinded_elements)[1])

    def test_d09_a_valid_proof_under_another_key(self) -> None:
        evaluated, proof = blind_evaluate(MODE_VOPRF, OTHER_KEY, self.BATCH.blinded_elements)
        self.refuse(evaluated, proof)
        self.refuse(self.EVALUATED, self.PROOF, OTHER_KEY.public_key)

    @pytest.mark.parametrize(("first", "second"), [(0, 1), (0, SIZE - 1), (255, 256)])
    def test_d10_swapped_answers(self, first: int, second: int) -> None:
        elements = [self.EVALUATED[i : i + 32] for i in range(0, len(self.EVALUATED), 32)]
        elements[first], elements[second] = elements[second], elements[first]
        self.refuse(b"".join(elements), self.PROOF)

    def test_d10_one_answer_replaced_by_a_good_element(self) -> None:
        self.refuse(KEY.public_key + self.EVALUATED[32:], self.PROOF)

    @pytest.mark.parametrize("evaluated", [EVALUATED[32:], EVALUATED + EVALUATED[:32], EVALUATED[:-1], b""])
    def test_d10_one_answer_too_few_or_many(self, evaluated: bytes) -> None:
        with pytest.raises(InputError):
            self.BATCH.finalize(evaluated, self.PROOF, KEY.public_key)

    def test_mode_voprf_needs_a_proof_and_mode_oprf_has_none(self) -> None:
        evaluated, proof = blind_evaluate(MODE_OPRF, KEY, self.BATCH.blinded_elements)
        assert (evaluated, proof) == (self.EVALUATED, b"")
        with pytest.raises(InputError):
            self.BATCH.finalize(evaluated)  # VOPRF without a proof
        unverified = BlindedBatch(MODE_OPRF, items(1), WIDTH)
        with pytest.raises(InputError):
            unverified.finalize(self.EVALUATED[:32], self.PROOF, KEY.public_key)

    def test_a_proof_without_a_key(self) -> None:
        with pytest.raises(InputError):
            self.BATCH.finalize(self.EVALUATED, self.PROOF)


class TestSizes:
    def test_d04_empty_and_too_large(self) -> None:
        element = KEY.public_key
        for elements in (b"", element * (MAX_BATCH + 1)):
            with pytest.raises(BatchSize):
                blind_evaluate(MODE_VOPRF, KEY, elements)
            with pytest.raises(BatchSize):
                verify_proof(KEY.public_key, elements, elements, bytes(64))
        with pytest.raises(BatchSize):
            BlindedBatch(MODE_VOPRF, b"", WIDTH)
        with pytest.raises(BatchSize):
            BlindedBatch(MODE_VOPRF, items(1), WIDTH, pad_to=MAX_BATCH + 1)
        with pytest.raises(BatchSize) as refused:
            BlindedBatch(MODE_VOPRF, bytes(MAX_BATCH + 1), 1)
        assert refused.value.params == {"size": MAX_BATCH + 1}

    @pytest.mark.slow
    def test_d04_the_largest_batch(self) -> None:
        data = items(MAX_BATCH)
        assert ask(MODE_VOPRF, data, WIDTH) == evaluate(MODE_VOPRF, KEY, data, WIDTH)

    def test_no_items(self) -> None:
        assert evaluate(MODE_VOPRF, KEY, b"", WIDTH) == b""

    @pytest.mark.parametrize("width", [0, -1, 17, 65_536, 2**31, 2**63, 2**64, 2**200])
    def test_widths_that_do_not_fit(self, width: int) -> None:
        with pytest.raises(InputError):
            evaluate(MODE_VOPRF, KEY, items(2), width)
        with pytest.raises(InputError):
            BlindedBatch(MODE_VOPRF, items(2), width)

    @pytest.mark.parametrize("mode", [2, 3, 256, 257, -1, 2**64])
    def test_other_modes(self, mode: int) -> None:
        with pytest.raises(InputError):
            evaluate(mode, KEY, items(1), WIDTH)

    @pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
    def test_seeds_are_32_bytes(self, seed: bytes) -> None:
        with pytest.raises(InputError):
            BlindedBatch(MODE_VOPRF, items(1), WIDTH, seed=seed)
        with pytest.raises(InputError):
            SecretKey.derive(MODE_VOPRF, seed, b"")

    def test_elements_are_32_bytes(self) -> None:
        for elements in (KEY.public_key[:31], KEY.public_key + b"\0"):
            with pytest.raises(InputError):
                blind_evaluate(MODE_VOPRF, KEY, elements)
            with pytest.raises(InputError):
                DecodedElements(elements)


class TestSecrets:
    def test_repr_shows_the_public_fingerprint_only(self) -> None:
        assert RISTRETTO255_SHA512.key_fingerprint(KEY.public_key) in repr(KEY)
        secret = KEY.expose_bytes()
        assert secret.hex() not in f"{KEY!r}{KEY!s}"
        batch = BlindedBatch(MODE_VOPRF, items(1), WIDTH)
        assert repr(batch) == "<BlindedBatch of 1 items>"

    def test_neither_key_nor_batch_can_be_pickled_or_changed(self) -> None:
        for secret in (KEY, BlindedBatch(MODE_VOPRF, items(1), WIDTH)):
            with pytest.raises(TypeError):
                pickle.dumps(secret)
            with pytest.raises(AttributeError):
                setattr(secret, "extra", 1)  # noqa: B010 (mypy knows it cannot be set)
        with pytest.raises(AttributeError):
            KEY.public_key = b""  # type: ignore[misc]
        with pytest.raises(TypeError):
            SecretKey()

    def test_generated_keys_differ(self) -> None:
        assert len({SecretKey.generate().public_key for _ in range(20)}) == 20

    def test_errors_do_not_repeat_what_was_given(self) -> None:
        secret = os.urandom(31)
        with pytest.raises(InputError) as refused:
            SecretKey.from_bytes(secret)
        assert secret.hex() not in f"{refused.value!r} {refused.value.detail} {refused.value.params}"


class TestTranscript:
    def test_both_sides_keep_the_same_digests(self) -> None:
        request, answer = b"request body", b"answer body"
        own = digest_batch(request, answer)
        own.verify_equal(digest_batch(memoryview(request), memoryview(answer)))
        # FIPS 180-4 example values for "abc" and the empty message.
        assert digest_batch(b"abc", b"") == BatchDigests(
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        )

    @pytest.mark.parametrize(("request_body", "answer", "part"), [(b"x", b"b", "request"), (b"a", b"x", "answer")])
    def test_a_difference_is_named(self, request_body: bytes, answer: bytes, part: str) -> None:
        with pytest.raises(TranscriptMismatch) as found:
            digest_batch(b"a", b"b").verify_equal(digest_batch(request_body, answer))
        assert found.value.params == {"part": part}


@pytest.mark.parametrize("mode", [MODE_OPRF, MODE_VOPRF])
def test_elements_decoded_before_are_answered_with_the_same_bytes(mode: int) -> None:
    key = SecretKey.generate()
    blinded = BlindedBatch(mode, b"".join(b"%018d" % n for n in range(300)), 18, seed=bytes(32)).blinded_elements
    decoded = DecodedElements(blinded, threads=1)
    assert len(decoded) == 300
    assert blind_evaluate(mode, key, decoded) == blind_evaluate(mode, key, blinded)
