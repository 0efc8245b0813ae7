"""What can be wrong with a visit form, in words a clerk can act on; no problem repeats what was in the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from psi.errors import InputError
from psi.identifiers import Verdict

Location = tuple[str | int, ...]  # ("members", 0, "id_number")

# code: Chinese and English; ``{name}`` is one of the problem's params.
FORM_PROBLEMS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "missing": ("未填写", "not filled in"),
        "unknown_field": ("表中没有这一项", "the form has no such field"),
        "no_such_choice": ("只能填：{choices}", "has to be one of: {choices}"),
        "not_yes_or_no": ("只能填“是”或“否”", "has to be yes or no (是, 否)"),
        "bad_date": ("不是日期，请写成 2026-01-05", "not a date: write 2026-01-05"),
        "bad_amount": (
            "不是金额：请以元填写，最多两位小数，没有请填 0，不要写“万”",
            "not an amount: write yuan with at most two places, 0 for none",
        ),
        "amount_too_large": ("金额超过 {limit} 元", "the amount is above {limit} yuan"),
        "bad_number": ("不是 {lowest} 至 {highest} 的整数", "not a whole number of {lowest} to {highest}"),
        "too_long": ("超过 {limit} 字", "longer than {limit} characters"),
        "too_many": ("超过 {limit} 项", "more than {limit} entries"),
        "control_character": ("含有不可见的控制字符，请重新输入", "holds invisible control characters: type it again"),
        "bad_phone": ("不是手机号或带区号的座机号", "neither a mobile number nor a line with its area code"),
        "bad_id_number": ("证件号码不可用：{verdict}", "the ID number cannot be used: {verdict}"),
        "bad_value": ("填写的内容不可用", "what stands there cannot be used"),
        "reason_unknown": ("没有这个原因代码", "no such reason code"),
        "reason_sensitive": (
            "低保、低边、特困不写入采集表，请填 NX1（政策排除）",
            "N10 to N12 are not written on this form: write NX1",
        ),
        "applicant_missing": (
            "须有且只有一名成员与申请人关系为“本人”",
            "exactly one member has to be the applicant (本人)",
        ),
        "applicant_incomplete": ("申请人必须填写", "the applicant has to fill this in"),
        "id_number_twice": ("与第 {other} 名成员的证件号码相同", "the same ID number as member {other}"),
        "sex_differs": ("与证件号码所示性别不一致", "not the sex that the ID number states"),
        "two_spouses": ("配偶多于一人", "more than one spouse"),
        "spouse_unmarried": ("有配偶时，婚姻状况应为“已婚”", "with a spouse the marriage has to be 已婚"),
        "total_differs": ("合计应为各项之和 {sum} 元", "the total has to be the sum of the parts, {sum} yuan"),
        "value_without_count": ("填了价值但数量为 0", "a value is given, but the count is 0"),
        "admitted_with_reasons": ("建议准入时不应填写不准入原因", "reasons against, though admitted"),
        "refused_without_reasons": ("不建议准入时须填写原因", "not admitted: a reason is needed"),
        "subsidised_unadmitted": ("不准入的家庭不能建议贴息", "not admitted, so not subsidised"),
        "signed_before_visit": ("签字日期早于走访日期", "signed before the visit"),
        "in_the_future": ("日期晚于今天", "later than today"),
        "product_unknown": ("本县政策没有这种产品；有：{choices}", "the policy has no such product; it has: {choices}"),
        "row_unknown": ("没有这个编号，请勿改动首列", "no such number: leave the first column as it is"),
        "row_twice": ("同一项目出现两次", "the item stands twice"),
    }
)  # fmt: skip


@dataclass(frozen=True)
class FormProblem:
    """One field and what is wrong with it. ``heading`` names the place in Chinese, as the form does."""

    location: Location
    code: str
    heading: str
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """``members.0.id_number``"""
        return ".".join(str(part) for part in self.location)

    def describe(self, *, english: bool = False) -> str:
        """``家庭成员第 1 项·证件号码：未填写``"""
        words = {name: self._word(value, english) for name, value in self.params.items()}
        what = FORM_PROBLEMS[self.code][english].format_map(words)
        return f"{self.heading or self.path}: {what}" if english else f"{self.heading or self.path}：{what}"

    @staticmethod
    def _word(value: object, english: bool) -> object:
        return VERDICT_WORDS[value][english] if isinstance(value, Verdict) else value


VERDICT_WORDS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.EMPTY: ("为空", "empty"),
    Verdict.WRONG_LENGTH: ("位数不对", "wrong length"),
    Verdict.BAD_CHARACTER: ("含有非法字符", "a character that none has"),
    Verdict.BAD_DATE: ("出生日期不存在", "a birth date that does not exist"),
    Verdict.BAD_CHECK: ("校验码不符，请核对原件", "the check character does not hold"),
    Verdict.SPREADSHEET_DAMAGED: ("被表格软件损坏，请设为文本后重填", "damaged by a spreadsheet: make the cell text"),
    Verdict.REVIEW_CENTENARIAN: ("15 位百岁老人特殊编码，请填 18 位号码", "a centenarian's 15 digits: give all 18"),
    Verdict.REVIEW_PERMIT: ("居住证或永居证，请留空并备注", "a residence permit: leave empty and remark on it"),
}  # fmt: skip


class FormInvalid(InputError):
    """A visit form cannot be taken as it is; ``params``: count, first, problems (path, code, text, en of each)."""

    code = "form_invalid"

    def __init__(self, problems: Sequence[FormProblem]) -> None:
        listed = [
            {"path": p.path, "code": p.code, "text": p.describe(), "en": p.describe(english=True)} for p in problems
        ]
        first = problems[0].describe() if problems else ""
        super().__init__("the form cannot be taken", count=len(problems), first=first, problems=listed)
        self.problems = tuple(problems)
