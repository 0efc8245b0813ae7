"""What can happen to a loan, as a bank reports it. Amounts in 分, rates in percent a year, days of the calendar.

The same event again changes nothing: each carries its own natural key (a number of the bank's), and with
another content under the same key it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

EntryKind = Literal["drawdown", "repayment", "interest"]


@dataclass(frozen=True, kw_only=True)
class FacilityGranted:
    """授信: up to ``amount`` for a household until ``ends_on``. ``item``: a member's ID number, normalised."""

    on_day: date
    facility_no: str
    item: str = field(repr=False)
    amount: int
    ends_on: date
    manager: str = ""


@dataclass(frozen=True, kw_only=True)
class CommitmentSigned:
    """身份承诺书: ``item`` promises, for one contract."""

    on_day: date
    commitment_no: str
    contract_no: str
    item: str = field(repr=False)
    way: Literal["paper", "device"] = "paper"
    witness: str = ""
    template_version: str = ""  # the newest


@dataclass(frozen=True, kw_only=True)
class LoanApplied:
    """申请: a loan begins. Optional: a contract that nobody applied for here begins with itself."""

    on_day: date
    contract_no: str
    item: str = field(repr=False)
    product: str
    principal: int
    contract_rate: Decimal
    customer_rate: Decimal
    purpose: str = ""
    manager: str = ""


@dataclass(frozen=True, kw_only=True)
class ContractSigned(LoanApplied):
    """合同: signed on ``on_day``, whose policy counts for its whole life; interest from ``starts_on`` until the day
    before ``ends_on``. ``contract_rate`` is before any concession, ``customer_rate`` what the customer pays."""

    starts_on: date
    ends_on: date
    facility_no: str = ""
    commitment_no: str = ""  # else the one that names the contract


@dataclass(frozen=True, kw_only=True)
class Entry:
    """放款, 还本, 还息: ``reference`` is the bank's own number of the entry, unique within the contract."""

    on_day: date
    contract_no: str
    reference: str
    kind: EntryKind
    amount: int


@dataclass(frozen=True, kw_only=True)
class EntryReversed:
    """冲正: the bank took the entry ``reversed_reference`` back."""

    on_day: date
    contract_no: str
    reference: str
    reversed_reference: str


@dataclass(frozen=True, kw_only=True)
class Overdue:
    """逾期: from this day on."""

    on_day: date
    contract_no: str


@dataclass(frozen=True, kw_only=True)
class OverdueEnded:
    """逾期结束: this day bears subsidy again."""

    on_day: date
    contract_no: str


@dataclass(frozen=True, kw_only=True)
class Extended:
    """展期: until the day before ``ends_on``. Days after the contract's own end bear no subsidy."""

    on_day: date
    contract_no: str
    ends_on: date


@dataclass(frozen=True, kw_only=True)
class Settled:
    """结清: nothing is owed any more; before the contract's end it is settled early."""

    on_day: date
    contract_no: str


@dataclass(frozen=True, kw_only=True)
class WrittenOff:
    """核销."""

    on_day: date
    contract_no: str


Event: TypeAlias = (
    FacilityGranted
    | CommitmentSigned
    | LoanApplied
    | ContractSigned
    | Entry
    | EntryReversed
    | Overdue
    | OverdueEnded
    | Extended
    | Settled
    | WrittenOff
)


@dataclass(frozen=True)
class Recorded:
    """What came of an event: ``subject`` is its row, as loan/17; ``is_new`` is false if it stood there already."""

    subject: str
    is_new: bool
