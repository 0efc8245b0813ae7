"""扩中家庭贷款贴息申请汇总表: every line of a claim, and its totals by household and by contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlite_utils import Database

from matcher.bureau.members import open_member
from matcher.bureau.personal import PersonalData
from matcher.claims.queries import OPEN_LINES
from matcher.reports.document import Column, Report, Row, Table, yuan
from matcher.states import CLAIM
from psi.identifiers import mask

CLAIM_TITLE = "扩中家庭贷款贴息申请汇总表"
_AMOUNTS = ("gross", "interest_due", "interest_paid", "excess", "bank", "fiscal", "province", "local")
_WORDS = {
    "gross": "应计利息",
    "interest_due": "客户应付利息",
    "interest_paid": "客户已付利息",
    "excess": "超出部分",
    "bank": "银行让利",
    "fiscal": "财政贴息",
    "province": "其中省级",
    "local": "其中地方",
}
_WHY_NOT = {
    "overdue": "扣逾期",
    "extension": "扣展期",
    "suspension": "扣暂停",
    "stop": "已停贴",
    "cap": "超户限额",
    "graduated": "跃迁后提款",
    "off_list": "未在册",
}

_LINES = """
SELECT interest_line.*, loan.contract_no FROM interest_line JOIN loan USING (loan_id)
WHERE {where} ORDER BY loan.contract_no, period_start, kind DESC, line_id"""
_LOANS = """
SELECT loan.loan_id, h.household_id, h.household_no, member.member_id, member.sealed, loan.contract_no, loan.product,
       loan.starts_on, loan.ends_on, loan.principal, listing.effective_from, commitment.commitment_no
FROM loan JOIN household h USING (household_id) JOIN member ON member.member_id = loan.borrower
LEFT JOIN listing ON listing.listing_id = loan.listing_id
LEFT JOIN commitment ON commitment.commitment_id = loan.commitment_id
WHERE loan.loan_id IN (SELECT loan_id FROM interest_line WHERE {where})"""
_FLOWS = """
SELECT loan_id,
    SUM(CASE WHEN on_day <= :before THEN {signed} ELSE 0 END),
    SUM(CASE WHEN on_day > :before AND kind = 'drawdown' THEN amount ELSE 0 END),
    SUM(CASE WHEN on_day > :before AND kind = 'repayment' THEN amount ELSE 0 END)
FROM movement WHERE kind IN ('drawdown', 'repayment') AND on_day <= :end GROUP BY loan_id"""
_SIGNED = "CASE kind WHEN 'drawdown' THEN amount ELSE -amount END"


@dataclass(frozen=True)
class ClaimHead:
    """Whose claim, and how far it has come."""

    claim_id: int
    bank: str
    bank_name: str
    county: str
    year: int
    state: str
    through: str | None
    digest: str | None


@dataclass(frozen=True)
class _Loan:
    household_id: int
    household_no: str
    borrower: str = field(repr=False)
    masked_item: str
    contract_no: str
    product: str
    starts_on: date | None
    ends_on: date | None
    principal: int
    listed_from: date | None
    commitment_no: str
    opening: int
    lent: int
    repaid: int

    @property
    def closing(self) -> int:
        return self.opening + self.lent - self.repaid


def find_head(database: Database, claim_id: int) -> ClaimHead | None:
    """A claim by its number, or None."""
    row = database.execute(
        "SELECT claim_id, bank, name, county, year, state, through, digest FROM claim"
        " JOIN bank ON bank.fingerprint = claim.bank WHERE claim_id = ?",
        [claim_id],
    ).fetchone()
    return None if row is None else ClaimHead(*row)


def make_claim(
    database: Database,
    personal: PersonalData,
    head: ClaimHead,
    county_name: str,
    products: Mapping[str, str],
    made_on: date,
) -> Report:
    """Inside the caller's turn at the database. A claim still accruing is shown as freezing it now would make it."""
    if head.state == "ACCRUING":
        where, values = OPEN_LINES, [head.bank, head.year, head.county]
    else:
        where, values = "claim_id = ?1", [head.claim_id]
    lines = list(_records(database, _LINES.format(where=where), values))
    loans = _read_loans(database, personal, where, values, head.year, products)
    fields = (
        ("申报银行", head.bank_name),
        ("地区", county_name),
        ("年度", f"{head.year}年"),
        ("状态", CLAIM.words[head.state] + ("（草稿，未冻结）" if head.state == "ACCRUING" else "")),
        ("计息截至", head.through or "—"),
        ("编制日期", made_on.isoformat()),
        ("单位", "元"),
    )
    notes = [
        "应计利息按合同利率计算；超出部分 = 财政贴息 + 银行让利；财政贴息 = 省级 + 地方。"
        "标记“更正”的行是以前已冻结行的差额，可为负数。",
    ]
    if head.digest:
        notes.append(f"申报数据摘要（SHA-256）：{head.digest}")
    return Report(
        name="claim",
        subject=f"claim/{head.claim_id}",
        title=f"{county_name}{CLAIM_TITLE}",
        fields=fields,
        tables=(_line_table(lines, loans), _household_table(lines, loans), _contract_table(lines, loans)),
        notes=tuple(notes),
        signatures=("制表人", "银行复核", "财政审核", "负责人", "申报单位（盖章）"),
        paper="A3",
    )


def _records(database: Database, sql: str, values: list[Any]) -> Iterator[dict[str, Any]]:
    cursor = database.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())


def _read_loans(
    database: Database, personal: PersonalData, where: str, values: list[Any], year: int, products: Mapping[str, str]
) -> dict[int, _Loan]:
    ends = {"before": date(year - 1, 12, 31).isoformat(), "end": date(year, 12, 31).isoformat()}
    flows = {loan: rest for loan, *rest in database.execute(_FLOWS.format(signed=_SIGNED), ends).fetchall()}
    loans = {}
    for row in database.execute(_LOANS.format(where=where), values).fetchall():
        (
            loan_id,
            household_id,
            household_no,
            member_id,
            sealed,
            contract_no,
            product,
            start,
            end,
            principal,
            listed,
            commitment,
        ) = row
        person = open_member(personal, member_id, sealed)
        loans[loan_id] = _Loan(
            household_id,
            household_no,
            person.name,
            mask(person.item),
            contract_no,
            products.get(product, product),
            _day(start),
            _day(end),
            principal,
            _day(listed),
            commitment or "",
            *flows.get(loan_id, (0, 0, 0)),
        )
    return loans


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


_WHO = (
    Column("household_no", "家庭编号", "text", 21),
    Column("borrower", "借款人", "text", 9),
    Column("masked_item", "证件号码", "text", 20),
    Column("contract_no", "合同编号", "text", 25),
    Column("product", "贷款产品", "text", 11),
)
_MONEY = tuple(Column(name, _WORDS[name], width=12) for name in _AMOUNTS)
_BALANCES = (
    Column("opening", "年初余额", width=14),
    Column("lent", "本年发放", width=14),
    Column("repaid", "本年收回", width=14),
    Column("closing", "年末余额", width=14),
)


def _line_table(lines: list[dict[str, Any]], loans: Mapping[int, _Loan]) -> Table:
    columns = (
        Column("no", "序号", width=6),
        *_WHO,
        Column("starts_on", "合同起始日", "date", 11),
        Column("ends_on", "合同到期日", "date", 11),
        Column("principal", "贷款本金", width=13),
        Column("period_start", "计息起日", "date", 11),
        Column("period_end", "计息止日\n（不含）", "date", 11),
        Column("days", "天数", width=6),
        Column("balance_days", "余额积数\n（元·天）", width=16),
        Column("contract_rate", "合同利率%", width=8),
        Column("customer_rate", "客户利率%", width=8),
        *_MONEY,
        Column("listed_from", "名单生效日", "date", 11),
        Column("commitment_no", "承诺书编号", "text", 25),
        Column("flags", "标记", "text", 12),
    )
    rows: list[Row] = []
    for place, line in enumerate(lines, 1):
        loan, terms = loans[line["loan_id"]], json.loads(line["terms"])
        start, end = date.fromisoformat(line["period_start"]), date.fromisoformat(line["period_end"])
        rows.append(
            (
                place, loan.household_no, loan.borrower, loan.masked_item, loan.contract_no, loan.product,
                loan.starts_on, loan.ends_on, yuan(loan.principal), start, end, (end - start).days,
                yuan(line["balance_days"]), _rate(terms, "contract_rate"), _rate(terms, "customer_rate"),
                *_money([line]), loan.listed_from, loan.commitment_no, _flags(line),
            )
        )  # fmt: skip
    total: Row = (
        None,
        "合计",
        *[None] * 10,
        yuan(sum(line["balance_days"] for line in lines)),
        None,
        None,
        *_money(lines),
        None,
        None,
        None,
    )
    return Table("明细", CLAIM_TITLE, columns, tuple(rows), total)


def _rate(terms: Mapping[str, Any], name: str) -> Decimal:
    """Percent with two places, or more if it has more."""
    rate = Decimal(terms[name])
    return rate.quantize(Decimal("0.01")) if rate == rate.quantize(Decimal("0.01")) else rate


def _flags(line: Mapping[str, Any]) -> str:
    """更正 for an adjustment, and why some days or part of the balance bear no subsidy."""
    why = {piece[4] for piece in json.loads(line["pieces"])}
    words = [word for code, word in _WHY_NOT.items() if code in why]
    return "、".join((["更正"] if line["kind"] == "adjustment" else []) + words)


def _household_table(lines: list[dict[str, Any]], loans: Mapping[int, _Loan]) -> Table:
    columns = (
        Column("no", "序号", width=6),
        _WHO[0],
        Column("contracts", "合同数", width=8),
        *_BALANCES,
        Column("lines", "计息行数", width=9),
        *_MONEY,
    )
    groups = _grouped(lines, lambda line: loans[line["loan_id"]].household_no)
    rows: list[Row] = []
    for place, (household_no, group) in enumerate(sorted(groups.items()), 1):
        own = [loans[loan_id] for loan_id in {line["loan_id"] for line in group}]
        rows.append((place, household_no, len(own), *_balances(own), len(group), *_money(group)))
    total = (None, "合计", len(loans), *_balances(loans.values()), len(lines), *_money(lines))
    return Table("分户", "分户合计", columns, tuple(rows), total)


def _contract_table(lines: list[dict[str, Any]], loans: Mapping[int, _Loan]) -> Table:
    columns = (Column("no", "序号", width=6), *_WHO, *_BALANCES, Column("lines", "计息行数", width=9), *_MONEY)
    groups = _grouped(lines, lambda line: line["loan_id"])
    rows: list[Row] = []
    for place, (loan_id, group) in enumerate(groups.items(), 1):
        loan = loans[loan_id]
        who = (loan.household_no, loan.borrower, loan.masked_item, loan.contract_no, loan.product)
        rows.append((place, *who, *_balances([loan]), len(group), *_money(group)))
    total = (None, "合计", None, None, None, None, *_balances(loans.values()), len(lines), *_money(lines))
    return Table("分合同", "分合同合计", columns, tuple(rows), total)


def _grouped(lines: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], Any]) -> dict[Any, list[dict[str, Any]]]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return groups


def _money(lines: Iterable[Mapping[str, Any]]) -> tuple[Decimal, ...]:
    kept = list(lines)
    return tuple(yuan(sum(line[name] for line in kept)) for name in _AMOUNTS)


def _balances(loans: Iterable[_Loan]) -> tuple[Decimal, ...]:
    kept = list(loans)
    return tuple(yuan(sum(getattr(loan, name) for loan in kept)) for name in ("opening", "lent", "repaid", "closing"))
