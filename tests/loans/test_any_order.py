"""Whatever a bank reports, in whatever order: typed refusals, and a loan that is always one that can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from bureau_office import BANK_ADMIN, BANK_NO, HANDLER, make_office
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lending import FIRST_DAY, contract, entry, final_households, lend, number_of

from matcher.bureau.office import Office
from matcher.loans import Loans
from matcher.loans.events import EntryReversed, Event, Extended, Overdue, OverdueEnded, Settled, WrittenOff
from matcher.loans.work import ENDED
from matcher.states import LOAN
from matcher.subsidy.periods import Balance
from psi.errors import MingceError

EXAMPLES = 80
DAYS = st.integers(0, 290).map(lambda n: FIRST_DAY + timedelta(days=n))
AMOUNTS = st.sampled_from([1, 4_000_000, 6_000_000, 10_000_000])
REFERENCES = st.sampled_from("abcdef")


def events() -> st.SearchStrategy[Event]:
    at: dict[str, Any] = {"on_day": DAYS, "contract_no": st.just("?")}
    ends = st.sampled_from([date(2025, 1, 1), date(2025, 6, 1), date(2025, 9, 1)])
    kinds = st.sampled_from(["drawdown", "repayment", "interest"])
    return st.one_of(
        st.builds(entry, kinds, DAYS, AMOUNTS, REFERENCES),
        st.builds(entry, kinds, DAYS, AMOUNTS, REFERENCES),
        st.builds(EntryReversed, **at, reference=REFERENCES, reversed_reference=REFERENCES),
        st.builds(Overdue, **at),
        st.builds(OverdueEnded, **at),
        st.builds(Extended, **at, ends_on=ends),
        st.builds(Settled, **at),
        st.builds(WrittenOff, **at),
        st.just("suspend"),
        st.just("resume"),
        st.just("stop"),
    )


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, Iterator[int]]]:
    office = make_office(tmp_path_factory.mktemp("bureau") / "bureau")
    yield office, iter(final_households(office, 4 * EXAMPLES))
    office.close()


numbers = count(1)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(events(), DAYS), min_size=4, max_size=16))
def test_a_loan_is_always_one_that_can_be(
    bureau: tuple[Office, Iterator[int]], told: list[tuple[Event | str, date]]
) -> None:
    office, households = bureau
    household, number, loans = next(households), f"HT-{next(numbers)}", Loans(office)
    loan_id = lend(office, household, number)
    seen: list[tuple[str, int]] = []
    for event, day in told:
        with suppress(MingceError):  # a typed refusal; anything else fails the test
            if event == "resume":
                loans.resume(HANDLER, loan_id, day)
            elif isinstance(event, str):
                getattr(loans, event)(HANDLER, loan_id, day, reason="N31")
            else:
                loans.record(BANK_ADMIN, BANK_NO, type(event)(**vars(event) | {"contract_no": number}))
        check(loans, loan_id, seen)
    item = number_of(office, household)
    assert not loans.record(BANK_ADMIN, BANK_NO, contract(item, number)).is_new  # still the contract that was signed
    office.verify_audit()


def check(loans: Loans, loan_id: int, seen: list[tuple[str, int]]) -> None:
    (account,) = loans.accounts_within([loan_id])
    owed = Balance.of(account.movements)
    assert all(0 <= amount <= account.principal for amount in owed.amounts)
    if account.state in ("SETTLED", "EARLY_SETTLED"):
        assert account.ended_on is not None
        assert owed.on(account.ended_on) == owed.amounts[-1] == 0
    assert (account.ended_on is not None) == (account.state in ENDED)
    open_spans = [span.kind for span in account.bare if span.to_day == date.max]
    if account.state == "WRITTEN_OFF":
        assert {"overdue", "extension"} & set(open_spans), "what is paid after it bears no subsidy"
    else:
        assert open_spans.count("overdue") == (account.state == "OVERDUE")
    assert open_spans.count("suspension") <= 1
    assert all(span.from_day < span.to_day for span in account.bare)
    if seen:
        before, revision = seen[-1]
        assert account.state == before or LOAN.allows(before, account.state)
        assert account.revision >= revision
    seen.append((account.state, account.revision))
