from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.strictjson import JsonInvalid, parse_json, parse_object, require_members, require_text

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), _values, max_size=4))
def test_plain_objects_are_read_as_they_are(value: dict[str, object]) -> None:
    assert parse_object(json.dumps(value).encode(), value, max_bytes=10_000) == value


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[]",
        b'{"a":1}x',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":123456789012345678901}',
        b'{"b":1}',
        b'{"a":1,"b":1}',
        b"{}",
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' * 50_000,
        b"{'a':1}",
        b'{"a":"\x01"}',
    ],
)
def test_anything_ambiguous_is_refused(document: bytes) -> None:
    with pytest.raises(JsonInvalid) as caught:
        parse_object(document, ["a"], max_bytes=1_000_000)
    assert len(str(caught.value)) < 60  # repeats nothing of the document


def test_members_and_texts() -> None:
    assert require_members({"a": 1}, ["a"]) == {"a": 1}
    values: list[object] = [None, [], {"a": 1, "b": 2}, {}]
    for value in values:
        with pytest.raises(JsonInvalid):
            require_members(value, ["a"])
    assert require_text("名册") == "名册"
    for text in (None, 1, "\udc00"):
        with pytest.raises(JsonInvalid):
            require_text(text)


_text = st.text(st.characters(exclude_categories=["Cs"]))
_stored = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 10**18, 2**63 - 1) | _text,
    lambda inner: st.lists(inner) | st.dictionaries(_text, inner),
)


@given(_stored)
def test_a_strict_value_is_read_as_it_was_written(value: object) -> None:
    assert parse_json(json.dumps(value, ensure_ascii=False).encode(), max_bytes=1 << 20) == value
    assert parse_json(json.dumps(value).encode(), max_bytes=1 << 20) == value


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"1.5", b"1e3", b"NaN", b"-Infinity", b"9223372036854775808", b"-9223372036854775809", b"9" * 5_000,
        b'"\\ud800"', b'{"\\udfff": 1}', b'[{"a": ["\\ud800"]}]', b'{"a": 1, "a": 1}', b"\xff", b"[" * 100_000,
        b"\xef\xbb\xbf{}", b"1 2", b"'a'", b"[1,]",
    ],
)  # fmt: skip
def test_a_value_that_two_readers_may_read_in_two_ways(document: bytes) -> None:
    with pytest.raises(JsonInvalid):
        parse_json(document, max_bytes=1 << 20)


def test_a_value_that_is_too_long() -> None:
    assert parse_json(b"[]", max_bytes=2) == []
    with pytest.raises(JsonInvalid):
        parse_json(b"[] ", max_bytes=2)
