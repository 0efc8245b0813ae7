"""Between approval and the final list: the family is told, the village talks it over, and the days run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.policies import Policies
from matcher.personal.fields import require_plain
from matcher.reviews.cases import read_case, read_case_for
from matcher.reviews.errors import ConfirmationRuns, EvidenceChanged
from matcher.reviews.evidence import EvidenceReader
from matcher.reviews.listings import Listings
from matcher.reviews.records import DecisionRecords
from matcher.rows import fetch_records
from matcher.states import MoveInvalid


@dataclass(frozen=True)
class Confirmation:
    """How far one confirmation is. ``ends_on`` is the last day on which somebody may object."""

    confirmation_id: int
    household_id: int
    decision_id: int
    ways: tuple[str, ...]
    begun_on: str
    ends_on: str
    sms_at: str | None
    village_on: str | None
    village_result: str | None
    outcome: str | None
    closed_at: str | None

    def waits_for(self, today: date) -> str | None:
        """``sms``, ``village`` or ``days``: what is still to happen before it can be closed; None if nothing is."""
        if "sms" in self.ways and self.sms_at is None:
            return "sms"
        if "village" in self.ways and self.village_result != "agreed":
            return "village"
        return "days" if today.isoformat() <= self.ends_on else None


class Confirmations:
    """The table ``confirmation``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._households = Households(office)
        self._policies = Policies(office)
        self._listings = Listings(office)
        self._evidence = EvidenceReader(office)
        self._records = DecisionRecords(office)
        self._idempotency = Idempotency(office)

    def begin(self, actor: Actor, household_ids: Sequence[int], *, key: str | None = None) -> list[Outcome]:
        """Make approvals known from today, for as many days as the decision's policy says.

        Raises NotAllowed; each household is refused of its own with HouseholdUnknown or MoveInvalid.
        """
        actor.require(Permission.REVIEW)
        request = {"operation": "confirmation.begin", "ids": list(household_ids)}
        return self._idempotency.run_each(
            actor, key, request, household_ids, lambda number: self.begin_within(actor, number)
        )

    def begin_within(self, actor: Actor, household_id: int) -> int:
        """:meth:`begin` of one household in the caller's transaction; returns the confirmation's number."""
        read_case_for(self._office, actor, household_id, Permission.REVIEW)
        self._households.move_within(actor, household_id, "CONFIRMING")
        decision_id, policy_sha256 = self._office.database.execute(
            "SELECT decision_id, policy FROM decision WHERE household_id = ? ORDER BY decision_id DESC LIMIT 1",
            [household_id],
        ).fetchone()
        rules = self._policies.by_sha256(policy_sha256).policy.confirmation
        today = self._office.today()
        cursor = self._office.database.execute(
            "INSERT INTO confirmation (household_id, decision_id, ways, begun_on, ends_on) VALUES (?, ?, ?, ?, ?)",
            [
                household_id, decision_id, json.dumps(rules.ways), today.isoformat(),
                (today + timedelta(days=rules.objection_days)).isoformat(),
            ],
        )  # fmt: skip
        return int(cursor.lastrowid or 0)

    def tell(self, actor: Actor, household_id: int, how: str, *, key: str | None = None) -> None:
        """Record that a family was told otherwise than by SMS: by telephone, at a visit.

        Raises NotAllowed, HouseholdUnknown, MoveInvalid, TextNotPlain.
        """
        how = require_plain(how, "how")
        request = {"operation": "confirmation.tell", "household": household_id, "how": how}
        self._idempotency.run(actor, key, request, lambda: {"audit": self._tell_within(actor, household_id, how)})

    def tell_many(
        self, actor: Actor, household_ids: Sequence[int], how: str, *, key: str | None = None
    ) -> list[Outcome]:
        """:meth:`tell` for many, in one transaction; those that cannot be are left as they were."""
        actor.require(Permission.REVIEW)
        how = require_plain(how, "how")
        request = {"operation": "confirmation.tell_many", "ids": list(household_ids), "how": how}
        return self._idempotency.run_each(
            actor, key, request, household_ids, lambda number: self._tell_within(actor, number, how)
        )

    def _tell_within(self, actor: Actor, household_id: int, how: str) -> int:
        read_case_for(self._office, actor, household_id, Permission.REVIEW)
        running = self.running(household_id)
        self.mark_told_within(running.confirmation_id)
        return self._office.record_within(actor, "confirmation.tell", f"household/{household_id}", how=how)

    def mark_told_within(self, confirmation_id: int) -> None:
        """The family knows, in the caller's transaction, which records how."""
        self._office.database.execute(
            "UPDATE confirmation SET sms_at = ? WHERE confirmation_id = ? AND sms_at IS NULL",
            [self._office.now(), confirmation_id],
        )

    def mark_village_within(self, confirmation_id: int, held_on: date, result: str) -> None:
        """What the village said, in the caller's transaction, which records it."""
        self._office.database.execute(
            "UPDATE confirmation SET village_on = ?, village_result = ? WHERE confirmation_id = ?",
            [held_on.isoformat(), result, confirmation_id],
        )

    def break_off_within(self, confirmation_id: int) -> None:
        """Somebody objected, in the caller's transaction, which records it."""
        self._office.database.execute(
            "UPDATE confirmation SET outcome = 'objected', closed_at = ? WHERE confirmation_id = ?",
            [self._office.now(), confirmation_id],
        )

    def close(self, actor: Actor, household_ids: Sequence[int], *, key: str | None = None) -> list[Outcome]:
        """Put households on the final list whose days are over, who were told, and whose village agreed.

        Raises NotAllowed; each household is refused of its own with ConfirmationRuns, MoveInvalid, HouseholdUnknown,
        EvidenceChanged: then somebody has to object, so that the review begins again.
        """
        actor.require(Permission.DECIDE)
        request = {"operation": "confirmation.close", "ids": list(household_ids)}
        return self._idempotency.run_each(
            actor, key, request, household_ids, lambda number: self.close_within(actor, number)
        )

    def close_within(self, actor: Actor, household_id: int) -> int:
        """:meth:`close` of one household in the caller's transaction; returns the confirmation's number."""
        read_case_for(self._office, actor, household_id, Permission.DECIDE)
        running = self.running(household_id)
        if waits_for := running.waits_for(self._office.today()):
            raise ConfirmationRuns("it is not over", waits_for=waits_for, ends_on=running.ends_on)
        if changed := self.changes_since(running):
            raise EvidenceChanged("approved upon other facts", decision=running.decision_id, changed=changed)
        database = self._office.database
        database.execute(
            "UPDATE confirmation SET outcome = 'final', closed_at = ? WHERE confirmation_id = ?",
            [self._office.now(), running.confirmation_id],
        )
        self._households.move_within(actor, household_id, "FINAL")
        (policy,) = database.execute(
            "SELECT policy FROM decision WHERE decision_id = ?", [running.decision_id]
        ).fetchone()
        self._listings.begin_within(actor, household_id, running.decision_id, policy)
        return running.confirmation_id

    def running(self, household_id: int) -> Confirmation:
        """A household's open confirmation. Raises HouseholdUnknown, MoveInvalid if there is none."""
        found = self.find_running(household_id)
        if found is None:
            present = read_case(self._office, household_id).state
            raise MoveInvalid("no confirmation runs", what="household", present=present, wanted="FINAL")
        return found

    def find_running(self, household_id: int) -> Confirmation | None:
        found = self._list("household_id = ? AND closed_at IS NULL", household_id)
        return found[0] if found else None

    def changes_since(self, running: Confirmation) -> list[str]:
        """What is no longer as it was approved, as Evidence.differs_from names it."""
        decision = self._records.read(running.decision_id)
        present = self._evidence.read(read_case(self._office, running.household_id), decision.policy)
        return present.differs_from(self._records.open_sealed(decision)["evidence"])

    def list_closable(self, actor: Actor) -> list[int]:
        """Households whose confirmation waits for nothing any more. Raises NotAllowed."""
        actor.require(Permission.DECIDE)
        today = self._office.today()
        running = self._list("closed_at IS NULL AND ends_on < ?", today.isoformat())
        return [one.household_id for one in running if one.waits_for(today) is None]

    def list_running(self) -> list[Confirmation]:
        """Every open one, by its last day."""
        return self._list("closed_at IS NULL AND ? IS NULL ORDER BY ends_on", None)

    def _list(self, where: str, value: object) -> list[Confirmation]:
        rows = fetch_records(self._office.database, f"SELECT * FROM confirmation WHERE {where}", [value])  # noqa: S608
        return [Confirmation(**{**row, "ways": tuple(json.loads(row["ways"]))}) for row in rows]
