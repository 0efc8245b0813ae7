"""What must come out, worked out in plain Python from what was published and asked: no store, no cryptography."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

CLOCK_WINDOW_S = 300
SHOWN_AS_EXCLUDED = {"N10", "N11", "N12"}

Label = tuple[str, str, str, str, str]
Published = dict[str, Label]


@dataclass(frozen=True)
class Person:
    """One row of the base list."""

    household_no: str
    household_size: int
    division: str
    reasons: tuple[str, ...]  # why it is not an expanding household; none if it is

    def as_row(self, item: str) -> str:
        yes = "否" if self.reasons else "是"
        reasons = "、".join(self.reasons)
        return f"{item},{self.household_no},{self.household_size},{self.division},{yes},{reasons}"

    def as_label(self) -> Label:
        """What a bank is to see of it."""
        shown = sorted({"NX1" if code in SHOWN_AS_EXCLUDED else code for code in self.reasons})
        expanding = "0" if self.reasons else "1"
        return self.household_no, str(self.household_size), self.division, expanding, ",".join(shown)


@dataclass(frozen=True)
class Edition:
    """What one edition says, and the list it was made from, as text."""

    rows: Published
    source: str
    made_at: datetime
    withdrawn: frozenset[str] = frozenset()  # the lists that the operator rolled back from


@dataclass
class Budget:
    """A full pass for the whole epoch, and so many elements more on each day."""

    limit: int
    nightly: int
    day: date


@dataclass
class Epoch:
    state: str = "pending"
    editions: list[Edition] = field(default_factory=list)  # edition 1 first
    budgets: dict[str, Budget] = field(default_factory=dict)  # by bank

    @property
    def current(self) -> Published:
        return self.editions[-1].rows if self.editions else {}


@dataclass(frozen=True)
class Sent:
    """One signed request as it reaches the province."""

    bank: str
    method: str
    path: str
    created: int
    nonce: str
    body: bytes

    @property
    def parts(self) -> list[str]:
        """Behind /v1/datasets/DATASET."""
        return self.path.split("/")[4:]

    @property
    def epoch(self) -> str:
        return self.parts[1]

    @property
    def request_id(self) -> str:
        return self.body[44:60].hex()

    @property
    def n(self) -> int:
        return int.from_bytes(self.body[8:12], "big")

    @property
    def is_evaluate(self) -> bool:
        return self.method == "POST" and self.parts[-1] == "evaluate"


@dataclass(frozen=True)
class Charge:
    bank: str
    request_id: str
    epoch: str
    n: int
    from_nightly: int
    day: date


class Province:
    """The rules of docs/reference/protocol.md section 6 as a table in memory."""

    def __init__(self) -> None:
        self.epochs: dict[str, Epoch] = {}
        self.current_epoch = ""
        self.suspended: set[str] = set()
        self.charges: dict[tuple[str, str], Charge] = {}  # by bank and request id
        self._nonces: set[tuple[str, str]] = set()

    def set_budget(self, bank: str, epoch: str, limit: int, nightly: int, now: datetime) -> None:
        """A day that a wrong clock put into the future comes back."""
        old, today = self.epochs[epoch].budgets.get(bank), province_day(now)
        day = today if old is None else min(old.day, today)
        self.epochs[epoch].budgets[bank] = Budget(limit, nightly, day)

    def used(self, bank: str, epoch: str) -> tuple[int, int]:
        """Of the full pass, and of all nights together."""
        charges = [charge for charge in self.charges.values() if (charge.bank, charge.epoch) == (bank, epoch)]
        nightly = sum(charge.from_nightly for charge in charges)
        return sum(charge.n for charge in charges) - nightly, nightly

    def answer(self, sent: Sent, now: datetime) -> str:
        """``ok`` or the problem's code, and whatever it changes."""
        if abs(sent.created - int(now.timestamp())) > CLOCK_WINDOW_S:
            return "clock_skew"
        if (sent.bank, sent.nonce) in self._nonces:
            return "replayed"
        self._nonces.add((sent.bank, sent.nonce))
        if sent.bank in self.suspended:
            return "not_granted"
        if len(sent.parts) < 2 or sent.parts[-1] == "records":
            return "ok"
        epoch = self.epochs[sent.epoch]
        if sent.is_evaluate:
            return self._charge(sent, now) if epoch.state == "active" else "key_epoch"
        if epoch.state == "pending":
            return "not_found"
        if epoch.state != "active":
            return "key_epoch"
        return "ok" if epoch.editions else "not_found"

    def _charge(self, sent: Sent, now: datetime) -> str:
        if (sent.bank, sent.request_id) in self.charges:
            return "ok"
        budget = self.epochs[sent.epoch].budgets[sent.bank]
        day = max(budget.day, province_day(now))
        today = sum(
            charge.from_nightly
            for charge in self.charges.values()
            if (charge.bank, charge.epoch, charge.day) == (sent.bank, sent.epoch, day)
        )
        from_nightly = sent.n - min(sent.n, max(0, budget.limit - self.used(sent.bank, sent.epoch)[0]))
        if from_nightly > max(0, budget.nightly - today):
            return "budget_exhausted"
        budget.day = day
        charge = Charge(sent.bank, sent.request_id, sent.epoch, sent.n, from_nightly, day)
        self.charges[sent.bank, sent.request_id] = charge
        return "ok"


def province_day(moment: datetime) -> date:
    """The calendar day in Beijing."""
    return (moment + timedelta(hours=8)).date()


def intersection(customers: list[str], published: Published, divisions: tuple[str, ...]) -> list[Label | None]:
    """For each customer the label, if they are on the list in one of the divisions that the bank looks in."""
    found = [published.get(item) for item in customers]
    return [label if label is not None and label[2][:6] in divisions else None for label in found]
