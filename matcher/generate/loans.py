"""Made-up loans to the households of a final list, as a bank's daily files: years of lending, repaying, going overdue.

The same seed and household give the same loans, whatever else is on the list.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Literal

import pyarrow as pa

from keys.files import make_folder
from matcher.columns import ColumnMapping, Field
from matcher.exports import write_export
from matcher.loans import events
from matcher.loans.events import Event
from matcher.loans.loan_file import LOAN_FILE, cells_of
from matcher.loans.terms import add_months
from matcher.policy import Policy
from matcher.subsidy.arithmetic import compute_parts
from matcher.subsidy.periods import Balance, Movement, Period
from matcher.tables import read_table
from psi.errors import InputError
from psi.identifiers import normalise_one

Format = Literal["csv", "xlsx"]
Per = Literal["day", "month"]

FINAL_LIST = ColumnMapping(
    {
        "number": Field(("证件号码",)),
        "household_no": Field(("家庭编号",)),
        "since": Field(("生效日期",)),
        "until": Field(("终止日期",), required=False),
    }
)
_DAY = timedelta(days=1)
_WAN = 1_000_000  # 分
_PRINCIPALS = (2, 3, 5, 8, 10, 10, 15, 20, 20, 30)  # ten thousand yuan
_ABOVE_TARGET = ("-0.10", "0.20", "0.35", "0.55", "0.55", "0.75", "1.05")  # points of the contract's rate
_MANAGERS = ("客户经理甲", "客户经理乙", "客户经理丙", "客户经理丁")
_RENEWS, _SECOND_DRAW, _MISTAKE = 0.6, 0.15, 0.02


class NumbersMasked(InputError):
    """The list shows masked ID numbers: it is not the copy that a bank gets; params ``row``."""

    code = "final_list_masked"


@dataclass(frozen=True)
class Listed:
    """A household of the final list: its borrower, and the days (half-open) on which it is on the list."""

    household_no: str
    item: str = field(repr=False)
    since: date
    until: date = date.max


@dataclass(frozen=True)
class LoanSpec:
    """``share`` of the households borrow. Nothing is reported after ``until``."""

    policy: Policy
    since: date
    until: date
    share: float = 0.4
    seed: int = 1


@dataclass
class LoanSummary:
    """What was made: ``rows`` by 业务类型."""

    files: list[Path] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)


def read_final_list(path: Path) -> list[Listed]:
    """A final list as it is exported for a bank. Raises NumbersMasked and the errors of matcher.tables.read_table."""
    found = []
    for batch in read_table(path, FINAL_LIST):
        cells = [column.to_pylist() for column in batch.columns.values()]
        for row, values in zip(batch.rows.to_pylist(), zip(*cells, strict=True), strict=True):
            about = dict(zip(batch.columns, values, strict=True))
            item, _ = normalise_one(about["number"] or "")
            if item is None:
                raise NumbersMasked("an ID number that is none", row=row)
            until = about.get("until") or ""
            last = date.fromisoformat(until) if until else date.max
            found.append(Listed(about["household_no"], item, date.fromisoformat(about["since"]), last))
    return found


def generate_loan_files(
    folder: Path, households: Sequence[Listed], spec: LoanSpec, *, per: Per = "day", format: Format = "csv"
) -> LoanSummary:
    """Write 贷款日报-YYYYMMDD files (YYYYMM ``per`` month), only for days on which something happened."""
    make_folder(folder)
    by_file: dict[str, list[Event]] = defaultdict(list)
    for household in households:
        for event in make_loans(household, spec):
            by_file[f"{event.on_day:%Y%m%d}" if per == "day" else f"{event.on_day:%Y%m}"].append(event)
    summary = LoanSummary()
    for name in sorted(by_file):
        rows = [cells_of(event) for event in sorted(by_file[name], key=lambda event: event.on_day)]
        path = folder / f"贷款日报-{name}.{format}"
        _write(path, rows, format)
        summary.files.append(path)
        summary.rows.update(row["kind"] for row in rows)
    return summary


def make_loans(household: Listed, spec: LoanSpec) -> Iterator[Event]:
    """Everything a bank reports of one household's loans, by day; nothing for one that does not borrow."""
    source = Random(f"{spec.seed} loans {household.household_no}")
    if source.random() >= spec.share:
        return
    told = _Story(household, spec, source).tell()
    yield from sorted((event for event in told if event.on_day <= spec.until), key=lambda event: event.on_day)


@dataclass
class _Contract:
    """One contract as it goes along."""

    number: str
    start: date
    end: date
    principal: int
    rate: Decimal
    moved: list[Movement] = field(default_factory=list)
    entries: int = 0

    @property
    def days(self) -> int:
        return (self.end - self.start).days


class _Story:
    """One household's borrowing: a facility, and contracts under it, one after the other."""

    def __init__(self, household: Listed, spec: LoanSpec, source: Random) -> None:
        self._household, self._rules, self._source = household, spec.policy, source
        self._spec = spec
        self._manager = source.choice(_MANAGERS)
        self._told: list[Event] = []

    def tell(self) -> list[Event]:
        source, rules = self._source, self._rules
        granted = max(self._household.since, self._spec.since) + source.randrange(5, 200) * _DAY
        if not self._may_sign(granted):
            return []
        amount = min(source.choice(_PRINCIPALS) * _WAN * 2, rules.loan.household_cap)
        self._facility_no = f"SX-{self._household.household_no}"
        self._told.append(
            events.FacilityGranted(
                on_day=granted,
                facility_no=self._facility_no,
                item=self._household.item,
                amount=amount,
                ends_on=add_months(granted, 36),
                manager=self._manager,
            )
        )
        start, number = granted + source.randrange(1, 30) * _DAY, 1
        while self._may_sign(start):
            end = self._lend(start, amount // 2, number)
            if source.random() >= _RENEWS:
                break
            start, number = end + source.randrange(1, 20) * _DAY, number + 1
        return self._told

    def _may_sign(self, on: date) -> bool:
        rules = self._rules
        return self._household.since <= on < self._household.until and rules.valid_from <= on <= rules.valid_to

    def _lend(self, start: date, principal: int, number: int) -> date:
        """One contract from signing to its end; returns the day it ended."""
        source, rules = self._source, self._rules
        months = source.choice([rules.loan.longest_months, rules.loan.longest_months, rules.loan.longest_months // 2])
        rate = rules.subsidy.target_rate + Decimal(source.choice(_ABOVE_TARGET))
        contract = _Contract(
            f"HT-{self._household.household_no}-{number}", start, add_months(start, max(months, 1)), principal, rate
        )
        self._sign(contract)
        self._draw(contract)
        fates = {
            self._repaid: 70,
            self._prepaid: 12,
            self._early: 8,
            self._late: 6,
            self._extended: 3,
            self._lost: 1,
        }
        (fate,) = source.choices(list(fates), weights=list(fates.values()))
        return fate(contract)

    def _sign(self, contract: _Contract) -> None:
        source, rules = self._source, self._rules
        item, on_day = self._household.item, contract.start
        self._told.append(
            events.CommitmentSigned(
                on_day=on_day,
                commitment_no=contract.number.replace("HT", "CN"),
                contract_no=contract.number,
                item=item,
                way=source.choice(("paper", "device")),
                witness=self._manager,
            )
        )
        self._told.append(
            events.ContractSigned(
                on_day=on_day,
                contract_no=contract.number,
                item=item,
                product=source.choice(rules.loan.products).code,
                principal=contract.principal,
                contract_rate=contract.rate,
                customer_rate=min(contract.rate, rules.loan.highest_rate),
                starts_on=contract.start,
                ends_on=contract.end,
                facility_no=self._facility_no,
                purpose="生产经营",
                manager=self._manager,
            )
        )

    def _draw(self, contract: _Contract) -> None:
        """At once, or in two parts."""
        if self._source.random() < _SECOND_DRAW:
            self._enter(contract, contract.start, contract.principal // 2)
            self._enter(
                contract, contract.start + contract.days // 4 * _DAY, contract.principal - contract.principal // 2
            )
        else:
            self._enter(contract, contract.start, contract.principal)

    def _repaid(self, contract: _Contract) -> date:
        if self._source.random() < _MISTAKE:
            self._mistake(contract)
        self._pay_interest(contract, contract.end)
        return self._settle(contract, contract.end)

    def _prepaid(self, contract: _Contract) -> date:
        """Part of it in the middle of the term."""
        part = contract.principal * self._source.choice((2, 3, 5)) // 10
        self._enter(contract, contract.start + contract.days // 2 * _DAY, -part)
        return self._repaid(contract)

    def _early(self, contract: _Contract) -> date:
        on = contract.start + contract.days * self._source.randrange(40, 90) // 100 * _DAY
        self._pay_interest(contract, on)
        return self._settle(contract, on)

    def _late(self, contract: _Contract) -> date:
        """A period's interest is paid weeks late; those days are overdue."""
        periods = self._periods(contract, contract.end)
        late = self._source.choice(periods[:-1] or periods)
        since = late.settled_on + _DAY
        until = min(since + self._source.randrange(3, 40) * _DAY, contract.end - _DAY)
        self._pay_interest(contract, contract.end, {late: until})
        if since < until:
            self._told.append(events.Overdue(on_day=since, contract_no=contract.number))
            self._told.append(events.OverdueEnded(on_day=until, contract_no=contract.number))
        return self._settle(contract, contract.end)

    def _extended(self, contract: _Contract) -> date:
        end = add_months(contract.end, self._source.randrange(1, 4))
        on_day = contract.end - 5 * _DAY
        self._told.append(events.Extended(on_day=on_day, contract_no=contract.number, ends_on=end))
        self._pay_interest(contract, end)
        return self._settle(contract, end)

    def _lost(self, contract: _Contract) -> date:
        """Never repaid: overdue from its end, written off later. Nothing more is lent."""
        self._pay_interest(contract, contract.end - 100 * _DAY)
        self._told.append(events.Overdue(on_day=contract.end, contract_no=contract.number))
        on_day = contract.end + 180 * _DAY
        self._told.append(events.WrittenOff(on_day=on_day, contract_no=contract.number))
        return self._rules.valid_to + _DAY

    def _mistake(self, contract: _Contract) -> None:
        """The bank enters a repayment that was another customer's, and takes it back the next day."""
        on_day = contract.start + contract.days // 3 * _DAY
        reference = self._reference(contract)
        wrong = events.Entry(
            on_day=on_day, contract_no=contract.number, reference=reference, kind="repayment", amount=_WAN
        )
        back = events.EntryReversed(
            on_day=on_day + _DAY, contract_no=contract.number, reference=f"{reference}R", reversed_reference=reference
        )
        self._told += [wrong, back]

    def _periods(self, contract: _Contract, until: date) -> list[Period]:
        return self._rules.subsidy.calendar.periods(contract.start, until)

    def _pay_interest(self, contract: _Contract, until: date, late: Mapping[Period, date] | None = None) -> None:
        """The customer's share of each period, on the day it falls due, or on another for those that are ``late``."""
        terms, balance = self._rules.subsidy.terms(contract.rate), Balance.of(contract.moved)
        for period in self._periods(contract, until):
            due = compute_parts(balance.balance_days(period.start, period.end), terms).customer
            if due:
                self._tell_entry(contract, (late or {}).get(period, period.settled_on), "interest", due)

    def _settle(self, contract: _Contract, on: date) -> date:
        self._enter(contract, on, -sum(movement.amount for movement in contract.moved))
        self._told.append(events.Settled(on_day=on, contract_no=contract.number))
        return on

    def _enter(self, contract: _Contract, on: date, amount: int) -> None:
        contract.moved.append(Movement(on, amount))
        self._tell_entry(contract, on, "drawdown" if amount > 0 else "repayment", abs(amount))

    def _tell_entry(self, contract: _Contract, on: date, kind: events.EntryKind, amount: int) -> None:
        reference = self._reference(contract)
        self._told.append(
            events.Entry(on_day=on, contract_no=contract.number, reference=reference, kind=kind, amount=amount)
        )

    def _reference(self, contract: _Contract) -> str:
        contract.entries += 1
        return f"{contract.number}/{contract.entries}"


def _write(path: Path, rows: Sequence[Mapping[str, str]], format: Format) -> None:
    used = [name for name in LOAN_FILE.fields if any(row.get(name) for row in rows) or name == "number"]
    columns = {
        LOAN_FILE.fields[name].headers[0]: pa.array([row.get(name, "") for row in rows], pa.string()) for name in used
    }
    write_export(path, columns, format=format, id_columns=[LOAN_FILE.fields["number"].headers[0]])
