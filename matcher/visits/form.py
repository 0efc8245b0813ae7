"""扩中家庭信息采集表 as data, ``mingce-visit-form/1`` (docs/reference/visit-form.md is made from this module).

A form that exists is a sound one: every field and every check across fields held when it was read. What a visitor
has not asked stays on the device or in the sheet until it is whole; blank is never taken for nought.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from matcher.subsidy.lines import plain_yuan
from matcher.visits.fields import (
    Day,
    Fen,
    IdNumber,
    Name,
    OptionalName,
    OptionalText,
    Phone,
    Reasons,
    Text,
    YesNo,
    choice,
    fault,
    whole,
)
from matcher.visits.problems import FORM_PROBLEMS, FormInvalid, FormProblem, Location
from psi.identifiers import sex as sex_of_item

FORM_VERSION: Literal["mingce-visit-form/1"] = "mingce-visit-form/1"

RELATIONS: Mapping[str, str] = {
    "self": "本人",
    "spouse": "配偶",
    "child": "子女",
    "parent": "父母",
    "grandparent": "祖父母",
    "grandchild": "孙子女",
    "sibling": "兄弟姐妹",
    "other": "其他",
}
SEXES: Mapping[str, str] = {"M": "男", "F": "女"}
MARRIAGES: Mapping[str, str] = {"single": "未婚", "married": "已婚", "divorced": "离异", "widowed": "丧偶"}
FAMILY_TYPES: Mapping[str, str] = {
    "business": "经营类",
    "employed": "就业类",
    "farming": "农户类",
    "supported": "托底类",
    "none": "不分类",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Nothing: a form is personal data throughout and must not reach a log."""
        yield from ()


class Head(_Part):
    visited_on: Day = Field(title="走访日期")
    manager: Name = Field(title="客户经理")
    grid_officer: Name = Field(title="网格员")
    township: Name = Field(title="乡镇（街道）")
    village: Name = Field(title="村（社区）")
    grid: OptionalName = Field("", title="网格")
    address: Text = Field(title="家庭住址")


class Member(_Part):
    """``relation`` is to the applicant, who is the one member with ``self`` (本人)."""

    relation: Annotated[str, choice(RELATIONS)] = Field(title="与申请人关系")
    name: Name = Field(title="姓名")
    sex: Annotated[str, choice(SEXES)] = Field(title="性别")
    id_number: IdNumber = Field("", title="证件号码")
    marriage: Annotated[str, choice(MARRIAGES)] = Field(title="婚姻状况")
    work: OptionalText = Field("", title="工作单位或职业")
    phone: Phone = Field("", title="联系电话")


class Income(_Part):
    """Of the whole household in the last twelve months, yuan."""

    wage: Fen = Field(title="工资性收入")
    business: Fen = Field(title="经营净收入")
    farming: Fen = Field(title="农渔业收入")
    property: Fen = Field(title="财产净收入")
    transfer: Fen = Field(title="转移净收入")
    total: Fen = Field(title="收入合计")
    evidence: OptionalText = Field("", title="收入佐证材料")


class Spending(_Part):
    """Of the whole household in the last twelve months, yuan."""

    living: Fen = Field(title="生活支出")
    schooling: Fen = Field(title="教育支出")
    medical: Fen = Field(title="医疗自费支出")


class Holding(_Part):
    count: Annotated[int, whole(0, 999)] = Field(title="数量")
    value: Fen = Field(title="估值")


class Assets(_Part):
    housing: Holding = Field(title="房产（套）")
    homestead: Holding = Field(title="宅基地（宗）")
    vehicles: Holding = Field(title="机动车（辆）")
    boats: Holding = Field(title="渔船（艘）")
    sea_use: Holding = Field(title="海域使用权（宗）")
    fishing_rights: Holding = Field(title="捕捞权（项）")
    deposits: Fen = Field(title="存款及理财")


class Debt(_Part):
    lender: Name = Field(title="债权人")
    balance: Fen = Field(title="余额")
    use: OptionalText = Field("", title="借款用途")


class Need(_Part):
    """``product`` is a code or a name of the county's policy (``[loan] products``)."""

    product: Name = Field(title="产品")
    amount: Fen = Field(title="金额")
    months: Annotated[int, whole(1, 360)] = Field(title="期限（月）")
    use: Text = Field(title="用途")


class Conclusion(_Part):
    """What the visitors found and advise; nothing is decided by it."""

    is_resident: YesNo = Field(title="辖区内有固定住所")
    has_good_credit: YesNo = Field(title="信用状况良好")
    has_full_capacity: YesNo = Field(title="具有完全民事行为能力")
    family_type: Annotated[str, choice(FAMILY_TYPES)] = Field("none", title="家庭类型")
    is_admitted: YesNo = Field(title="建议准入")
    is_subsidised: YesNo = Field(title="建议贴息")
    reasons: Reasons = Field((), title="不准入原因")
    remark: OptionalText = Field("", title="备注")


class Signature(_Part):
    """Who signed and when; the images are attachments of the visit."""

    name: Name = Field(title="签字人")
    signed_on: Day = Field(title="签字日期")


class Signatures(_Part):
    applicant: Signature = Field(title="申请人签字")
    manager: Signature = Field(title="客户经理签字")
    officer: Signature = Field(title="网格员签字")


class VisitForm(_Part):
    """One household's form. Build it by :func:`read_form`, which names every problem at once."""

    format: Literal["mingce-visit-form/1"] = Field(title="表单版本")
    consent_no: Name = Field(title="授权书编号")
    head: Head = Field(title="走访信息")
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=20)] = Field(title="家庭成员")
    income: Income = Field(title="家庭年收入")
    spending: Spending = Field(title="家庭年支出")
    assets: Assets = Field(title="家庭资产")
    debts: Annotated[tuple[Debt, ...], Field(max_length=20)] = Field((), title="家庭负债")
    needs: Annotated[tuple[Need, ...], Field(max_length=5)] = Field((), title="贷款需求")
    conclusion: Conclusion = Field(title="走访结论")
    signatures: Signatures = Field(title="三方签字")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if found := [*_check_members(self), *_check_amounts(self), *_check_conclusion(self)]:
            raise fault(_ACROSS, found=found)
        return self

    @property
    def applicant(self) -> Member:
        return next(member for member in self.members if member.relation == "self")


def read_form(values: object) -> VisitForm:
    """A form from JSON's values: a mapping as docs/reference/visit-form.md has it. Raises FormInvalid."""
    try:
        return VisitForm.model_validate(values)
    except ValidationError as error:
        lines = error.errors(include_url=False)
    # Outside the block, so that no traceback brings pydantic's error along: it names what was typed.
    raise FormInvalid([problem for line in lines for problem in _problems(line)])


_ACROSS = "across"  # the error that carries the problems of several fields together
_Found = tuple[Location, str, dict[str, object]]


def _check_members(form: VisitForm) -> Iterator[_Found]:
    applicants = [place for place, member in enumerate(form.members) if member.relation == "self"]
    if len(applicants) != 1:
        yield ("members",), "applicant_missing", {}
        return
    (first,) = applicants
    for name in ("id_number", "phone"):
        if not getattr(form.members[first], name):
            yield ("members", first, name), "applicant_incomplete", {}
    spouses = [place for place, member in enumerate(form.members) if member.relation == "spouse"]
    for place in spouses[1:]:
        yield ("members", place, "relation"), "two_spouses", {}
    for place in (first, *spouses) if spouses else ():
        if form.members[place].marriage != "married":
            yield ("members", place, "marriage"), "spouse_unmarried", {}
    seen: dict[str, int] = {}
    for place, member in enumerate(form.members):
        if not member.id_number:
            continue
        if (other := seen.setdefault(member.id_number, place)) != place:
            yield ("members", place, "id_number"), "id_number_twice", {"other": other + 1}
        if sex_of_item(member.id_number) != member.sex:
            yield ("members", place, "sex"), "sex_differs", {}


def _check_amounts(form: VisitForm) -> Iterator[_Found]:
    income = form.income
    total = income.wage + income.business + income.farming + income.property + income.transfer
    if income.total != total:
        yield ("income", "total"), "total_differs", {"sum": plain_yuan(total)}
    for name, holding in form.assets:
        if isinstance(holding, Holding) and holding.value and not holding.count:
            yield ("assets", name, "count"), "value_without_count", {}


def _check_conclusion(form: VisitForm) -> Iterator[_Found]:
    conclusion = form.conclusion
    if conclusion.is_admitted and conclusion.reasons:
        yield ("conclusion", "reasons"), "admitted_with_reasons", {}
    if not conclusion.is_admitted and not conclusion.reasons:
        yield ("conclusion", "reasons"), "refused_without_reasons", {}
    if conclusion.is_subsidised and not conclusion.is_admitted:
        yield ("conclusion", "is_subsidised"), "subsidised_unadmitted", {}
    for name, signature in form.signatures:
        if signature.signed_on < form.head.visited_on:
            yield ("signatures", name, "signed_on"), "signed_before_visit", {}


# pydantic's own kinds of error as ours
_KINDS: Mapping[str, str] = {"extra_forbidden": "unknown_field", "too_short": "missing"}


def _problems(line: Mapping[str, Any]) -> Iterator[FormProblem]:
    """What one of pydantic's errors says; its ``input`` is left behind, because it may hold an ID number."""
    context = dict(line.get("ctx", {}))
    if line["type"] == _ACROSS:
        for location, code, params in context["found"]:
            yield make_problem(location, code, **params)
        return
    location, code = line["loc"], _KINDS.get(line["type"], line["type"])
    if "max_length" in context:  # pydantic's own bound of a list; texts have ours
        code, context = "too_many", {"limit": context["max_length"]}
    elif code not in FORM_PROBLEMS:
        code, context = "bad_value", {}
    context.pop("code", None)
    yield make_problem(location if code != "unknown_field" else location[:-1], code, **context)


def make_problem(location: Location, code: str, **params: object) -> FormProblem:
    """A problem at a place of the form, with the form's own words for the place."""
    return FormProblem(location, code, heading_of(location), params)


def heading_of(location: Location) -> str:
    """``家庭成员第 1 项·证件号码`` for ``("members", 0, "id_number")``."""
    model: Any = VisitForm
    words: list[str] = []
    for part in location:
        if isinstance(part, int):
            words[-1] += f"第 {part + 1} 项"
        elif model is not None and part in model.model_fields:
            field = model.model_fields[part]
            words.append(field.title or part)
            model = part_of(field.annotation)
    return "·".join(words) or "采集表"


def part_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, once or many times; None for a plain value."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
