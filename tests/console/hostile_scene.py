"""A bureau at work into which hostile text came by every real way in: hand-overs, forms, files, names of accounts.

Each way has its own mark, ``W01`` and so on, so that a test can say which of them it has seen as text, and where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest
from bureau_office import (
    ADMIN,
    BANK_ADMIN,
    CHECKER,
    HANDLER,
    OTHER_ADMIN,
    SECRET,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    person,
)
from console.scene import working_console
from console_server import RunningConsole
from handed_over import BANK, BUREAU, COUNTY, RUN, Match, screening
from lending import lend
from made_check import MINZHENG
from reviewing import FITTING, add_waiting, decide
from visiting import collect, form_values, household_items, plan_and_assign, to_be_visited

from keys.clock import format_time
from keys.identity import Identity
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.bureau.actors import Permission, Role
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.checks.service import DepartmentChecks
from matcher.downloads import Downloads, Wanted
from matcher.handover import read_handover, write_handover
from matcher.households import Households
from matcher.loans import Loans
from matcher.loans.errors import ValueInvalid
from matcher.policy import list_examples
from matcher.reviews import Reviews
from matcher.rows import fetch_all
from matcher.visits.service import Visits

RUNS = "<img src=x onerror=alert(1)>"
PAYLOADS = (
    RUNS,
    '"><script>alert(2)</script>',
    "'><svg onload=alert(3)>",
    "</title></textarea><script>alert(4)</script>",
    "{{7*7}}${7*7}<%=7*7%>",
    'javascript:alert(5)//"onfocus=alert(6) autofocus',
    "=cmd|'/c calc'!A1",
)
TURNED = "\u202egnp.exe\u2066\u200f"
"""Text that reads another way round than it is stored."""


def hostile(way: int, length: int = 200, *, turned: bool = True) -> str:
    """The mark of a way, and one payload after the other as far as they fit."""
    text = f"W{way:02d}"
    for payload in (*((TURNED,) if turned else ()), *PAYLOADS[way % len(PAYLOADS) :], *PAYLOADS):
        if len(text) + len(payload) <= length:
            text += payload
    return text


HOSTILE_BANK = Identity(hostile(1, 90, turned=False), "bank", bytes([11]) * 32)
HANDED_OVER_NAME = f"W02{RUNS}{TURNED}\x07\x1b[31m"


@contextmanager
def hostile_console(home: Path) -> Iterator[RunningConsole]:
    with working_console(home / "bureau") as (running, world):
        office = running.office
        hand_over_hostile(office, home)
        name_accounts(office)
        visit_and_review(office)
        speak_and_write(office, world.final, world.refused, world.planned)
        enter_loans(office, world.final, home)
        yield running


def hand_over_hostile(office: Office, folder: Path) -> None:
    """A registered bank whose name, purpose and customers' names are hostile (W01 to W04)."""
    store = BureauStore(office.home, SECRET, office.clock, [COUNTY], Random(3).randbytes)
    try:
        store.add_bank(HOSTILE_BANK.public)
        rows = [
            Match(person(800 + place), household_no=f"W03{RUNS}", name=HANDED_OVER_NAME, division=TOWNSHIP_CODE)
            for place in range(2)
        ]
        run = replace(RUN, purpose=hostile(4), legal_basis=hostile(4), run_id="cd" * 16)
        path = folder / "敌意.mch"
        write_handover(
            path, identity=HOSTILE_BANK, bureau=BUREAU.public, run=run, created_at=format_time(office.clock.now()),
            records=[screening(rows)],
        )  # fmt: skip
        done = store.import_handover(
            read_handover(path, identity=BUREAU, trusted_banks=[HOSTILE_BANK.public]), HANDLER.name
        )
        assert done.accepted == 2
        again = [Match(person(800), household_no=f"W03{RUNS}", name=f"W05{RUNS}", division=TOWNSHIP_CODE)]
        write_handover(
            path, identity=BANK, bureau=BUREAU.public, run=RUN, created_at="2025-07-01T09:00:00Z",
            records=[screening(again)],
        )  # fmt: skip
        store.import_handover(read_handover(path, identity=BUREAU, trusted_banks=[BANK.public]), HANDLER.name)
    finally:
        store.close()


def name_accounts(office: Office) -> None:
    """W06: the name that an account is shown with."""
    for place, admin in enumerate((ADMIN, OTHER_ADMIN)):
        shown = hostile(6, 40, turned=False)
        Accounts(office).propose(admin, NewAccount(f"hostile{place}", shown, frozenset({Role.HANDLER})))


def visit_and_review(office: Office) -> None:
    """W08, W10 to W22: whatever a form has room for, and what is said of visits and decisions."""
    (family,) = add_waiting(
        office, first=30, consent_no=hostile(10, 60, turned=False), head__manager=hostile(11, 60, turned=False),
        head__address=hostile(12, turned=False), head__village=hostile(13, 60, turned=False),
        members__1__name=hostile(14, 60, turned=False), members__1__work=hostile(15, turned=False),
        income__evidence=hostile(16, turned=False), debts__0__lender=hostile(17, 60, turned=False),
        debts__0__use=hostile(17, turned=False), needs__0__use=hostile(18, turned=False),
        conclusion__remark=hostile(19, turned=False),
    )  # fmt: skip
    for conflict in Households(office).list_conflicts(HANDLER, household_id=family):  # another name than the match's
        Households(office).settle(HANDLER, conflict.conflict_id, hostile(8), name=0)
    Reviews(office).decisions.propose(HANDLER, family, "approve", remark=hostile(20))
    to_visit = add_households(office, 2, first=32)
    to_be_visited(office, to_visit)
    returned, cancelled = plan_and_assign(office, to_visit)
    values = form_values(household_items(32), office.today().isoformat(), **FITTING)
    collect(office, returned, values)
    Visits(office).return_visit(CHECKER, returned, hostile(21))
    Visits(office).cancel(HANDLER, cancelled, hostile(22))


def speak_and_write(office: Office, final: int, refused: int, planned: int) -> None:
    """W23 to W33: what families and colleagues say, why files are taken, which document a department wrote."""
    reviews = Reviews(office)
    reviews.objections.appeal(TOWNSHIP, refused, who=hostile(23), why=hostile(24), received_on=office.today())
    (approved,) = add_waiting(office, first=34)
    decide(office, approved, remark=hostile(25))
    reviews.confirmations.begin(HANDLER, [approved])
    reviews.confirmations.tell(HANDLER, approved, hostile(26))
    said = hostile(27)
    reviews.deliberations.record(TOWNSHIP, [approved], "objected", office.today(), why=said)
    (member,) = fetch_all(
        office.database, "SELECT member_id FROM member WHERE household_id = ? AND left_at IS NULL LIMIT 1", [planned]
    )
    DepartmentChecks(office).enter(
        HANDLER, member[0], "minzheng", MINZHENG, label=None, as_of=office.today(), document_no=hostile(28, 60)
    )
    sheet = Wanted(hostile(29), f"{hostile(30, 80)}.csv", "household", Permission.SEE_HOUSEHOLDS, personal=True)
    Downloads(office).ask(HANDLER, sheet, _write, reason=hostile(31), key="ab" * 16)
    (waiting,) = add_households(office, 1, first=36)
    Households(office).refine_many(HANDLER, [waiting], "out", reasons=("N01",), remark=hostile(32))
    (content,) = [path.read_text("utf-8") for path in list_examples() if path.name.startswith(COUNTY)]
    changed = content.replace('title = "', f'title = "{_in_toml(hostile(33))}').replace(
        'name = "共富经营贷"', f'name = "{_in_toml(hostile(34, 40))}"'
    )
    Households(office).policies.propose(HANDLER, changed.replace('version = "', 'version = "9').encode(), "敌意.toml")


def enter_loans(office: Office, final: int, folder: Path) -> None:
    """W35 to W39: what a bank's people write into contracts and daily files."""
    start = office.today()
    changes = {"manager": hostile(35, 60), "purpose": hostile(36)}
    with pytest.raises(ValueInvalid):
        lend(office, final, hostile(37, 40), on_day=start, starts_on=start, ends_on=date(2026, 3, 1), **changes)
    loan = lend(office, final, "HT-9", on_day=start, starts_on=start, ends_on=date(2026, 3, 1), **changes)
    Loans(office).suspend(HANDLER, loan, start, reason="N31", remark=hostile(38))
    headings = "业务日期,业务类型,证件号码,合同编号,流水号,金额,产品,合同利率,客户利率,起息日,到期日,承诺书编号"
    cell = hostile(39, 60).replace('"', '""')
    (folder / "日报.csv").write_text(f'{headings}\n2025-07-01,放款,,"{cell}",9,100,,,,,,\n', "utf-8")
    Loans(office).import_file(BANK_ADMIN, BANK.public.fingerprint, folder / "日报.csv")


def _write(path: Path) -> int:
    path.write_text("演示", "utf-8")
    return 1


def _in_toml(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


NAMES: Sequence[str] = (
    f"{RUNS}.csv", '"><script>alert(2)</script>.xlsx', "\u202egnp.csv", "a\nb\r\nX-Evil: 1.csv", "{{7*7}}.csv",
    "../../" + RUNS + ".png",
)  # fmt: skip
"""Of files that are sent in."""
