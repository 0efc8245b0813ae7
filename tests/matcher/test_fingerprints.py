"""Two banks compare what they were shown: the same, one newer, or two different things."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from showing import BANK, OTHER_BANK, PROVINCE, Publisher, open_store

from keys.clock import SettableClock
from keys.identity import Identity
from matcher.bank.fingerprints import (
    EpochView,
    EquivocationFound,
    FingerprintInvalid,
    SeenEdition,
    compare_code,
    compare_views,
    decode_view,
    encode_view,
    parse_code,
)
from matcher.bank.store import BankStore


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[BankStore]:
    store = open_store(tmp_path / "mine")
    yield store
    store.close()


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[BankStore]:
    store = open_store(tmp_path / "theirs")
    yield store
    store.close()


def verdicts(mine: BankStore, theirs: BankStore) -> list[tuple[str, str, int | None]]:
    """Over a file, as the banks would do it; and the other way round it must come to the same."""
    view = decode_view(encode_view(theirs.views.make(OTHER_BANK.public, SettableClock().now())))
    found = compare_views(mine.views.list_epochs(), view.epochs)
    back = compare_views(view.epochs, mine.views.list_epochs())
    swapped = {"only_mine": "only_theirs", "only_theirs": "only_mine"}
    assert sorted(each.verdict for each in found) == sorted(swapped.get(each.verdict, each.verdict) for each in back)
    return [(each.verdict, each.part, each.edition) for each in found]


def test_two_banks_that_saw_the_same(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(3)
    honest.show(mine, 1, 2, 3)
    honest.show(theirs, 3)
    assert verdicts(mine, theirs) == [("same", "", 3)]


def test_one_is_newer(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(5)
    honest.show(mine, 1, 2, 5)
    honest.show(theirs, 1, 2)
    assert verdicts(mine, theirs) == [("compatible", "", 2)]


def test_neighbouring_editions_are_linked_by_the_chain(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(5)
    honest.show(mine, 5)
    honest.show(theirs, 4)
    assert verdicts(mine, theirs) == [("compatible", "", 4)]


def test_too_far_apart_to_say(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(9)
    honest.show(mine, 1, 9)
    honest.show(theirs, 1, 5)
    assert verdicts(mine, theirs) == [("unlinked", "", 1)]


def test_another_list_under_the_same_number(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(2)
    crooked = honest.fork("（另一份）")
    honest.publish()
    crooked.publish()
    honest.show(mine, 2, 3)
    crooked.show(theirs, 2, 3)
    assert verdicts(mine, theirs) == [("different", "edition", 3)]


def test_another_history_shows_though_the_numbers_differ(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish()
    crooked = honest.fork("（另一份）")
    honest.publish(2)
    crooked.publish(2)
    honest.show(mine, 3)
    crooked.show(theirs, 2)
    assert verdicts(mine, theirs) == [("different", "chain", 2)]


def test_d09_another_key_for_one_bank(mine: BankStore, theirs: BankStore) -> None:
    honest, crooked = Publisher(), Publisher(key=b"\x01" + bytes(31))
    for publisher, store in ((honest, mine), (crooked, theirs)):
        publisher.publish()
        publisher.show(store, 1)
    assert verdicts(mine, theirs) == [("different", "public_key", None)]
    (found,) = compare_views(mine.views.list_epochs(), theirs.views.list_epochs())
    assert isinstance(found.error, EquivocationFound)
    assert (found.error.params["mine"], found.error.params["theirs"]) == (
        hashlib.sha256(honest.key).hexdigest(),
        hashlib.sha256(crooked.key).hexdigest(),
    )


def test_another_province_altogether(mine: BankStore, theirs: BankStore) -> None:
    honest, impostor = Publisher(), Publisher(signer=Identity("演示省", "province", bytes([8]) * 32))
    for publisher, store in ((honest, mine), (impostor, theirs)):
        publisher.publish()
        publisher.show(store, 1)
    assert verdicts(mine, theirs) == [("different", "signer", None)]


def test_epochs_that_only_one_has_seen(mine: BankStore, theirs: BankStore) -> None:
    for epoch, store in (("2026", mine), ("2026", theirs), ("2027", mine), ("2025", theirs)):
        publisher = Publisher(epoch)
        publisher.publish()
        publisher.show(store, 1)
    assert verdicts(mine, theirs) == [("same", "", 1), ("only_mine", "", None), ("only_theirs", "", None)]


# The digits


def shown(store: BankStore) -> EpochView:
    (view,) = store.views.list_epochs()
    return view


def test_the_digits_are_as_documented(mine: BankStore) -> None:
    honest = Publisher()
    honest.publish(2)
    honest.show(mine, 1, 2)
    preimage = b"mingce/1 fingerprint\x00\x04base\x042026"
    preimage += bytes.fromhex(PROVINCE.public.fingerprint) + hashlib.sha256(honest.key).digest()
    preimage += b"\x00\x00\x00\x02" + hashlib.sha256(honest.payloads[1]).digest()
    digits = str(int.from_bytes(hashlib.sha256(preimage).digest(), "big") % 10**30).zfill(30)
    code = shown(mine).code(2)
    assert code == " ".join(digits[start : start + 5] for start in range(0, 30, 5))
    assert shown(mine).code(3) is None


def test_digits_read_over_the_telephone(mine: BankStore, theirs: BankStore) -> None:
    honest = Publisher()
    honest.publish(3)
    crooked = honest.fork("（另一份）")
    honest.publish()
    crooked.publish()
    honest.show(mine, 3, 4)
    crooked.show(theirs, 3, 4)
    views = mine.views.list_epochs()
    known, other = shown(theirs).code(3) or "", shown(theirs).code(4) or ""

    def verdict(code: str, epoch: str | None = None, edition: int | None = None) -> str | None:
        found = compare_code(views, parse_code(code), epoch, edition)
        return found and found.verdict

    assert verdict(shown(mine).code(4) or "") == "same"
    assert verdict(known) == "compatible"
    assert verdict(known.replace(" ", "－")[:5] + known[5:].replace(" ", "-")) == "compatible"
    assert verdict(other) is None, "of which edition it is must be said before it can be wrong"
    assert verdict(other, "2026", 4) == "different"
    assert verdict(other, "2026", 9) is None
    assert verdict(shown(mine).code(2) or "") == "compatible", "known by the hash that edition 3 names"


@pytest.mark.parametrize("text", ["", "12345", "1" * 29, "1" * 31, "1" * 29 + "x", "٠" * 30 + "1"])
def test_other_digits_are_refused(text: str) -> None:
    with pytest.raises(FingerprintInvalid):
        parse_code(text)


# Files from strangers


@pytest.fixture
def document(theirs: BankStore) -> dict[str, object]:
    honest = Publisher()
    honest.publish(2)
    honest.show(theirs, 1, 2)
    parsed: dict[str, object] = json.loads(encode_view(theirs.views.make(BANK.public, SettableClock().now())))
    return parsed


def test_a_file_of_any_other_shape_is_refused(document: dict[str, object]) -> None:
    (epoch,) = document["epochs"]  # type: ignore[misc]
    assert decode_view(json.dumps(document).encode()).party == "演示银行"
    broken = [
        {**document, "format": "mingce-fingerprint/2"},
        {**document, "more": 1},
        {**document, "party": "\x1b[2J"},
        {**document, "party": "x" * 101},
        {**document, "made_at": "now"},
        {**document, "epochs": [epoch, epoch]},
        {**document, "epochs": [{**epoch, "editions": []}]},
        {**document, "epochs": [{**epoch, "editions": epoch["editions"][::-1]}]},
        {**document, "epochs": [{**epoch, "editions": epoch["editions"][:1] * 2}]},
        {**document, "epochs": [{**epoch, "signer": "AB" * 32}]},
        {**document, "epochs": [{**epoch, "dataset": "../x"}]},
        {**document, "epochs": [{**epoch, "editions": [{**epoch["editions"][0], "edition": True}]}]},
        {**document, "epochs": [{**epoch, "editions": [{**epoch["editions"][0], "edition": 0}]}]},
    ]
    for wrong in broken:
        with pytest.raises(FingerprintInvalid):
            decode_view(json.dumps(wrong).encode())
    twice = json.dumps(document).replace('"format"', '"party": "x", "format"', 1)
    for content in (b"", b"[]", b"\xff", b"[" * 100_000, b"{}", twice.encode(), b'{"format": NaN}'):
        with pytest.raises(FingerprintInvalid):
            decode_view(content)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(FingerprintInvalid):
        decode_view(content)


# Whatever the two saw

HASHES = st.lists(st.sampled_from("ab"), min_size=8, max_size=8)


def view_of(history: list[str], seen: set[int]) -> EpochView:
    """A bank's view of a chain in which each edition's hash is made of the letters so far."""
    hashes = ["", *(hashlib.sha256("".join(history[:n]).encode()).hexdigest() for n in range(1, len(history) + 1))]
    editions = [SeenEdition(edition=n, manifest_sha256=hashes[n], previous=hashes[n - 1] or None) for n in sorted(seen)]
    return EpochView(dataset="base", epoch="2026", signer="0" * 64, fingerprint="1" * 64, editions=editions)


@given(HASHES, HASHES, st.sets(st.integers(1, 8), min_size=1), st.sets(st.integers(1, 8), min_size=1))
def test_only_what_is_proven_is_said(one: list[str], other: list[str], seen: set[int], seen_there: set[int]) -> None:
    mine, theirs = view_of(one, seen), view_of(other, seen_there)
    (found,) = compare_views([mine], [theirs])
    shorter = min(max(seen), max(seen_there))
    agree = one[:shorter] == other[:shorter]
    if found.verdict == "different":
        assert one != other, "an alarm is never false"
    if found.verdict in ("same", "compatible"):
        assert agree, "and all is well only if the older bank's whole history is the newer one's"
        assert found.edition == shorter
    if agree:
        assert found.verdict in ("same", "compatible", "unlinked")
    if found.verdict == "unlinked":
        assert shorter not in mine.hashes or shorter not in theirs.hashes
