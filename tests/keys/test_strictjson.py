from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.strictjson import JsonInvalid, parse_object, require_members, require_text

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
