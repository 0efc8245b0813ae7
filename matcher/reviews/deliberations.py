"""村小组评议: what the village group says of the families that are to come onto the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.reviews.cases import read_case_for
from matcher.reviews.confirmations import Confirmations
from matcher.reviews.objections import Objections
from psi.errors import InputError

VILLAGE_GROUP = "村小组评议"


class Deliberations:
    """Works on the running confirmations."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._confirmations = Confirmations(office)
        self._objections = Objections(office)

    def record(
        self,
        actor: Actor,
        household_ids: Sequence[int],
        result: Literal["agreed", "objected"],
        held_on: date,
        *,
        why: str = "",
        key: str | None = None,
    ) -> list[Outcome]:
        """The group agreed, or it objected, which opens the review again and needs a ``why``.

        Raises NotAllowed, InputError for a day to come; each household is refused of its own with HouseholdUnknown,
        MoveInvalid, ObjectionLate, RemarkMissing or NotAllowed.
        """
        actor.require(Permission.OBJECT)
        if held_on > self._office.today():
            raise InputError("a day to come", field="held_on")
        request = {
            "operation": "deliberation", "ids": list(household_ids), "result": result, "held_on": held_on.isoformat(),
            "why": why,
        }  # fmt: skip
        return Idempotency(self._office).run_each(
            actor,
            key,
            request,
            household_ids,
            lambda number: self._record_within(actor, number, result, held_on, why),
        )

    def _record_within(self, actor: Actor, household_id: int, result: str, held_on: date, why: str) -> int:
        read_case_for(self._office, actor, household_id, Permission.OBJECT)
        running = self._confirmations.running(household_id)
        self._confirmations.mark_village_within(running.confirmation_id, held_on, result)
        self._office.record_within(
            actor, "confirmation.deliberate", f"household/{household_id}", result=result, held_on=held_on.isoformat()
        )
        if result == "objected":
            self._objections.enter_within(actor, household_id, who=VILLAGE_GROUP, why=why, received_on=held_on)
        return running.confirmation_id
