"""Declared numbers: two persons of the province decide, each decision counts once, and everything is evidence."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from budgeting import DATASET, EPOCH, bank, charge, open_ledger

from keys.clock import SettableClock
from keys.envelope import (
    AlreadySigned,
    SignaturesMissing,
    SignerUnknown,
    add_signature,
    claimed_signers,
    sign_envelope,
)
from keys.identity import Identity, SignatureInvalid
from keys.keystore import KeyStore
from keys.operators import OperatorNotAllowed
from keys.wrap import FileKek, create_kek_file
from matcher.province.declaration import (
    DECLARATION_TYPE,
    Declaration,
    DeclarationDecided,
    DeclarationInvalid,
    DeclarationRecord,
    DeclarationUnknown,
)
from matcher.province.declarations import Declarations
from matcher.province.records import Budget, UnknownRecord
from psi.errors import InputError, MingceError

ZHANG, LI, WANG, ZHAO = (
    Identity(name, "operator", bytes([seed]) * 32)
    for name, seed in (("张三", 11), ("李四", 12), ("王五", 13), ("赵六", 14))
)


class Office:
    """A province with two operators who may do both, one who may only propose, and a stranger (ZHAO)."""

    def __init__(self, home: Path, clock: SettableClock) -> None:
        create_kek_file(home / "kek")
        self.keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
        self.province = self.keystore.create_identity("演示省", "province").public.fingerprint
        self.operators = self.keystore.operators
        self.operators.register(ZHANG.public)
        self.operators.register(LI.public)
        for signer in (ZHANG, LI):
            self.operators.register(WANG.public, ["propose"], signer=signer)
        self.ledger = open_ledger(home, clock)
        counter = itertools.count()
        self.declarations = Declarations(
            self.ledger, self.operators, self.province, lambda size: next(counter).to_bytes(size, "big")
        )

    def declare(self, customers: int = 3_000, *, new_a_night: int = 30, by: Identity = ZHANG) -> DeclarationRecord:
        return self.declarations.declare(
            by,
            entity="演示银行",
            dataset=DATASET,
            epoch=EPOCH,
            customers=customers,
            new_a_night=new_a_night,
            reason="年度申报",
        )

    def budget(self) -> Budget | None:
        return self.ledger.find_budget(bank().fingerprint, DATASET, EPOCH)

    def tamper(self, statement: str, *values: object) -> None:
        with self.ledger.store.writing() as db:
            db.execute(statement, values)

    def refusals(self) -> list[tuple[str, str]]:
        return self.ledger.store.db.conn.execute(
            "SELECT actor, json_extract(detail, '$.code') FROM audit WHERE action = 'refused' ORDER BY seq"
        ).fetchall()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    office = Office(tmp_path, clock)
    yield office
    office.ledger.verify_audit()
    office.ledger.close()
    office.keystore.close()


def refused(office: Office, error: type[MingceError], declaration_id: int, by: Identity = LI) -> None:
    """The approval is refused, changes nothing, and leaves one row in the audit."""
    budget, record, rows = office.budget(), office.declarations.get(declaration_id), len(office.refusals())
    with pytest.raises(error):
        office.declarations.approve(declaration_id, by)
    assert (office.budget(), office.declarations.get(declaration_id)) == (budget, record)
    assert office.refusals()[rows:] == [(by.public.fingerprint, error.code)]


def test_a_budget_begins_with_two_persons(office: Office) -> None:
    proposed = office.declare()
    assert (proposed.state, proposed.proposed_by, proposed.decided_by) == ("proposed", ZHANG.public.fingerprint, None)
    assert office.budget() is None, "one person changes nothing"
    approved = office.declarations.approve(proposed.declaration_id, LI)
    assert (approved.state, approved.decided_by) == ("approved", LI.public.fingerprint)
    assert (approved.limit, approved.nightly) == (4_096, 256)
    assert office.budget() == Budget(4_096, 0, 256, next_at="2026-01-05T16:00:00Z")
    assert office.declarations.verify_budgets() == 1
    assert office.refusals() == []


def test_the_evidence_is_kept_with_the_audit(office: Office) -> None:
    proposed = office.declare()
    office.declarations.approve(proposed.declaration_id, LI)
    rows = office.ledger.store.db.conn.execute(
        "SELECT actor, action, json_extract(detail, '$.payload_sha256'), json_extract(detail, '$.signed_sha256')"
        " FROM audit WHERE action LIKE '%declar%' ORDER BY seq"
    ).fetchall()
    (envelope,) = office.ledger.store.db.conn.execute("SELECT envelope FROM declaration").fetchone()
    assert [row[:3] for row in rows] == [
        (ZHANG.public.fingerprint, "declare", proposed.payload_sha256),
        (LI.public.fingerprint, "approve_declaration", proposed.payload_sha256),
    ]
    assert rows[1][3] == hashlib.sha256(envelope).hexdigest()
    assert claimed_signers(envelope) == [ZHANG.public.fingerprint, LI.public.fingerprint]


def test_what_is_used_stays_used_when_the_numbers_change(office: Office, clock: SettableClock) -> None:
    office.declarations.approve(office.declare().declaration_id, LI)
    charge(office.ledger, 1, 4_096)
    charge(office.ledger, 2, 100)
    office.declarations.approve(office.declare(6_000, new_a_night=300, by=LI).declaration_id, ZHANG)
    assert office.budget() == Budget(8_192, 4_096, 1_024, 100, 100, next_at="2026-01-05T16:00:00Z")
    office.declarations.approve(office.declare(0, new_a_night=0).declaration_id, LI)
    budget = office.budget()
    assert budget is not None
    assert (budget.limit, budget.used, budget.remaining) == (0, 4_096, 0)


# Who may not


def test_the_same_person_does_not_approve(office: Office) -> None:
    refused(office, AlreadySigned, office.declare().declaration_id, by=ZHANG)


def test_one_name_with_two_keys_is_not_two_persons(office: Office) -> None:
    """Known by the key: a namesake's key is no operator's, and no name is registered twice."""
    namesake = Identity("李四", "operator", bytes([99]) * 32)
    refused(office, OperatorNotAllowed, office.declare().declaration_id, by=namesake)
    with pytest.raises(InputError):
        office.operators.register(Identity("张三", "operator", bytes([98]) * 32).public)


@pytest.mark.parametrize("who", [WANG, ZHAO], ids=["may only propose", "a stranger"])
def test_only_an_approver_approves(office: Office, who: Identity) -> None:
    refused(office, OperatorNotAllowed, office.declare().declaration_id, by=who)


def test_a_stranger_proposes_nothing(office: Office) -> None:
    with pytest.raises(OperatorNotAllowed):
        office.declare(by=ZHAO)
    assert office.declarations.list_all() == []
    assert office.refusals() == [(ZHAO.public.fingerprint, "operator_not_allowed")]


def test_a_revoked_operator_neither_approves_nor_has_proposed(office: Office) -> None:
    by_wang = office.declare(by=WANG)
    for signer in (ZHANG, LI):
        office.operators.revoke(WANG.public.fingerprint, signer=signer)
    refused(office, SignerUnknown, by_wang.declaration_id)
    refused(office, OperatorNotAllowed, by_wang.declaration_id, by=WANG)
    office.declarations.reject(by_wang.declaration_id, LI, reason="申报人已离岗")
    office.declarations.approve(office.declare().declaration_id, LI)


def test_a_budget_stays_good_after_its_signers_left(office: Office) -> None:
    office.declarations.approve(office.declare(by=WANG).declaration_id, LI)
    for signer in (ZHANG, LI):
        office.operators.revoke(WANG.public.fingerprint, signer=signer)
    assert office.declarations.verify_budgets() == 1


# Replays and changes


def test_a_decision_counts_once(office: Office) -> None:
    proposed = office.declare()
    office.declarations.approve(proposed.declaration_id, LI)
    charge(office.ledger, 1, 4_096)
    refused(office, DeclarationDecided, proposed.declaration_id)
    with pytest.raises(DeclarationDecided):
        office.declarations.reject(proposed.declaration_id, LI, reason="反悔")


def test_an_old_approval_is_not_replayed(office: Office) -> None:
    """Both signatures of an approved declaration, put back as if it still waited, after a smaller one was approved."""
    first = office.declare(9_000)
    office.declarations.approve(first.declaration_id, LI)
    (envelope,) = office.ledger.store.db.conn.execute("SELECT envelope FROM declaration").fetchone()
    office.declarations.approve(office.declare(300).declaration_id, LI)
    once_signed = sign_envelope(ZHANG, DECLARATION_TYPE, payload_of(envelope))
    office.tamper(
        "UPDATE declaration SET state = 'proposed', decided_by = NULL, decided_at = NULL, envelope = ?"
        " WHERE declaration_id = ?",
        once_signed,
        first.declaration_id,
    )
    refused(office, DeclarationDecided, first.declaration_id)


def payload_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


@pytest.mark.parametrize(
    ("column", "value"), [("customers", 9_000_000), ("new_a_night", 9_000), ("entity", "另一银行"), ("epoch", "2027")]
)
def test_a_changed_proposal_is_not_approved(office: Office, column: str, value: object) -> None:
    """What the approver reads is what the proposer signed, or nothing."""
    office.ledger.register_party(bank("另一银行", 2))
    proposed = office.declare()
    office.tamper(f"UPDATE declaration SET {column} = ?", value)  # noqa: S608
    refused(office, DeclarationInvalid, proposed.declaration_id)


def test_a_changed_payload_is_not_approved(office: Office) -> None:
    proposed = office.declare()
    (envelope,) = office.ledger.store.db.conn.execute("SELECT envelope FROM declaration").fetchone()
    larger = Declaration.decode(payload_of(envelope)).model_copy(update={"customers": 9_000_000}).encode()
    forged = envelope_with(envelope, larger)
    office.tamper(
        "UPDATE declaration SET customers = 9000000, envelope = ?, payload_sha256 = ?",
        forged,
        hashlib.sha256(larger).hexdigest(),
    )
    refused(office, SignatureInvalid, proposed.declaration_id)


def envelope_with(envelope: bytes, payload: bytes) -> bytes:
    return envelope.replace(base64.b64encode(payload_of(envelope)), base64.b64encode(payload))


def test_a_declaration_for_another_province_is_not_approved(office: Office) -> None:
    proposed = office.declare()
    (envelope,) = office.ledger.store.db.conn.execute("SELECT envelope FROM declaration").fetchone()
    foreign = Declaration.decode(payload_of(envelope)).model_copy(update={"province": "0" * 64}).encode()
    office.tamper(
        "UPDATE declaration SET envelope = ?, payload_sha256 = ?",
        sign_envelope(ZHANG, DECLARATION_TYPE, foreign),
        hashlib.sha256(foreign).hexdigest(),
    )
    refused(office, DeclarationInvalid, proposed.declaration_id)


def test_a_second_proposal_waits_for_the_first(office: Office) -> None:
    first = office.declare()
    with pytest.raises(DeclarationDecided) as caught:
        office.declare(4_000, by=LI)
    assert caught.value.params["declaration"] == first.declaration_id
    assert [one.declaration_id for one in office.declarations.list_all(state="proposed")] == [first.declaration_id]


def test_two_approvers_at_once_decide_once(office: Office) -> None:
    for signer in (ZHANG, LI):
        office.operators.register(ZHAO.public, signer=signer)
    proposed = office.declare()
    outcomes: list[str] = []

    def approve(by: Identity) -> None:
        try:
            outcomes.append(office.declarations.approve(proposed.declaration_id, by).state)
        except DeclarationDecided as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=approve, args=(by,)) for by in (LI, ZHAO)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "declaration_decided"]


# Rejections


def test_a_rejection_changes_no_budget_and_frees_the_place(office: Office) -> None:
    proposed = office.declare()
    rejected = office.declarations.reject(proposed.declaration_id, LI, reason="与年报不符")
    assert (rejected.state, rejected.decided_by) == ("rejected", LI.public.fingerprint)
    assert office.budget() is None
    refused(office, DeclarationDecided, proposed.declaration_id)
    assert office.declare().state == "proposed"


def test_the_proposer_may_withdraw_but_not_another_proposer(office: Office) -> None:
    proposed = office.declare()
    with pytest.raises(OperatorNotAllowed):
        office.declarations.reject(proposed.declaration_id, WANG, reason="不同意")
    assert office.declarations.reject(proposed.declaration_id, ZHANG, reason="填错了").state == "rejected"


# Input


@pytest.mark.parametrize(
    "change",
    [
        {"customers": -1},
        {"customers": 10**9 + 1},
        {"customers": 4 * 10**8 * 10},
        {"new_a_night": -1},
        {"reason": " "},
        {"reason": "a" * 501},
        {"entity": "无此银行"},
        {"entity": ""},
        {"epoch": "../2026"},
        {"dataset": "none"},
    ],
    ids=str,
)
def test_what_cannot_be_declared(office: Office, change: dict[str, object]) -> None:
    good = {
        "entity": "演示银行",
        "dataset": DATASET,
        "epoch": EPOCH,
        "customers": 1,
        "new_a_night": 1,
        "reason": "年报",
    }
    with pytest.raises((InputError, UnknownRecord)):
        office.declarations.declare(ZHANG, **{**good, **change})  # type: ignore[arg-type]
    assert office.declarations.list_all() == []


def test_unknown_numbers(office: Office) -> None:
    for act in (
        lambda: office.declarations.get(7),
        lambda: office.declarations.approve(7, LI),
        lambda: office.declarations.reject(7, LI, reason="无"),
    ):
        with pytest.raises(DeclarationUnknown):
            act()


# Whoever goes round the operators is found


def test_a_budget_without_a_declaration_is_found(office: Office) -> None:
    office.ledger.set_budget(bank().fingerprint, DATASET, EPOCH, 100)
    with pytest.raises(DeclarationInvalid):
        office.declarations.verify_budgets()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE budget SET lim = lim + 1",
        "UPDATE budget SET nightly = 512",
        "UPDATE budget SET entity = '另一银行'",
        "UPDATE declaration SET state = 'rejected', rejection = x'00'",
    ],
)
def test_a_budget_that_was_changed_by_hand_is_found(office: Office, statement: str) -> None:
    office.ledger.register_party(bank("另一银行", 2))
    office.declarations.approve(office.declare().declaration_id, LI)
    office.tamper(statement)
    with pytest.raises(DeclarationInvalid):
        office.declarations.verify_budgets()


def test_one_persons_two_keys_make_no_decision(office: Office) -> None:
    """An intruder with the database and one operator's key signs with a second, unregistered one."""
    proposed = office.declare()
    (envelope,) = office.ledger.store.db.conn.execute("SELECT envelope FROM declaration").fetchone()
    office.tamper(
        "UPDATE declaration SET state = 'approved', decided_by = ?, decided_at = 'x', envelope = ?",
        ZHAO.public.fingerprint,
        add_signature(envelope, ZHAO),
    )
    office.tamper(
        "INSERT INTO budget (entity, dataset, epoch, lim, nightly, day, expected, declaration_id)"
        " VALUES ('演示银行', ?, ?, ?, ?, '2026-01-05', 0, ?)",
        DATASET,
        EPOCH,
        proposed.limit,
        proposed.nightly,
        proposed.declaration_id,
    )
    with pytest.raises(SignerUnknown):
        office.declarations.verify_budgets()
    office.tamper("UPDATE declaration SET envelope = ?", envelope)
    with pytest.raises(SignaturesMissing):
        office.declarations.verify_budgets()
