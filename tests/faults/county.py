"""A county's bureau in the middle of its work: what nights, claims, reviews, visits and purges change."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import bureau_office
import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_CHECKER,
    PROVINCE,
    TOWNSHIP,
    add_households,
    make_account,
    make_office,
)
from failing_disk import FailingDisk
from handed_over import COUNTY
from lending import adopt_example, entry, lend, number_of, put_on_list
from parties import Made
from reviewing import add_waiting, begin, decide
from visiting import PLACE, plan_and_assign, png, to_be_visited

from keys.clock import SettableClock, parse_time
from matcher.attachments import FOLDER
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import STORE_SECRET, Office
from matcher.claims.service import Claims
from matcher.claims.steps import Step
from matcher.loans import Loans
from matcher.reviews import Reviews
from matcher.rows import fetch_all
from matcher.visits.service import Visits
from scripts.ending import one_command
from scripts.home import open_home

NOW = "2026-01-10T02:00:00Z"
_REVIEWED, _FROZEN = "2024-06-03T01:00:00Z", "2025-02-01T01:00:00Z"
_SECOND = Actor("yinhang-fuhe", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
_ACTING = (HANDLER, CHECKER, OTHER_CHECKER, MANAGER, BANK_ADMIN)  # in the commands that fail
_INTEREST = {
    2024: {"2024-06-20": 44_333, "2024-09-20": 97_111, "2024-12-20": 96_056},
    2025: {"2025-03-20": 95_000, "2025-05-10": 52_778},
}

# What the commands name.
PAYABLE, ACCRUING = 1, 2  # claims
CONFIRMING = 4, 5  # households
VISIT = 4


def acting(actor: Actor) -> tuple[str, ...]:
    """The options by which somebody signs in."""
    return "--as", actor.name, "--password-file", f"{actor.name}.password", "--config", "bureau"


def make_county(disk: FailingDisk, folder: Path) -> Made:
    """``folder`` with a bureau at :data:`NOW`: a family refused long ago; two with loans, whose claim of 2024 waits
    for its payment and is wrong in hindsight, and whose year 2025 is not claimed yet; two whose confirmation is over;
    one that is being visited; and a bank's file."""
    folder.mkdir()
    disk.do(folder, "bureau", "init", "bureau", "--name", "演示县", "--division", COUNTY)
    home = folder / "bureau"
    config = home / "mingce.toml"
    config.write_text(f"demo = true\n{config.read_text('utf-8')}", "utf-8")  # it takes the time from us
    with one_command(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(bureau_office, "SECRET", open_home(home, "bureau").open_keys().get_store_secret(STORE_SECRET))
        clock = SettableClock(parse_time(_REVIEWED))
        office = make_office(home, clock)
        _review(office)
        clock.at = parse_time(_FROZEN)
        _lend(office)
        _claim(office, folder)
        clock.at = parse_time(NOW)
        _leave_work(office, folder)
        for actor in _ACTING:
            (folder / f"{actor.name}.password").write_text(make_account(office, actor) + "\n", "utf-8")
        office.close()
    return Made(folder, home, "http://127.0.0.1:9")


def _review(office: Office) -> None:
    """Every family's way until June 2024."""
    begin(office)
    (refused,) = add_waiting(office, 1)
    decide(office, refused, "reject", reasons=["N01"], remark="收入超过上限")
    listed = add_households(office, 2, first=1)
    put_on_list(office, listed, adopt_example(office).sha256, date(2024, 1, 15))
    confirming = add_waiting(office, 2, first=3)
    reviews = Reviews(office)
    for household in confirming:
        decide(office, household)
    reviews.confirmations.begin(HANDLER, confirming)
    for household in confirming:
        reviews.confirmations.tell(HANDLER, household, "电话告知")
    reviews.deliberations.record(TOWNSHIP, confirming, "agreed", office.today())
    assert tuple(confirming) == CONFIRMING


def _lend(office: Office) -> None:
    """Two families borrowed and paid 2024's interest."""
    households = [number for (number,) in fetch_all(office.database, "SELECT household_id FROM listing")]
    for place, household in enumerate(households):
        lend(office, household, f"HT-{place}")
        _pay_interest(office, f"HT-{place}", 2024)


def _pay_interest(office: Office, contract_no: str, year: int) -> None:
    for day, amount in _INTEREST[year].items():
        Loans(office).record(BANK_ADMIN, BANK_NO, entry("interest", date.fromisoformat(day), amount, day, contract_no))


def _claim(office: Office, folder: Path) -> None:
    """The claim of 2024 as far as its payment."""
    claims, figures = Claims(office), folder / "figures.csv"
    claim = claims.open(BANK_ADMIN, BANK_NO, COUNTY, 2024)
    claims.freeze(BANK_ADMIN, claim)
    claims.export(BANK_ADMIN, claim, figures, "csv")
    claims.reconcile(BANK_ADMIN, claim, figures)
    claims.move(_SECOND, claim, Step.CHECK)
    for line in claims.sample(AUDITOR, claim, 1):
        claims.find(AUDITOR, claim, line, "ok")
    steps = [(AUDITOR, Step.AUDIT), (BANK_ADMIN, Step.SUBMIT), (HANDLER, Step.TAKE_UP), (CHECKER, Step.APPROVE)]
    for actor, step in [*steps, (HANDLER, Step.PASS_ON), (PROVINCE, Step.GRANT)]:
        claims.move(actor, claim, step)
    assert claim == PAYABLE


def _leave_work(office: Office, folder: Path) -> None:
    """What has come in since the last night: a suspension that reaches back, a payment, a visit begun, a bank's file;
    and what a killed process left of a photo."""
    Loans(office).suspend(HANDLER, 1, date(2024, 10, 1), reason="N31", remark="核实用途")
    Loans(office).resume(HANDLER, 1, date(2024, 11, 1))
    _pay_interest(office, "HT-0", 2025)
    assert Claims(office).open(BANK_ADMIN, BANK_NO, COUNTY, 2025) == ACCRUING
    visited = add_households(office, 1, first=5)
    to_be_visited(office, visited)
    assert plan_and_assign(office, visited) == [VISIT]
    Visits(office).start(MANAGER, VISIT, PLACE)
    (folder / "photo.png").write_bytes(png())
    (office.home / FOLDER / f"{'0' * 32}.sealed").write_bytes(b"what a killed process left")
    (folder / "loans.csv").write_text(_loan_file(number_of(office, 2)), "utf-8")


def _loan_file(item: str) -> str:
    """The rest of one loan's interest, its principal, and the next contract of the same family."""
    rows = [f"{day},还息,,HT-1,{day},{amount / 100:.2f},,,,,,,," for day, amount in _INTEREST[2025].items()]
    rows += [
        "2025-05-10,还本,,HT-1,end,100000,,,,,,,,",
        f"2025-06-02,承诺,{item},HT-2,,,,,,,,CN-2,纸质,见证人甲",
        f"2025-06-02,合同,{item},HT-2,,60000,jingying,4.35,3.8,2025-06-02,2025-12-02,,,",
        "2025-06-02,放款,,HT-2,1,60000,,,,,,,,",
    ]
    headings = "业务日期,业务类型,证件号码,合同编号,流水号,金额,产品,合同利率,客户利率,起息日,到期日"
    headings += ",承诺书编号,签署方式,见证人"
    return "\n".join([headings, *rows]) + "\n"
