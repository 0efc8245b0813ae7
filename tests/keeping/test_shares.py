"""Shares of a key: SLIP-0039's vectors, and what holds for every secret, threshold and choice."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from random import Random

import pytest
from homes import mingce
from hypothesis import given
from hypothesis import strategies as st

from keys.shares import (
    Share,
    ShareInvalid,
    SharesMissing,
    SharesMixed,
    combine_shares,
    combine_values,
    split_secret,
)
from psi.errors import InputError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/shares/slip39.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_slip_0039(vector: dict[str, object]) -> None:
    values = {int(x): bytes.fromhex(value) for x, value in vector["values"].items()}  # type: ignore[attr-defined]
    if vector["secret"] is None:
        with pytest.raises(SharesMixed):
            combine_values(values, vector["threshold"])  # type: ignore[arg-type]
    else:
        assert combine_values(values, vector["threshold"]).hex() == vector["secret"]  # type: ignore[arg-type]


@given(secret=st.binary(min_size=16, max_size=80), shares=st.integers(2, 6), data=st.data())
def test_any_k_of_them_and_no_fewer(secret: bytes, shares: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(2, shares))
    seed = data.draw(st.integers())
    made = split_secret(secret, threshold, shares, "kek", Random(seed).randbytes)
    for size in range(1, shares + 1):
        for chosen in itertools.combinations(made, size):
            if size < threshold:
                with pytest.raises(SharesMissing):
                    combine_shares(chosen)
            else:
                assert combine_shares(chosen) == secret
    assert [Share.from_json(share.to_json()) for share in made] == made


def test_fewer_say_nothing() -> None:
    """With k-1 shares every secret is as likely: for each byte, each value comes from some choice of randomness."""
    secrets = (bytes(16), b"\xff" * 16)
    seen = [
        {split_secret(secret, 2, 2, "x", Random(seed).randbytes)[0].value[0] for seed in range(3_000)}
        for secret in secrets
    ]
    assert seen[0] == seen[1] == set(range(256))


@given(place=st.integers(0, 31), bit=st.integers(0, 7), number=st.integers(0, 2))
def test_a_changed_share_gives_no_secret(place: int, bit: int, number: int) -> None:
    made = split_secret(bytes(range(32)), 2, 3, "kek", Random(7).randbytes)
    changed = bytearray(made[number].value)
    changed[place] ^= 1 << bit
    bad = Share(**{**vars(made[number]), "value": bytes(changed)})
    with pytest.raises(SharesMixed):
        combine_shares([bad, *made[:number], *made[number + 1 :]])


def test_a_slip_of_copying_is_noticed_and_spacing_is_forgiven() -> None:
    share = split_secret(bytes(32), 2, 3, "密钥", Random(7).randbytes)[0]
    document = json.loads(share.to_json())
    spaced = {**document, "value": " ".join(document["value"].replace(" ", "").upper())}
    assert Share.from_json(json.dumps(spaced).encode()) == share
    digit = document["value"][0]
    for name, value in (
        ("value", ("1" if digit != "1" else "2") + document["value"][1:]),
        ("number", 2),
        ("threshold", 3),
        ("label", "别的"),
        ("set", "0" * 16),
    ):
        with pytest.raises(ShareInvalid):
            Share.from_json(json.dumps({**document, name: value}).encode())
    for content in (b"", b"{}", b"[]", share.to_json()[:-20], json.dumps({**document, "number": "1"}).encode()):
        with pytest.raises(ShareInvalid):
            Share.from_json(content)


def test_shares_of_two_secrets_do_not_mix() -> None:
    one, other = (split_secret(bytes(32), 2, 3, "x", Random(seed).randbytes) for seed in (1, 2))
    with pytest.raises(SharesMixed):
        combine_shares([one[0], other[1]])
    with pytest.raises(SharesMissing):
        combine_shares([])
    with pytest.raises(SharesMissing):
        combine_shares([one[0], one[0]])


@pytest.mark.parametrize(
    ("size", "threshold", "shares"), [(15, 2, 3), (4_097, 2, 3), (32, 1, 3), (32, 4, 3), (32, 2, 17)]
)
def test_what_cannot_be_shared(size: int, threshold: int, shares: int) -> None:
    with pytest.raises(InputError):
        split_secret(bytes(size), threshold, shares, "x", Random(1).randbytes)


def test_on_the_command_line(place: Path) -> None:
    kek = (place / "province/secrets/kek").read_bytes()
    made = mingce(place, "shares", "split", "province/secrets/kek", "-k", 2, "-n", 3, "--out", "shares")
    files = made["files"]
    few = mingce(place, "shares", "combine", files[0], "--out", "kek", code=3)
    assert few["error"]["code"] == "shares_missing"
    mingce(place, "shares", "combine", files[2], files[0], "--out", "kek")
    assert (place / "kek").read_bytes() == kek
    assert (place / "kek").stat().st_mode & 0o777 == 0o600
    mingce(place, "shares", "combine", files[2], files[1], "--out", "kek", code=3)
    assert "<Share" in repr(Share.from_json(Path(place / files[0]).read_bytes()))
