"""The reports made of the day's figures: KPI table, monthly 成效监测表, year-end summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from matcher.figures.definitions import VERSION
from matcher.figures.service import DayTable
from matcher.policy.model import Policy
from matcher.reports.document import Column, Report, Row, Table
from matcher.reports.indicators import INDICATORS, Compared, Period, measure, target_in_unit, targets_of
from matcher.reports.sections import Shown, by_product, by_township

MONTHLY_TITLE = "财金助力扩中家庭项目成效监测表"
HIDDEN_NOTE = "＊：不足 5 户的数据及为防止推算而一并隐去的数据。"
ROUNDING_NOTE = "万元数由分四舍五入得出，合计以分计算，可能与各行之和相差 0.01。"

_TOWNSHIPS = (
    Shown("households_filed"),
    Shown("households_listed"),
    Shown("households_signed"),
    Shown("facility_amount"),
    Shown("households_benefited"),
    Shown("loan_disbursed"),
    Shown("loan_balance"),
    Shown("interest_saved", this_year=True),
    Shown("subsidy_fiscal", this_year=True),
)
_PRODUCTS = (
    Shown("households_benefited"),
    Shown("contracts_drawn"),
    Shown("loan_disbursed"),
    Shown("loan_balance"),
    Shown("interest_saved", this_year=True),
    Shown("subsidy_fiscal", this_year=True),
)
_FUNNEL = (
    Shown("households_matched"),
    Shown("households_to_visit"),
    Shown("households_filed"),
    Shown("households_listed"),
    Shown("households_signed"),
    Shown("households_benefited"),
    Shown("households_graduated"),
)


@dataclass(frozen=True)
class Frame:
    """What every report of figures needs beside them. ``townships``: their names by code."""

    policy: Policy
    townships: Mapping[str, str]
    made_on: date
    outside: bool = False

    @property
    def products(self) -> dict[str, str]:
        return {product.code: product.name for product in self.policy.loan.products}

    def fields(self, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        return (("编制地区", self.policy.county_name), *more, ("编制日期", _words(self.made_on)))

    def notes(self, *more: str) -> tuple[str, ...]:
        return (*more, ROUNDING_NOTE, *((HIDDEN_NOTE,) if self.outside else ()))


def make_kpi(frame: Frame, period: Period) -> Report:
    """The indicators of 附件1 beside their targets of every year, as of a day."""
    day = period.end.day
    years = sorted({year for target in frame.policy.targets for year in target.by_year})
    columns = (
        Column("no", "序号", width=6),
        Column("indicator", "指标", "text", 36),
        Column("unit", "单位", "text", 8),
        *(Column(f"target_{year}", f"至 {year} 年\n目标值", width=12) for year in years),
        Column("compare", "要求", "text", 8),
        Column("reached", f"截至 {day}\n完成", width=16),
        Column("completion", f"{day.year} 年目标\n完成率（%）", width=14),
        Column("is_reached", "是否达标", "text", 9),
    )
    rows: list[Row] = []
    for target, indicator, wanted in targets_of(frame.policy.targets, day.year):
        goals = (target.by_year.get(year) for year in years)
        measured = measure(indicator, wanted, period, outside=frame.outside) if indicator else None
        reached = None
        if measured and indicator:
            reached = measured.year if indicator.compared is Compared.YEAR else measured.end
        rows.append(
            (
                target.no,
                target.indicator,
                target.unit,
                *(None if goal is None else target_in_unit(goal) for goal in goals),
                "以上" if target.compare == "at_least" else "",
                reached,
                measured.completion if measured else None,
                _reached_words(measured.is_reached if measured else None),
            )
        )
    title = "核心关键绩效指标完成情况表"
    return Report(
        name="kpi",
        subject=f"figure_day/{day}",
        title=f"{frame.policy.county_name}{title}",
        fields=frame.fields(("截至", _words(day)), ("依据", frame.policy.document)),
        tables=(Table("指标", title, columns, tuple(rows)),),
        notes=frame.notes("减少利息支出为本年已结息且已付息部分；撬动产业资金按各项贷款余额的 2 倍计算。"),
        signatures=("填表人", "审核人", "负责人"),
        definitions=VERSION,
        is_outside=frame.outside,
    )


def make_monthly(frame: Frame, period: Period) -> Report:
    """成效监测表 of a month: the indicators, and tables by township and by product."""
    day = period.end.day
    due = nth_working_day(day + timedelta(days=1), 5)
    main = Table("指标", "一、指标完成情况", _MONTHLY_COLUMNS, tuple(_monthly_rows(frame, period)))
    end, before = period.end, period.year_before
    return Report(
        name="monthly",
        subject=f"figure_day/{day}",
        title=f"{frame.policy.county_name}{MONTHLY_TITLE}",
        fields=frame.fields(("报告期", f"{day.year}年{day.month}月"), ("报送期限", _words(due))),
        tables=(
            main,
            by_township("二、分乡镇（街道）情况", _TOWNSHIPS, end, before, frame.townships, outside=frame.outside),
            by_product("三、分产品情况", _PRODUCTS, end, before, frame.products, outside=frame.outside),
        ),
        notes=frame.notes(
            "一户可有多种产品，分产品户数之和可大于合计。",
            "报送期限按次月第 5 个工作日计，未计入法定节假日调休。",
        ),
        signatures=("填表人", "审核人", "负责人", "填报单位（盖章）"),
        definitions=VERSION,
        is_outside=frame.outside,
    )


_MONTHLY_COLUMNS = (
    Column("no", "序号", width=6),
    Column("indicator", "指标", "text", 34),
    Column("unit", "单位", "text", 7),
    Column("target", "年度目标", width=12),
    Column("month", "本月", width=12),
    Column("year", "本年累计", width=12),
    Column("end", "期末存量", width=12),
    Column("completion", "完成率（%）", width=11),
    Column("last_year", "上年同期", width=12),
    Column("version", "口径版本", "text", 9),
    Column("remark", "备注", "text", 22),
)


def _monthly_rows(frame: Frame, period: Period) -> list[Row]:
    rows: list[Row] = []
    for target, indicator, wanted in targets_of(frame.policy.targets, period.end.day.year):
        goal = None if wanted is None else target_in_unit(wanted)
        if indicator is None:
            empty = (None,) * 5
            rows.append((target.no, target.indicator, target.unit, goal, *empty, "", "系统无此指标口径，请手工填报"))
            continue
        found = measure(indicator, wanted, period, outside=frame.outside)
        values = (found.month, found.year, found.end, found.completion, found.last_year)
        rows.append(
            (
                target.no,
                target.indicator,
                target.unit,
                goal,
                *values,
                VERSION,
                _remark(indicator.compared),
            )
        )
    return rows


def make_year(frame: Frame, period: Period, months: Sequence[DayTable], claims: Table) -> Report:
    """The year-end summary. ``months``: the last day of the year before and of each month so far."""
    day = period.end.day
    kpi = make_kpi(frame, period).tables[0]
    end, before = period.end, period.year_before
    return Report(
        name="year",
        subject=f"figure_day/{day}",
        title=f"{frame.policy.county_name}财金助力扩中家庭项目{day.year}年度总结数据表",
        fields=frame.fields(("截至", _words(day)), ("依据", frame.policy.document)),
        tables=(
            Table("指标", "一、指标完成情况", kpi.columns, kpi.rows),
            by_township("二、分乡镇（街道）推进情况", _FUNNEL, end, before, frame.townships, outside=frame.outside),
            by_township(
                "三、分乡镇（街道）贷款贴息情况", _TOWNSHIPS[3:], end, before, frame.townships, outside=frame.outside
            ),
            by_product("四、分产品情况", _PRODUCTS, end, before, frame.products, outside=frame.outside),
            by_month("五、分月情况", months, outside=frame.outside),
            claims,
        ),
        notes=frame.notes("一户可有多种产品，分产品户数之和可大于合计。"),
        signatures=("填表人", "审核人", "负责人", "填报单位（盖章）"),
        definitions=VERSION,
        is_outside=frame.outside,
    )


def by_month(title: str, months: Sequence[DayTable], *, outside: bool) -> Table:
    """What each month brought, and how the loans stood at its end."""
    flows = [i for i in INDICATORS if i.figure in ("households_filed", "households_signed", "households_benefited")]
    money = [i for i in INDICATORS if i.words in ("各项贷款余额", "减少扩中家庭年贷款利息支出")]
    columns = (
        Column("month", "月份", "text", 8),
        *(Column(one.figure, f"本月{one.words}\n（{one.unit}）", width=18) for one in flows),
        Column("loan_balance", "月末贷款余额\n（万元）", width=18),
        Column("interest_saved", "本月减少利息支出\n（万元）", width=18),
    )
    rows: list[Row] = []
    for before, end in pairwise(months):
        period = Period(end, before, before, before, before)
        found = [measure(one, None, period, outside=outside) for one in (*flows, *money)]
        values = (*(one.month for one in found[: len(flows)]), found[-2].end, found[-1].month)
        rows.append((f"{end.day.month}月", *values))
    return Table("分月", title, columns, tuple(rows))


def nth_working_day(start: date, count: int) -> date:
    """The ``count``-th day from ``start`` on that is no Saturday or Sunday; public holidays are not known here."""
    day = start - timedelta(days=1)
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _remark(compared: Compared) -> str:
    return {
        Compared.END: "",
        Compared.YEAR: "完成率按本年累计",
        Compared.GROWTH: "相隔 300 天以上两次采集表的收入增幅",
    }[compared]


def _reached_words(is_reached: bool | None) -> str:
    return "" if is_reached is None else "是" if is_reached else "否"


def _words(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
