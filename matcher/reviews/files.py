"""A household's file as those who decide see it: the facts of today, those that a proposal stands on, what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.checks.coverage import find_missing
from matcher.policy import PolicyUnknown
from matcher.reviews.cases import Case, read_case_for
from matcher.reviews.confirmations import Confirmation, Confirmations
from matcher.reviews.evidence import Evidence, EvidenceReader
from matcher.reviews.listings import Listing, Listings
from matcher.reviews.objections import Objection, Objections
from matcher.reviews.records import Decision, DecisionRecords


@dataclass(frozen=True)
class Proposal:
    """The open proposal with what the first person saw: ``evidence`` and ``remark`` as frozen, ``changed`` since."""

    decision: Decision
    evidence: Mapping[str, Any] = field(repr=False)
    remark: str = field(repr=False)
    changed: tuple[str, ...]


@dataclass(frozen=True)
class CaseFile:
    """``evidence`` is today's as JSON, None while no policy is in force; of an applicant's birth date only the age is
    shown, in the rule's text. ``lacks`` is what an approval still needs: ``visit``,
    ``conflict:KIND``, ``check:DEPARTMENT``. ``answers`` are the second person's remarks by decision."""

    case: Case
    evidence: Mapping[str, Any] | None = field(repr=False)
    lacks: tuple[str, ...]
    proposal: Proposal | None
    decisions: tuple[Decision, ...]
    answers: Mapping[int, str] = field(repr=False)
    confirmation: Confirmation | None
    objections: tuple[Objection, ...]
    listings: tuple[Listing, ...]


class CaseFiles:
    """Reads; everything of it is for those who review and decide."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._evidence = EvidenceReader(office)
        self._decisions = DecisionRecords(office)
        self._confirmations = Confirmations(office)
        self._objections = Objections(office)
        self._listings = Listings(office)

    def show(self, actor: Actor, household_id: int) -> CaseFile:
        """Raises NotAllowed, HouseholdUnknown."""
        case = read_case_for(self._office, actor, household_id, Permission.REVIEW, Permission.DECIDE)
        decisions = tuple(self._decisions.list_of(household_id))
        try:
            evidence = self._evidence.read(case)
        except PolicyUnknown:
            evidence = None
        waiting = [decision for decision in decisions if decision.state == "proposed"]
        return CaseFile(
            case=case,
            evidence=None if evidence is None else _shown(evidence.as_json()),
            lacks=() if evidence is None else tuple(self._lacks(household_id, evidence)),
            proposal=self._proposal(case, waiting[0]) if waiting else None,
            decisions=decisions,
            answers={d.decision_id: answer for d in decisions if (answer := self._decisions.open_answer(d))},
            confirmation=self._confirmations.find_running(household_id),
            objections=tuple(self._objections.list_of(actor, household_id)),
            listings=tuple(self._listings.list_of(actor, household_id)),
        )

    def _proposal(self, case: Case, decision: Decision) -> Proposal:
        sealed = self._decisions.open_sealed(decision)
        present = self._evidence.read(case, decision.policy)
        changed = tuple(present.differs_from(sealed["evidence"]))
        return Proposal(decision, _shown(sealed["evidence"]), sealed["remark"], changed)

    def _lacks(self, household_id: int, evidence: Evidence) -> list[str]:
        rules = self._evidence.policies.by_sha256(evidence.policy).policy.checks
        missing = find_missing(self._office.database, [household_id], rules, self._office.today())
        return [
            *(["visit"] if evidence.form_digest is None else []),
            *(f"conflict:{kind}" for kind in self._evidence.open_conflicts(household_id)),
            *(f"check:{department}" for department in dict.fromkeys(one.department for one in missing)),
        ]


def _shown(evidence: Mapping[str, Any]) -> dict[str, Any]:
    known = evidence["known"]
    facts = {name: value for name, value in known["facts"].items() if name != "born_on"}
    return {**evidence, "known": {**known, "facts": facts}}
