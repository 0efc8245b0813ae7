"""What each figure is: its words, its unit, and the SQL that lists the records it is made of.

A figure is never anything but the sum (or the number) of its records, so tracing it and computing it cannot differ.
Each statement gives one row for each record: ``kind`` (its table), ``id`` (its number), ``household`` (its id, or
null), ``township``, ``product`` and ``value``. It may use the parameters of :class:`matcher.figures.records.AsOf`.
All figures are as of the end of a day: either a position on that day, or what has come together since the programme
began. What came in a month or a year is the difference of two days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from matcher.figures.families import FAMILY_OF

VERSION = "3"
"""Of all definitions together; raise it with every change of one."""


class Unit(StrEnum):
    HOUSEHOLDS = "户"
    VISITS = "户次"
    CONTRACTS = "笔"
    PRODUCTS = "个"
    FEN = "分"


class Counted(StrEnum):
    """How records become a number: households once each, records, or the sum of their values."""

    HOUSEHOLDS = "households"
    RECORDS = "records"
    SUM = "sum"


class Basis(StrEnum):
    POSITION = "position"  # how it stands at the end of the day
    CUMULATIVE = "cumulative"  # all since the programme began


@dataclass(frozen=True)
class Definition:
    """One figure. ``meaning`` is for docs/reference/figures.md; ``by_product``: its records have one product each."""

    name: str
    zh: str
    unit: Unit
    counted: Counted
    basis: Basis
    by_product: bool
    meaning: str
    records: str


def _households(name: str, zh: str, meaning: str, source: str, *, position: bool = False) -> Definition:
    """``source``: FROM and WHERE of a statement over ``h`` (household) and what the record is."""
    basis = Basis.POSITION if position else Basis.CUMULATIVE
    return Definition(name, zh, Unit.HOUSEHOLDS, Counted.HOUSEHOLDS, basis, False, meaning, source)


_LOAN_MOVEMENTS = """
SELECT 'loan' AS kind, loan.loan_id AS id, loan.household_id AS household, h.township, loan.product,
       {amount} AS value
FROM movement JOIN loan USING (loan_id) JOIN household h USING (household_id)
WHERE movement.on_day <= :day AND movement.kind IN ({kinds})
GROUP BY loan.loan_id HAVING {amount} <> 0"""

_BALANCE = "SUM(CASE movement.kind WHEN 'drawdown' THEN movement.amount ELSE -movement.amount END)"
_PRINCIPAL = "'drawdown', 'repayment'"


def _loans(name: str, zh: str, unit: Unit, meaning: str, amount: str, kinds: str) -> Definition:
    counted = {Unit.HOUSEHOLDS: Counted.HOUSEHOLDS, Unit.CONTRACTS: Counted.RECORDS, Unit.FEN: Counted.SUM}[unit]
    basis = Basis.POSITION if amount == _BALANCE else Basis.CUMULATIVE
    return Definition(name, zh, unit, counted, basis, True, meaning, _LOAN_MOVEMENTS.format(amount=amount, kinds=kinds))


# A rate in percent is kept as text; here it is a whole number of ten-thousandths of a percent.
_RATE = (
    "CAST(REPLACE(SUBSTR(loan.{rate} || IIF(INSTR(loan.{rate}, '.'), '', '.') || '0000',"
    " 1, INSTR(loan.{rate} || '.', '.') + 4), '.', '') AS INTEGER)"
)
_YEARS_INTEREST = f"(2 * {_BALANCE} * {_RATE} + 1000000) / 2000000"


def _years_interest(name: str, zh: str, meaning: str, rate: str) -> Definition:
    """Over the balance it gives the average rate, weighted by what each loan still owes."""
    amount = _YEARS_INTEREST.format(rate=rate)
    records = _LOAN_MOVEMENTS.replace("HAVING {amount} <> 0", f"HAVING {_BALANCE} <> 0")
    statement = records.format(amount=amount, kinds=_PRINCIPAL)
    return Definition(name, zh, Unit.FEN, Counted.SUM, Basis.POSITION, True, meaning, statement)


_LINES = """
SELECT 'interest_line' AS kind, line_id AS id, loan.household_id AS household, h.township, loan.product,
       interest_line.{part} AS value
FROM interest_line JOIN loan USING (loan_id) JOIN household h USING (household_id)
WHERE interest_line.settled_on <= :day{only}"""

_IN_STATE = """ AND EXISTS (
    SELECT 1 FROM claim_step step
    WHERE step.claim_id = interest_line.claim_id AND step.to_state = '{state}' AND step.at < :before)"""


def _lines(name: str, zh: str, meaning: str, part: str, only: str = " AND claimable = 1") -> Definition:
    """The sum of one amount of the interest lines: of those that may be claimed, because their interest is paid."""
    statement = _LINES.format(part=part, only=only)
    return Definition(name, zh, Unit.FEN, Counted.SUM, Basis.CUMULATIVE, True, meaning, statement)


_FILED = """
SELECT 'visit' AS kind, visit_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM visit JOIN household h USING (household_id)
WHERE visit.state = 'ACCEPTED' AND visit.decided_at < :before"""

_FACILITIES_BY = """
SELECT 'facility' AS kind, facility_id AS id, household AS household, township, '' AS product, amount AS value
FROM (
    SELECT facility_id, h.household_id AS household, h.township, amount, ROW_NUMBER() OVER (
        PARTITION BY {family}, facility.bank ORDER BY agreed_on DESC, facility_id DESC) AS place
    FROM facility JOIN household h USING (household_id) WHERE agreed_on <= :day)
WHERE place = 1"""
_FACILITIES = _FACILITIES_BY.format(family=FAMILY_OF.format(household="facility.household_id"))

_INCOMES = """
SELECT 'form' AS kind, (pair.value ->> {form}) AS id, h.household_id AS household, h.township, '' AS product,
       pair.value ->> {income} AS value
FROM json_each(:incomes) pair JOIN household h ON h.household_id = pair.value ->> 0"""


def _definitions() -> Iterator[Definition]:
    yield _households(
        "households_matched",
        "匹配候选家庭",
        "households that hand-overs or the county's supplements brought in by the day",
        """
SELECT 'household' AS kind, household_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM household h WHERE created_at < :before""",
    )
    yield _households(
        "households_to_visit",
        "列入待入户调查名单",
        "households that had been put on the list of those to visit (待入户调查名单) by the day",
        """
SELECT 'household' AS kind, household_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM household_move JOIN household h USING (household_id) WHERE to_state = 'TO_VISIT' AND at < :before
GROUP BY household_id""",
    )
    yield Definition(
        "visits_made",
        "走访户次",
        Unit.VISITS,
        Counted.RECORDS,
        Basis.CUMULATIVE,
        False,
        "visits begun at the door by the day, with those that failed",
        """
SELECT 'visit_move' AS kind, move_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM visit_move JOIN visit USING (visit_id) JOIN household h USING (household_id)
WHERE to_state = 'STARTED' AND at < :before""",
    )
    yield _households(
        "households_filed",
        "走访、建档扩中家庭",
        "households with an information form (信息采集表) accepted by the day",
        _FILED,
    )
    yield _households(
        "households_listed",
        "最终名单在册家庭",
        "households on the final list on the day",
        """
SELECT 'listing' AS kind, listing_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM listing JOIN household h USING (household_id)
WHERE effective_from <= :day AND (effective_to IS NULL OR effective_to > :day)""",
        position=True,
    )
    yield _households(
        "households_graduated",
        "跃迁家庭",
        "households that left the final list as graduated (跃迁) by the day",
        """
SELECT 'listing' AS kind, listing_id AS id, household_id AS household, h.township, '' AS product, 1 AS value
FROM listing JOIN household h USING (household_id) WHERE ended_as = 'GRADUATED' AND effective_to <= :day""",
    )
    yield _households(
        "households_signed",
        "签约、授信扩中家庭",
        "households with a credit facility agreed by the day, whether or not it has ended",
        _FACILITIES,
    )
    yield Definition(
        "facility_amount",
        "总授信金额",
        Unit.FEN,
        Counted.SUM,
        Basis.CUMULATIVE,
        False,
        "the facilities agreed by the day; of each household and bank the newest one, so that a renewal counts once",
        _FACILITIES,
    )
    yield _loans(
        "households_benefited",
        "惠及扩中家庭",
        Unit.HOUSEHOLDS,
        "households with at least one loan drawn by the day, repaid or not",
        "SUM(movement.amount)",
        "'drawdown'",
    )
    yield _loans(
        "households_borrowing",
        "有贷款余额家庭",
        Unit.HOUSEHOLDS,
        "households with principal outstanding at the end of the day",
        _BALANCE,
        _PRINCIPAL,
    )
    yield _loans(
        "contracts_drawn",
        "放款合同",
        Unit.CONTRACTS,
        "loan contracts with at least one drawdown by the day",
        "SUM(movement.amount)",
        "'drawdown'",
    )
    yield _loans(
        "loan_disbursed",
        "累计放款",
        Unit.FEN,
        "all drawdowns by the day",
        "SUM(movement.amount)",
        "'drawdown'",
    )
    yield _loans(
        "loan_balance",
        "各项贷款余额",
        Unit.FEN,
        "principal outstanding at the end of the day: drawdowns less repayments",
        _BALANCE,
        _PRINCIPAL,
    )
    yield Definition(
        "loan_overdue",
        "逾期贷款余额",
        Unit.FEN,
        Counted.SUM,
        Basis.POSITION,
        True,
        "principal outstanding of the loans that are overdue on the day",
        _LOAN_MOVEMENTS.format(amount=_BALANCE, kinds=_PRINCIPAL).replace(
            "GROUP BY",
            """AND EXISTS (
    SELECT 1 FROM loan_span WHERE loan_span.loan_id = loan.loan_id AND loan_span.kind = 'overdue'
    AND from_day <= :day AND (to_day IS NULL OR to_day > :day))
GROUP BY""",
        ),
    )
    yield _years_interest(
        "interest_year_before",
        "余额按合同利率的年利息",
        "a year's interest on the balance of the day at the contract's rate before the concession, each loan half up",
        "contract_rate",
    )
    yield _years_interest(
        "interest_year_after",
        "余额按客户利率的年利息",
        "a year's interest on the balance of the day at the rate that the customer pays, each loan half up",
        "customer_rate",
    )
    yield _lines(
        "interest_paid",
        "客户已付利息",
        "what customers have paid of the interest settled by the day",
        "interest_paid",
        "",
    )
    yield _lines(
        "interest_saved",
        "减少扩中家庭贷款利息支出",
        "interest above the target rate, which finance and the bank bear, of the lines settled by the day and paid",
        "excess",
    )
    yield _lines("subsidy_fiscal", "财政贴息", "the fiscal share of the lines settled by the day and paid", "fiscal")
    yield _lines("subsidy_bank", "银行让利", "the bank's share of the lines settled by the day and paid", "bank")
    yield _lines("subsidy_province", "其中省级", "the province's part of the fiscal share", "province")
    yield _lines("subsidy_local", "其中地方", "the county's part of the fiscal share", "local")
    yield _lines(
        "subsidy_claimed",
        "已申报财政贴息",
        "the fiscal share in claims submitted by the day",
        "fiscal",
        _IN_STATE.format(state="SUBMITTED"),
    )
    yield _lines(
        "subsidy_paid",
        "已拨付财政贴息",
        "the fiscal share in claims paid by the day",
        "fiscal",
        _IN_STATE.format(state="PAID"),
    )
    yield Definition(
        "products_offered",
        "推出共富贷系列产品",
        Unit.PRODUCTS,
        Counted.RECORDS,
        Basis.POSITION,
        True,
        "products of the county's policy in force on the day",
        """
SELECT 'policy' AS kind, :policy AS id, NULL AS household, '' AS township, value AS product, 1 AS value
FROM json_each(:products)""",
    )
    yield Definition(
        "income_before",
        "有贷款家庭原收入",
        Unit.FEN,
        Counted.SUM,
        Basis.POSITION,
        False,
        "yearly income in an accepted form at least 300 days older than the newest, of households with a loan drawn",
        _INCOMES.format(form=1, income=2),
    )
    yield Definition(
        "income_after",
        "有贷款家庭现收入",
        Unit.FEN,
        Counted.SUM,
        Basis.POSITION,
        False,
        "yearly income in the newest accepted form of the same households",
        _INCOMES.format(form=3, income=4),
    )


DEFINITIONS: dict[str, Definition] = {definition.name: definition for definition in _definitions()}
