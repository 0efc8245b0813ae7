"""What leaves the bureau as a file: no more of a person than personal-data.md allows, and never N10 to N12.

One household goes the whole way with a sensitive reason from its label, from a department and in a decision; every
export of every part is then made of it and looked through for what it holds of people.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
)
from whole_way import NUMBERS, World, walk

from matcher.bureau.actors import Actor, NotAllowed, Role
from matcher.claims.service import Claims
from matcher.reports.service import Reports
from matcher.reviews import Reviews
from matcher.rows import fetch_all
from matcher.visits.service import Visits

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "personal-data.md"
SENSITIVE = re.compile(r"N1[0-2]\b|低保|低边|特困|minzheng|民政")
PURPOSE = "演示"
WHOLE = {
    "name": re.compile("演示[01](?![0-9])"),
    "ID number": re.compile("|".join(NUMBERS)),
    "phone": re.compile("13800000000"),
    "address": re.compile("演示村1号"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = walk(tmp_path_factory.mktemp("exports") / "bureau")
    yield made
    made.office.close()


def sms(world: World, path: Path) -> None:
    Reviews(world.office).exports.write_sms(HANDLER, path, format="csv", purpose=PURPOSE)


def refusals(world: World, path: Path) -> None:
    Reviews(world.office).refusals.write_sms(HANDLER, path, format="csv", purpose=PURPOSE)


def deliberation(world: World, path: Path) -> None:
    Reviews(world.office).exports.write_deliberations(HANDLER, path, format="csv", purpose=PURPOSE)


def bank_list(world: World, path: Path) -> None:
    Reviews(world.office).exports.write_final_list(BANK_ADMIN, path, format="csv", purpose=PURPOSE, bank=BANK_NO)


def own_list(world: World, path: Path) -> None:
    Reviews(world.office).exports.write_final_list(CHECKER, path, format="csv", purpose=PURPOSE)


def review_record(world: World, path: Path) -> None:
    """It says which department answered and when, as everybody may see; what it answered is not in it."""
    Reviews(world.office).record_book.write(
        CHECKER, path, format="csv", purpose=PURPOSE, first=date(2000, 1, 1), last=date(2100, 1, 1)
    )
    assert "minzheng" in path.read_text("utf-8-sig")
    path.write_text(path.read_text("utf-8-sig").replace("minzheng", ""), "utf-8-sig")


def visit_list(world: World, path: Path) -> None:
    Visits(world.office).export_visits(BANK_ADMIN, path, bank=BANK_NO, area="", purpose=PURPOSE, format="csv")


def visit_sheet(world: World, path: Path) -> None:
    Visits(world.office).export_sheet(MANAGER, path)


def claim_lines(world: World, path: Path) -> None:
    Claims(world.office).export(BANK_ADMIN, 1, path, "csv")


def claim_report(world: World, path: Path) -> None:
    reports = Reports(world.office)
    reports.export(BANK_ADMIN, reports.claim(BANK_ADMIN, 1), path, format="xlsx", purpose=PURPOSE)


def monthly_report(world: World, path: Path) -> None:
    reports = Reports(world.office)
    reports.export(CHECKER, reports.monthly(CHECKER, 2025, 6), path, format="xlsx", purpose=PURPOSE)


EXPORTS: dict[str, tuple[Callable[[World, Path], None], str]] = {
    "visit export": (visit_list, "csv"),
    "visit sheet out": (visit_sheet, "xlsx"),
    "review confirm-list --sms": (sms, "csv"),
    "review refusals": (refusals, "csv"),
    "review confirm-list --village": (deliberation, "csv"),
    "review final --bank": (bank_list, "csv"),
    "review final": (own_list, "csv"),
    "review record": (review_record, "csv"),
    "claim export": (claim_lines, "csv"),
    "report claim": (claim_report, "xlsx"),
    "other reports": (monthly_report, "xlsx"),
}


def text_of(path: Path) -> str:
    if path.suffix == ".csv":
        return path.read_text("utf-8-sig")
    with zipfile.ZipFile(path) as parts:
        return "\n".join(parts.read(name).decode("utf-8") for name in parts.namelist() if name.endswith(".xml"))


def allowed() -> dict[str, set[str]]:
    """By export, what the reference says it holds of a person."""
    part = DOCUMENT.read_text("utf-8").split("\n## What leaves")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.split("\n") if line.startswith("| ")]
    return {row[0]: set(filter(None, row[2].split(", "))) - {"nothing"} for row in rows[1:]}


def test_the_reference_lists_every_export() -> None:
    assert set(allowed()) == set(EXPORTS)


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_holds_no_more_of_a_person_than_it_may(world: World, tmp_path: Path, export: str) -> None:
    make, suffix = EXPORTS[export]
    path = tmp_path / f"out.{suffix}"
    make(world, path)
    text = text_of(path)
    assert len(text) > 90
    found = {field for field, pattern in WHOLE.items() if pattern.search(text)}
    assert found == allowed()[export]
    assert SENSITIVE.search(text) is None
    ((actions, detail),) = fetch_all(
        world.office.database, "SELECT action, detail FROM audit ORDER BY seq DESC LIMIT 1"
    )
    assert re.match(r"export\.|visit\.sheet|claim\.export|report\.export", actions)
    assert '"purpose"' in detail
    assert '"rows"' in detail
    assert not any(number in detail for number in NUMBERS)


def test_nobody_without_the_right_exports(world: World, tmp_path: Path) -> None:
    outsider = Actor("jicha", frozenset({Role.ADMIN, Role.PROVINCE, Role.DEPARTMENT}))
    exports = Reviews(world.office).exports
    for write in (
        exports.write_sms,
        Reviews(world.office).refusals.write_sms,
        exports.write_deliberations,
        exports.write_final_list,
    ):
        with pytest.raises(NotAllowed):
            write(outsider, tmp_path / "x.csv", format="csv", purpose=PURPOSE)  # type: ignore[operator]
    with pytest.raises(NotAllowed):
        Claims(world.office).export(outsider, 1, tmp_path / "x.csv", "csv")
    with pytest.raises(NotAllowed):
        Visits(world.office).export_sheet(outsider, tmp_path / "x.xlsx")
    assert not list(tmp_path.iterdir())


def test_d46_nothing_of_a_person_stands_in_the_store_in_the_clear(world: World) -> None:
    """Every text of every table, the audit log and the outcomes kept for repeated requests among them."""
    database, found = world.office.database, []
    for (table,) in fetch_all(database, "SELECT name FROM sqlite_schema WHERE type = 'table'"):
        for row in fetch_all(database, f"SELECT * FROM {table}"):  # noqa: S608
            found += [(table, field) for cell in row for field in held_by(cell)]
    assert found == []


def test_the_audit_log_tells_no_sensitive_reason(world: World) -> None:
    rows = fetch_all(world.office.database, "SELECT action, subject || detail FROM audit")
    assert len(rows) > 50
    assert [action for action, text in rows if re.search(r"N1[0-2]\b|低保|低边|特困", text)] == []


def held_by(cell: object) -> list[str]:
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    return [field for field, pattern in WHOLE.items() if pattern.search(text)]
