"""The bureau's store: receipts checked, rows grouped into households, conflicts noted, nothing in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from handed_over import (
    BANK,
    BUREAU,
    CLOCK,
    COUNTY,
    DATASET,
    EPOCH,
    NEIGHBOUR,
    OTHER_BANK,
    Match,
    hand_over,
    item,
    matches,
    receipt_key,
    true_receipts,
)

from keys.identity import PublicIdentity
from keys.receipts import ReceiptKeys
from matcher.bureau.refusals import ReceiptKeyMissing
from matcher.bureau.store import BankConflict, BureauStore, ReceiptKeyConflict
from matcher.handover import BankUntrusted
from matcher.masking import mask_name
from matcher.sealing import SealedDataDamaged
from psi.errors import InputError

SECRET = bytes([9]) * 32
OPERATOR = "经办员"


def keys(epoch: str = EPOCH, divisions: tuple[str, ...] = (COUNTY,)) -> ReceiptKeys:
    return ReceiptKeys(DATASET, epoch, {division: receipt_key(division, epoch) for division in divisions})


def open_store(home: Path, secret: bytes = SECRET) -> BureauStore:
    return BureauStore(home, secret, CLOCK, [COUNTY])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BureauStore]:
    opened = open_store(tmp_path / "bureau")
    opened.add_bank(BANK.public)
    opened.add_bank(OTHER_BANK.public)
    opened.add_receipt_keys(keys())
    yield opened
    opened.close()


def test_candidates_are_grouped_into_households(tmp_path: Path, store: BureauStore) -> None:
    done = store.import_handover(hand_over(tmp_path / "a.mch", matches(5)), OPERATOR)
    assert (done.rows, done.accepted, dict(done.refused)) == (5, 5, {})
    assert (done.new_households, done.new_candidates, done.conflicts) == (3, 5, 0)
    households = list(store.iterate_households())
    assert [(h.household_no, h.members_found, h.household_size, h.state) for h in households] == [
        ("H000000", 2, "3", "MATCHED"),
        ("H000001", 2, "3", "MATCHED"),
        ("H000002", 1, "3", "MATCHED"),
    ]
    assert {(h.division, h.expanding, h.reasons, h.has_conflict) for h in households} == {("330922100", "1", "", False)}
    assert store.count() == {"household": 3, "candidate": 5, "conflict": 0, "handover": 1, "waiting_alarms": 0}


def test_listings_show_masked_numbers_and_names(tmp_path: Path, store: BureauStore) -> None:
    store.import_handover(hand_over(tmp_path / "a.mch", matches(3, name="演示人")), OPERATOR)
    everyone = list(store.iterate_candidates())
    assert len(everyone) == 3
    for candidate, number in zip(everyone, range(3), strict=True):
        assert candidate.item == "99************" + item(number)[-2:]
        assert candidate.name == "演**"
        assert item(number) not in repr(candidate)
        assert candidate.banks == 1
    first = next(store.iterate_households())
    assert [candidate.candidate_id for candidate in store.iterate_candidates(first.household_id)] == [1, 2]
    assert mask_name("") == "**"


def test_the_same_file_again_changes_nothing(tmp_path: Path, store: BureauStore) -> None:
    handover = hand_over(tmp_path / "a.mch", matches(5))
    first = store.import_handover(handover, OPERATOR)
    before = (store.count(), list(store.iterate_households()), store.list_handovers())
    again = store.import_handover(handover, OPERATOR)
    assert again.already_imported
    assert not first.already_imported
    assert (again.handover_id, again.rows, again.accepted, again.new_candidates) == (first.handover_id, 5, 5, 0)
    assert (store.count(), list(store.iterate_households()), store.list_handovers()) == before


def test_the_same_matches_in_another_file_add_nobody(tmp_path: Path, store: BureauStore) -> None:
    store.import_handover(hand_over(tmp_path / "a.mch", matches(4)), OPERATOR)
    again = store.import_handover(hand_over(tmp_path / "b.mch", matches(4)), OPERATOR)
    other = store.import_handover(hand_over(tmp_path / "c.mch", matches(4, 2), bank=OTHER_BANK), OPERATOR)
    assert (again.already_imported, again.new_candidates, again.new_households) == (False, 0, 0)
    assert (other.new_candidates, other.new_households) == (2, 1)
    assert [candidate.banks for candidate in store.iterate_candidates()] == [1, 1, 2, 2, 1, 1]
    assert [handover["bank"] for handover in store.list_handovers()] == ["另一银行", "演示银行", "演示银行"]


def test_a_dry_run_changes_nothing(tmp_path: Path, store: BureauStore) -> None:
    rows = matches(4)
    wrong = [bytes(16), *true_receipts(rows)[1:]]
    handover = hand_over(tmp_path / "a.mch", rows, wrong)
    tried = store.import_handover(handover, OPERATOR, dry_run=True)
    assert (tried.accepted, tried.new_candidates, dict(tried.refused)) == (3, 3, {"receipt_invalid": 1})
    assert set(store.count().values()) == {0}
    assert replace(store.import_handover(handover, OPERATOR), handover_id=tried.handover_id) == tried


@pytest.mark.parametrize(
    "change",
    [
        {"item": item(77)},
        {"household_no": "H999999"},
        {"household_size": "9"},
        {"expanding": "0"},
        {"reasons": "N01"},
        {"division": f"{COUNTY}101"},
        {"row_version": 2},
    ],
)
def test_a_row_the_province_did_not_issue_is_refused(
    tmp_path: Path, store: BureauStore, change: dict[str, Any]
) -> None:
    """A bank that changes anything of a row, or invents one, is left with a receipt that does not hold."""
    rows = matches(4)
    receipts = true_receipts(rows)
    rows[2] = replace(rows[2], **change)
    done = store.import_handover(hand_over(tmp_path / "a.mch", rows, receipts), OPERATOR)
    assert (done.accepted, dict(done.refused)) == (3, {"receipt_invalid": 1})
    assert store.count()["candidate"] == 3
    (refused,) = store.list_refused(done.handover_id)
    assert (refused["row"], refused["reason"]) == (3, "receipt_invalid")
    assert refused["masked_item"] == "99************" + rows[2].item[-2:]
    (alarm,) = store.alarms.list_waiting()
    assert (alarm.code, alarm.params["rows"], alarm.params["bank"]) == (
        "handover_rows_refused",
        1,
        BANK.public.fingerprint,
    )


@pytest.mark.parametrize("receipt", [bytes(16), bytes([255]) * 16])
def test_a_receipt_that_is_none(tmp_path: Path, store: BureauStore, receipt: bytes) -> None:
    done = store.import_handover(hand_over(tmp_path / "a.mch", matches(3), [receipt] * 3), OPERATOR)
    assert (done.accepted, store.count()["household"]) == (0, 0)


def test_a_receipt_of_another_epoch_or_division_does_not_hold(tmp_path: Path, store: BureauStore) -> None:
    store.add_receipt_keys(keys("2027"))
    rows = matches(2)
    old = store.import_handover(hand_over(tmp_path / "a.mch", rows, true_receipts(rows), epoch="2027"), OPERATOR)
    assert old.accepted == 0
    neighbours = [replace(row, division=f"{NEIGHBOUR}100") for row in rows]
    moved = store.import_handover(hand_over(tmp_path / "b.mch", rows, true_receipts(neighbours)), OPERATOR)
    assert moved.accepted == 0


def test_rows_of_other_counties_are_refused(tmp_path: Path, store: BureauStore) -> None:
    rows = [*matches(2), *matches(2, 10, division=f"{NEIGHBOUR}001"), *matches(1, 20, division=COUNTY)]
    done = store.import_handover(hand_over(tmp_path / "a.mch", rows), OPERATOR)
    assert (done.accepted, dict(done.refused)) == (3, {"foreign_division": 2})
    assert [row["row"] for row in store.list_refused(done.handover_id)] == [3, 4]
    assert {household.division for household in store.iterate_households()} == {f"{COUNTY}100", COUNTY}


def test_nothing_is_imported_without_the_receipt_keys(tmp_path: Path, store: BureauStore) -> None:
    handover = hand_over(tmp_path / "a.mch", matches(2), epoch="2027")
    with pytest.raises(ReceiptKeyMissing) as raised:
        store.import_handover(handover, OPERATOR)
    assert raised.value.params == {"dataset": DATASET, "epoch": "2027", "divisions": [COUNTY]}
    assert set(store.count().values()) == {0}
    store.add_receipt_keys(keys("2027"))
    assert store.import_handover(handover, OPERATOR).accepted == 2


def test_an_empty_hand_over_of_an_unknown_epoch(tmp_path: Path, store: BureauStore) -> None:
    with pytest.raises(ReceiptKeyMissing):
        store.import_handover(hand_over(tmp_path / "a.mch", [], epoch="2027"), OPERATOR)


def test_a_bank_that_was_never_registered(tmp_path: Path) -> None:
    store = open_store(tmp_path / "bureau")
    store.add_receipt_keys(keys())
    with pytest.raises(BankUntrusted):
        store.import_handover(hand_over(tmp_path / "a.mch", matches(2)), OPERATOR)
    store.close()


def test_a_newer_label_replaces_the_older_one_and_never_the_other_way(tmp_path: Path, store: BureauStore) -> None:
    old = hand_over(tmp_path / "a.mch", matches(2))
    new = hand_over(tmp_path / "b.mch", matches(2, row_version=2, household_size="4", reasons="N30"), edition=2)
    for handover in (old, new):
        store.import_handover(handover, OPERATOR)
    late = hand_over(tmp_path / "c.mch", matches(2))
    assert store.import_handover(late, OPERATOR).new_candidates == 0
    (household,) = store.iterate_households()
    assert (household.household_size, household.reasons, household.has_conflict) == ("4", "N30", False)
    assert {candidate.reasons for candidate in store.iterate_candidates()} == {"N30"}


def test_a_newer_epoch_replaces_an_older_one_whatever_its_versions(tmp_path: Path, store: BureauStore) -> None:
    store.add_receipt_keys(keys("2027"))
    store.import_handover(hand_over(tmp_path / "a.mch", matches(2, row_version=9, expanding="1"), edition=7), OPERATOR)
    store.import_handover(hand_over(tmp_path / "b.mch", matches(2, expanding="0"), epoch="2027"), OPERATOR)
    (household,) = store.iterate_households()
    assert household.expanding == "0"
    assert store.count()["candidate"] == 2


def test_one_person_in_two_households_is_a_conflict_and_both_are_kept(tmp_path: Path, store: BureauStore) -> None:
    store.import_handover(hand_over(tmp_path / "a.mch", matches(2)), OPERATOR)
    moved = [Match(item(0), household_no="H777777", row_version=2), Match(item(5), household_no="H777777")]
    done = store.import_handover(hand_over(tmp_path / "b.mch", moved), OPERATOR)
    assert done.conflicts == 2
    assert [(c["kind"], c["household_no"]) for c in store.list_conflicts()] == [
        ("person_in_two_households", "H000000"),
        ("person_in_two_households", "H777777"),
    ]
    assert [household.has_conflict for household in store.iterate_households()] == [True, True]
    assert store.count()["candidate"] == 4
    again = store.import_handover(hand_over(tmp_path / "c.mch", moved), OPERATOR)
    assert again.conflicts == 0


def test_members_whose_labels_differ_are_a_conflict(tmp_path: Path, store: BureauStore) -> None:
    rows = [Match(item(0)), Match(item(1), household_size="4"), Match(item(2), household_no="H2", reasons="N03")]
    done = store.import_handover(hand_over(tmp_path / "a.mch", rows), OPERATOR)
    assert done.conflicts == 1
    assert [(c["kind"], c["household_no"]) for c in store.list_conflicts()] == [("labels_differ", "H1")]


def test_more_members_than_the_household_has_are_a_conflict(tmp_path: Path, store: BureauStore) -> None:
    rows = [Match(item(n), household_no="H1", household_size="2") for n in range(3)]
    rows += [Match(item(n), household_no="H2", household_size="") for n in range(10, 13)]
    done = store.import_handover(hand_over(tmp_path / "a.mch", rows), OPERATOR)
    assert done.conflicts == 1
    assert [(c["kind"], c["household_no"]) for c in store.list_conflicts()] == [("too_many_members", "H1")]


def test_banks_are_registered_once_under_one_key(store: BureauStore) -> None:
    store.add_bank(BANK.public)
    assert [bank.fingerprint for bank in store.list_banks()] == sorted(
        (bank.public.fingerprint for bank in (BANK, OTHER_BANK)), key=lambda f: f != OTHER_BANK.public.fingerprint
    )
    with pytest.raises(BankConflict):
        store.add_bank(PublicIdentity(BANK.public.name, "bank", BUREAU.public.verify_key))
    with pytest.raises(InputError):
        store.add_bank(BUREAU.public)


def test_receipt_keys_are_for_our_own_divisions_and_never_replaced(store: BureauStore) -> None:
    store.add_receipt_keys(keys())
    with pytest.raises(InputError):
        store.add_receipt_keys(keys(divisions=(COUNTY, NEIGHBOUR)))
    with pytest.raises(ReceiptKeyConflict):
        store.add_receipt_keys(ReceiptKeys(DATASET, EPOCH, {COUNTY: bytes(32)}))


def test_nothing_in_the_clear(tmp_path: Path, store: BureauStore) -> None:
    """D46, the bureau's store: no number, name, receipt key or store secret in any file."""
    rows = [*matches(3, name="演示某某"), Match(item(50), name="演示某某", division=NEIGHBOUR)]
    store.import_handover(hand_over(tmp_path / "a.mch", rows), OPERATOR)
    needles = [item(n).encode() for n in (0, 1, 2, 50)] + ["演示某某".encode(), receipt_key(COUNTY), SECRET]
    for path in (tmp_path / "bureau").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [needle for needle in needles if needle in content], path.name


def test_another_secret_opens_nothing(tmp_path: Path, store: BureauStore) -> None:
    store.import_handover(hand_over(tmp_path / "a.mch", matches(1)), OPERATOR)
    other = open_store(tmp_path / "bureau", bytes(32))
    with pytest.raises(SealedDataDamaged):
        list(other.iterate_candidates())
    other.close()


@pytest.mark.slow
def test_a_countys_hand_over(tmp_path: Path, store: BureauStore) -> None:
    people = [Match(f"990000{n:012d}", household_no=f"H{n // 3:06d}") for n in range(50_000)]
    handover = hand_over(tmp_path / "a.mch", people, true_receipts(people))
    done = store.import_handover(handover, OPERATOR)
    assert (done.accepted, done.new_households) == (50_000, 16_667)
