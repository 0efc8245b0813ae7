"""Households against a policy, and what of the outcome an account may see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.eligibility import Assessment, Outcome, RuleResult, assess
from matcher.households.facts import KnownFacts, Source, gather_facts
from matcher.personal.fields import SENSITIVE, shown_reasons
from matcher.policy import LoadedPolicy
from matcher.reasons import describe


@dataclass(frozen=True)
class Assessed:
    """A household as a policy sees it on a day; ``policy`` is the SHA-256 of its file."""

    known: KnownFacts
    assessment: Assessment
    policy: str
    on: date


def assess_each(office: Office, policy: LoadedPolicy, household_ids: Sequence[int], on: date) -> Iterator[Assessed]:
    """See Households.assess_each."""
    for known in gather_facts(office, household_ids, on):
        yield Assessed(known, assess(policy.policy, known.facts, on), policy.sha256, on)


def shown(actor: Actor, assessed: Assessed) -> Assessed:
    """As an account may see it: no birth date, and the groups of PIPL article 28 as one without a name."""
    known = assessed.known
    facts = replace(known.facts, born_on=None, reasons=frozenset(shown_reasons(actor, known.facts.reasons)))
    sources = dict(known.sources)
    if not actor.may(Permission.SEE_SENSITIVE):
        for code in SENSITIVE & sources.keys():
            (merged,) = shown_reasons(actor, [code])
            sources[merged] = Source("label", "", sources.pop(code).as_of)  # not by which department
    assessment = shown_assessment(actor, assessed.assessment)
    return replace(assessed, known=replace(known, facts=facts, sources=sources), assessment=assessment)


def shown_assessment(actor: Actor, assessment: Assessment) -> Assessment:
    """The rules' outcomes as an account may see them."""
    if actor.may(Permission.SEE_SENSITIVE):
        return assessment
    return replace(assessment, rules=tuple(dict.fromkeys(_shown_rule(actor, rule) for rule in assessment.rules)))


def _shown_rule(actor: Actor, rule: RuleResult) -> RuleResult:
    if rule.reason not in SENSITIVE:
        return rule
    (merged,) = shown_reasons(actor, [rule.reason])
    kind = "group" if rule.outcome is Outcome.NOT_MET else "flag"
    return RuleResult(f"{kind} {merged}", rule.outcome, merged, describe([merged]), "")
