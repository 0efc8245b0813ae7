"""One account's work on one bank's loans, inside a transaction that the caller opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlite_utils import Database

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.households.policies import Policies
from matcher.loans.errors import DayInFuture, LoanUnknown
from matcher.states import LOAN, SUBSIDY

ENDED = ("SETTLED", "EARLY_SETTLED", "WRITTEN_OFF")


@dataclass(frozen=True)
class Work:
    """``bank``: the fingerprint of the bank whose loans these are; ``file_id``: the file that reports them, if any."""

    office: Office
    policies: Policies
    actor: Actor
    bank: str
    file_id: int | None = None
    _references: dict[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def database(self) -> Database:
        return self.office.database

    def first(self, sql: str, values: list[object]) -> dict[str, Any] | None:
        """The first row by column name, or None."""
        cursor = self.database.execute(sql, values)
        row = cursor.fetchone()
        return None if row is None else {about[0]: cell for about, cell in zip(cursor.description, row, strict=True)}

    def insert(self, table: str, values: Mapping[str, object]) -> int:
        """Returns the new row's number."""
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  (both are ours)
        return int(self.database.execute(sql, list(values.values())).lastrowid or 0)

    def reference(self, item: str) -> bytes:
        """The blind index of an ID number; a file asks for the same one several times."""
        if item not in self._references:
            self._references[item] = self.office.personal.item_reference(item)
        return self._references[item]

    def find_loan(self, contract_no: str) -> dict[str, Any] | None:
        """None if there is none. Raises LoanUnknown if it is another county's or township's than the account's care."""
        found = self.first(
            "SELECT loan.*, division FROM loan JOIN household USING (household_id)"
            " WHERE loan.bank = ? AND contract_no = ?",
            [self.bank, contract_no],
        )
        if found is not None and not self.actor.cares_for(found.pop("division")):
            raise LoanUnknown("no such loan at this bank", contract_no=contract_no)
        return found

    def loan(self, contract_no: str) -> dict[str, Any]:
        """The loan of a contract or an application. Raises LoanUnknown."""
        found = self.find_loan(contract_no)
        if found is None:
            raise LoanUnknown("no such loan at this bank", contract_no=contract_no)
        return found

    def move(self, loan: dict[str, Any], wanted: str, **values: object) -> None:
        """Take a loan to another state and set ``values`` with it. Raises MoveInvalid."""
        LOAN.check(loan["state"], wanted)
        self.change(loan, state=wanted, **values)

    def move_subsidy(self, loan: dict[str, Any], wanted: str) -> None:
        """Raises MoveInvalid."""
        SUBSIDY.check(loan["subsidy_state"], wanted)
        self.change(loan, subsidy_state=wanted)

    def change(self, loan: dict[str, Any], **values: object) -> None:
        """Set columns of a loan, and have its interest computed again. ``loan`` follows."""
        values = {**values, "changed_at": self.office.now(), "revision": loan["revision"] + 1}
        columns = ", ".join(f"{name} = ?" for name in values)
        sql = f"UPDATE loan SET {columns} WHERE loan_id = ?"  # noqa: S608  (the names are ours)
        self.database.execute(sql, [*values.values(), loan["loan_id"]])
        loan.update(values)

    def record(self, action: str, subject: str, **content: Any) -> int:
        """The audit row. See Office.record_within."""
        if self.file_id is not None:
            content["file"] = self.file_id
        return self.office.record_within(self.actor, action, subject, **content)

    def require_past(self, day: date) -> None:
        """Raises DayInFuture."""
        if day > self.office.today():
            raise DayInFuture("it has not happened yet", on=day.isoformat())


def same(row: Mapping[str, object], values: Mapping[str, object]) -> bool:
    """Whether a stored row already says all of ``values``."""
    return all(row[name] == value for name, value in values.items())
