"""Whose TLS client key is whose: bound once, to one party, with an audit row for each change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.clock import SettableClock
from keys.identity import Identity
from matcher.province.ledger import Ledger
from matcher.province.records import PartyConflict, UnknownRecord
from psi.errors import InputError

FIRST, SECOND = (
    Identity(name, "bank", bytes([number]) * 32).public for number, name in enumerate(("甲银行", "乙银行"), 1)
)
KEY, OTHER_KEY = "a" * 64, "b" * 64


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "province", SettableClock())
    for identity in (FIRST, SECOND):
        opened.register_party(identity)
    yield opened
    opened.verify_audit()
    opened.close()


def test_a_party_may_have_several_keys_and_a_key_one_party(ledger: Ledger) -> None:
    certificates = ledger.certificates
    assert certificates.bound_keys(FIRST.fingerprint) == frozenset()
    certificates.bind(FIRST.fingerprint, KEY)
    certificates.bind(FIRST.fingerprint, OTHER_KEY)
    assert certificates.bound_keys(FIRST.fingerprint) == {KEY, OTHER_KEY}
    with pytest.raises(PartyConflict):
        certificates.bind(SECOND.fingerprint, KEY)
    assert certificates.bound_keys(SECOND.fingerprint) == frozenset()
    certificates.unbind(KEY)
    certificates.bind(SECOND.fingerprint, KEY)
    assert {(bound.party, bound.spki_sha256) for bound in certificates.list_all()} == {
        (FIRST.fingerprint, OTHER_KEY),
        (SECOND.fingerprint, KEY),
    }


def test_binding_again_changes_nothing(ledger: Ledger) -> None:
    ledger.certificates.bind(FIRST.fingerprint, KEY)
    rows = ledger.verify_audit().seq
    ledger.certificates.bind(FIRST.fingerprint, KEY)
    assert ledger.verify_audit().seq == rows
    ledger.certificates.unbind(KEY)
    assert ledger.verify_audit().seq == rows + 1


def test_what_is_not_there_says_so(ledger: Ledger) -> None:
    with pytest.raises(UnknownRecord):
        ledger.certificates.unbind(KEY)
    with pytest.raises(UnknownRecord):
        ledger.certificates.bind("0" * 64, KEY)
    for key in ("", "A" * 64, "a" * 63, "a" * 65, KEY + "\n"):
        with pytest.raises(InputError):
            ledger.certificates.bind(FIRST.fingerprint, key)
