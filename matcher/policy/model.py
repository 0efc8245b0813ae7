"""What a policy file may say. Amounts and rates are written as text in the file, so that no binary fraction arises."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from matcher.reasons import REASONS
from matcher.subsidy.arithmetic import DayBasis, ExcessShare, FixedPoints, Terms
from matcher.subsidy.periods import SettlementCalendar

FORMAT: Literal["mingce-policy/1"] = "mingce-policy/1"


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str) or not value.replace(".", "", 1).isdecimal() or not value.isascii():
        raise ValueError('write it in quotes, as "3.80"')
    return Decimal(value)


def _fen(value: object) -> int:
    amount = _decimal(value) * 100
    if amount != int(amount):
        raise ValueError("an amount has at most two places: whole 分")
    return int(amount)


def _reason(value: object) -> str:
    if value not in REASONS:
        raise ValueError("not a reason code of docs/reference/reasons.md")
    return str(value)


def _text_like(pattern: str, description: str) -> WithJsonSchema:
    """What an editor is told of a number that is written as text (docs/reference/policy.schema.json)."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "description": description})


_PERCENT = _text_like(r"^[0-9]{1,2}(\.[0-9]+)?$", "percent a year, 0 to 36, as text")
_PART = _text_like(r"^(0(\.[0-9]+)?|1(\.0+)?)$", "0 to 1, as text")
_NUMBER = _text_like(r"^[0-9]+(\.[0-9]+)?$", "a number, as text")
_YUAN = _text_like(r"^[0-9]+(\.[0-9]{1,2})?$", "yuan, as text")

Rate = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=36), _PERCENT]
Share = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=1), _PART]
Fen = Annotated[int, BeforeValidator(_fen), Field(ge=0), _YUAN]  # "100000.00" yuan in the file, 分 here
ReasonCode = Annotated[str, BeforeValidator(_reason), WithJsonSchema({"enum": list(REASONS)})]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Age(_Part):
    """Completed years, both ends included: until the day before the birthday after ``highest``."""

    lowest: Annotated[int, Field(ge=0, le=120)]
    highest: Annotated[int, Field(ge=0, le=120)]
    clause: Text

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lowest > self.highest:
            raise ValueError("lowest is above highest")
        return self


class Income(_Part):
    """The household's yearly income, at most ``limit``; read ``scaled`` it is limit × members / ``base_size``."""

    measure: Text
    limit: Fen
    reading: Literal["flat", "scaled"]
    base_size: Annotated[int, Field(ge=1, le=20)] = 3
    clause: Text

    def limit_for(self, members: int) -> tuple[int, int]:
        """The limit in 分 as a ratio of integers: exact, because nothing says how to round it."""
        if self.reading == "flat":
            return self.limit, 1
        return self.limit * members, self.base_size

    def allows(self, income: int, members: int) -> bool:
        """``income`` in 分; the limit itself is allowed."""
        numerator, denominator = self.limit_for(members)
        return income * denominator <= numerator


class Groups(_Part):
    """Which reasons of a label exclude a household, and which only flag it for the person who decides."""

    exclude: tuple[ReasonCode, ...]
    flag: tuple[ReasonCode, ...] = ()
    clause: Text

    @model_validator(mode="after")
    def _check(self) -> Self:
        if both := sorted(set(self.exclude) & set(self.flag)):
            raise ValueError(f"both excluded and flagged: {', '.join(both)}")
        return self


class Condition(_Part):
    """A condition that a person confirms: 固定住所, 信用状况良好, 完全民事行为能力."""

    required: bool = True
    clause: Text


class Checks(_Part):
    """Department datasets that a household must have been checked against, and how old a result may be."""

    required: tuple[Text, ...] = ()
    max_age_days: Annotated[int, Field(ge=1, le=1_000)] = 365


class Visits(_Part):
    attempts: Annotated[int, Field(ge=1, le=9)] = 3
    revisit_months: Annotated[int, Field(ge=1, le=36)] = 6


class Confirmation(_Part):
    """How a decision is made known before it counts: 短信通知, 村小组评议."""

    ways: tuple[Literal["sms", "village"], ...]
    objection_days: Annotated[int, Field(ge=0, le=60)] = 7


class Product(_Part):
    code: Annotated[str, Field(pattern=r"^[a-z]{2,20}$")]
    name: Text


class Loan(_Part):
    """What may be lent. ``household_cap`` is over all loans of a household, at all banks; the rates are what the
    customer pays, after the concession."""

    household_cap: Fen
    longest_months: Annotated[int, Field(ge=1, le=360)]
    products: Annotated[tuple[Product, ...], Field(min_length=1)]
    lowest_rate: Rate = Decimal(0)
    highest_rate: Rate
    clause: Text


class Subsidy(_Part):
    """How the interest above the target is shared (docs/reference/policy.md has the formulas)."""

    model: Literal["excess_share", "fixed_points"]
    target_rate: Rate
    fiscal_share: Share | None = None
    cap_points: Rate | None = None
    points: Rate | None = None
    province_share: Share = Decimal(0)
    day_basis: DayBasis = 360
    settlement_months: tuple[int, ...] = (3, 6, 9, 12)
    settlement_day: int = 20
    # Interest short by no more than this counts as paid: banks round by their own ways.
    paid_within: Annotated[Fen, Field(json_schema_extra={"default": "1.00"})] = 100
    # What finance has set aside for a year's subsidy; a figure is shown against it, and nothing is refused by it.
    budget: dict[Annotated[str, Field(pattern=r"^20\d\d$")], Fen] = {}
    clause: Text

    @model_validator(mode="after")
    def _check(self) -> Self:
        shared = self.model == "excess_share"
        if (self.fiscal_share is None) is shared or (self.points is None) is not shared:
            raise ValueError("excess_share takes fiscal_share (and cap_points), fixed_points takes points")
        if not shared and self.cap_points is not None:
            raise ValueError("fixed_points takes no cap_points")
        _ = self.calendar
        return self

    @property
    def calendar(self) -> SettlementCalendar:
        return SettlementCalendar(self.settlement_months, self.settlement_day)

    def terms(self, contract_rate: Decimal) -> Terms:
        """The terms of a contract signed under this policy."""
        if self.points is not None:
            model: ExcessShare | FixedPoints = FixedPoints(self.points)
        else:
            model = ExcessShare(self.fiscal_share or Decimal(0), self.cap_points)
        return Terms(contract_rate, self.target_rate, model, self.province_share, self.day_basis)


class Target(_Part):
    """A row of the plan's 指标目标清单: the value to reach by the end of each year."""

    no: Annotated[int, Field(ge=1)]
    indicator: Text
    unit: Text
    by_year: dict[Annotated[str, Field(pattern=r"^20\d\d$")], Annotated[Decimal, BeforeValidator(_decimal), _NUMBER]]
    compare: Literal["at_least", "equal"]


class Policy(_Part):
    """One county's rules in one version. ``assumed`` names the settings that no source states."""

    format: Literal["mingce-policy/1"]
    county: Annotated[str, Field(pattern=r"^\d{6}$")]
    county_name: Text
    version: Annotated[str, Field(pattern=r"^[0-9a-z][0-9a-z.-]{0,19}$")]
    title: Text
    document: Text
    valid_from: date
    valid_to: date
    assumed: tuple[Text, ...] = ()
    age: Age
    income: Income
    groups: Groups
    residence: Condition
    credit: Condition
    capacity: Condition
    checks: Checks = Checks()
    visits: Visits = Visits()
    confirmation: Confirmation
    loan: Loan
    subsidy: Subsidy
    targets: tuple[Target, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.valid_from > self.valid_to:
            raise ValueError("valid_from is after valid_to")
        for path in self.assumed:
            self.setting(path)
        numbers = [target.no for target in self.targets]
        if numbers != sorted(set(numbers)):
            raise ValueError("targets are not in order, or one stands twice")
        return self

    def setting(self, path: str) -> Any:
        """The value at ``income.reading`` and the like. Raises ValueError for a path that is none."""
        value: Any = self
        for name in path.split("."):
            if not isinstance(value, _Part) or name not in type(value).model_fields:
                raise ValueError(f"assumed names {path}, which is no setting")
            value = getattr(value, name)
        return value
