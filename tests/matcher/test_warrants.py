"""What a bank may ask: signed by two, and not one customer, division or day more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pysqlite3
import pytest
from operators_home import LI, WANG, ZHANG, keystore_with_operators

from keys.clock import SettableClock
from keys.envelope import AlreadySigned, EnvelopeInvalid, add_signature, sign_envelope, unverified_payload
from keys.identity import Identity, SignatureInvalid
from keys.keystore import KeyStore
from keys.operators import OperatorNotAllowed
from matcher.bank.store import BankStore
from matcher.bank.warrants import (
    WARRANT_TYPE,
    Terms,
    WarrantExceeded,
    WarrantInvalid,
    WarrantMissing,
    WarrantNotInForce,
    Warrants,
    WarrantUnknown,
)
from psi.errors import InputError

TERMS = Terms(
    purpose="扩中家庭名单匹配",
    legal_basis="个人信息保护法第十三条；客户单独同意",
    agreement_no="浙财合 2026-01",
    dataset="base",
    divisions=("330921", "330922"),
    max_new_customers=55_000,
    not_before=datetime(2026, 1, 5, 9, tzinfo=UTC),
    not_after=datetime(2026, 12, 31, tzinfo=UTC),
)


@dataclass
class Bank:
    path: Path
    clock: SettableClock
    keystore: KeyStore
    store: BankStore

    @property
    def warrants(self) -> Warrants:
        return self.store.warrants(self.keystore.operators, self.keystore.get_public_identity())

    def signed(self, terms: Terms = TERMS, first: Identity = ZHANG, second: Identity = LI) -> str:
        proposed = self.warrants.propose(terms, first)
        return self.warrants.sign(proposed.sha256, second).sha256

    def change(self, sql: str, *values: object) -> None:
        with pysqlite3.connect(str(self.path / "bank.sqlite")) as connection:
            connection.execute(sql, values)

    def envelope(self) -> bytes:
        with pysqlite3.connect(str(self.path / "bank.sqlite")) as connection:
            ((found,),) = connection.execute("SELECT envelope FROM warrant").fetchall()
        return bytes(found)


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    clock = SettableClock()
    keystore = keystore_with_operators(tmp_path, clock)
    store = BankStore(tmp_path, bytes(32), clock)
    yield Bank(tmp_path, clock, keystore, store)
    store.close()
    keystore.close()


def test_two_signatures_put_a_warrant_in_force(bank: Bank) -> None:
    signed = bank.signed()
    found = bank.warrants.require("base", ("330922",))
    assert (found.sha256, found.terms, found.signers) == (signed, TERMS, ("张三", "李四"))
    assert bank.warrants.require("base", ("330921", "330922"), signed[:8]) == found
    assert [record.state for record in bank.warrants.list_all()] == ["SIGNED"]


def test_without_any_there_is_no_run(bank: Bank) -> None:
    with pytest.raises(WarrantMissing):
        bank.warrants.require("base", ("330922",))
    with pytest.raises(WarrantUnknown):
        bank.warrants.require("base", ("330922",), "ab")


def test_one_signature_is_not_enough(bank: Bank) -> None:
    bank.warrants.propose(TERMS, ZHANG)
    with pytest.raises(WarrantNotInForce):
        bank.warrants.require("base", ("330922",))


def test_one_person_does_not_sign_twice(bank: Bank) -> None:
    proposed = bank.warrants.propose(TERMS, ZHANG)
    with pytest.raises(AlreadySigned):
        bank.warrants.sign(proposed.sha256, ZHANG)
    assert bank.warrants.get(proposed.sha256).state == "PROPOSED"
    forged = json.loads(bank.envelope())
    forged["signatures"] *= 2
    bank.change("UPDATE warrant SET state = 'SIGNED', envelope = ?", json.dumps(forged).encode())
    with pytest.raises(EnvelopeInvalid):
        bank.warrants.require("base", ("330922",))


def test_a_stranger_neither_proposes_nor_signs_nor_revokes(bank: Bank) -> None:
    with pytest.raises(OperatorNotAllowed):
        bank.warrants.propose(TERMS, WANG)
    proposed = bank.warrants.propose(TERMS, ZHANG)
    with pytest.raises(OperatorNotAllowed):
        bank.warrants.sign(proposed.sha256, WANG)
    bank.change("UPDATE warrant SET state = 'SIGNED', envelope = ?", add_signature(bank.envelope(), WANG))
    with pytest.raises(WarrantNotInForce):
        bank.warrants.require("base", ("330922",))
    with pytest.raises(OperatorNotAllowed):
        bank.warrants.revoke(proposed.sha256, WANG)


def test_a_revoked_operators_signature_counts_no_more(bank: Bank) -> None:
    bank.signed()
    for signer in (ZHANG, LI):
        bank.keystore.operators.register(WANG.public, signer=signer)
    for signer in (LI, WANG):
        bank.keystore.operators.revoke(ZHANG.public.fingerprint, signer=signer)
    with pytest.raises(WarrantNotInForce):
        bank.warrants.require("base", ("330922",))
    with pytest.raises(OperatorNotAllowed):
        bank.warrants.propose(replace(TERMS, purpose="再来"), ZHANG)


def test_terms_changed_after_the_first_signature_are_not_signed(bank: Bank) -> None:
    proposed = bank.warrants.propose(TERMS, ZHANG)
    wider = json.loads(unverified_payload(bank.envelope())) | {"max_new_customers": 10**9}
    payload = json.dumps(wider, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    envelope = json.loads(bank.envelope())
    envelope["payload"] = json.loads(sign_envelope(LI, WARRANT_TYPE, payload))["payload"]
    bank.change("UPDATE warrant SET envelope = ?", json.dumps(envelope).encode())
    with pytest.raises(SignatureInvalid):
        bank.warrants.sign(proposed.sha256, LI)
    bank.change("UPDATE warrant SET state = 'SIGNED', envelope = ?", add_signature(json.dumps(envelope).encode(), LI))
    with pytest.raises(SignatureInvalid):
        bank.warrants.require("base", ("330922",))


def test_a_warrant_put_in_anothers_place_does_not_open(bank: Bank) -> None:
    first = bank.signed()
    second = bank.signed(replace(TERMS, max_new_customers=10**9))
    bank.change(
        "UPDATE warrant SET envelope = (SELECT envelope FROM warrant WHERE sha256 = ?) WHERE sha256 = ?", second, first
    )
    with pytest.raises(EnvelopeInvalid):
        bank.warrants.require("base", ("330922",), first)


def test_another_banks_warrant_is_none(bank: Bank) -> None:
    bank.signed()
    other = bank.store.warrants(bank.keystore.operators, Identity("另一行", "bank", bytes([9]) * 32).public)
    with pytest.raises(WarrantNotInForce):
        other.require("base", ("330922",))


@pytest.mark.parametrize(
    ("dataset", "divisions", "field"),
    [("other", ("330922",), "dataset"), ("base", ("330922", "330113"), "division")],
)
def test_beyond_its_dataset_or_divisions(bank: Bank, dataset: str, divisions: tuple[str, ...], field: str) -> None:
    bank.signed()
    with pytest.raises(WarrantExceeded) as caught:
        bank.warrants.require(dataset, divisions)
    assert caught.value.params["field"] == field


def test_beyond_its_time(bank: Bank) -> None:
    bank.signed()
    bank.clock.at = TERMS.not_after
    assert bank.warrants.require("base", ("330922",)).terms == TERMS
    bank.clock.advance(1)
    with pytest.raises(WarrantNotInForce) as caught:
        bank.warrants.require("base", ("330922",))
    assert caught.value.params["reason"] == "over"
    bank.clock.at = TERMS.not_before
    bank.clock.advance(-1)
    with pytest.raises(WarrantNotInForce):
        bank.warrants.require("base", ("330922",))


def test_beyond_its_customers(bank: Bank) -> None:
    bank.signed()
    found = bank.warrants.require("base", ("330922",))
    found.require_customers(55_000)
    with pytest.raises(WarrantExceeded):
        found.require_customers(55_001)


def test_a_revocation_holds_at_once_and_for_good(bank: Bank) -> None:
    signed = bank.signed()
    assert bank.warrants.revoke(signed, LI).state == "REVOKED"
    assert bank.warrants.revoke(signed, ZHANG).state == "REVOKED"
    with pytest.raises(WarrantNotInForce):
        bank.warrants.require("base", ("330922",), signed)
    with pytest.raises(WarrantMissing):
        bank.warrants.require("base", ("330922",))
    with pytest.raises((WarrantNotInForce, AlreadySigned)):
        bank.warrants.sign(signed, LI)


def test_the_newest_that_covers_the_run_is_taken(bank: Bank) -> None:
    wide = bank.signed()
    bank.clock.advance(1)
    narrow = bank.signed(replace(TERMS, divisions=("330922",)))
    bank.clock.advance(1)
    bank.warrants.propose(replace(TERMS, purpose="尚未签署"), ZHANG)
    assert bank.warrants.require("base", ("330922",)).sha256 == narrow
    assert bank.warrants.require("base", ("330921",)).sha256 == wide
    with pytest.raises(WarrantMissing):
        bank.warrants.require("base", ("330113",))


@pytest.mark.parametrize(
    "change",
    [
        {"purpose": " "},
        {"legal_basis": ""},
        {"agreement_no": "a\u202eb"},
        {"agreement_no": "x" * 501},
        {"divisions": ()},
        {"divisions": ("33092",)},
        {"divisions": ("３３０９２２",)},
        {"divisions": ("330922", "330921")},
        {"divisions": ("330922", "330922")},
        {"max_new_customers": 0},
        {"max_new_customers": 2**32 + 1},
        {"not_after": TERMS.not_before},
    ],
)
def test_terms_that_are_none(change: dict[str, object]) -> None:
    with pytest.raises(WarrantInvalid):
        replace(TERMS, **change)


def test_a_dataset_has_a_datasets_name() -> None:
    with pytest.raises(InputError):
        replace(TERMS, dataset="../base")
