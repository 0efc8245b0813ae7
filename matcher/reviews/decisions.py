"""Decisions: one person proposes, with the facts frozen; a second one, who saw the same, confirms or sends back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.bureau.schema.reviews import VERDICTS
from matcher.eligibility import Verdict as Fit
from matcher.households import Households, ReasonMissing
from matcher.reasons import REASONS, ReasonUnknown
from matcher.reviews.cases import Case, read_case, read_case_for, require_any
from matcher.reviews.errors import (
    CollectorDecides,
    DecisionMade,
    DecisionWaits,
    EvidenceChanged,
    NotOwnProposal,
    RemarkMissing,
    VisitOpen,
)
from matcher.reviews.evidence import Evidence, EvidenceReader
from matcher.reviews.listings import Listings
from matcher.reviews.objections import Objections
from matcher.reviews.queue import REVIEW_STATES, Queue
from matcher.reviews.records import Decision, DecisionRecords, DecisionVerdict
from matcher.states import MoveInvalid

REVIEW_VERDICTS = ("approve", "reject", "return")

# From which states each can be decided. The machine allows more: CONFIRMING may become FINAL, but not by a decision.
_FROM: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(REVIEW_VERDICTS, REVIEW_STATES),
    "graduate": ("FINAL",),
    "suspend": ("FINAL",),
    "resume": ("SUSPENDED",),
    "remove": ("FINAL", "SUSPENDED"),
    "give_up": ("TO_VISIT", "RETURNED"),
}
_OF_THE_LIST = frozenset({"graduate", "suspend", "resume", "remove"})
_WITH_REASON = frozenset({"reject", "graduate", "suspend", "remove", "give_up"})
_WITH_REMARK = frozenset({"return", "resume"})


class Decisions:
    """The table ``decision``, and what follows when one is confirmed."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.records = DecisionRecords(office)
        self._evidence = EvidenceReader(office)
        self._households = Households(office)
        self._queue = Queue(office)
        self._listings = Listings(office)
        self._objections = Objections(office)
        self._idempotency = Idempotency(office)

    # The first person

    def propose(
        self,
        actor: Actor,
        household_id: int,
        verdict: DecisionVerdict,
        *,
        reasons: Sequence[str] = (),
        remark: str = "",
        key: str | None = None,
    ) -> Decision:
        """Propose a verdict upon what is known today; nothing happens to the household until somebody confirms it.

        ``reasons`` are codes; ``remark`` is for colleagues (sealed) and is needed where the verdict goes against the
        assessment. Raises NotAllowed, HouseholdUnknown, MoveInvalid, ClaimedByOther, DecisionWaits, ReasonUnknown,
        ReasonMissing, RemarkMissing, CollectorDecides, to approve VisitMissing, ChecksMissing, ConflictUnsettled, and
        to give a visit up VisitOpen.
        """
        request = _request(
            "review.propose", household=household_id, verdict=verdict, reasons=sorted(reasons), remark=remark
        )
        return self._once(
            actor,
            key,
            request,
            lambda: self.propose_within(actor, household_id, verdict, reasons=reasons, remark=remark),
        )

    def propose_many(
        self,
        actor: Actor,
        household_ids: Sequence[int],
        verdict: DecisionVerdict,
        *,
        reasons: Sequence[str] = (),
        remark: str = "",
        key: str | None = None,
    ) -> list[Outcome]:
        """:meth:`propose` for many households in one transaction; those that cannot be are left as they were."""
        return self._idempotency.run_each(
            actor,
            key,
            _request(
                "review.propose_many", ids=list(household_ids), verdict=verdict, reasons=sorted(reasons), remark=remark
            ),
            household_ids,
            lambda number: self.propose_within(actor, number, verdict, reasons=reasons, remark=remark).decision_id,
        )

    def propose_within(
        self, actor: Actor, household_id: int, verdict: DecisionVerdict, *, reasons: Sequence[str], remark: str
    ) -> Decision:
        """:meth:`propose` in the caller's transaction."""
        case = read_case_for(self._office, actor, household_id, _permission(verdict, first=True))
        if case.state not in _FROM[verdict]:
            raise MoveInvalid(
                "this cannot be decided now", what="household", present=case.state, wanted=VERDICTS[verdict]
            )
        self._require_none_open(household_id)
        if verdict in REVIEW_VERDICTS:
            self._queue.claim_within(actor, household_id)
        evidence = self._evidence.read(case)
        if verdict == "approve":
            evidence = self._evidence.complete(case, evidence)
        if verdict == "give_up":
            self._require_no_visit(household_id)
        _require_no_collector(actor, evidence)
        _require_words(verdict, reasons, remark, evidence)
        return self._insert(actor, case, verdict, tuple(sorted(set(reasons))), remark.strip(), evidence)

    def withdraw(self, actor: Actor, decision_id: int, *, remark: str = "", key: str | None = None) -> Decision:
        """Take back one's own proposal while nobody has answered it; the household stays in one's hands.

        Raises DecisionUnknown, NotOwnProposal, DecisionMade.
        """
        request = _request("review.withdraw", decision=decision_id, remark=remark)
        return self._once(actor, key, request, lambda: self.withdraw_within(actor, decision_id, remark))

    def withdraw_within(self, actor: Actor, decision_id: int, remark: str) -> Decision:
        """:meth:`withdraw` in the caller's transaction."""
        require_any(actor, Permission.REVIEW, Permission.LIST_END)
        decision = self.records.read(decision_id)
        division = read_case(self._office, decision.household_id).division
        actor.require(_permission(decision.verdict, first=True), division=division)
        if decision.proposed_by != actor.name:
            raise NotOwnProposal("somebody else proposed it", decision=decision_id, by=decision.proposed_by)
        if decision.state == "proposed":
            self._record_answer(actor, decision, "withdrawn", remark.strip())
        elif decision.state != "withdrawn":
            raise _made_before(decision)
        return self.records.read(decision_id)

    # The second person

    def confirm(
        self, actor: Actor, decision_id: int, digest: str, *, remark: str = "", key: str | None = None
    ) -> Decision:
        """Confirm what was proposed, having seen what ``digest`` stands for; the household moves at once.

        A second click of the same person gets the recorded decision. Raises NotAllowed, DecisionUnknown, SamePerson,
        DecisionMade, EvidenceChanged (send it back then), CollectorDecides, VisitOpen, MoveInvalid.
        """
        return self._answer_once(actor, decision_id, digest, "confirmed", remark, key)

    def send_back(
        self, actor: Actor, decision_id: int, digest: str, *, remark: str, key: str | None = None
    ) -> Decision:
        """Give a proposal back to whoever made it, saying why. Raises as :meth:`confirm`, and RemarkMissing."""
        return self._answer_once(actor, decision_id, digest, "sent_back", remark, key)

    def confirm_many(
        self, actor: Actor, digests: Mapping[int, str], *, remark: str = "", key: str | None = None
    ) -> list[Outcome]:
        """:meth:`confirm` for many, by decision; those that cannot be are left as they were."""
        return self._idempotency.run_each(
            actor,
            key,
            _request(
                "review.confirm_many", digests=[[number, digest] for number, digest in digests.items()], remark=remark
            ),
            digests,
            lambda number: self.answer_within(actor, number, digests[number], "confirmed", remark).decision_id,
        )

    def answer_within(
        self, actor: Actor, decision_id: int, digest: str, answer: Literal["confirmed", "sent_back"], remark: str
    ) -> Decision:
        """:meth:`confirm` or :meth:`send_back` in the caller's transaction."""
        require_any(actor, Permission.DECIDE, Permission.LIST_END)
        decision = self.records.read(decision_id)
        case = read_case(self._office, decision.household_id)
        actor.require(_permission(decision.verdict, first=False), division=case.division)
        actor.require_other(decision.proposed_by)
        if decision.state != "proposed":
            if (decision.state, decision.decided_by, decision.digest) == (answer, actor.name, digest):
                return decision
            raise _made_before(decision)
        if digest != decision.digest:
            raise EvidenceChanged("another proposal was seen", decision=decision_id, changed=["proposal"])
        if answer == "sent_back" and not remark.strip():
            raise RemarkMissing("say why it goes back", why="send_back")
        if answer == "confirmed":
            self._require_unchanged(actor, case, decision)
        self._record_answer(actor, decision, answer, remark.strip())
        if answer == "confirmed":
            self._carry_out(actor, case, decision)
        return self.records.read(decision_id)

    # Steps

    def _answer_once(
        self,
        actor: Actor,
        decision_id: int,
        digest: str,
        answer: Literal["confirmed", "sent_back"],
        remark: str,
        key: str | None,
    ) -> Decision:
        request = _request(f"review.{answer}", decision=decision_id, digest=digest, remark=remark)
        return self._once(actor, key, request, lambda: self.answer_within(actor, decision_id, digest, answer, remark))

    def _once(self, actor: Actor, key: str | None, request: Mapping[str, Any], do: Callable[[], Decision]) -> Decision:
        done = self._idempotency.run(actor, key, request, lambda: {"decision": do().decision_id})
        return self.records.read(done["decision"])

    def _require_none_open(self, household_id: int) -> None:
        for decision in self.records.list_of(household_id):
            if decision.state == "proposed":
                raise DecisionWaits("a proposal waits", decision=decision.decision_id, by=decision.proposed_by)

    def _require_no_visit(self, household_id: int) -> None:
        if visit := self._evidence.open_visit(household_id):
            raise VisitOpen("a visit is under way", household=household_id, visit=visit)

    def _insert(
        self,
        actor: Actor,
        case: Case,
        verdict: DecisionVerdict,
        reasons: tuple[str, ...],
        remark: str,
        evidence: Evidence,
    ) -> Decision:
        office = self._office
        confirmed = sum(decision.state == "confirmed" for decision in self.records.list_of(case.household_id))
        content = {"evidence": evidence.as_json(), "remark": remark}
        digest = office.digest(
            {"household": case.household_id, "round": confirmed + 1, "verdict": verdict, "reasons": reasons, **content}
        )
        cursor = office.database.execute(
            "INSERT INTO decision (household_id, round, verdict, state, reasons, policy, visit_id, form_digest, checks,"
            " sealed, digest, proposed_by, proposed_at) VALUES (?, ?, ?, 'proposed', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                case.household_id, confirmed + 1, verdict, ",".join(reasons), evidence.policy, evidence.visit_id,
                evidence.form_digest, json.dumps(evidence.checks), office.personal.seal(content, "decision", "sealed",
                digest), digest, actor.name, office.now(),
            ],
        )  # fmt: skip
        decision_id = int(cursor.lastrowid or 0)
        office.record_within(
            actor, "review.propose", f"household/{case.household_id}", decision=decision_id, verdict=verdict,
            digest=digest, policy=evidence.policy,
        )  # fmt: skip
        return self.records.read(decision_id)

    def _require_unchanged(self, actor: Actor, case: Case, decision: Decision) -> None:
        """Raises CollectorDecides, EvidenceChanged, VisitOpen, for an approval what EvidenceReader.complete raises."""
        frozen = self.records.open_sealed(decision)["evidence"]
        present = self._evidence.read(case, decision.policy)
        _require_no_collector(actor, present)
        if decision.verdict == "approve":
            self._evidence.complete(case, present)
        if decision.verdict == "give_up":
            self._require_no_visit(case.household_id)
        if changed := present.differs_from(frozen):
            raise EvidenceChanged("it stands on other facts now", decision=decision.decision_id, changed=changed)

    def _record_answer(self, actor: Actor, decision: Decision, answer: str, remark: str) -> None:
        office = self._office
        sealed = office.personal.seal({"remark": remark}, "decision", "sealed_answer", decision.digest)
        office.database.execute(
            "UPDATE decision SET state = ?, decided_by = ?, decided_at = ?, sealed_answer = ? WHERE decision_id = ?",
            [answer, actor.name, office.now(), sealed if remark else None, decision.decision_id],
        )
        office.record_within(
            actor, f"review.{answer}", f"household/{decision.household_id}", decision=decision.decision_id,
            verdict=decision.verdict, digest=decision.digest,
        )  # fmt: skip

    def _carry_out(self, actor: Actor, case: Case, decision: Decision) -> None:
        wanted = VERDICTS[decision.verdict]
        if decision.verdict in ("approve", "reject"):  # a return leaves the question open
            self._objections.close_within(actor, case.household_id, decision.verdict)
        self._households.move_within(actor, case.household_id, wanted, reasons=decision.reasons)
        if decision.verdict in REVIEW_VERDICTS:
            self._queue.end_claim_within(case.household_id)
        elif decision.verdict == "resume":
            self._listings.begin_within(actor, case.household_id, decision.decision_id, decision.policy)
        elif decision.verdict in _OF_THE_LIST:
            self._listings.end_within(actor, case.household_id, wanted, decision.reasons)


def possible_verdicts(actor: Actor, state: str) -> tuple[str, ...]:
    """What an account could propose for a household in this state, in the order of the words."""
    return tuple(
        verdict for verdict, states in _FROM.items() if state in states and actor.may(_permission(verdict, first=True))
    )


def may_answer(actor: Actor, decision: Decision) -> bool:
    """Whether an account could be the second person, whoever collected the form."""
    return decision.proposed_by != actor.name and actor.may(_permission(decision.verdict, first=False))


def _request(operation: str, **values: object) -> dict[str, object]:
    return {"operation": operation, **values}


def _permission(verdict: str, *, first: bool) -> Permission:
    if verdict in _OF_THE_LIST:
        return Permission.LIST_END
    return Permission.REVIEW if first else Permission.DECIDE


def _made_before(decision: Decision) -> DecisionMade:
    return DecisionMade(
        "answered before", decision=decision.decision_id, state=decision.state, by=decision.decided_by,
        at=decision.decided_at,
    )  # fmt: skip


def _require_no_collector(actor: Actor, evidence: Evidence) -> None:
    if evidence.collector == actor.name:
        raise CollectorDecides("this account collected the form", visit=evidence.visit_id)


def _require_words(verdict: str, reasons: Sequence[str], remark: str, evidence: Evidence) -> None:
    """Raises ReasonUnknown, ReasonMissing, RemarkMissing."""
    for reason in reasons:
        if reason not in REASONS:
            raise ReasonUnknown("not a reason code", reason=reason[:20])
    if verdict in _WITH_REASON and not reasons:
        raise ReasonMissing("a reason code is needed", verdict=verdict)
    if remark.strip():
        return
    if verdict in _WITH_REMARK:
        raise RemarkMissing("say why", why="verdict")
    fits = evidence.assessment["verdict"] == Fit.FITS
    if (verdict == "approve" and not fits) or (verdict == "reject" and fits):
        raise RemarkMissing("say why it is decided against the assessment", why="against_assessment")
