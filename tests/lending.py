"""Households on the final list without the months that lead there, for the tests of what comes after.

The guards of the way there are put aside for the moment of writing, and stand again afterwards: the loans' own are
what is tested here. tests/reviews and tests/matcher hold the way to the list itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal

from bureau_office import BANK_ADMIN, BANK_NO, CHECKER, HANDLER, TOWNSHIP_CODE, add_households
from sqlite_utils import Database

from matcher.bureau.actors import Actor
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.households.policies import Policies
from matcher.loans import Loans
from matcher.loans.events import CommitmentSigned, ContractSigned, Entry
from matcher.policy import list_examples
from matcher.policy.reading import LoadedPolicy

FIRST_DAY = date(2024, 5, 10)  # of the worked example of the plan's arithmetic
LAST_DAY = date(2025, 5, 10)


def adopt_example(office: Office, county: str = "330922") -> LoadedPolicy:
    """The county's example policy, adopted by two persons; again it changes nothing."""
    (path,) = [path for path in list_examples() if path.name.startswith(county)]
    policies, content = Policies(office), path.read_bytes()
    proposed = policies.propose(HANDLER, content, path.name)
    policies.adopt(CHECKER, proposed.sha256)
    return policies.by_sha256(proposed.sha256)


def final_households(
    office: Office, count: int, *, first: int = 0, since: date = date(2024, 1, 15), division: str = TOWNSHIP_CODE
) -> list[int]:
    """Import households and put them on the final list from a day on; returns their ids."""
    policy = adopt_example(office)
    found = add_households(office, count, first=first, division=division)
    put_on_list(office, found, policy.sha256, since)
    return found


def put_on_list(office: Office, households: Sequence[int], policy: str, since: date) -> None:
    with office.writing() as database, unguarded(database, "household", "decision", "listing"):
        for household_id in households:
            decision = database.execute(
                "INSERT INTO decision (household_id, round, verdict, state, reasons, policy, checks, sealed, digest,"
                " proposed_by, proposed_at, decided_by, decided_at)"
                " VALUES (?, 1, 'approve', 'confirmed', '', ?, '{}', x'', '', ?, ?, ?, ?)",
                [household_id, policy, HANDLER.name, office.now(), CHECKER.name, office.now()],
            ).lastrowid
            database.execute("UPDATE household SET state = 'FINAL' WHERE household_id = ?", [household_id])
            database.execute(
                "INSERT INTO listing (household_id, decision_id, policy, effective_from) VALUES (?, ?, ?, ?)",
                [household_id, decision, policy, since.isoformat()],
            )


def take_off_list(office: Office, household_id: int, ended_as: str, on: date, reasons: str = "N30") -> None:
    """GRADUATED, SUSPENDED or REMOVED from a day on."""
    with office.writing() as database, unguarded(database, "household", "listing"):
        database.execute("UPDATE household SET state = ? WHERE household_id = ?", [ended_as, household_id])
        database.execute(
            "UPDATE listing SET effective_to = ?, ended_as = ?, reasons = ?"
            " WHERE household_id = ? AND effective_to IS NULL",
            [on.isoformat(), ended_as, reasons, household_id],
        )


@contextmanager
def unguarded(database: Database, *tables: str) -> Iterator[None]:
    """Without these tables' triggers."""
    everything = database.execute("SELECT name, sql, tbl_name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    triggers = [(name, sql) for name, sql, table in everything if table in tables]
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        database.execute(sql)


def number_of(office: Office, household_id: int, place: int = 0) -> str:
    """A member's ID number."""
    rows = office.database.execute(
        "SELECT member_id, sealed FROM member WHERE household_id = ? ORDER BY member_id", [household_id]
    ).fetchall()
    return open_member(office.personal, *rows[place]).item


def contract(item: str, number: str = "HT-1", **changes: object) -> ContractSigned:
    """100,000 yuan at 4.35 %, 3.8 % for the customer, from 2024-05-10 for a year."""
    return replace(
        ContractSigned(
            on_day=FIRST_DAY,
            contract_no=number,
            item=item,
            product="jingying",
            principal=10_000_000,
            contract_rate=Decimal("4.35"),
            customer_rate=Decimal("3.8"),
            starts_on=FIRST_DAY,
            ends_on=LAST_DAY,
            manager="客户经理甲",
        ),
        **changes,
    )


def commitment(item: str, number: str = "HT-1", on: date = FIRST_DAY) -> CommitmentSigned:
    return CommitmentSigned(on_day=on, commitment_no=f"CN-{number}", contract_no=number, item=item, witness="见证人甲")


def entry(kind: str, on: date, amount: int, reference: str, number: str = "HT-1") -> Entry:
    return Entry(on_day=on, contract_no=number, reference=reference, kind=kind, amount=amount)  # type: ignore[arg-type]


def lend(
    office: Office,
    household_id: int,
    number: str = "HT-1",
    *,
    actor: Actor = BANK_ADMIN,
    bank: str = BANK_NO,
    draw: bool = True,
    **changes: object,
) -> int:
    """A signed contract with its commitment, and its whole principal drawn on the first day; returns the loan's id."""
    loans, item = Loans(office), number_of(office, household_id)
    signed = contract(item, number, **changes)
    loans.record(actor, bank, commitment(item, number, signed.on_day))
    done = loans.record(actor, bank, signed)
    if draw:
        loans.record(actor, bank, entry("drawdown", signed.starts_on, signed.principal, "1", number))
    return int(done.subject.removeprefix("loan/"))
