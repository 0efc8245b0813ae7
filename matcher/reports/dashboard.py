"""看板: the day's figures beside targets, budget and the months before; only what is kept, nothing is computed anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.figures.definitions import DEFINITIONS, VERSION
from matcher.figures.records import Cell
from matcher.figures.service import DayTable, Figures
from matcher.figures.suppression import is_small
from matcher.households.policies import Policies
from matcher.policy.model import Policy
from matcher.policy.reading import PolicyUnknown
from matcher.reports.document import HIDDEN, Value, percent, wan
from matcher.reports.indicators import Compared, Indicator, target_in_unit, targets_of
from matcher.reports.sight import Number, Row, Sight

MONTHS = 13
FUNNEL = ("households_matched", "households_filed", "households_signed", "households_benefited", "interest_saved")
"""匹配 → 建档 → 授信 → 放款 (which the plan calls 惠及) → 减息; of the last, the households behind the sum count."""
_MONTHLY = (
    "loan_balance", "loan_disbursed", "households_benefited", "subsidy_fiscal", "interest_year_before",
    "interest_year_after",
)  # fmt: skip
_OF_SUBSIDY = ("subsidy_fiscal", "subsidy_claimed", "subsidy_paid", "subsidy_province", "subsidy_local", "subsidy_bank")
_OF_PRODUCT = ("households_benefited", "contracts_drawn", "loan_disbursed", "loan_balance", "interest_saved")


@dataclass(frozen=True)
class Goal:
    """A row of 附件1. ``change``: against the point before; ``trend``: at the months' ends, without hidden points."""

    no: int
    words: str
    unit: str
    target: Value
    now: Number | None
    completion: Value
    is_reached: bool | None
    change: Value
    trend: tuple[tuple[date, Decimal], ...]


@dataclass(frozen=True)
class Month:
    """How the loans stood on a month's last day with figures, and what came since the point before (None: first)."""

    day: date
    balance: Number
    lent: Number | None
    subsidy: Number | None
    rate_before: Value
    rate_after: Value


@dataclass(frozen=True)
class Subsidy:
    """A year's subsidy: ``budget`` in 万元, None where the policy names none; ``numbers`` in the order of
    _OF_SUBSIDY; ``used``: percent of the budget."""

    year: int
    since: date | None
    budget: Decimal | None
    numbers: tuple[Number, ...]
    used: Value


@dataclass(frozen=True)
class Dashboard:
    """Everything on the page. ``townships``: which may be chosen; ``township``, ``product``: which was."""

    day: date
    definitions: str
    is_current: bool  # of yesterday, by the present definitions
    policy: Policy | None
    outside: bool
    township: str
    product: str
    townships: Mapping[str, str]
    products: Mapping[str, str]
    goals: tuple[Goal, ...]
    whole: tuple[Number, ...] | None  # the funnel of the county, or of the township that was chosen
    funnel: tuple[Row, ...]
    by_product: tuple[Row, ...]
    months: tuple[Month, ...]
    subsidy: Subsidy
    overdue: Number


class Dashboards:
    """``townships``: their names by code."""

    def __init__(self, office: Office, townships: Mapping[str, str]) -> None:
        self._office = office
        self._figures = Figures(office)
        self._names = townships

    def show(
        self, actor: Actor, day: date | None = None, township: str = "", product: str = "", *, outside: bool = False
    ) -> Dashboard | None:
        """As of ``day`` or the last day before it that has figures; None where there is none.

        An account for some townships sees theirs, one at a time; one of a bank sees the whole county as the outside
        may, as does everybody with ``outside``: small cells hidden, nothing picked out. Raises NotAllowed.
        """
        outside = outside or actor.bank is not None
        actor.require(Permission.SEE_FIGURES, division="" if outside else None)
        yesterday = self._office.today() - timedelta(days=1)
        day = self._figures.last_until(actor, min(day or yesterday, yesterday))
        if day is None:
            return None
        table = self._figures.read_table(day)
        names = {code: self._names.get(code, code) for code in sorted({*table.townships, *self._names})}
        own = {code: name for code, name in names.items() if actor.cares_for(code)}
        if outside:
            township = product = ""
        elif actor.townships and not township:
            township = next(iter(own), actor.townships[0])
        if township:
            actor.require(Permission.SEE_FIGURES, division=township)
        return self._make(actor, table, own, township, product, outside)

    def _make(
        self, actor: Actor, table: DayTable, names: Mapping[str, str], township: str, product: str, outside: bool
    ) -> Dashboard:
        policy = self._policy(table.day)
        sight = Sight(table, self._before(actor, table.day), outside, township, product)
        days = self._figures.month_ends(actor, table.day, MONTHS)
        products = _products_of(policy)
        products |= {code: code for code in table.products if code not in products}
        yesterday = self._office.today() - timedelta(days=1)
        return Dashboard(
            day=table.day,
            definitions=table.definitions,
            is_current=table.day >= yesterday and table.definitions == VERSION,
            policy=policy,
            outside=outside,
            township=township,
            product=product,
            townships=names,
            products=products,
            goals=tuple(self._goals(actor, sight, policy, days)) if policy else (),
            whole=None if product else tuple(sight.get(figure, households=True) for figure in FUNNEL),
            funnel=tuple(sight.rows(FUNNEL, names, "township", households=True)),
            by_product=tuple(sight.rows(_OF_PRODUCT, products, "product")),
            months=tuple(self._months(sight, days)),
            subsidy=_subsidy(sight, policy),
            overdue=sight.get("loan_overdue"),
        )

    def product_names(self, day: date) -> dict[str, str]:
        """By code, of the policy in force."""
        return _products_of(self._policy(day))

    def _policy(self, day: date) -> Policy | None:
        """The one in force for the county; None where there is none, or several counties."""
        if len(self._office.divisions) != 1:
            return None
        (county,) = self._office.divisions
        try:
            return Policies(self._office).policy_for(county, day).policy
        except PolicyUnknown:
            return None

    def _before(self, actor: Actor, day: date) -> DayTable | None:
        """How the year before ended, if anything is kept of it."""
        last = self._figures.last_until(actor, date(day.year - 1, 12, 31))
        return self._figures.read_table(last) if last else None

    def _goals(self, actor: Actor, sight: Sight, policy: Policy, days: Sequence[date]) -> list[Goal]:
        earlier = self._figures.last_until(actor, sight.table.day.replace(day=1) - timedelta(days=1))
        before = sight.narrow(self._figures.read_table(earlier)) if earlier else None
        found = []
        for target, indicator, wanted in targets_of(policy.targets, sight.table.day.year):
            if sight.township or sight.product:
                wanted = None  # the plan's targets are the county's
            goal = None if wanted is None else target_in_unit(wanted)
            if indicator is None or (sight.product and not DEFINITIONS[indicator.figure].by_product):
                found.append(Goal(target.no, target.indicator, target.unit, goal, None, None, None, None, ()))
                continue
            now, measured, change = sight.measure(indicator, wanted, before)
            trend = self._trend(sight, indicator, days)
            found.append(
                Goal(
                    target.no, target.indicator, target.unit, goal, now, measured[0], measured[1], change, tuple(trend)
                )
            )
        return found

    def _trend(self, sight: Sight, indicator: Indicator, days: Sequence[date]) -> list[tuple[date, Decimal]]:
        """At each day, as the target counts it: of the running year only where it counts by the year."""
        names = ("income_before", "income_after") if indicator.compared is Compared.GROWTH else (indicator.figure,)
        cells = self._figures.read_series(names, days, sight.township, sight.product)
        found = []
        for day in days:
            of_day = [cells.get((name, day)) for name in names]
            known = [cell for cell in of_day if cell is not None]
            if len(known) < len(names) or (sight.outside and any(is_small(cell.households) for cell in known)):
                continue
            value = Decimal(known[-1].value * indicator.factor)
            if indicator.compared is Compared.GROWTH:
                grown = percent(known[1].value - known[0].value, known[0].value)
                if grown is None:
                    continue
                value = grown
            elif indicator.compared is Compared.YEAR:
                if day.year != sight.table.day.year:
                    continue
                value -= sight.before_cell(indicator.figure).value
            found.append((day, value.scaleb(-6) if indicator.unit == "万元" else value))
        return found

    def _months(self, sight: Sight, days: Sequence[date]) -> list[Month]:
        cells = self._figures.read_series(_MONTHLY, days, sight.township, sight.product)
        found: list[Month] = []
        for place, day in enumerate(days):
            earlier = days[place - 1] if place else None

            def get(figure: str, on: date | None) -> Cell:
                return cells.get((figure, on or date.min)) or Cell(figure, sight.township, sight.product, 0, 0)

            def since(figure: str, day: date = day, earlier: date | None = earlier) -> Number | None:
                if earlier is None:
                    return None
                return sight.number((get(figure, day), get(figure, earlier)), since=earlier)

            balance = get("loan_balance", day)
            is_hidden = sight.outside and is_small(balance.households)
            rates = [
                HIDDEN if is_hidden else _rate(cells.get((figure, day)), balance)
                for figure in ("interest_year_before", "interest_year_after")
            ]
            found.append(Month(day, sight.number((balance,)), since("loan_disbursed"), since("subsidy_fiscal"), *rates))
        return found


def _products_of(policy: Policy | None) -> dict[str, str]:
    return {one.code: one.name for one in policy.loan.products} if policy else {}


def _subsidy(sight: Sight, policy: Policy | None) -> Subsidy:
    year = sight.table.day.year
    numbers = tuple(sight.get(figure, this_year=True) for figure in _OF_SUBSIDY)
    budget = policy.subsidy.budget.get(str(year)) if policy and not (sight.township or sight.product) else None
    used: Value = None
    if budget is not None:
        amount = sight.table.get_cell("subsidy_fiscal").value - sight.before_cell("subsidy_fiscal").value
        used = HIDDEN if numbers[0].value is HIDDEN else percent(amount, budget)
    return Subsidy(year, sight.since, None if budget is None else wan(budget), numbers, used)


def _rate(interest: Cell | None, balance: Cell) -> Value:
    """A year's interest over the balance, in percent with two places; None where nothing is owed or it was no
    figure yet."""
    if interest is None or not balance.value:
        return None
    return (Decimal(100 * interest.value) / balance.value).quantize(Decimal("0.01"), ROUND_HALF_UP)
