"""Each figure counts what its definition says, as of the end of a day in China, and its records add up to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    HANDLER,
    OTHER_BANK_NO,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_office,
)
from figures_scene import Scene
from hypothesis import given
from hypothesis import strategies as st

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.figures.definitions import DEFINITIONS, Counted
from matcher.figures.service import DayNotOver, Figures, FiguresMissing, FigureUnknown

DAY = date(2025, 2, 28)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = make_office(tmp_path)
    yield office
    office.close()


@pytest.fixture
def households(office: Office) -> list[int]:
    """Three of one township, two of another."""
    return add_households(office, 3) + add_households(office, 2, first=3, division=OTHER_TOWNSHIP_CODE)


@pytest.fixture
def scene(office: Office) -> Scene:
    return Scene(office)


def value(office: Office, name: str, day: date = DAY, township: str = "", product: str = "") -> int:
    Figures(office).compute(day)
    return Figures(office).get_table(HANDLER, day).get_cell(name, township, product).value


def test_an_empty_office_has_noughts(office: Office) -> None:
    done = Figures(office).compute(DAY)
    assert done.changed
    assert done.cells == len(DEFINITIONS)
    table = Figures(office).get_table(HANDLER, DAY)
    assert {cell.value for cell in table.cells.values()} == {0}
    assert table.townships == table.products == []


def test_households_are_matched_from_their_import_on(office: Office, households: list[int]) -> None:
    today = office.today()
    assert value(office, "households_matched", today) == 5
    assert value(office, "households_matched", today, TOWNSHIP_CODE) == 3
    assert value(office, "households_matched", today, OTHER_TOWNSHIP_CODE) == 2
    assert value(office, "households_matched", DAY) == 0


def test_a_household_counts_once_however_often_it_is_to_visit(
    office: Office, scene: Scene, households: list[int]
) -> None:
    scene.move(households[0], "TO_VISIT", "2025-02-01")
    scene.move(households[0], "TO_VISIT", "2025-02-20")
    scene.move(households[1], "REFINED_OUT", "2025-02-20")
    assert value(office, "households_to_visit") == 1


FAILED = ("ASSIGNED", "STARTED", "FAILED")


def test_visits_and_files(office: Office, scene: Scene, households: list[int]) -> None:
    again = scene.visit(households[0], "2025-01-10", *FAILED)
    for state in ("PLANNED", "ASSIGNED", "STARTED", "FAILED"):
        scene.move_visit(again, state, "2025-01-20")
    scene.file(households[0], "2025-02-10", accepted_on="2025-02-28")
    scene.visit(households[1], "2025-02-11", "ASSIGNED", "STARTED", "COLLECTED", "SUBMITTED")
    assert value(office, "visits_made") == 4
    assert value(office, "visits_made", date(2025, 1, 31)) == 2
    assert value(office, "households_filed") == 1
    assert value(office, "households_filed", date(2025, 2, 27)) == 0


def test_a_day_ends_at_midnight_in_china(office: Office, scene: Scene, households: list[int]) -> None:
    scene.visit(households[0], "2025-02-28", *FAILED)
    with office.writing() as database:
        database.execute("UPDATE visit_move SET at = '2025-02-28T15:59:59Z'")
    assert value(office, "visits_made") == 1
    with office.writing() as database:
        database.execute("UPDATE visit_move SET at = '2025-02-28T16:00:00Z'")
    assert value(office, "visits_made") == 0
    assert value(office, "visits_made", date(2025, 3, 1)) == 1


def test_the_final_list_is_a_position_and_graduation_stays(office: Office, scene: Scene, households: list[int]) -> None:
    scene.listing(households[0], "2025-01-01", "2025-02-28", "GRADUATED")
    scene.listing(households[1], "2025-02-28")
    scene.listing(households[2], "2025-03-01")
    assert value(office, "households_listed", date(2025, 2, 27)) == 1
    assert value(office, "households_graduated", date(2025, 2, 27)) == 0
    assert value(office, "households_listed") == 1
    assert value(office, "households_graduated") == 1


def test_a_renewed_facility_counts_once_with_its_newest_amount(
    office: Office, scene: Scene, households: list[int]
) -> None:
    scene.facility(households[0], "2024-02-01", 100_000_00)
    scene.facility(households[0], "2025-02-01", 150_000_00)
    scene.facility(households[0], "2025-02-01", 30_000_00, bank=OTHER_BANK_NO)
    scene.facility(households[3], "2025-03-01", 80_000_00)
    assert value(office, "households_signed") == 1
    assert value(office, "facility_amount") == 180_000_00
    assert value(office, "facility_amount", date(2025, 1, 31)) == 100_000_00


def test_loans_by_township_and_product(office: Office, scene: Scene, households: list[int]) -> None:
    first = scene.loan(households[0], "2024-05-10", 100_000_00)
    scene.loan(households[0], "2025-01-10", 20_000_00, product="zhuyi")
    scene.loan(households[3], "2025-01-11", 50_000_00)
    scene.movement(first, "repayment", "2025-02-28", 100_000_00)
    scene.movement(first, "interest", "2025-02-28", 1_234_00)
    table = {"households_benefited": 2, "households_borrowing": 2, "contracts_drawn": 3, "loan_disbursed": 170_000_00}
    assert {name: value(office, name) for name in table} == table
    assert value(office, "loan_balance") == 70_000_00
    assert value(office, "loan_balance", date(2025, 2, 27)) == 170_000_00
    assert value(office, "loan_balance", township=TOWNSHIP_CODE) == 20_000_00
    assert value(office, "loan_balance", product="jingying") == 50_000_00
    assert value(office, "loan_balance", township=TOWNSHIP_CODE, product="jingying") == 0
    assert value(office, "households_benefited", product="jingying") == 2
    assert value(office, "households_benefited", product="zhuyi") == 1


def test_overdue_principal(office: Office, scene: Scene, households: list[int]) -> None:
    loan = scene.loan(households[0], "2024-05-10", 100_000_00)
    scene.loan(households[1], "2024-05-10", 10_000_00)
    scene.overdue(loan, "2025-02-20", "2025-02-28")
    assert value(office, "loan_overdue", date(2025, 2, 27)) == 100_000_00
    assert value(office, "loan_overdue") == 0


def test_interest_and_subsidy_of_settled_lines(office: Office, scene: Scene, households: list[int]) -> None:
    """The first two lines of the loan that spans years in the tables of the subsidy's arithmetic."""
    loan = scene.loan(households[0], "2024-05-10", 100_000_00)
    claim = scene.claim(2024)
    june = {"gross": 507_50, "customer": 443_33, "fiscal": 32_09, "interest_paid": 443_33}
    scene.line(loan, "2024-05-10", "2024-06-21", "2024-06-20", claim=claim, **june)
    scene.line(loan, "2024-06-21", "2024-09-21", "2024-09-20", gross=1111_67, customer=971_11, fiscal=70_28)
    scene.line(loan, "2024-09-21", "2024-12-21", "2024-12-20", gross=1, claimable=0, interest_paid=300_00)  # in arrears
    expected = {
        "interest_paid": 743_33,
        "interest_saved": 64_17 + 140_56,
        "subsidy_fiscal": 102_37,
        "subsidy_bank": 32_08 + 70_28,
        "subsidy_province": 51_19,
        "subsidy_local": 51_18,
        "subsidy_claimed": 0,
        "subsidy_paid": 0,
    }
    assert {name: value(office, name) for name in expected} == expected
    assert value(office, "interest_saved", date(2024, 9, 19)) == 64_17
    scene.claim_step(claim, "SUBMITTED", "2025-01-15")
    scene.claim_step(claim, "SUBMITTED", "2025-02-01")  # after a return
    scene.claim_step(claim, "PAID", "2025-02-28")
    assert value(office, "subsidy_claimed") == value(office, "subsidy_paid") == 32_09
    assert value(office, "subsidy_paid", date(2025, 2, 27)) == 0


def test_products_are_those_of_the_policy_in_force(office: Office, scene: Scene) -> None:
    assert value(office, "products_offered") == 4
    assert value(office, "products_offered", product="anju") == 1
    assert value(office, "products_offered", date(2023, 6, 9)) == 0


def test_income_is_compared_over_most_of_a_year(office: Office, scene: Scene, households: list[int]) -> None:
    for household in households[:3]:
        scene.loan(household, "2024-03-01", 10_000_00)
    scene.file(households[0], "2024-02-01", 60_000_00)
    scene.file(households[0], "2024-04-01", 62_000_00)
    scene.file(households[0], "2024-08-01", 70_000_00)
    scene.file(households[0], "2025-02-01", 69_000_50)  # 306 days after the second, 184 after the third
    scene.file(households[1], "2024-02-01", 50_000_00)  # only one
    scene.file(households[2], "2024-06-01", 50_000_00)  # 245 days are no year
    scene.file(households[2], "2025-02-01", 55_000_00)
    scene.file(households[3], "2024-01-01", 50_000_00)  # never borrowed
    scene.file(households[3], "2025-01-01", 55_000_00)
    assert value(office, "income_before") == 62_000_00
    assert value(office, "income_after") == 69_000_50
    assert value(office, "income_after", date(2025, 1, 31)) == 0


def test_the_records_behind_every_number_add_up_to_it(office: Office, scene: Scene, households: list[int]) -> None:
    for place, household in enumerate(households):
        scene.file(household, "2025-01-10", accepted_on="2025-01-12")
        scene.listing(household, "2025-01-20")
        scene.facility(household, "2025-01-20", 100_000_00)
        loan = scene.loan(household, "2025-01-21", (place + 1) * 10_000_00)
        scene.loan(household, "2025-02-21", 5_000_00, product="zhuyi")
        scene.line(loan, "2025-01-21", "2025-02-21", "2025-02-20", gross=100_00, customer=90_00, fiscal=5_00)
    figures = Figures(office)
    figures.compute(DAY)
    table = figures.get_table(HANDLER, DAY)
    assert table.townships == [TOWNSHIP_CODE, OTHER_TOWNSHIP_CODE]
    for cell in table.cells.values():
        trace = figures.trace(AUDITOR, cell.name, DAY, cell.township, cell.product)
        number = {
            Counted.HOUSEHOLDS: len({record.household_id for record in trace.records}),
            Counted.RECORDS: len(trace.records),
            Counted.SUM: sum(record.value for record in trace.records),
        }[trace.definition.counted]
        assert cell.value == number == trace.value == trace.kept
        assert cell.households == trace.households
        assert all(re.fullmatch(r"[a-z_]+/[0-9a-f]+", record.record) for record in trace.records)


def test_running_a_day_again_changes_nothing_until_its_records_do(
    office: Office, scene: Scene, households: list[int]
) -> None:
    figures = Figures(office)
    loan = scene.loan(households[0], "2025-01-21", 10_000_00)
    first, second = figures.compute(DAY), figures.compute(DAY)
    assert (first.changed, second.changed) == (True, False)
    assert first.digest == second.digest
    scene.movement(loan, "repayment", "2025-03-01", 1_000_00)  # after the day
    assert not figures.compute(DAY).changed
    scene.movement(loan, "repayment", "2025-02-27", 1_000_00)  # told late
    assert figures.compute(DAY).changed
    assert [day.day for day in figures.list_days(HANDLER)] == [DAY]
    rows = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = 'figures.compute'").fetchone()
    assert rows == (2,)
    office.verify_audit()


def test_two_processes_that_compute_a_day_leave_one(office: Office, scene: Scene, households: list[int]) -> None:
    """Each has its own connection, as the nightly job and a report have."""
    scene.loan(households[0], "2025-01-21", 10_000_00)
    others = [make_office(office.home) for _ in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            done = list(pool.map(lambda one: Figures(one).compute(DAY), others))
    finally:
        for other in others:
            other.close()
    assert len({day.digest for day in done}) == 1
    assert sum(day.changed for day in done) == 1
    assert office.database.execute("SELECT COUNT(*) FROM figure_day").fetchone() == (1,)
    office.verify_audit()


def test_tracing_shows_when_the_kept_number_is_no_longer_true(
    office: Office, scene: Scene, households: list[int]
) -> None:
    figures = Figures(office)
    scene.loan(households[0], "2025-01-21", 10_000_00)
    figures.compute(DAY)
    scene.loan(households[1], "2025-01-22", 1_000_00)
    trace = figures.trace(HANDLER, "loan_balance", DAY)
    assert (trace.value, trace.kept) == (11_000_00, 10_000_00)


def test_tracing_goes_on_where_it_stopped(office: Office, scene: Scene, households: list[int]) -> None:
    for household in households:
        scene.loan(household, "2025-01-21", 10_000_00)
    figures = Figures(office)
    pages = [figures.trace(HANDLER, "contracts_drawn", DAY, limit=2, offset=offset).records for offset in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({record for page in pages for record in page}) == 5


def test_who_may_see_what(office: Office, households: list[int]) -> None:
    figures = Figures(office)
    figures.compute(DAY)
    with pytest.raises(NotAllowed):
        figures.get_table(ADMIN, DAY)
    with pytest.raises(NotAllowed):
        figures.get_table(BANK_ADMIN, DAY)
    figures.compute(office.today())
    own = figures.get_table(TOWNSHIP, office.today())
    assert {cell.township for cell in own.cells.values()} == {TOWNSHIP_CODE}
    with pytest.raises(NotAllowed):
        figures.trace(BANK_ADMIN, "loan_balance", DAY)
    with pytest.raises(NotAllowed):
        figures.trace(TOWNSHIP, "loan_balance", DAY)
    with pytest.raises(NotAllowed):
        figures.trace(TOWNSHIP, "loan_balance", DAY, OTHER_TOWNSHIP_CODE)
    assert figures.trace(TOWNSHIP, "loan_balance", DAY, TOWNSHIP_CODE).value == 0


def test_what_there_is_not_is_said(office: Office) -> None:
    figures = Figures(office)
    with pytest.raises(FiguresMissing):
        figures.get_table(HANDLER, DAY)
    with pytest.raises(FigureUnknown):
        figures.trace(HANDLER, "loan_balance; DROP TABLE figure", DAY)
    with pytest.raises(DayNotOver):
        figures.compute(date(2025, 3, 4))
    figures.compute(date(2025, 3, 3))  # today, as far as it has gone


def test_a_family_counts_once_over_the_years(office: Office, scene: Scene, households: list[int]) -> None:
    """The third case is of the people of the second, who were those of the first; the fourth is somebody else."""
    first, second, third, other, _ = households
    with office.writing() as database:
        for case, earlier, shared in ((second, first, 2), (third, second, 2), (third, other, 1)):
            database.execute("INSERT INTO household_link VALUES (?, ?, ?, '')", [case, earlier, shared])
    for day, household in (("2023-07-01", first), ("2024-07-01", second), ("2025-02-01", third)):
        scene.file(household, day, 50_000_00 + int(day[3]) * 1_000_00)
        scene.facility(household, day, int(day[3]) * 10_000_00)
        scene.loan(household, day, 10_000_00)
    scene.loan(other, "2025-02-01", 10_000_00)
    assert value(office, "households_filed") == value(office, "households_signed") == 1
    assert value(office, "households_benefited") == 2
    assert value(office, "facility_amount") == 50_000_00  # the renewals take each other's place
    assert value(office, "loan_disbursed") == 40_000_00
    assert value(office, "income_before") == 53_000_00  # of July 2023: July 2024 is too near
    assert value(office, "income_after") == 55_000_00


MOVES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 28), st.integers(1, 1_000_000), st.sampled_from(("jingying", "zhuyi"))),
    max_size=12,
)


@given(MOVES)
def test_parts_add_up_to_the_county(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int, int, str]]
) -> None:
    """Amounts over townships, over products and over both; households over townships."""
    office = make_office(tmp_path_factory.mktemp("sums"))
    try:
        ids = add_households(office, 3) + add_households(office, 2, first=3, division=OTHER_TOWNSHIP_CODE)
        scene = Scene(office)
        for place, (household, day, amount, product) in enumerate(moves):
            scene.loan(ids[household], f"2025-02-{day:02d}", amount, product=product, contract_no=f"HT{place}")
        Figures(office).compute(DAY)
        table = Figures(office).get_table(HANDLER, DAY)
        balances = {key: cell.value for key, cell in table.cells.items() if key[0] == "loan_balance"}
        total = sum(amount for _, _, amount, _ in moves)
        assert balances["loan_balance", "", ""] == total
        assert sum(v for (_, town, product), v in balances.items() if town and not product) == total
        assert sum(v for (_, town, product), v in balances.items() if product and not town) == total
        assert sum(v for (_, town, product), v in balances.items() if product and town) == total
        borrowers = {key: cell.value for key, cell in table.cells.items() if key[0] == "households_borrowing"}
        assert (
            sum(v for (_, town, product), v in borrowers.items() if town and not product)
            == borrowers["households_borrowing", "", ""]
        )
    finally:
        office.close()
