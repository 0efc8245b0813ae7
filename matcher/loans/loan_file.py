"""A bank's daily loan file: its columns, and how a row becomes an event (docs/reference/loan-file.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property

from matcher.columns import ColumnMapping, Field
from matcher.loans import events
from matcher.loans.errors import FileBusinessUnknown
from matcher.loans.events import Event
from matcher.subsidy.lines import plain_yuan
from psi.errors import InputError
from psi.identifiers import Verdict, normalise_one

_OPTIONAL = {
    "contract_no": ("合同编号", "借款合同编号", "contract_no"),
    "reference": ("流水号", "交易流水号", "reference"),
    "amount": ("金额", "发生额", "amount"),
    "product": ("产品", "产品代码", "product"),
    "contract_rate": ("合同利率", "让利前利率", "contract_rate"),
    "customer_rate": ("客户利率", "执行利率", "customer_rate"),
    "starts_on": ("起息日", "starts_on"),
    "ends_on": ("到期日", "ends_on"),
    "facility_no": ("授信编号", "facility_no"),
    "commitment_no": ("承诺书编号", "commitment_no"),
    "way": ("签署方式", "way"),
    "witness": ("见证人", "witness"),
    "template_version": ("承诺书模板版本", "template_version"),
    "reversed_reference": ("原流水号", "reversed_reference"),
    "purpose": ("用途", "purpose"),
    "manager": ("客户经理", "manager"),
}
LOAN_FILE = ColumnMapping(
    {
        "on_day": Field(("业务日期", "on_day")),
        "kind": Field(("业务类型", "kind")),
        "number": Field(("证件号码", "身份证号码", "id_number")),
        **{name: Field(headers, required=False) for name, headers in _OPTIONAL.items()},
    }
)

KINDS = {
    "授信": "facility",
    "承诺": "commitment",
    "申请": "application",
    "合同": "contract",
    "放款": "drawdown",
    "还本": "repayment",
    "还息": "interest",
    "冲正": "reversal",
    "逾期": "overdue",
    "逾期结束": "overdue_end",
    "展期": "extension",
    "结清": "settled",
    "核销": "written_off",
}
"""业务类型, in the order in which the rows of one day are entered."""

_WAYS = {"纸质": "paper", "电子": "device", "paper": "paper", "device": "device"}
_DAY = re.compile(
    r"(\d{4})(?:-|/|\.|年)(\d{1,2})(?:-|/|\.|月)(\d{1,2})日?(?:[T ]00:00:00)?|(\d{4})(\d{2})(\d{2})", re.A
)
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,8})?")
_RATE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")


class CellUnusable(InputError):
    """A field cannot be read; params ``field``. ``reason`` is of matcher.rejects.ROW_REASONS."""

    code = "loan_cell_unusable"

    def __init__(self, field: str, reason: str = "bad_value") -> None:
        super().__init__(reason, field=field)
        self.field = field
        self.reason = reason


class Row:
    """One row's cells by field; a column that the file does not have is empty.

    ``item`` and ``verdict`` are what psi.identifiers made of the ID number, where a whole column was asked at once.
    """

    def __init__(self, cells: Mapping[str, str], item: str | None = None, verdict: Verdict | None = None) -> None:
        self._cells = cells
        self._item, self._verdict = (item, verdict) if verdict is not None else normalise_one(self.text("number"))

    def text(self, field: str) -> str:
        return self._cells.get(field, "").strip()

    def needed(self, field: str) -> str:
        if not (text := self.text(field)):
            raise CellUnusable(field)
        return text

    @cached_property
    def kind(self) -> str:
        """The event's kind. Raises FileBusinessUnknown."""
        word = self.text("kind")
        kind = KINDS.get(word, word if word in KINDS.values() else "")
        if not kind:
            raise FileBusinessUnknown("no such kind of business", kind=word[:20])
        return kind

    def item(self) -> str:
        if self._item is None:
            raise CellUnusable("number", self._verdict.code)
        return self._item

    def day(self, field: str) -> date:
        found = _DAY.fullmatch(self.text(field))
        if found is None:
            raise CellUnusable(field)
        try:
            return date(*(int(part) for part in found.groups() if part is not None))
        except ValueError:
            raise CellUnusable(field) from None

    def amount(self, field: str = "amount") -> int:
        """Yuan, perhaps with commas; whole 分."""
        text = self.text(field).removesuffix("元").replace(",", "")
        if not _AMOUNT.fullmatch(text) or (fen := Decimal(text) * 100) != int(fen):
            raise CellUnusable(field)
        return int(fen)

    def rate(self, field: str) -> Decimal:
        """Percent a year, with or without the sign."""
        text = self.text(field).removesuffix("%").strip()
        if not _RATE.fullmatch(text):
            raise CellUnusable(field)
        return Decimal(text)

    def way(self) -> str:
        word = self.text("way") or "paper"
        if word not in _WAYS:
            raise CellUnusable("way")
        return _WAYS[word]


def read_event(row: Row) -> Event:
    """Raises CellUnusable naming the field, FileBusinessUnknown."""
    return _READERS[row.kind](row)


def cells_of(event: Event) -> dict[str, str]:
    """The row that reads back as this event, by field."""
    cells = {"kind": _KIND_OF.get(type(event)) or str(getattr(event, "kind", ""))}
    for name, value in vars(event).items():
        if name in ("amount", "principal"):
            cells["amount"] = plain_yuan(value)
        elif name == "item":
            cells["number"] = value
        elif name != "kind":
            cells[name] = str(value)
    return cells | {"kind": next(word for word, kind in KINDS.items() if kind == cells["kind"])}


def _facility(row: Row) -> Event:
    return events.FacilityGranted(
        on_day=row.day("on_day"),
        facility_no=row.needed("facility_no"),
        item=row.item(),
        amount=row.amount(),
        ends_on=row.day("ends_on"),
        manager=row.text("manager"),
    )


def _commitment(row: Row) -> Event:
    return events.CommitmentSigned(
        on_day=row.day("on_day"),
        commitment_no=row.needed("commitment_no"),
        contract_no=row.needed("contract_no"),
        item=row.item(),
        way=row.way(),  # type: ignore[arg-type]  # one of the two
        witness=row.text("witness"),
        template_version=row.text("template_version"),
    )


def _application(row: Row) -> Event:
    return events.LoanApplied(
        on_day=row.day("on_day"),
        contract_no=row.needed("contract_no"),
        item=row.item(),
        product=row.needed("product"),
        principal=row.amount(),
        contract_rate=row.rate("contract_rate"),
        customer_rate=row.rate("customer_rate"),
        purpose=row.text("purpose"),
        manager=row.text("manager"),
    )


def _contract(row: Row) -> Event:
    applied = _application(row)
    return events.ContractSigned(
        **vars(applied),
        starts_on=row.day("starts_on"),
        ends_on=row.day("ends_on"),
        facility_no=row.text("facility_no"),
        commitment_no=row.text("commitment_no"),
    )


def _entry(row: Row) -> Event:
    return events.Entry(
        on_day=row.day("on_day"),
        contract_no=row.needed("contract_no"),
        reference=row.needed("reference"),
        kind=row.kind,  # type: ignore[arg-type]  # one of the three
        amount=row.amount(),
    )


def _reversal(row: Row) -> Event:
    return events.EntryReversed(
        on_day=row.day("on_day"),
        contract_no=row.needed("contract_no"),
        reference=row.needed("reference"),
        reversed_reference=row.needed("reversed_reference"),
    )


def _extension(row: Row) -> Event:
    return events.Extended(on_day=row.day("on_day"), contract_no=row.needed("contract_no"), ends_on=row.day("ends_on"))


def _turn(
    event: type[events.Overdue] | type[events.OverdueEnded] | type[events.Settled] | type[events.WrittenOff],
) -> Callable[[Row], Event]:
    return lambda row: event(on_day=row.day("on_day"), contract_no=row.needed("contract_no"))


_KIND_OF: Mapping[type[object], str] = {
    events.FacilityGranted: "facility",
    events.CommitmentSigned: "commitment",
    events.LoanApplied: "application",
    events.ContractSigned: "contract",
    events.EntryReversed: "reversal",
    events.Overdue: "overdue",
    events.OverdueEnded: "overdue_end",
    events.Extended: "extension",
    events.Settled: "settled",
    events.WrittenOff: "written_off",
}
_READERS: Mapping[str, Callable[[Row], Event]] = {
    "facility": _facility,
    "commitment": _commitment,
    "application": _application,
    "contract": _contract,
    "drawdown": _entry,
    "repayment": _entry,
    "interest": _entry,
    "reversal": _reversal,
    "overdue": _turn(events.Overdue),
    "overdue_end": _turn(events.OverdueEnded),
    "extension": _extension,
    "settled": _turn(events.Settled),
    "written_off": _turn(events.WrittenOff),
}
