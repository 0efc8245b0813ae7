"""A policy in words: each rule as a sentence, with its parameters, its clause, and what no source states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.console.language import mark
from api.console.names import DEPARTMENTS
from matcher.policy import Policy
from matcher.reasons import REASONS
from matcher.subsidy.lines import yuan

Say = Callable[[str], str]

LABELS: Mapping[str, str] = {
    "county": mark("区划代码"),
    "county_name": mark("县（市、区）"),
    "version": mark("版本"),
    "title": mark("依据的方案"),
    "document": mark("文号"),
    "valid_from": mark("自"),
    "valid_to": mark("至"),
    "age.lowest": mark("最低年龄（周岁）"),
    "age.highest": mark("最高年龄（周岁，含）"),
    "income.measure": mark("按什么计"),
    "income.limit": mark("收入上限（元，含）"),
    "income.reading": mark("上限是否按人数折算"),
    "income.base_size": mark("以几口之家为基数"),
    "groups.exclude": mark("排除的群体"),
    "groups.flag": mark("只标记、由人决定的群体"),
    "residence.required": mark("须有固定住所"),
    "credit.required": mark("须信用状况良好"),
    "capacity.required": mark("须有完全民事行为能力"),
    "checks.required": mark("须经哪些部门核验"),
    "checks.max_age_days": mark("答复有效天数"),
    "visits.attempts": mark("最多走访次数"),
    "visits.revisit_months": mark("回访间隔（月）"),
    "confirmation.ways": mark("告知与评议方式"),
    "confirmation.objection_days": mark("异议期（天）"),
    "loan.household_cap": mark("每户贷款上限（元）"),
    "loan.longest_months": mark("最长期限（月）"),
    "loan.lowest_rate": mark("最低客户利率（%）"),
    "loan.highest_rate": mark("最高客户利率（%）"),
    "loan.products": mark("产品"),
    "subsidy.model": mark("贴息方式"),
    "subsidy.target_rate": mark("目标利率（%）"),
    "subsidy.fiscal_share": mark("财政承担高出部分的比例"),
    "subsidy.cap_points": mark("财政最多承担的百分点"),
    "subsidy.points": mark("财政固定贴息的百分点"),
    "subsidy.province_share": mark("其中省级承担的比例"),
    "subsidy.day_basis": mark("一年按多少天计息"),
    "subsidy.settlement_months": mark("结息月份"),
    "subsidy.settlement_day": mark("结息日"),
    "subsidy.budget": mark("各年贴息预算（元）"),
    "subsidy.paid_within": mark("少付不超过多少元仍算付清"),
}
"""Every setting that a rule has, but for the targets and the clauses; a test holds this against the model."""
_AMOUNTS = frozenset({"income.limit", "loan.household_cap", "subsidy.paid_within"})
_VALUES: Mapping[str, Mapping[str, str]] = {
    "income.reading": {"flat": mark("不折算"), "scaled": mark("按人数折算")},
    "checks.required": DEPARTMENTS,
    "subsidy.model": {"excess_share": mark("按比例承担高出目标利率的部分"), "fixed_points": mark("固定百分点")},
    "confirmation.ways": {"sms": mark("短信通知"), "village": mark("村小组评议")},
}
_COMPARE = {"at_least": "≥", "equal": "="}


TITLES: Mapping[str, str] = {
    "whole": mark("适用"),
    "age": mark("年龄"),
    "income": mark("收入"),
    "groups": mark("特殊群体"),
    "residence": mark("住所"),
    "credit": mark("信用"),
    "capacity": mark("行为能力"),
    "checks": mark("部门核验"),
    "visits": mark("走访"),
    "confirmation": mark("确认"),
    "loan": mark("贷款"),
    "subsidy": mark("贴息"),
}
"""In the order in which a household meets them. Each is a part of the policy file, the first the whole of it."""
_SENTENCES: Mapping[str, str] = {
    "whole": mark("本政策适用于%(county_name)s，自 %(valid_from)s 起至 %(valid_to)s 止（首尾两日在内）。"),
    "age": mark("申请人须满 %(lowest)s 周岁、不大于 %(highest)s 周岁。"),
    "income": mark("%(measure)s不超过 %(limit)s 元（含），按家庭人数折算：上限 × 人数 ÷ %(base_size)s。"),
    "groups": mark("排除：%(exclude)s；只标记、由人决定：%(flag)s。"),
    "residence": mark("须在辖区内有固定住所，由走访确认。"),
    "credit": mark("须信用状况良好，由走访确认。"),
    "capacity": mark("须有完全民事行为能力，由走访确认。"),
    "checks": mark("每位成员须有这些部门的答复：%(required)s；答复 %(max_age_days)s 天内有效。"),
    "visits": mark("最多走访 %(attempts)s 次；每 %(revisit_months)s 个月回访。"),
    "confirmation": mark("以%(ways)s告知，异议期 %(objection_days)s 天，期满列入最终名单。"),
    "loan": mark(
        "每户在各银行的贷款合计不超过 %(household_cap)s 元，期限不超过 %(longest_months)s 个月，"
        "客户所付年利率 %(lowest_rate)s%% 至 %(highest_rate)s%%。"
    ),
}
_DROPPED: Mapping[str, str] = {
    "residence": mark("不要求固定住所。"),
    "credit": mark("不要求信用状况。"),
    "capacity": mark("不要求民事行为能力。"),
}


@dataclass(frozen=True)
class Setting:
    """``is_assumed``: no source states it. ``id`` is its path."""

    id: str
    label: str
    value: str
    is_assumed: bool


@dataclass(frozen=True)
class Rule:
    """One rule: ``words`` is the sentence a clerk would say."""

    id: str
    title: str
    words: str
    clause: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Difference:
    """One setting of two versions; an empty side does not have it."""

    rule: str
    label: str
    before: str
    after: str
    changed: bool
    assumed_before: bool
    assumed_after: bool


def rules_of(policy: Policy, say: Say, *, english: bool) -> tuple[Rule, ...]:
    """Every rule in words, in the order in which a household meets them."""
    return tuple(_rules(policy, say, english))


def compare(before: Policy, after: Policy, say: Say, *, english: bool) -> list[Difference]:
    """Every setting of the two beside each other, rule by rule; the clauses too."""
    old, new = (dict(_flat(one, say, english)) for one in (before, after))
    found = []
    for key in dict.fromkeys([*old, *new]):
        left, right = old.get(key), new.get(key)
        label, rule = (left or right or (None, "", ""))[2], (left or right or (None, "", ""))[1]
        one, other = (side[0].value if side else "" for side in (left, right))
        assumed = [bool(side and side[0].is_assumed) for side in (left, right)]
        found.append(Difference(rule, label, one, other, one != other or assumed[0] != assumed[1], *assumed))
    return found


def targets_of(policy: Policy) -> tuple[list[str], list[tuple[int, str, str, dict[str, str]]]]:
    """The years, and each target: number, indicator, unit, and by year what is to be reached."""
    years = sorted({year for target in policy.targets for year in target.by_year})
    rows = [
        (one.no, one.indicator, one.unit, {y: f"{_COMPARE[one.compare]} {value}" for y, value in one.by_year.items()})
        for one in policy.targets
    ]
    return years, rows


def _flat(policy: Policy, say: Say, english: bool) -> Iterator[tuple[str, tuple[Setting, str, str]]]:
    for rule in rules_of(policy, say, english=english):
        for setting in rule.settings:
            yield setting.id, (setting, rule.title, setting.label)
        if rule.clause:
            clause = Setting(f"{rule.id}.clause", say(mark("条款")), rule.clause, False)
            yield clause.id, (clause, rule.title, clause.label)
    years, rows = targets_of(policy)
    for _, indicator, unit, by_year in rows:
        shown = Setting(indicator, indicator, "；".join(f"{y} {by_year[y]}" for y in years if y in by_year), False)
        yield f"target {indicator}", (shown, say(mark("指标目标")), f"{indicator}（{unit}）")


def _rules(policy: Policy, say: Say, english: bool) -> Iterator[Rule]:
    for id, title in TITLES.items():
        paths = [path for path in LABELS if path.partition(".")[0] == id or (id == "whole" and "." not in path)]
        values = {path.rpartition(".")[2]: _shown(policy, path, say, english) for path in paths}
        words = "".join(say(sentence) % values for sentence in _sentences(policy, id))
        settings = [_setting(policy, path, say, english) for path in paths]
        clause = getattr(getattr(policy, id, None), "clause", "")
        yield Rule(id, say(title), words, clause, tuple(one for one in settings if one is not None))


def _sentences(policy: Policy, rule: str) -> Iterator[str]:
    """What the rule says; which of two sentences, where it can be read in two ways."""
    if rule in _DROPPED and not getattr(policy, rule).required:
        yield _DROPPED[rule]
    elif rule == "income" and policy.income.reading == "flat":
        yield mark("%(measure)s不超过 %(limit)s 元（含），不论几口人。")
    elif rule == "subsidy":
        if policy.subsidy.points is not None:
            yield mark("财政按固定 %(points)s 个百分点贴息。")
        else:
            yield mark("合同利率高出 %(target_rate)s%% 的部分，由财政承担 %(fiscal_share)s，其余由银行让利。")
        if policy.subsidy.cap_points is not None:
            yield mark("财政最多承担 %(cap_points)s 个百分点。")
        yield mark("财政承担部分中省级承担 %(province_share)s；")
        yield mark("一年按 %(day_basis)s 天计，%(settlement_months)s 月的 %(settlement_day)s 日结息。")
    else:
        yield _SENTENCES[rule]


def _setting(policy: Policy, path: str, say: Say, english: bool) -> Setting | None:
    value = policy.setting(path)
    if value is None:
        return None
    # A part may be named whole: then all of its settings are assumed.
    is_assumed = any(path == one or path.startswith(f"{one}.") for one in policy.assumed)
    return Setting(path, say(LABELS[path]), _shown(policy, path, say, english), is_assumed)


def _shown(policy: Policy, path: str, say: Say, english: bool) -> str:
    """A setting's value as an office writes it."""
    value: Any = policy.setting(path)
    known = _VALUES.get(path, {})
    if path in _AMOUNTS:
        return yuan(value)
    if path == "loan.products":
        return _listed([f"{one.name}（{one.code}）" for one in value], say, english)
    if path.startswith("groups."):
        return _listed([f"{one} {REASONS[one].en if english else REASONS[one].zh}" for one in value], say, english)
    if isinstance(value, bool):
        return say(mark("是")) if value else say(mark("否"))
    if isinstance(value, dict):
        return _listed([f"{year}: {yuan(amount)}" for year, amount in sorted(value.items())], say, english)
    if isinstance(value, tuple):
        return _listed([say(known[one]) if one in known else str(one) for one in value], say, english)
    return say(known[value]) if isinstance(value, str) and value in known else str(value)


def _listed(values: Sequence[str], say: Say, english: bool) -> str:
    return (", " if english else "、").join(values) or say(mark("无"))
