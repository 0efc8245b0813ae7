"""What moves on a contract: late, out of order, twice, taken back; overdue, extended, ended; suspended and stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pysqlite3
import pytest
from bureau_office import BANK_ADMIN, BANK_NO, CHECKER, HANDLER, OTHER_BANK_ADMIN, OTHER_BANK_NO, SECRET
from handed_over import COUNTY
from hypothesis import given, settings
from hypothesis import strategies as st
from lending import FIRST_DAY, LAST_DAY, entry, final_households, lend, take_off_list

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.loans import Loans, errors
from matcher.loans.accounts import LoanAccount, supported_movements
from matcher.loans.events import EntryReversed, Event, Extended, Overdue, OverdueEnded, Settled, WrittenOff
from matcher.loans.listing import Filter
from matcher.reasons import ReasonUnknown
from matcher.states import MoveInvalid
from matcher.subsidy.periods import Balance, Movement

DAY = timedelta(days=1)
SEPTEMBER = date(2024, 9, 1)
Enter = Callable[[Event], bool]


@pytest.fixture
def loan(office: Office) -> int:
    (household,) = final_households(office, 1)
    return lend(office, household)


@pytest.fixture
def enter(loans: Loans) -> Enter:
    """Whether the event was new."""
    return lambda event: loans.record(BANK_ADMIN, BANK_NO, event).is_new


def account(loans: Loans) -> LoanAccount:
    (found,) = loans.accounts_within()
    return found


def state(loans: Loans) -> str:
    return account(loans).state


def spans(loans: Loans) -> list[tuple[str, str, str]]:
    return [
        (span.kind, span.from_day.isoformat(), "" if span.to_day == date.max else span.to_day.isoformat())
        for span in account(loans).bare
    ]


def test_entries_come_late_and_in_any_order(loan: int, loans: Loans, enter: Enter) -> None:
    assert enter(entry("repayment", date(2024, 11, 30), 2_000_000, "3"))
    assert enter(entry("repayment", date(2024, 8, 15), 8_000_000, "2"))
    assert not enter(entry("repayment", date(2024, 8, 15), 8_000_000, "2"))
    assert enter(entry("interest", date(2024, 6, 20), 44_333, "9"))
    with pytest.raises(errors.EntryDiffers):
        enter(entry("repayment", date(2024, 8, 15), 8_000_001, "2"))
    with pytest.raises(errors.RepaidTooMuch):
        enter(entry("repayment", date(2024, 12, 1), 1, "4"))
    found = account(loans)
    assert [(m.on.isoformat(), m.amount) for m in found.movements] == [
        ("2024-05-10", 10_000_000),
        ("2024-08-15", -8_000_000),
        ("2024-11-30", -2_000_000),
    ]
    assert found.interest == (Movement(date(2024, 6, 20), 44_333),)
    assert found.supported == found.movements
    # The worked example of the plan: 200,000 lent would be twice this.
    assert Balance.of(found.movements).balance_days(FIRST_DAY, LAST_DAY) == 10_000_000 * 97 + 2_000_000 * 107


def test_what_is_owed_stays_between_nothing_and_the_principal(loan: int, enter: Enter) -> None:
    with pytest.raises(errors.PrincipalExceeded) as raised:
        enter(entry("drawdown", date(2024, 7, 1), 1, "2"))
    assert raised.value.params == {"on": "2024-07-01", "principal": "100,000.00", "owed": "100,000.01"}
    enter(entry("repayment", date(2024, 8, 1), 5_000_000, "2"))
    enter(entry("drawdown", date(2024, 8, 1), 5_000_000, "3"))  # drawn anew on the same day
    enter(entry("repayment", SEPTEMBER, 9_000_000, "4"))
    with pytest.raises(errors.RepaidTooMuch) as late:
        enter(entry("repayment", date(2024, 7, 1), 1_000_001, "5"))  # enough in July, too much by September
    assert late.value.params == {"on": "2024-09-01"}


@pytest.mark.parametrize(
    ("kind", "on", "error"),
    [
        ("drawdown", FIRST_DAY - DAY, errors.OutsideContract),
        ("drawdown", LAST_DAY, errors.DayInFuture),
        ("interest", FIRST_DAY - DAY, errors.OutsideContract),
        ("repayment", date(2025, 3, 4), errors.DayInFuture),
    ],
)
def test_days_outside_the_contract(loan: int, enter: Enter, kind: str, on: date, error: type[Exception]) -> None:
    with pytest.raises(error):
        enter(entry(kind, on, 1, "2"))


def test_nothing_is_repaid_before_it_is_drawn(office: Office, enter: Enter) -> None:
    (household,) = final_households(office, 1)
    lend(office, household, draw=False)
    for kind in ("repayment", "interest"):
        with pytest.raises(errors.RepaidTooMuch):
            enter(entry(kind, FIRST_DAY, 1, "1"))
    with pytest.raises(errors.LoanUnknown):
        enter(entry("drawdown", FIRST_DAY, 1, "1", "HT-9"))


def test_an_entry_is_taken_back_and_never_changed(loan: int, office: Office, loans: Loans, enter: Enter) -> None:
    wrong = entry("repayment", date(2024, 8, 15), 8_000_000, "2")
    enter(wrong)
    back = EntryReversed(on_day=date(2024, 8, 16), contract_no="HT-1", reference="R2", reversed_reference="2")
    assert enter(back)
    assert not enter(back)
    assert not enter(wrong)  # the file of that day again
    assert len(account(loans).movements) == 1
    shown = loans.show(HANDLER, loan).entries
    assert [(line["reference"], line["reversed_on"]) for line in shown] == [("1", None), ("2", "2024-08-16")]
    with pytest.raises(errors.EntryUnknown):
        enter(EntryReversed(on_day=SEPTEMBER, contract_no="HT-1", reference="R3", reversed_reference="2"))
    with pytest.raises(errors.EntryDiffers):
        enter(EntryReversed(on_day=SEPTEMBER, contract_no="HT-1", reference="R2", reversed_reference="1"))
    with pytest.raises(pysqlite3.IntegrityError, match="never changed"), office.writing() as database:
        database.execute("UPDATE movement SET amount = 1")


def test_a_drawdown_that_was_repaid_is_not_taken_back(loan: int, enter: Enter) -> None:
    enter(entry("repayment", SEPTEMBER, 1, "2"))
    with pytest.raises(errors.RepaidTooMuch):
        enter(EntryReversed(on_day=SEPTEMBER, contract_no="HT-1", reference="R1", reversed_reference="1"))


def test_overdue_days_and_their_end(loan: int, loans: Loans, enter: Enter) -> None:
    with pytest.raises(errors.SpanInvalid):
        enter(OverdueEnded(on_day=SEPTEMBER, contract_no="HT-1"))
    with pytest.raises(errors.SpanInvalid):
        enter(Overdue(on_day=FIRST_DAY, contract_no="HT-1"))
    assert enter(Overdue(on_day=SEPTEMBER, contract_no="HT-1"))
    assert not enter(Overdue(on_day=SEPTEMBER, contract_no="HT-1"))
    assert (state(loans), spans(loans)) == ("OVERDUE", [("overdue", "2024-09-01", "")])
    ended = OverdueEnded(on_day=date(2024, 9, 11), contract_no="HT-1")
    assert enter(ended)
    assert not enter(ended)
    assert (state(loans), spans(loans)) == ("ACTIVE", [("overdue", "2024-09-01", "2024-09-11")])
    assert not enter(Overdue(on_day=SEPTEMBER, contract_no="HT-1"))
    enter(Overdue(on_day=date(2024, 10, 1), contract_no="HT-1"))
    with pytest.raises(errors.SpanInvalid):
        enter(OverdueEnded(on_day=date(2024, 9, 30), contract_no="HT-1"))
    enter(OverdueEnded(on_day=date(2024, 10, 1), contract_no="HT-1"))
    assert spans(loans) == [("overdue", "2024-09-01", "2024-09-11")]


def test_an_extension_bears_no_subsidy_after_the_contracts_own_end(office: Office, loans: Loans, enter: Enter) -> None:
    (household,) = final_households(office, 1)
    first, end = date(2024, 2, 1), date(2024, 12, 1)
    lend(office, household, on_day=first, starts_on=first, ends_on=end)
    extended = Extended(on_day=date(2024, 11, 20), contract_no="HT-1", ends_on=date(2025, 2, 1))
    with pytest.raises(errors.SpanInvalid):
        enter(Extended(on_day=date(2024, 11, 20), contract_no="HT-1", ends_on=end))
    assert enter(extended)
    assert not enter(extended)
    assert (state(loans), spans(loans)) == ("EXTENDED", [("extension", "2024-12-01", "")])
    assert account(loans).ends_on == date(2025, 2, 1)
    lend(office, household, draw=False, on_day=first, starts_on=first, ends_on=end)  # the contract as it was signed
    enter(Overdue(on_day=date(2025, 2, 1), contract_no="HT-1"))
    enter(OverdueEnded(on_day=date(2025, 2, 5), contract_no="HT-1"))
    assert state(loans) == "EXTENDED"
    enter(entry("repayment", date(2025, 2, 5), 10_000_000, "2"))
    enter(Settled(on_day=date(2025, 2, 5), contract_no="HT-1"))
    assert state(loans) == "SETTLED"


def test_settled_on_its_last_day_or_early(office: Office, loans: Loans, enter: Enter) -> None:
    first, second = final_households(office, 2)
    early, last = date(2024, 6, 1), date(2024, 9, 10)
    for household, number, on in ((first, "HT-1", early), (second, "HT-2", last)):
        lend(office, household, number, ends_on=last)
        with pytest.raises(errors.BalanceLeft):
            enter(Settled(on_day=on, contract_no=number))
        enter(entry("repayment", on, 10_000_000, "2", number))
        with pytest.raises(errors.BalanceLeft):
            enter(Settled(on_day=on - DAY, contract_no=number))
        settled = Settled(on_day=on, contract_no=number)
        assert enter(settled)
        assert not enter(settled)
        assert enter(entry("interest", on, 5, "3", number))
        with pytest.raises(errors.LoanEnded):
            enter(entry("drawdown", on - DAY, 5, "4", number))
    found = loans.find(HANDLER, Filter())
    assert [(row.state, row.subsidy_state, row.ended_on) for row in found] == [
        ("EARLY_SETTLED", "COMPLETED", "2024-06-01"),
        ("SETTLED", "COMPLETED", "2024-09-10"),
    ]
    assert [row.contract_no for row in loans.find(HANDLER, Filter(state="SETTLED"))] == ["HT-2"]


def test_only_an_overdue_loan_is_written_off(loan: int, loans: Loans, enter: Enter) -> None:
    with pytest.raises(MoveInvalid):
        enter(WrittenOff(on_day=SEPTEMBER, contract_no="HT-1"))
    enter(Overdue(on_day=SEPTEMBER, contract_no="HT-1"))
    enter(WrittenOff(on_day=date(2025, 1, 1), contract_no="HT-1"))
    assert (state(loans), account(loans).ended_on) == ("WRITTEN_OFF", date(2025, 1, 1))
    assert spans(loans) == [("overdue", "2024-09-01", "")], "what is paid after it bears no subsidy either"


def test_the_county_suspends_resumes_and_stops_the_subsidy(loan: int, loans: Loans, enter: Enter) -> None:
    with pytest.raises(NotAllowed):
        loans.suspend(BANK_ADMIN, loan, SEPTEMBER, reason="N31")
    with pytest.raises(ReasonUnknown):
        loans.suspend(HANDLER, loan, SEPTEMBER, reason="N77")
    with pytest.raises(errors.SpanInvalid):
        loans.suspend(HANDLER, loan, FIRST_DAY - DAY, reason="N31")
    with pytest.raises(errors.DayInFuture):
        loans.stop(HANDLER, loan, date(2025, 3, 4), reason="N31")
    with pytest.raises(errors.LoanUnknown):
        loans.stop(HANDLER, 99, SEPTEMBER, reason="N31")
    assert loans.suspend(HANDLER, loan, SEPTEMBER, reason="N31", remark="改作他用").is_new
    assert not loans.suspend(HANDLER, loan, SEPTEMBER, reason="N31").is_new
    assert account(loans).subsidy_state == "SUSPENDED"
    with pytest.raises(errors.SpanInvalid):
        loans.resume(CHECKER, loan, SEPTEMBER)
    assert account(loans).subsidy_state == "SUSPENDED"
    loans.resume(CHECKER, loan, date(2024, 10, 1))
    with pytest.raises(MoveInvalid):
        loans.resume(CHECKER, loan, date(2024, 10, 2))
    loans.stop(CHECKER, loan, date(2024, 12, 1), reason="N31")
    assert account(loans).subsidy_state == "STOPPED"
    assert spans(loans) == [("suspension", "2024-09-01", "2024-10-01"), ("stop", "2024-12-01", "")]


def test_misuse_found_after_the_end_still_stops_the_subsidy_from_its_day(loan: int, loans: Loans, enter: Enter) -> None:
    enter(entry("repayment", SEPTEMBER, 10_000_000, "2"))
    enter(Settled(on_day=SEPTEMBER, contract_no="HT-1"))
    with pytest.raises(MoveInvalid):
        loans.suspend(HANDLER, loan, date(2024, 6, 1), reason="N31")
    loans.stop(HANDLER, loan, date(2024, 6, 1), reason="N31")
    assert account(loans).subsidy_state == "COMPLETED"
    assert spans(loans) == [("stop", "2024-06-01", "")]


def test_a_graduated_family_keeps_its_contract_and_gets_nothing_for_what_is_drawn_then(
    office: Office, loans: Loans, enter: Enter
) -> None:
    (household,) = final_households(office, 1)
    lend(office, household, draw=False)
    enter(entry("drawdown", FIRST_DAY, 4_000_000, "1"))
    take_off_list(office, household, "GRADUATED", SEPTEMBER)
    enter(entry("drawdown", SEPTEMBER - DAY, 1_000_000, "2"))
    enter(entry("drawdown", SEPTEMBER, 3_000_000, "3"))
    enter(entry("repayment", date(2024, 10, 1), 6_000_000, "4"))
    found = account(loans)
    assert found.bare == ()
    assert [(m.on, m.amount) for m in found.supported] == [
        (FIRST_DAY, 4_000_000),
        (SEPTEMBER - DAY, 1_000_000),
        (date(2024, 10, 1), -5_000_000),
    ]
    with pytest.raises(errors.NotOnFinalList):
        lend(office, household, "HT-2", on_day=SEPTEMBER, starts_on=SEPTEMBER)


def test_a_household_off_the_list_bears_no_subsidy_until_it_is_back(office: Office, loans: Loans, loan: int) -> None:
    (household,) = [found.household_id for found in loans.accounts_within()]
    take_off_list(office, household, "SUSPENDED", SEPTEMBER, "N31")
    assert spans(loans) == [("off_list", "2024-09-01", "")]
    assert account(loans).subsidy_state == "ELIGIBLE"


def test_every_change_raises_the_revision(loan: int, office: Office, loans: Loans, enter: Enter) -> None:
    revisions = [account(loans).revision]
    for event in (
        entry("repayment", SEPTEMBER, 1, "2"),
        EntryReversed(on_day=SEPTEMBER, contract_no="HT-1", reference="R2", reversed_reference="2"),
        Overdue(on_day=SEPTEMBER, contract_no="HT-1"),
    ):
        enter(event)
        revisions.append(account(loans).revision)
    loans.suspend(HANDLER, loan, SEPTEMBER, reason="N31")
    revisions.append(account(loans).revision)
    assert revisions == sorted(set(revisions))


def test_another_banks_contract_of_the_same_number_is_another_loan(loan: int, office: Office, loans: Loans) -> None:
    (household,) = {found.household_id for found in loans.accounts_within()}
    lend(office, household, "HT-1", actor=OTHER_BANK_ADMIN, bank=OTHER_BANK_NO, principal=100)
    assert [found.principal for found in loans.accounts_within()] == [10_000_000, 100]
    assert [found.loan_id for found in loans.accounts_within([2])] == [2]


def test_the_same_entry_from_two_processes_is_one(loan: int, office: Office) -> None:
    """Each with its own connection, as two processes have; the database decides who is first."""
    others = [Office(office.home, SECRET, office.clock, [COUNTY]) for _ in range(4)]
    together = threading.Barrier(len(others))

    def send(other: Office) -> bool:
        together.wait()
        return Loans(other).record(BANK_ADMIN, BANK_NO, entry("repayment", SEPTEMBER, 1_000_000, "2")).is_new

    with ThreadPoolExecutor(len(others)) as pool:
        done = list(pool.map(send, others))
    for other in others:
        other.close()
    assert sorted(done) == [False, False, False, True]
    assert len(account(Loans(office)).movements) == 2
    office.verify_audit()


MOVES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(-500, 500).filter(bool)).map(
        lambda pair: Movement(date(2024, 1, 1) + timedelta(days=pair[0]), pair[1])
    ),
    max_size=12,
)


@settings(max_examples=300)
@given(MOVES, st.integers(0, 31))
def test_the_supported_part_is_never_more_than_what_is_owed(moves: list[Movement], day: int) -> None:
    graduated = date(2024, 1, 1) + timedelta(days=day)
    owed, kept = 0, []
    for movement in sorted(moves, key=lambda m: (m.on, -m.amount)):  # only what a loan can have
        if owed + movement.amount >= 0:
            owed += movement.amount
            kept.append(movement)
    whole, part = Balance.of(kept), Balance.of(supported_movements(kept, graduated))
    for on in (date(2024, 1, 1) + timedelta(days=n) for n in range(32)):
        assert 0 <= part.on(on) <= whole.on(on)
        if on < graduated:
            assert part.on(on) == whole.on(on)
    assert Balance.of(supported_movements(kept, None)).amounts == whole.amounts
