"""The bodies of evaluate: every byte of protocol.md section 5."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wire import (
    HEADER_BYTES,
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    AnswerInvalid,
    BadBody,
    EvaluateRequest,
    SuiteMismatch,
    TooLarge,
    body_digest,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    idempotency_header,
)
from psi.errors import BadElement, InputError

FINGERPRINT = bytes(range(32))
REQUEST_ID = bytes(range(100, 116))
PROOF = b"\x77" * 64

requests = st.builds(
    EvaluateRequest,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 40).flatmap(lambda n: st.binary(min_size=32 * n, max_size=32 * n)),
)


def request(n: int = 2) -> EvaluateRequest:
    return EvaluateRequest(FINGERPRINT, REQUEST_ID, bytes([9]) * 32 * n)


def test_a_request_is_the_documented_bytes() -> None:
    expected = b"MCEQ" + bytes([1, 1, 1, 0]) + (2).to_bytes(4, "big") + FINGERPRINT + REQUEST_ID + bytes([9]) * 64
    assert encode_request(request()) == expected
    assert idempotency_header(request()) == f'"{REQUEST_ID.hex()}"'


def test_an_answer_is_the_documented_bytes() -> None:
    expected = (
        b"MCEA" + bytes([1, 1, 1, 0]) + (2).to_bytes(4, "big") + FINGERPRINT + REQUEST_ID + bytes([5]) * 64 + PROOF
    )
    assert encode_answer(request(), bytes([5]) * 64, PROOF) == expected


def test_the_limits_are_those_of_65535_elements() -> None:
    assert (HEADER_BYTES, MAX_REQUEST_BYTES, MAX_ANSWER_BYTES) == (60, 60 + 32 * 65_535, 60 + 32 * 65_535 + 64)


def test_the_digest_is_over_the_exact_bytes() -> None:
    body = encode_request(request())
    assert body_digest(body) == hashlib.sha256(body).digest()


@given(requests)
def test_a_request_survives_the_wire(original: EvaluateRequest) -> None:
    decoded = decode_request(encode_request(original))
    assert (decoded.fingerprint, decoded.request_id, bytes(decoded.elements)) == (
        original.fingerprint,
        original.request_id,
        original.elements,
    )
    assert decoded.n == original.n


@given(requests, st.data())
def test_an_answer_survives_the_wire(original: EvaluateRequest, data: st.DataObject) -> None:
    evaluated = data.draw(st.binary(min_size=32 * original.n, max_size=32 * original.n))
    answer = decode_answer(encode_answer(original, evaluated, PROOF), original)
    assert (bytes(answer.evaluated_elements), answer.proof) == (evaluated, PROOF)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_decoder_fail_in_another_way(body: bytes) -> None:
    with pytest.raises(InputError):
        decode_request(body)


@given(requests, st.data())
def test_a_request_with_one_byte_changed_is_another_request_or_none(
    original: EvaluateRequest, data: st.DataObject
) -> None:
    body = bytearray(encode_request(original))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_request(bytes(body))
    except InputError:
        assert position < 12, "only what describes the body can make it unreadable"
    else:
        assert encode_request(decoded) == body


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (0, b"MCEA", BadBody),
        (0, b"mceq", BadBody),
        (4, b"\x00", BadBody),
        (4, b"\x02", BadBody),
        (7, b"\x01", BadBody),
        (5, b"\x00", SuiteMismatch),
        (5, b"\x02", SuiteMismatch),
        (6, b"\x00", SuiteMismatch),
        (6, b"\x02", SuiteMismatch),
        (8, (0).to_bytes(4, "big"), BadBody),
        (8, (1).to_bytes(4, "big"), BadElement),
        (8, (3).to_bytes(4, "big"), BadElement),
        (8, (65_536).to_bytes(4, "big"), TooLarge),
        (8, b"\xff\xff\xff\xff", TooLarge),
    ],
)
def test_a_wrong_header_names_its_fault(offset: int, value: bytes, error: type[InputError]) -> None:
    body = bytearray(encode_request(request()))
    body[offset : offset + len(value)] = value
    with pytest.raises(error):
        decode_request(bytes(body))


@pytest.mark.parametrize("length", [0, 1, 59])
def test_less_than_a_header_is_no_request(length: int) -> None:
    with pytest.raises(BadBody):
        decode_request(encode_request(request())[:length])


@pytest.mark.parametrize(("change", "index"), [(-64, 0), (-33, 0), (-1, 1), (1, 2), (32, 2)])
def test_elements_of_another_length_name_the_first_that_is_not_whole(change: int, index: int) -> None:
    body = encode_request(request())
    body = body[:change] if change < 0 else body + bytes(change)
    with pytest.raises(BadElement) as caught:
        decode_request(body)
    assert caught.value.params["index"] == index


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: body + b"\x00",
        lambda body: body[:-32],
        lambda body: body + bytes(32),
        lambda body: b"",
        lambda body: b"MCEQ" + body[4:],
        lambda body: body[:6] + b"\x00" + body[7:],
        lambda body: body[:11] + b"\x01" + body[12:],
        lambda body: body[:12] + bytes(32) + body[44:],
        lambda body: body[:44] + bytes(16) + body[60:],
    ],
    ids=["short", "long", "n-1", "n+1", "empty", "magic", "weaker mode", "other n", "other key", "other request"],
)
def test_d10_an_answer_that_is_not_ours_is_refused(damage: object) -> None:
    body = encode_answer(request(), bytes(64), PROOF)
    with pytest.raises(AnswerInvalid):
        decode_answer(damage(body), request())  # type: ignore[operator]


def test_printing_shows_no_elements() -> None:
    assert "elements" not in repr(request())
    assert repr(decode_answer(encode_answer(request(), bytes(64), PROOF), request())) == "EvaluateAnswer()"
