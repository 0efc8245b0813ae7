"""What a decision stands on: the policy, the accepted form, the departments' answers, the facts, the assessment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from matcher.bureau.office import Office
from matcher.checks.coverage import require_checks
from matcher.eligibility import Assessment, assess
from matcher.households.facts import gather_facts
from matcher.households.policies import Policies
from matcher.policy import LoadedPolicy
from matcher.reviews.cases import Case
from matcher.reviews.errors import ConflictUnsettled, VisitMissing
from matcher.rows import fetch_all


@dataclass(frozen=True)
class Evidence:
    """As a decision freezes it, but for ``collector``. ``known`` are the facts with their sources, ``assessment`` is
    every rule's outcome: both as JSON. ``failures`` are the visits that met nobody, each its day and outcome."""

    policy: str
    visit_id: int | None
    form_digest: str | None
    checks: Mapping[str, list[int]]
    known: Mapping[str, Any]
    assessment: Mapping[str, Any]
    failures: list[list[str]]
    collector: str | None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "collector"}

    def differs_from(self, frozen: Mapping[str, Any]) -> list[str]:
        """Which parts are not what they were: newer answers that say the same, or the day, make no difference."""
        parts = [name for name in ("visit_id", "form_digest") if vars(self)[name] != frozen[name]]
        parts += ["facts"] if self.known["facts"] != frozen["known"]["facts"] else []
        return parts + (["failures"] if self.failures != frozen["failures"] else [])


class EvidenceReader:
    """Reads what is known of a household today."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.policies = Policies(office)

    def read(self, case: Case, policy: str | None = None) -> Evidence:
        """``policy``: the SHA-256 of the one to judge by; else the one that the household is listed under, else the
        one in force. ``checks`` stay empty: only an approval rests on them (:meth:`complete`). Raises PolicyUnknown.
        """
        rules = self._rules(case, policy)
        today = self._office.today()
        visit_id, collector, form_digest = self._accepted_visit(case.household_id)
        (known,) = gather_facts(self._office, [case.household_id], today)
        assessment = assess(rules.policy, known.facts, today)
        return Evidence(
            policy=rules.sha256,
            visit_id=visit_id,
            form_digest=form_digest,
            checks={},
            known=known.to_json(),
            assessment=assessment_as_json(assessment),
            failures=self._failures(case.household_id),
            collector=collector,
        )

    def complete(self, case: Case, evidence: Evidence) -> Evidence:
        """The evidence with the checks that an approval rests on.

        Raises VisitMissing, ConflictUnsettled, ChecksMissing: nothing that an approval needs may be wanting.
        """
        if evidence.form_digest is None:
            raise VisitMissing("no accepted form", household=case.household_id)
        if kinds := self.open_conflicts(case.household_id):
            raise ConflictUnsettled("conflicts are not settled", kinds=kinds)
        rules = self.policies.by_sha256(evidence.policy).policy
        checks = require_checks(self._office.database, case.household_id, rules.checks, self._office.today())
        return replace(evidence, checks=checks)

    def open_conflicts(self, household_id: int) -> list[str]:
        """The kinds of the household's conflicts that nobody has settled."""
        rows = fetch_all(
            self._office.database,
            "SELECT DISTINCT kind FROM conflict WHERE household_id = ? AND settled_at IS NULL ORDER BY kind",
            [household_id],
        )
        return [kind for (kind,) in rows]

    def open_visit(self, household_id: int) -> int | None:
        """The household's visit that is planned or under way."""
        rows = fetch_all(
            self._office.database,
            "SELECT visit_id FROM visit WHERE household_id = ? AND state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED')",
            [household_id],
        )
        return rows[0][0] if rows else None

    def _rules(self, case: Case, policy: str | None) -> LoadedPolicy:
        if policy is None:
            listed = fetch_all(
                self._office.database,
                "SELECT policy FROM listing WHERE household_id = ? ORDER BY listing_id DESC LIMIT 1",
                [case.household_id],
            )
            if not listed:
                return self.policies.policy_for(case.division[:6], self._office.today())
            ((policy,),) = listed
        return self.policies.by_sha256(policy)

    def _accepted_visit(self, household_id: int) -> tuple[int | None, str | None, str | None]:
        """The newest accepted visit, who collected it, and its form's digest."""
        rows = fetch_all(
            self._office.database,
            "SELECT visit.visit_id, collector, digest FROM visit JOIN form USING (visit_id)"
            " WHERE household_id = ? AND visit.state = 'ACCEPTED' AND replaced_at IS NULL"
            " ORDER BY visit.visit_id DESC LIMIT 1",
            [household_id],
        )
        return rows[0] if rows else (None, None, None)

    def _failures(self, household_id: int) -> list[list[str]]:
        rows = fetch_all(
            self._office.database,
            "SELECT date(at, '+8 hours'), visit_move.outcome FROM visit_move JOIN visit USING (visit_id)"
            " WHERE household_id = ? AND to_state = 'FAILED' ORDER BY move_id",
            [household_id],
        )
        return [list(row) for row in rows]


def assessment_as_json(assessment: Assessment) -> dict[str, Any]:
    """An assessment as it is frozen and shown."""
    return {
        "verdict": assessment.verdict.value,
        "rules": [{**vars(rule), "outcome": rule.outcome.value} for rule in assessment.rules],
        "near_misses": list(assessment.near_misses),
        "reasons": list(assessment.reasons),
    }
