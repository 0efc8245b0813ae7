"""Appeals (申诉) by a household that was refused, objections (异议) by others: both open the review again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.reviews.cases import Case, read_case_for
from matcher.reviews.confirmations import Confirmations
from matcher.reviews.errors import AppealUsed, ObjectionLate, RemarkMissing
from matcher.rows import fetch_records
from matcher.states import MoveInvalid
from psi.errors import InputError


@dataclass(frozen=True)
class Objection:
    """``who`` and ``why`` are personal data; ``outcome`` is the verdict that answered it, None while it is open."""

    objection_id: int
    household_id: int
    kind: str
    who: str = field(repr=False)
    why: str = field(repr=False)
    received_on: str
    entered_by: str
    outcome: str | None


class Objections:
    """The table ``objection``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._households = Households(office)
        self._confirmations = Confirmations(office)

    def appeal(
        self, actor: Actor, household_id: int, *, who: str, why: str, received_on: date, key: str | None = None
    ) -> int:
        """The family asks for another look at a refusal, once; returns the objection's number.

        Raises NotAllowed, HouseholdUnknown, MoveInvalid, AppealUsed, RemarkMissing, InputError for a day to come.
        """
        request = _request("appeal", household_id, who, why, received_on)

        def do() -> dict[str, Any]:
            return {"objection": self._appeal_within(actor, household_id, who=who, why=why, received_on=received_on)}

        return int(Idempotency(self._office).run(actor, key, request, do)["objection"])

    def enter(
        self, actor: Actor, household_id: int, *, who: str, why: str, received_on: date, key: str | None = None
    ) -> int:
        """Somebody speaks against an approval while it is being confirmed; returns the objection's number.

        It counts by the day it was received on; after the last day only if the facts are others by then.
        Raises as :meth:`appeal`, and ObjectionLate.
        """
        request = _request("object", household_id, who, why, received_on)

        def do() -> dict[str, Any]:
            return {"objection": self.enter_within(actor, household_id, who=who, why=why, received_on=received_on)}

        return int(Idempotency(self._office).run(actor, key, request, do)["objection"])

    def enter_within(self, actor: Actor, household_id: int, *, who: str, why: str, received_on: date) -> int:
        """:meth:`enter` in the caller's transaction."""
        case = self._require(actor, household_id, "CONFIRMING")
        running = self._confirmations.running(household_id)
        if received_on.isoformat() > running.ends_on and not self._confirmations.changes_since(running):
            raise ObjectionLate("the days for objections are over", ends_on=running.ends_on)
        self._confirmations.break_off_within(running.confirmation_id)
        return self._insert(actor, case, "objection", who, why, received_on)

    def list_of(self, actor: Actor, household_id: int) -> list[Objection]:
        """Every appeal and objection about a household, in order. Raises NotAllowed, HouseholdUnknown."""
        read_case_for(self._office, actor, household_id, Permission.REVIEW, Permission.DECIDE)
        return self._read(household_id)

    def close_within(self, actor: Actor, household_id: int, verdict: str) -> None:
        """A decision answers what is open, in the caller's transaction, which records it."""
        self._office.database.execute(
            "UPDATE objection SET outcome = ?, closed_by = ?, closed_at = ? WHERE household_id = ? AND outcome IS NULL",
            [verdict, actor.name, self._office.now(), household_id],
        )

    def _appeal_within(self, actor: Actor, household_id: int, *, who: str, why: str, received_on: date) -> int:
        case = self._require(actor, household_id, "REJECTED")
        if any(one.kind == "appeal" for one in self._read(household_id)):
            raise AppealUsed("appealed before", household=household_id)
        return self._insert(actor, case, "appeal", who, why, received_on)

    def _require(self, actor: Actor, household_id: int, state: str) -> Case:
        case = read_case_for(self._office, actor, household_id, Permission.OBJECT)
        if case.state != state:
            raise MoveInvalid("nothing to object to", what="household", present=case.state, wanted="IN_REVIEW")
        return case

    def _insert(self, actor: Actor, case: Case, kind: str, who: str, why: str, received_on: date) -> int:
        if not why.strip():
            raise RemarkMissing("an objection says why", why="objection")
        if received_on > self._office.today():
            raise InputError("a day to come", field="received_on")
        database = self._office.database
        (decision_id,) = database.execute(
            "SELECT MAX(decision_id) FROM decision WHERE household_id = ?", [case.household_id]
        ).fetchone()
        content = {"who": who.strip(), "why": why.strip()}
        cursor = database.execute(
            "INSERT INTO objection (household_id, decision_id, kind, sealed, received_on, entered_by, entered_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                case.household_id, decision_id, kind,
                self._office.personal.seal(content, "objection", "sealed", decision_id),
                received_on.isoformat(), actor.name, self._office.now(),
            ],
        )  # fmt: skip
        self._office.record_within(
            actor, f"review.{kind}", f"household/{case.household_id}", objection=cursor.lastrowid,
            decision=decision_id, after=content,
        )  # fmt: skip
        self._households.move_within(actor, case.household_id, "IN_REVIEW")
        return int(cursor.lastrowid or 0)

    def _read(self, household_id: int) -> list[Objection]:
        rows = fetch_records(
            self._office.database,
            "SELECT objection_id, household_id, decision_id, kind, sealed, received_on, entered_by, outcome"
            " FROM objection WHERE household_id = ? ORDER BY objection_id",
            [household_id],
        )
        return [self._opened(row) for row in rows]

    def _opened(self, row: dict[str, object]) -> Objection:
        sealed, decision_id = row.pop("sealed"), row.pop("decision_id")
        content = {"who": "", "why": ""}  # what is left after a purge
        if isinstance(sealed, bytes) and sealed:
            content = self._office.personal.open(sealed, "objection", "sealed", decision_id)
        return Objection(**{**row, **content})  # type: ignore[arg-type]


def _request(operation: str, household_id: int, who: str, why: str, received_on: date) -> dict[str, object]:
    return {
        "operation": f"review.{operation}",
        "household": household_id,
        "who": who,
        "why": why,
        "received_on": received_on.isoformat(),
    }
