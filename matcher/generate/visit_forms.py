"""Made-up answers to the information form (信息采集表): a family's relations, incomes and wishes that fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from matcher.bureau.members import Person
from matcher.eligibility import completed_years
from matcher.generate.names import make_name
from matcher.policy.model import Product
from matcher.visits.form import FORM_VERSION
from psi.identifiers import sex

_ADULT, _RETIRED, _GENERATION = 18, 66, 17
_WORK = ("渔业捕捞", "海水养殖", "民宿经营", "小超市经营", "镇办企业务工", "个体运输", "务农", "建筑务工")
_USES = {
    "jingying": ("购买渔具网具", "民宿翻修", "采购货物", "添置养殖设备"),
    "zhuxue": ("子女大学学费", "职业技能培训"),
    "zhuyi": ("医疗费用周转", "康复费用"),
    "anju": ("房屋修缮", "购置家具家电"),
    "wenye": ("工资周转", "稳定用工"),
}
_VILLAGES = ("东升", "海滨", "石柱", "关岙", "青沙", "金平", "基湖")
_TYPES = ("business", "employed", "farming", "supported")
_ABOVE_LIMIT = 0.06  # of the households, whom the visit shows to earn more than the label said
_WISHES = 0.75  # want a loan


@dataclass(frozen=True)
class Family:
    """Whom a visit is to: ``people`` as the office knows them, ``size`` as the label says, ``income_limit`` in 分."""

    people: Sequence[Person]
    size: int
    township: str
    income_limit: int


def make_form(
    source: Random, family: Family, products: Sequence[Product], visited_on: date, manager: str, grid_officer: str
) -> dict[str, Any]:
    """Values that matcher.visits.form.read_form takes, if one of the people is an adult with a number."""
    members = _members(source, family, visited_on)
    income = _income(source, family)
    admitted = int(income["total"].replace(".", "")) <= family.income_limit
    day = visited_on.isoformat()
    applicant = members[0]["name"]
    return {
        "format": FORM_VERSION,
        "consent_no": f"SQ{visited_on:%Y%m%d}{source.randrange(10**6):06d}",
        "head": {
            "visited_on": day,
            "manager": manager,
            "grid_officer": grid_officer,
            "township": family.township,
            "village": f"{source.choice(_VILLAGES)}村（社区）",
            "grid": f"第{source.randrange(1, 9)}网格",
            "address": f"{source.choice(_VILLAGES)}路{source.randrange(1, 200)}号",
        },
        "members": members,
        "income": income,
        "spending": {
            "living": _yuan(source, 12_000, 40_000),
            "schooling": _yuan(source, 0, 20_000) if len(members) > 2 else "0",
            "medical": _yuan(source, 0, 15_000),
        },
        "assets": _assets(source),
        "debts": _debts(source),
        "needs": _needs(source, products) if admitted else [],
        "conclusion": {
            "is_resident": True,
            "has_good_credit": True,
            "has_full_capacity": True,
            "family_type": source.choice(_TYPES),
            "is_admitted": admitted,
            "is_subsidised": admitted,
            "reasons": [] if admitted else ["N01"],
            "remark": "",
        },
        "signatures": {
            "applicant": {"name": applicant, "signed_on": day},
            "manager": {"name": manager, "signed_on": day},
            "officer": {"name": grid_officer, "signed_on": day},
        },
    }


def _members(source: Random, family: Family, on: date) -> list[dict[str, str]]:
    """The applicant first, then the others by what their ages allow; those without a number are children."""
    by_need = sorted(family.people, key=lambda person: not _ADULT <= _age(person, on) < _RETIRED)
    applicant, *others = by_need
    members = [_member(source, applicant, "self", on)]
    for person in others:
        has_spouse = any(member["relation"] == "spouse" for member in members)
        members.append(_member(source, person, _relation(applicant, person, on, has_spouse=has_spouse), on))
    for _ in range(min(family.size - len(members), 4)):
        child = {"relation": "child", "name": make_name(source.random), "sex": source.choice("MF")}
        members.append({**child, "id_number": "", "marriage": "single", "work": "学生", "phone": ""})
    is_married = any(member["relation"] == "spouse" for member in members)
    members[0]["marriage"] = "married" if is_married else source.choice(("single", "divorced", "widowed"))
    return members


def _member(source: Random, person: Person, relation: str, on: date) -> dict[str, str]:
    grown = _age(person, on) >= _ADULT
    return {
        "relation": relation,
        "name": person.name or make_name(source.random),
        "sex": sex(person.item),
        "id_number": person.item,
        "marriage": "married" if relation == "spouse" or (grown and relation == "parent") else "single",
        "work": source.choice(_WORK) if grown else "学生",
        # 1000 to 1009 begin no telephone number that was ever given out.
        "phone": f"100{source.randrange(10**8):08d}" if grown else "",
    }


def _relation(applicant: Person, person: Person, on: date, *, has_spouse: bool) -> str:
    older = _age(person, on) - _age(applicant, on)
    if older <= -_GENERATION:
        return "child"
    if older >= _GENERATION:
        return "parent"
    is_pair = sex(person.item) != sex(applicant.item) and _age(person, on) >= _ADULT
    return "spouse" if is_pair and not has_spouse else "sibling"


def _age(person: Person, on: date) -> int:
    born = date(int(person.item[6:10]), int(person.item[10:12]), int(person.item[12:14]))
    return completed_years(born, on)


def _income(source: Random, family: Family) -> dict[str, str]:
    """Parts that add up to a total below the limit, for most."""
    limit = family.income_limit // 100
    share = source.uniform(1.02, 1.5) if source.random() < _ABOVE_LIMIT else source.uniform(0.45, 0.98)
    total, parts = int(limit * share), []
    weights = [source.random() * most for most in (1.0, 0.8, 0.7, 0.1, 0.2)]
    for weight in weights[:-1]:
        parts.append(int(total * weight / sum(weights)))
    parts.append(total - sum(parts))
    names = ("wage", "business", "farming", "property", "transfer")
    amounts = {name: f"{part}.00" for name, part in zip(names, parts, strict=True)}
    return {**amounts, "total": f"{total}.00", "evidence": source.choice(("工资流水", "收购单据", "纳税记录", ""))}


def _assets(source: Random) -> dict[str, Any]:
    def holding(share: float, value: int) -> dict[str, Any]:
        count = int(source.random() < share)
        return {"count": count, "value": _yuan(source, value // 2, value) if count else "0"}

    return {
        "housing": holding(0.8, 600_000),
        "homestead": holding(0.4, 80_000),
        "vehicles": holding(0.4, 80_000),
        "boats": holding(0.15, 300_000),
        "sea_use": holding(0.08, 150_000),
        "fishing_rights": holding(0.12, 200_000),
        "deposits": _yuan(source, 0, 60_000),
    }


def _debts(source: Random) -> list[dict[str, str]]:
    if source.random() < 0.6:
        return []
    return [{"lender": "演示银行", "balance": _yuan(source, 5_000, 80_000), "use": "购房"}]


def _needs(source: Random, products: Sequence[Product]) -> list[Mapping[str, Any]]:
    if source.random() > _WISHES:
        return []
    product = source.choice(list(products))
    use = source.choice(_USES.get(product.code, ("家庭周转",)))
    amount = f"{source.randrange(3, 31)}0000.00"
    return [{"product": product.code, "amount": amount, "months": 12, "use": use}]


def _yuan(source: Random, least: int, most: int) -> str:
    return f"{source.randrange(least, most + 1)}.00"
