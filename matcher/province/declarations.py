"""Declared numbers: one operator of the province declares a legal entity's, another approves, and the budget follows.

A declaration is a JSON payload in an envelope (keys.envelope). It names the province, the budget, and by
its hash the declaration that is in force, so that a signature counts once, here, for this change only.
The envelope is kept: two signatures are the evidence for every budget.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from keys.envelope import add_signature, claimed_signers, open_countersigned, sign_envelope
from keys.epochs import check_name
from keys.identity import Identity
from keys.operators import Operators
from matcher.province.budgets import MAX_BUDGET, allowance, full_pass_allowance
from matcher.province.declaration import (
    DECLARATION_TYPE,
    REJECTION_TYPE,
    Declaration,
    DeclarationDecided,
    DeclarationInvalid,
    DeclarationRecord,
    DeclarationUnknown,
    State,
)
from matcher.province.ledger import Ledger
from matcher.province.parties import entity_name
from psi.errors import InputError, MingceError

ID_BYTES = 16


class Declarations:
    """The table ``declaration`` of a ledger. ``province`` is the fingerprint of the home's own identity.

    Whatever is refused leaves a row in the audit. Every method may raise DatabaseBusy, DatabaseUnavailable.
    """

    def __init__(
        self, ledger: Ledger, operators: Operators, province: str, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._operators = operators
        self._province = province
        self._random_bytes = random_bytes

    def declare(
        self,
        operator: Identity,
        *,
        entity: str,
        dataset: str,
        epoch: str,
        customers: int,
        new_a_night: int,
        reason: str,
    ) -> DeclarationRecord:
        """Propose a legal entity's numbers; nothing changes before another operator approves.

        Raises OperatorNotAllowed, InputError, UnknownRecord, DeclarationDecided (another one waits).
        """
        entity = entity_name(entity)
        check_name(epoch, "epoch")
        self._ledger.get_dataset(dataset)
        if not self._ledger.has_entity(entity):
            raise InputError("no registered party acts for this legal entity", entity=entity)
        with self._auditing(operator, entity), self._store.writing():
            self._operators.require(operator.public.fingerprint, "propose")
            waiting = self._find(
                "entity = ? AND dataset = ? AND epoch = ? AND state = 'proposed'", entity, dataset, epoch
            )
            if waiting is not None:
                raise DeclarationDecided("it waits", declaration=waiting["declaration_id"], why="waits")
            in_force = self._in_force(entity, dataset, epoch)
            declaration = Declaration.make(
                id=self._random_bytes(ID_BYTES).hex(),
                province=self._province,
                entity=entity,
                dataset=dataset,
                epoch=epoch,
                customers=customers,
                new_a_night=new_a_night,
                reason=reason.strip(),
                replaces=None if in_force is None else in_force["payload_sha256"],
            )
            declaration_id = self._add(operator, declaration)
            self._audit("declare", operator, declaration_id)
        return self.get(declaration_id)

    def approve(self, declaration_id: int, operator: Identity) -> DeclarationRecord:
        """Sign what another operator proposed; the budget changes in the same transaction.

        Raises DeclarationUnknown, DeclarationDecided, DeclarationInvalid, AlreadySigned (the same person),
        OperatorNotAllowed, SignerUnknown (the proposer was revoked), SignatureInvalid.
        """
        with self._auditing(operator, str(declaration_id)), self._store.writing() as db:
            self._operators.require(operator.public.fingerprint, "approve")
            row = self._get_waiting(declaration_id)
            envelope = add_signature(row["envelope"], operator)
            declaration = self._open(row, envelope)
            in_force = self._in_force(declaration.entity, declaration.dataset, declaration.epoch)
            if declaration.replaces != (None if in_force is None else in_force["payload_sha256"]):
                raise DeclarationDecided("another was approved since", declaration=declaration_id, why="outdated")
            db.execute(
                "UPDATE declaration SET state = 'approved', envelope = ?, decided_by = ?, decided_at = ?"
                " WHERE declaration_id = ?",
                (envelope, operator.public.fingerprint, self._store.now(), declaration_id),
            )
            self._ledger.set_allowances_within(
                declaration.entity,
                declaration.dataset,
                declaration.epoch,
                limit=full_pass_allowance(declaration.customers),
                nightly=allowance(declaration.new_a_night),
                expected=allowance(declaration.customers),
                declaration_id=declaration_id,
            )
            self._audit("approve_declaration", operator, declaration_id)
        return self.get(declaration_id)

    def reject(self, declaration_id: int, operator: Identity, *, reason: str) -> DeclarationRecord:
        """Decide that a proposal is not to be; the proposer may withdraw it so. No budget changes.

        Raises DeclarationUnknown, DeclarationDecided, OperatorNotAllowed, InputError.
        """
        fingerprint = operator.public.fingerprint
        if not reason.strip():
            raise InputError("a rejection needs a reason")
        with self._auditing(operator, str(declaration_id)), self._store.writing() as db:
            row = self._get_waiting(declaration_id)
            self._operators.require(fingerprint, "propose" if fingerprint == row["proposed_by"] else "approve")
            document = {
                "format": "mingce-declaration-rejection/1",
                "declaration": row["payload_sha256"],
                "reason": reason.strip(),
            }
            encoded = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
            db.execute(
                "UPDATE declaration SET state = 'rejected', rejection = ?, decided_by = ?, decided_at = ?"
                " WHERE declaration_id = ?",
                (sign_envelope(operator, REJECTION_TYPE, encoded), fingerprint, self._store.now(), declaration_id),
            )
            self._audit("reject_declaration", operator, declaration_id)
        return self.get(declaration_id)

    def get(self, declaration_id: int) -> DeclarationRecord:
        """Raises DeclarationUnknown."""
        with self._store.reading():
            return DeclarationRecord.from_row(self._get(declaration_id))

    def list_all(self, *, state: State | None = None) -> list[DeclarationRecord]:
        """All declarations, or those in one state; the oldest first."""
        with self._store.reading() as db:
            rows = list(db.query("SELECT * FROM declaration ORDER BY declaration_id"))
        return [DeclarationRecord.from_row(row) for row in rows if state in (None, row["state"])]

    def verify_budgets(self) -> int:
        """Check every budget against the two signatures of its declaration; returns how many there are.

        Signatures of operators who were revoked since count. Raises DeclarationInvalid, EnvelopeInvalid,
        SignatureInvalid, SignerUnknown, SignaturesMissing: somebody went round the operators.
        """
        known = {operator.fingerprint: operator.identity for operator in self._operators.list_all()}
        with self._store.reading() as db:
            budgets = list(db.query("SELECT * FROM budget"))
            for budget in budgets:
                place = {name: budget[name] for name in ("entity", "dataset", "epoch")}
                row = self._find("declaration_id = ?", budget["declaration_id"])
                if row is None or row["state"] != "approved":
                    raise DeclarationInvalid("a budget has no approved declaration", **place)
                opened = open_countersigned(row["envelope"], DECLARATION_TYPE, known.get)
                declared = Declaration.decode(opened.payload)
                allowed = (full_pass_allowance(declared.customers), allowance(declared.new_a_night))
                if declared.province != self._province or (budget["lim"], budget["nightly"]) != allowed:
                    raise DeclarationInvalid("a budget is not what was approved", **place)
                if any(getattr(declared, name) != value for name, value in place.items()):
                    raise DeclarationInvalid("a budget is another one than was approved", **place)
        return len(budgets)

    # Inside

    def _add(self, operator: Identity, declaration: Declaration) -> int:
        """A new row in state ``proposed``; returns its number. Raises InputError if the budget would be too large."""
        limit, nightly = full_pass_allowance(declaration.customers), allowance(declaration.new_a_night)
        if limit + nightly > MAX_BUDGET:
            raise InputError("a budget is at most 2**32 elements", limit=limit, nightly=nightly)
        payload = declaration.encode()
        cursor = self._store.db.execute(
            "INSERT INTO declaration (entity, dataset, epoch, customers, new_a_night, reason, state, payload_sha256,"
            " envelope, proposed_by, proposed_at) VALUES (?, ?, ?, ?, ?, ?, 'proposed', ?, ?, ?, ?)",
            (
                declaration.entity,
                declaration.dataset,
                declaration.epoch,
                declaration.customers,
                declaration.new_a_night,
                declaration.reason,
                hashlib.sha256(payload).hexdigest(),
                sign_envelope(operator, DECLARATION_TYPE, payload),
                operator.public.fingerprint,
                self._store.now(),
            ),
        )
        return int(cursor.lastrowid or 0)

    def _open(self, row: dict[str, Any], envelope: bytes) -> Declaration:
        """What both operators signed, once it is found to be what the row says."""
        opened = self._operators.open_decision(envelope, DECLARATION_TYPE)
        declaration = Declaration.decode(opened.payload)
        named = ("entity", "dataset", "epoch", "customers", "new_a_night", "reason")
        is_same = all(getattr(declaration, name) == row[name] for name in named)
        if not is_same or hashlib.sha256(opened.payload).hexdigest() != row["payload_sha256"]:
            raise DeclarationInvalid("the row is not what was signed", declaration=row["declaration_id"])
        if declaration.province != self._province or claimed_signers(envelope)[0] != row["proposed_by"]:
            raise DeclarationInvalid("proposed by another operator, or for another province")
        return declaration

    def _in_force(self, entity: str, dataset: str, epoch: str) -> dict[str, Any] | None:
        """The declaration behind the budget as it is now."""
        return self._find(
            "declaration_id = (SELECT declaration_id FROM budget WHERE entity = ? AND dataset = ? AND epoch = ?)",
            entity,
            dataset,
            epoch,
        )

    def _get_waiting(self, declaration_id: int) -> dict[str, Any]:
        row = self._get(declaration_id)
        if row["state"] != "proposed":
            raise DeclarationDecided("it was decided before", declaration=declaration_id, why="decided")
        return row

    def _get(self, declaration_id: int) -> dict[str, Any]:
        row = self._find("declaration_id = ?", declaration_id)
        if row is None:
            raise DeclarationUnknown("no declaration has this number", declaration=declaration_id)
        return row

    def _find(self, condition: str, *values: object) -> dict[str, Any] | None:
        return self._store.find_row(f"SELECT * FROM declaration WHERE {condition}", *values)  # noqa: S608

    @contextmanager
    def _auditing(self, operator: Identity, subject: str) -> Iterator[None]:
        try:
            yield
        except MingceError as error:
            self._ledger.record_refusal(actor=operator.public.fingerprint, subject=subject, code=error.code)
            raise

    def _audit(self, action: str, operator: Identity, declaration_id: int) -> None:
        row = self._get(declaration_id)
        detail = {name: row[name] for name in ("dataset", "epoch", "customers", "new_a_night", "payload_sha256")}
        signed = hashlib.sha256(row["rejection"] or row["envelope"]).hexdigest()
        fingerprint = operator.public.fingerprint
        self._store.audit(
            fingerprint, action, row["entity"], **detail, declaration=declaration_id, signed_sha256=signed
        )
