"""A county's households and loans laid straight into a scratch store: input for measuring and testing interest.

How a household comes onto the list and a loan into the books is not what is measured here, so the triggers that
guard it stand aside for the insertion. Never do this to a store in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from matcher.bureau.members import MemberWriter, Person
from matcher.bureau.office import Office
from matcher.policy import load_policy
from psi.identifiers import check_character

NOBODY = "made-up"
AT = "2025-01-01T00:00:00Z"


class Lender:
    """Adds made-up rows; ``policy``: a file, adopted by two made-up persons; ``bank``: a fingerprint."""

    def __init__(self, office: Office, policy: Path, bank: str = "b" * 64) -> None:
        self.office = office
        self.bank = bank
        loaded = load_policy(policy)
        self.policy, self.county = loaded.sha256, loaded.policy.county
        self.county_policy = loaded.policy
        self._next = 0
        with office.writing() as database:
            if not database.execute("SELECT 1 FROM bank WHERE fingerprint = ?", [bank]).fetchone():
                name = f"演示银行{bank[:4]}"
                self._insert("bank", fingerprint=bank, name=name, document="{}", added_at=AT)
            if not database.execute("SELECT 1 FROM policy WHERE sha256 = ?", [self.policy]).fetchone():
                self._insert("policy", sha256=loaded.sha256, county=self.county, version=loaded.policy.version,
                    valid_from=loaded.policy.valid_from.isoformat(), valid_to=loaded.policy.valid_to.isoformat(),
                    content=policy.read_bytes(), state="adopted", proposed_by=NOBODY, proposed_at=AT,
                    adopted_by=f"{NOBODY}-2", adopted_at=AT,
                )  # fmt: skip

    def add_household(
        self, listed: Sequence[tuple[date, date | None]] = ((date(2023, 1, 1), None),), ended_as: str = "GRADUATED"
    ) -> int:
        """On the final list from each first day to the second, which is not included. Returns its id."""
        with triggers_aside(self.office):
            return self._household(listed, ended_as)

    def add_loan(
        self,
        household_id: int,
        starts_on: date,
        ends_on: date,
        movements: Sequence[tuple[str, date, int]],
        *,
        contract_rate: str = "4.35",
        customer_rate: str = "3.8",
        state: str = "ACTIVE",
    ) -> int:
        """``movements``: kind, day, 分. Returns the loan's id."""
        with triggers_aside(self.office):
            rates = (contract_rate, customer_rate)
            return self._loan(household_id, starts_on, ends_on, movements, rates, state)

    def lay_county(self, households: int, loans: int, quarters: int, seed: int = 1) -> None:
        """``households`` in all; ``loans`` of them borrow once and pay their interest, the others are not listed."""
        random = Random(seed)  # noqa: S311 (made-up amounts)
        with triggers_aside(self.office):
            for place in range(households):
                household_id = self._household(((date(2023, 1, 1), None),) if place < loans else (), "")
                if place < loans:
                    self._lay_loan(household_id, quarters, random)

    def _lay_loan(self, household_id: int, quarters: int, random: Random) -> None:
        start = date(2023, 3, 21) + timedelta(days=random.randrange(90))
        end = date(start.year + -(-quarters // 4), start.month, min(start.day, 28))
        principal = random.randrange(1, 51) * 1_000_000
        movements = [("drawdown", start, principal), ("repayment", date(start.year, 12, 1), principal // 4)]
        for due in self.county_policy.subsidy.calendar.periods(start, end):
            movements.append(("interest", due.settled_on, principal * due.days * 4 // 36_000))
        rates = (f"4.{random.randrange(10, 95)}", "3.8")
        self._loan(household_id, start, end, movements, rates, "ACTIVE")

    def _household(self, listed: Sequence[tuple[date, date | None]], ended_as: str) -> int:
        self._next += 1
        name = f"{self.bank[:4]}{self._next:07d}"
        household_id = self._insert("household", dataset="base", household_no=name, state="FINAL", household_size="3",
            division=f"{self.county}100", township=f"{self.county}100", expanding="1", reasons="", list_year=2025,
            created_at=AT, updated_at=AT, state_since=AT,
        )  # fmt: skip
        body = f"990000{1960 + self._next // 1_000 % 40}0101{self._next % 1_000:03d}"
        person = Person(body + check_character(body), f"演示{self._next}")
        if listed:
            MemberWriter(self.office.database, self.office.personal, AT).put(household_id, person, "county")
        for number, (first, last) in enumerate(listed):
            decision_id = self._insert("decision", household_id=household_id, round=number + 1, verdict="approve",
                state="confirmed", reasons="", policy=self.policy, checks="{}", sealed=b"", digest="",
                proposed_by=NOBODY, proposed_at=AT, decided_by=f"{NOBODY}-2", decided_at=AT,
            )  # fmt: skip
            self._insert("listing", household_id=household_id, decision_id=decision_id, policy=self.policy,
                effective_from=first.isoformat(), effective_to=last and last.isoformat(),
                ended_as=ended_as if last else None,
            )  # fmt: skip
        return household_id

    def _loan(
        self,
        household_id: int,
        starts_on: date,
        ends_on: date,
        movements: Sequence[tuple[str, date, int]],
        rates: tuple[str, str],
        state: str,
    ) -> int:
        self._next += 1
        listing = self.office.database.execute(
            "SELECT MIN(listing_id) FROM listing WHERE household_id = ?", [household_id]
        ).fetchone()[0]
        member = self.office.database.execute(
            "SELECT member_id FROM member WHERE household_id = ?", [household_id]
        ).fetchone()[0]
        contract_no = f"演示合{self._next:07d}"
        commitment_id = self._insert("commitment", bank=self.bank, commitment_no=contract_no, household_id=household_id,
            signer=member, template_version="1", text_sha256="", contract_no=contract_no,
            signed_on=starts_on.isoformat(), way="paper", witness=NOBODY, entered_by=NOBODY, entered_at=AT,
        )  # fmt: skip
        loan_id = self._insert(
            "loan", household_id=household_id, borrower=member, bank=self.bank, contract_no=contract_no,
            commitment_id=commitment_id, listing_id=listing, product="jingying", state=state,
            subsidy_state="ELIGIBLE", applied_on=starts_on.isoformat(), signed_on=starts_on.isoformat(),
            starts_on=starts_on.isoformat(), ends_on=ends_on.isoformat(),
            principal=max(sum(amount for kind, _, amount in movements if kind == "drawdown"), 1),
            contract_rate=rates[0], customer_rate=rates[1], policy=self.policy, changed_at=AT, created_at=AT,
        )  # fmt: skip
        for number, (kind, on_day, amount) in enumerate(movements):
            self._insert("movement", loan_id=loan_id, reference=f"{kind}{number}", kind=kind,
                on_day=on_day.isoformat(), amount=amount, entered_at=AT,
            )  # fmt: skip
        return loan_id

    def _insert(self, table: str, **values: Any) -> int:
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 (our own names)
        return int(self.office.database.execute(sql, list(values.values())).lastrowid or 0)


@contextmanager
def triggers_aside(office: Office) -> Iterator[None]:
    """A transaction without the triggers that guard how rows come about; afterwards they stand again."""
    with office.writing() as database:
        guards: Mapping[str, str] = dict(
            database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        )
        for name in guards:
            database.execute(f"DROP TRIGGER {name}")
        yield
        for sql in guards.values():
            database.execute(sql)
