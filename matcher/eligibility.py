"""Whether a household fits a county's policy: every rule's outcome, its reason and the clause it comes from.

A pure function of policy, facts and day. It refuses nobody: a person decides (PIPL article 24) and sees
this beside the household, with what is missing and with what would be different under another reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from matcher.policy.model import Condition, Policy
from matcher.reasons import describe


class Outcome(StrEnum):
    """A rule is met or not; its facts are unknown; or a person has to look."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    FLAGGED = "flagged"


class Verdict(StrEnum):
    """What the rules say together. ``INCOMPLETE``: nothing speaks against it, but facts are missing."""

    FITS = "fits"
    DOES_NOT_FIT = "does_not_fit"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Facts:
    """What is known of a household; None where it is not.

    ``born_on`` is the applicant's birth date, ``income`` the measured yearly income in 分, ``reasons`` the codes
    that a match or a department's check gave.
    """

    born_on: date | None = None
    members: int | None = None
    income: int | None = None
    is_resident: bool | None = None
    has_good_credit: bool | None = None
    has_full_capacity: bool | None = None
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RuleResult:
    """One rule: ``reason`` is its code (docs/reference/reasons.md) where it is not met, ``text`` the Chinese words."""

    rule: str
    outcome: Outcome
    reason: str | None
    text: str
    clause: str


@dataclass(frozen=True)
class Assessment:
    """All rules in their order, the verdict, and what a person should know besides (``near_misses``)."""

    verdict: Verdict
    rules: tuple[RuleResult, ...]
    near_misses: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Codes of the rules that are not met, ascending."""
        return tuple(sorted({rule.reason for rule in self.rules if rule.outcome is Outcome.NOT_MET and rule.reason}))


def assess(policy: Policy, facts: Facts, on: date) -> Assessment:
    """Apply a policy to a household as it is known on a day."""
    rules = (
        _age(policy, facts, on),
        _income(policy, facts),
        *_groups(policy, facts),
        _condition("residence", "固定住所", policy.residence, facts.is_resident, "N05"),
        _condition("credit", "信用状况良好", policy.credit, facts.has_good_credit, None),
        _condition("capacity", "完全民事行为能力", policy.capacity, facts.has_full_capacity, None),
    )
    outcomes = [rule.outcome for rule in rules]
    if Outcome.NOT_MET in outcomes:
        verdict = Verdict.DOES_NOT_FIT
    elif Outcome.UNKNOWN in outcomes:
        verdict = Verdict.INCOMPLETE
    else:
        verdict = Verdict.FITS
    return Assessment(verdict, rules, tuple(_near_misses(policy, facts)))


def completed_years(born_on: date, on: date) -> int:
    """A person's age. Whoever was born on 29 February is a year older on 1 March in other years."""
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def _age(policy: Policy, facts: Facts, on: date) -> RuleResult:
    rule = policy.age

    def result(outcome: Outcome, reason: str | None, text: str) -> RuleResult:
        return RuleResult("age", outcome, reason, text, rule.clause)

    if facts.born_on is None:
        return result(Outcome.UNKNOWN, None, "出生日期未知")
    years = completed_years(facts.born_on, on)
    if years < rule.lowest:
        return result(Outcome.NOT_MET, "N03", f"年满 {years} 周岁，未满 {rule.lowest} 周岁")
    if years > rule.highest:
        return result(Outcome.NOT_MET, "N04", f"年满 {years} 周岁，超过 {rule.highest} 周岁")
    return result(Outcome.MET, None, f"年满 {years} 周岁，在 {rule.lowest} 至 {rule.highest} 周岁之间")


def _income(policy: Policy, facts: Facts) -> RuleResult:
    rule = policy.income

    def result(outcome: Outcome, reason: str | None, text: str) -> RuleResult:
        return RuleResult("income", outcome, reason, text, rule.clause)

    if facts.income is None:
        return result(Outcome.UNKNOWN, None, f"{rule.measure}未知")
    if facts.members is None and rule.reading == "scaled":
        return result(Outcome.UNKNOWN, None, f"家庭人数未知，{rule.measure}限额无法计算")
    members = facts.members or 1
    limit, income = _yuan_ratio(*rule.limit_for(members)), _yuan(facts.income)
    basis = (
        f"（{members} 人，以 {rule.base_size} 口之家 {_yuan(rule.limit)} 元为基数）" if rule.reading == "scaled" else ""
    )
    if rule.allows(facts.income, members):
        return result(Outcome.MET, None, f"{rule.measure} {income} 元，不超过 {limit} 元{basis}")
    return result(Outcome.NOT_MET, "N01", f"{rule.measure} {income} 元，超过 {limit} 元{basis}")


def _groups(policy: Policy, facts: Facts) -> list[RuleResult]:
    """One result for the excluded groups, and one for each other reason that came with the label."""
    rule = policy.groups
    results = [
        RuleResult(f"group {code}", Outcome.NOT_MET, code, describe([code]), rule.clause)
        for code in sorted(facts.reasons.intersection(rule.exclude))
    ] or [RuleResult("groups", Outcome.MET, None, "不属于排除对象", rule.clause)]
    others = sorted(facts.reasons.difference(rule.exclude))
    return results + [
        RuleResult(f"flag {code}", Outcome.FLAGGED, code, f"标记：{describe([code])}，请人工核实", rule.clause)
        for code in others
    ]


def _condition(name: str, words: str, condition: Condition, known: bool | None, reason: str | None) -> RuleResult:
    if not condition.required:
        return RuleResult(name, Outcome.MET, None, f"不要求{words}", condition.clause)
    if known is None:
        return RuleResult(name, Outcome.UNKNOWN, None, f"{words}：待核实", condition.clause)
    if known:
        return RuleResult(name, Outcome.MET, None, f"{words}：已核实", condition.clause)
    return RuleResult(name, Outcome.NOT_MET, reason, f"{words}：不符合", condition.clause)


def _near_misses(policy: Policy, facts: Facts) -> list[str]:
    """Where another reading of the income clause would decide otherwise."""
    if facts.income is None or facts.members is None:
        return []
    readings = {"flat": "不分人数", "scaled": f"按人数折算（{policy.income.base_size} 口之家为基数）"}
    allowed = {
        reading: policy.income.model_copy(update={"reading": reading}).allows(facts.income, facts.members)
        for reading in readings
    }
    if len(set(allowed.values())) == 1:
        return []
    return [
        "；".join(f"{words}：{'符合' if allowed[reading] else '不符合'}" for reading, words in readings.items())
        + f"。本版政策采用“{readings[policy.income.reading]}”。"
    ]


def _yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"


def _yuan_ratio(numerator: int, denominator: int) -> str:
    """A limit in 分 as a ratio; cut, because an income of a whole number of 分 passes just when it passes the cut."""
    return _yuan(numerator // denominator)
