"""Facilities, commitments, applications and contracts: each guard at its boundary, and nothing entered twice."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pysqlite3
import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    add_households,
    person,
)
from lending import (
    FIRST_DAY,
    LAST_DAY,
    adopt_example,
    commitment,
    contract,
    entry,
    final_households,
    lend,
    number_of,
    put_on_list,
    take_off_list,
    unguarded,
)
from visiting import png

from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.loans import Loans, errors
from matcher.loans.commitment import load_template, versions
from matcher.loans.events import ContractSigned, FacilityGranted, LoanApplied, Settled
from matcher.loans.listing import Filter
from matcher.personal.fields import TextNotPlain
from matcher.policy.reading import PolicyUnknown
from matcher.states import MoveInvalid

DAY = timedelta(days=1)


def record(loans: Loans, event: object) -> str:
    done = loans.record(BANK_ADMIN, BANK_NO, event)  # type: ignore[arg-type]
    return f"{done.subject}{' new' if done.is_new else ''}"


def facility(item: str, amount: int = 20_000_000, **changes: object) -> FacilityGranted:
    given = {"on_day": date(2024, 4, 1), "facility_no": "SX-1", "ends_on": date(2027, 4, 1), "manager": "甲"}
    return FacilityGranted(item=item, amount=amount, **{**given, **changes})  # type: ignore[arg-type]


def run_in_one(office: Office, *statements: str) -> None:
    with office.writing() as database:
        for statement in statements:
            database.execute(statement)


def audit_actions(office: Office) -> list[str]:
    return [row[0] for row in office.database.execute("SELECT action FROM audit WHERE action LIKE '%.%' ORDER BY seq")]


def test_a_contract_goes_through_every_state_and_keeps_its_policy(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    policy = adopt_example(office)
    assert record(loans, facility(item)) == "facility/1 new"
    assert record(loans, commitment(item)) == "commitment/1 new"
    assert record(loans, contract(item, facility_no="SX-1")) == "loan/1 new"
    shown = loans.show(HANDLER, 1)
    assert (shown.loan.state, shown.loan.subsidy_state, shown.policy) == ("CONTRACTED", "ELIGIBLE", policy.sha256)
    assert (shown.facility_no, shown.commitment_no, shown.listed_from) == ("SX-1", "CN-HT-1", "2024-01-15")
    assert (shown.template_version, shown.text_sha256) == ("1", load_template("1").sha256)
    assert record(loans, entry("drawdown", FIRST_DAY, 10_000_000, "1")) == "loan/1 new"
    assert loans.show(HANDLER, 1).loan.state == "ACTIVE"
    with pytest.raises(pysqlite3.IntegrityError, match="keeps the policy"), office.writing() as database:
        database.execute("UPDATE loan SET policy = NULL")
    assert audit_actions(office)[-5:] == [
        "facility.grant",
        "commitment.sign",
        "loan.apply",
        "loan.sign",
        "loan.drawdown",
    ]
    office.verify_audit()


def test_an_application_waits_for_its_commitment_and_its_contract(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    values = {name: value for name, value in vars(contract(item)).items() if name in LoanApplied.__dataclass_fields__}
    assert record(loans, LoanApplied(**values)) == "loan/1 new"
    assert record(loans, LoanApplied(**values)) == "loan/1"
    assert loans.show(HANDLER, 1).loan.state == "APPLIED"
    with pytest.raises(MoveInvalid):
        record(loans, entry("drawdown", FIRST_DAY, 100, "1"))
    record(loans, commitment(item))
    assert loans.show(HANDLER, 1).loan.state == "COMMITMENT_SIGNED"
    record(loans, contract(item, principal=5_000_000))
    loan = loans.show(HANDLER, 1).loan
    assert (loan.state, loan.principal) == ("CONTRACTED", 5_000_000)
    assert record(loans, LoanApplied(**values)) == "loan/1"  # late, and no harm


def test_every_event_again_changes_nothing_and_another_is_refused(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item, other = number_of(office, household), number_of(office, household, 1)
    for event in (facility(item), commitment(item), contract(item)):
        assert record(loans, event).endswith(" new")
        assert not record(loans, event).endswith(" new")
    seq = office.verify_audit().seq
    for wanted, event in (
        (errors.FacilityDiffers, facility(item, 1)),
        (errors.CommitmentDiffers, commitment(other)),
        (errors.CommitmentDiffers, commitment(item, on=FIRST_DAY - DAY)),
        (errors.ContractDiffers, contract(other)),
        (errors.ContractDiffers, contract(item, customer_rate=Decimal("3.7"))),
    ):
        with pytest.raises(wanted):
            record(loans, event)
    assert record(loans, contract(item, product="共富经营贷")) == "loan/1"
    assert office.verify_audit().seq == seq


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"customer_rate": Decimal("3.6")}, None),
        ({"customer_rate": Decimal("3.59")}, errors.RateNotAllowed),
        ({"customer_rate": Decimal("3.80")}, None),
        ({"customer_rate": Decimal("3.81")}, errors.RateNotAllowed),
        ({"contract_rate": Decimal("3.7")}, errors.RateNotAllowed),  # below what the customer pays
        ({"contract_rate": Decimal("36.1")}, errors.ValueInvalid),
        ({"product": "共富安居贷"}, None),
        ({"product": "wenye"}, errors.ProductNotAllowed),
        ({"ends_on": LAST_DAY + DAY}, errors.TermNotAllowed),
        ({"ends_on": FIRST_DAY + DAY}, None),
        ({"ends_on": FIRST_DAY}, errors.DatesInvalid),
        ({"on_day": FIRST_DAY + DAY}, errors.DatesInvalid),
        ({"principal": 50_000_000}, None),
        ({"principal": 50_000_001}, errors.CapExceeded),
        ({"principal": 0}, errors.ValueInvalid),
        ({"contract_no": ""}, errors.ValueInvalid),
        ({"contract_no": person(1)}, errors.ValueInvalid),
        ({"purpose": f"还给 {person(1)}"}, TextNotPlain),
        ({"facility_no": "SX-9"}, errors.FacilityUnknown),
        ({"on_day": date(2025, 3, 4), "starts_on": date(2025, 3, 4), "ends_on": date(2025, 9, 4)}, errors.DayInFuture),
        ({"on_day": date(2023, 6, 9), "starts_on": date(2024, 5, 10)}, PolicyUnknown),
    ],
)
def test_the_guards_of_the_policy(
    office: Office, loans: Loans, changes: dict[str, object], error: type[Exception] | None
) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    record(loans, commitment(item))
    event = contract(item, **changes)
    if error is None:
        assert record(loans, event) == "loan/1 new"
        return
    with pytest.raises(error):
        record(loans, event)
    assert loans.find(HANDLER, Filter()) == []


def test_a_leap_days_year_ends_with_february(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    first = date(2024, 2, 29)
    record(loans, commitment(item, on=first))
    with pytest.raises(errors.TermNotAllowed):
        record(loans, contract(item, on_day=first, starts_on=first, ends_on=date(2025, 3, 1)))
    record(loans, contract(item, on_day=first, starts_on=first, ends_on=date(2025, 2, 28)))


def test_the_household_is_on_the_list_on_the_first_day(office: Office, loans: Loans) -> None:
    """From the listing's first day on, until the day before its end; never by the day of signing."""
    households = final_households(office, 4, since=FIRST_DAY)
    take_off_list(office, households[2], "GRADUATED", FIRST_DAY)
    take_off_list(office, households[3], "GRADUATED", FIRST_DAY + DAY)
    items = [number_of(office, household) for household in households]
    for place, first, is_listed in (
        (0, FIRST_DAY, True),
        (1, FIRST_DAY - DAY, False),
        (2, FIRST_DAY, False),
        (3, FIRST_DAY, True),
    ):
        number, item = f"HT-{place}", items[place]
        record(loans, commitment(item, number, first))
        event = contract(item, number, on_day=first, starts_on=first)
        if is_listed:
            record(loans, event)
            continue
        with pytest.raises(errors.NotOnFinalList) as raised:
            record(loans, event)
        assert raised.value.params == {"item": item[:2] + "*" * 12 + item[-2:], "on": first.isoformat()}


def test_a_household_that_never_finished_review(office: Office, loans: Loans) -> None:
    adopt_example(office)
    (household,) = add_households(office, 1)
    item = number_of(office, household)
    record(loans, commitment(item))
    with pytest.raises(errors.NotOnFinalList):
        record(loans, contract(item))
    with pytest.raises(errors.BorrowerUnknown) as raised:
        record(loans, contract(person(777)))
    assert person(777) not in str(vars(raised.value))


def test_one_person_in_two_listed_households_is_for_a_person_to_settle(office: Office, loans: Loans) -> None:
    first, second = final_households(office, 2)
    item = number_of(office, first)
    reference = office.personal.item_reference(item)
    with office.writing() as database:
        database.execute(
            "UPDATE member SET item_ref = ? WHERE member_id = (SELECT MAX(member_id) FROM member"
            " WHERE household_id = ?)",
            [reference, second],
        )
    with pytest.raises(errors.TwoHouseholds):
        record(loans, commitment(item))
    run_in_one(office, "UPDATE household SET list_year = 2030 WHERE household_no = 'H000000'")
    record(loans, commitment(item))
    record(loans, contract(item))
    assert [loan.household_id for loan in loans.find(HANDLER, Filter())] == [first]  # the newer year's


def test_the_commitment_is_the_borrowers_for_this_contract_by_its_first_day(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item, spouse = number_of(office, household), number_of(office, household, 1)
    record(loans, commitment(spouse, "HT-1"))
    record(loans, commitment(item, "HT-2"))
    with pytest.raises(errors.CommitmentMissing):
        record(loans, contract(item, "HT-1"))
    record(loans, commitment(item, "HT-3", FIRST_DAY + DAY))
    with pytest.raises(errors.CommitmentMissing):
        record(loans, contract(item, "HT-3"))
    with pytest.raises(errors.CommitmentMissing):
        record(loans, contract(item, "HT-2", commitment_no="CN-HT-1"))
    assert record(loans, contract(item, "HT-2", commitment_no="CN-HT-2")) == "loan/1 new"
    with pytest.raises(errors.TemplateUnknown):
        record(loans, commitment(item, "HT-4").__class__(**vars(commitment(item, "HT-4")) | {"template_version": "9"}))


def test_the_cap_is_over_all_loans_of_the_household_at_all_banks(office: Office, loans: Loans) -> None:
    """Contracts that share days count together; what was settled before the new one begins does not."""
    (household, neighbour) = final_households(office, 2)
    lend(office, household, "HT-1", principal=30_000_000)
    lend(office, household, "HT-2", actor=OTHER_BANK_ADMIN, bank=OTHER_BANK_NO, principal=15_000_000)
    lend(office, neighbour, "HT-3", principal=50_000_000)
    item = number_of(office, household, 1)
    second = {"on_day": date(2024, 6, 1), "starts_on": date(2024, 6, 1), "ends_on": date(2025, 6, 1)}
    record(loans, commitment(item, "HT-4", date(2024, 6, 1)))
    with pytest.raises(errors.CapExceeded) as raised:
        record(loans, contract(item, "HT-4", principal=5_000_001, **second))
    assert raised.value.params == {"cap": "500,000.00", "wanted": "500,000.01"}
    record(loans, entry("repayment", date(2024, 5, 31), 30_000_000, "2"))
    record(loans, Settled(on_day=date(2024, 5, 31), contract_no="HT-1"))
    assert record(loans, contract(item, "HT-4", principal=35_000_000, **second)) == "loan/4 new"


def test_the_cap_follows_a_family_into_its_household_of_the_next_year(office: Office, loans: Loans) -> None:
    last_year, this_year = final_households(office, 2)
    lend(office, last_year, "HT-1", principal=30_000_000)
    with office.writing() as database:
        database.execute("INSERT INTO household_link VALUES (?, ?, 2, ?)", [this_year, last_year, office.now()])
    with pytest.raises(errors.CapExceeded):
        lend(office, this_year, "HT-2", principal=20_000_001)
    lend(office, this_year, "HT-3", principal=20_000_000)


def test_a_facility_holds_its_contracts(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    record(loans, facility(item, 10_000_000))
    lend(office, household, "HT-1", principal=6_000_000, facility_no="SX-1")
    with pytest.raises(errors.FacilityExceeded):
        lend(office, household, "HT-2", principal=4_000_001, facility_no="SX-1")
    lend(office, household, "HT-3", principal=4_000_000, facility_no="SX-1")


def test_who_may_enter_and_see(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    item = number_of(office, household)
    for actor in (HANDLER, MANAGER):
        with pytest.raises(NotAllowed):
            loans.record(actor, BANK_NO, commitment(item))
    with pytest.raises(NotAllowed):
        loans.record(OTHER_BANK_ADMIN, BANK_NO, commitment(item))
    lend(office, household)
    assert [loan.contract_no for loan in loans.find(BANK_ADMIN, Filter())] == ["HT-1"]
    assert loans.find(OTHER_BANK_ADMIN, Filter()) == []
    with pytest.raises(NotAllowed):
        loans.show(OTHER_BANK_ADMIN, 1)
    with pytest.raises(NotAllowed):
        loans.find(MANAGER, Filter())
    assert item not in repr(loans.show(HANDLER, 1)) + repr(contract(item)) + repr(commitment(item))


def test_the_database_lends_nothing_without_list_and_commitment(office: Office, loans: Loans) -> None:
    """Whatever writes the statement."""
    (household,) = final_households(office, 1)
    lend(office, household, draw=False)
    for spoil in (
        "UPDATE loan SET commitment_id = NULL",
        "UPDATE loan SET listing_id = NULL",
        "UPDATE loan SET starts_on = '2024-01-14'",
        "UPDATE commitment SET contract_no = 'HT-2'",
        "UPDATE commitment SET signed_on = '2024-05-11'",
        "UPDATE listing SET effective_to = starts_on FROM loan WHERE listing.listing_id = loan.listing_id",
    ):
        with pytest.raises(pysqlite3.IntegrityError, match="nothing is lent"):
            run_in_one(office, spoil, "UPDATE loan SET state = 'ACTIVE'")
    with office.writing() as database, unguarded(database, "loan"):
        database.execute("UPDATE loan SET state = 'ACTIVE'")


def test_the_next_years_listing_is_the_one_a_new_contract_stands_on(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    lend(office, household)
    take_off_list(office, household, "SUSPENDED", date(2024, 9, 1), "N31")
    with pytest.raises(errors.NotOnFinalList):
        lend(office, household, "HT-2", on_day=date(2024, 9, 1), starts_on=date(2024, 9, 1))
    put_on_list(office, [household], adopt_example(office).sha256, date(2024, 10, 1))
    october = date(2024, 10, 1)
    lend(office, household, "HT-3", on_day=october, starts_on=october, ends_on=date(2025, 10, 1))
    assert [account.listed_from for account in loans.accounts_within()] == [date(2024, 1, 15), october]


def test_the_commitments_page_says_what_is_signed_and_shows_no_number(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    page = loans.commitment_page(BANK_ADMIN, household, bank=BANK_NO, contract_no="<HT>", commitment_no="CN-1")
    assert "身份承诺书" in page
    assert load_template().sha256 in page
    assert "&lt;HT&gt;" in page
    assert number_of(office, household) not in page
    for promise in ("真实", "用途", "告知", "退回", "查询"):
        assert promise in page


def test_a_commitments_image_is_kept_once_and_who_looks_is_recorded(office: Office, loans: Loans) -> None:
    (household,) = final_households(office, 1)
    lend(office, household)
    with pytest.raises(errors.CommitmentUnknown):
        loans.read_image(HANDLER, 1)
    for actor in (HANDLER, OTHER_BANK_ADMIN):
        with pytest.raises(NotAllowed):
            loans.add_image(actor, 1, png())
    with pytest.raises(errors.CommitmentUnknown):
        loans.add_image(BANK_ADMIN, 9, png())
    kept = loans.add_image(BANK_ADMIN, 1, png())
    assert loans.add_image(BANK_ADMIN, 1, png()) == kept
    with pytest.raises(errors.CommitmentDiffers):
        loans.add_image(BANK_ADMIN, 1, png(1))
    assert loans.show(HANDLER, 1).image_sha256 == kept.sha256
    assert hashlib.sha256(loans.read_image(HANDLER, 1)).hexdigest() == kept.sha256
    assert audit_actions(office)[-2:] == ["attachment.add", "attachment.read"]
    with pytest.raises(NotAllowed):
        loans.read_image(OTHER_BANK_ADMIN, 1)


def test_signed_texts_never_change() -> None:
    """Each version's digest as it was when it was first signed; a new text is a new version."""
    first = "8d8018cad9975aa307cd9fec715d111e305076f3bb61baef027c22429d8dc2ff"
    assert {version: load_template(version).sha256 for version in versions()} == {"1": first}


def test_contract_signed_has_all_that_an_application_has() -> None:
    assert set(LoanApplied.__dataclass_fields__) < set(ContractSigned.__dataclass_fields__)


def test_an_account_of_another_county_enters_nothing_of_this_ones(office: Office, loans: Loans) -> None:
    """Neither a contract with its people nor a movement on its loans: both sound like nobody's."""
    household, free = final_households(office, 2)
    adopt_example(office)
    lend(office, household, actor=BANK_ADMIN)
    elsewhere = replace(BANK_ADMIN, name="yinhang3", townships=("330113",))
    item = number_of(office, free)
    for event in (facility(item), commitment(item, "HT-2"), contract(item, "HT-2")):
        with pytest.raises(errors.BorrowerUnknown):
            loans.record(elsewhere, BANK_NO, event)
    for event in (
        entry("repayment", FIRST_DAY + DAY, 100, "2"),
        Settled(on_day=FIRST_DAY + DAY, contract_no="HT-1"),
        contract(item),
    ):
        with pytest.raises(errors.LoanUnknown):
            loans.record(elsewhere, BANK_NO, event)
    here = replace(elsewhere, townships=("330922",))
    assert loans.record(here, BANK_NO, entry("repayment", FIRST_DAY + DAY, 100, "2")).is_new
