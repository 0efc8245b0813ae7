"""Made-up loan files: the same by seed, accepted whole by the real import, and with all that happens to loans."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from bureau_office import BANK_ADMIN, BANK_NO, HANDLER, make_office, person
from hypothesis import given
from hypothesis import strategies as st
from lending import final_households, number_of

from keys.clock import SettableClock
from matcher.exports import write_export
from matcher.generate.loans import Listed, LoanSpec, NumbersMasked, generate_loan_files, make_loans, read_final_list
from matcher.loans import Loans
from matcher.loans.listing import Filter
from matcher.loans.loan_file import KINDS, Row, cells_of, read_event
from matcher.policy import Policy, list_examples, load_policy
from matcher.subsidy.periods import Balance

HOUSEHOLDS = 80


def example(county: str = "330922") -> Policy:
    (path,) = [path for path in list_examples() if path.name.startswith(county)]
    return load_policy(path).policy


def spec(**changes: object) -> LoanSpec:
    return LoanSpec(
        **{"policy": example(), "since": date(2024, 1, 1), "until": date(2025, 12, 31), "share": 0.9} | changes
    )  # type: ignore[arg-type]


def listed(count: int = HOUSEHOLDS) -> list[Listed]:
    return [Listed(f"H{number:06d}", person(2 * number), date(2024, 1, 15)) for number in range(count)]


def test_two_years_are_entered_without_a_reject(tmp_path: Path) -> None:
    office = make_office(tmp_path / "bureau", SettableClock(datetime(2026, 1, 5, 1, 0, tzinfo=UTC)))
    try:
        found = final_households(office, HOUSEHOLDS)
        households = [
            Listed(f"H{place:06d}", number_of(office, household), date(2024, 1, 15))
            for place, household in enumerate(found)
        ]
        made = generate_loan_files(tmp_path / "日报", households, spec(), per="month")
        assert [path.name for path in made.files] == sorted(path.name for path in made.files)
        loans, rows = Loans(office), 0
        for path in made.files:
            done = loans.import_file(BANK_ADMIN, BANK_NO, path)
            assert done.rejects == []
            rows += done.new
        assert rows == sum(made.rows.values())
        accounts = loans.accounts_within()
        states = Counter(account.state for account in accounts)
        assert {"SETTLED", "EARLY_SETTLED", "ACTIVE"} <= set(states)
        assert Counter(entry.kind for account in accounts for entry in account.bare).keys() >= {"overdue", "extension"}
        assert max(max(Balance.of(account.movements).amounts) for account in accounts) <= 50_000_000
        assert all(account.interest for account in accounts if account.state == "SETTLED")
        assert len(loans.find(HANDLER, Filter(), limit=500)) == len(accounts)
    finally:
        office.close()


@pytest.mark.parametrize("county", ["330922", "330113"])
def test_the_same_seed_gives_the_same_files(tmp_path: Path, county: str) -> None:
    one, other, third = (
        generate_loan_files(tmp_path / name, households, spec(policy=example(county), seed=seed))
        for name, households, seed in (
            ("a", listed(20), 7),
            ("b", listed(20)[::-1], 7),
            ("c", listed(20), 8),
        )
    )
    rows = [sorted(path.read_text("utf-8").splitlines()) for path in one.files]
    assert rows == [sorted(path.read_text("utf-8").splitlines()) for path in other.files]
    assert rows != [sorted(path.read_text("utf-8").splitlines()) for path in third.files]


def test_everything_happens_in_a_large_county() -> None:
    kinds = Counter(cells_of(event)["kind"] for household in listed(1_000) for event in make_loans(household, spec()))
    assert set(kinds) == set(KINDS) - {"申请"}


def test_nothing_is_lent_off_the_list_and_nothing_reported_too_late() -> None:
    until = date(2024, 9, 1)
    off = Listed("H000001", person(2), date(2024, 1, 15), date(2024, 1, 16))
    assert list(make_loans(off, spec(share=1.0))) == []
    reported = [event.on_day for household in listed(100) for event in make_loans(household, spec(until=until))]
    assert max(reported) <= until


@given(st.integers(0, 10_000))
def test_every_row_reads_back_as_its_event(seed: int) -> None:
    for event in make_loans(listed(1)[0], spec(seed=seed, share=1.0)):
        assert read_event(Row(cells_of(event))) == event


def test_the_banks_copy_of_the_final_list_is_read(tmp_path: Path) -> None:
    columns = {
        "家庭编号": ["H000000", "H000001"],
        "证件号码": [person(0), person(2)],
        "生效日期": ["2024-01-15", "2024-02-15"],
        "终止日期": ["", "2024-12-01"],
    }
    path = tmp_path / "最终名单.xlsx"
    write_export(path, {n: pa.array(c) for n, c in columns.items()}, format="xlsx", id_columns=["证件号码"])
    assert read_final_list(path) == [
        Listed("H000000", person(0), date(2024, 1, 15)),
        Listed("H000001", person(2), date(2024, 2, 15), date(2024, 12, 1)),
    ]
    assert person(0) not in repr(read_final_list(path))
    columns["证件号码"][1] = "99************02"
    write_export(path, {n: pa.array(c) for n, c in columns.items()}, format="xlsx")
    with pytest.raises(NumbersMasked):
        read_final_list(path)
