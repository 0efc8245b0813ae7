"""The offline sheet back in, with every fault at its cell.

Bringing the same workbook in again changes nothing. A visit that somebody changed since the workbook was made is
never overwritten: both sides are shown, and the manager makes a new workbook or enters what is right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matcher.bureau.actors import Actor, Permission, conceal
from matcher.bureau.bulk import savepoint
from matcher.bureau.office import Office
from matcher.tables.xlsx_reader import read_sheets
from matcher.transit import private_folder
from matcher.visits import sheet_layout as layout
from matcher.visits.collecting import check_form, save_form, start
from matcher.visits.form import FORM_VERSION, VisitForm, read_form
from matcher.visits.forms import compare_forms, present_form
from matcher.visits.model import Difference, VisitChanged
from matcher.visits.place import beijing_time, number_or_text, read_place
from matcher.visits.problems import FormInvalid, FormProblem, Location
from matcher.visits.records import VisitRow, read_own
from matcher.visits.sheet_export import FILE
from psi.errors import MingceError

_PLACE = ("latitude", "longitude", "accuracy_m")


@dataclass(frozen=True)
class SheetProblem:
    """What a clerk has to put right: a cell, or a row where ``column`` is empty.

    ``text`` is Chinese for a form's problem; for an error it is the detail that goes with ``code`` and ``params``.
    """

    sheet: str
    row: int
    column: str
    code: str
    text: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SheetConflict:
    """A visit that was changed since the workbook was made; the stored form's side and the workbook's."""

    visit_id: int
    row: int
    differences: tuple[Difference, ...]


@dataclass
class SheetImport:
    """What became of a workbook's visits; ``blank`` ones have not been filled in yet."""

    saved: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    conflicts: list[SheetConflict] = field(default_factory=list)
    problems: list[SheetProblem] = field(default_factory=list)


def import_sheet(office: Office, actor: Actor, path: Path, *, dry_run: bool = False) -> SheetImport:
    """Take in a workbook that :func:`export_sheet` made: starts the visits and saves their forms, each visit by itself.

    Raises the errors of matcher.tables.errors and matcher.columns for a file that is not such a workbook.
    """
    actor.require(Permission.VISIT)
    book = _read(path)
    with office.writing() as database:
        if dry_run:
            database.execute("SAVEPOINT dry_run")
        done = SheetImport(problems=list(book.problems))
        for place, cells in book.visits.items():
            _take(office, actor, book, place, cells, done)
        if dry_run:
            database.execute("ROLLBACK TO dry_run")
            database.execute("RELEASE dry_run")
        else:
            office.record_within(
                actor, "visit.sheet_import", f"account/{actor.name}", saved=len(done.saved), refused=len(done.problems)
            )
    return done


def take_sheet(office: Office, actor: Actor, content: bytes, *, dry_run: bool = False) -> SheetImport:
    """:func:`import_sheet` of an upload."""
    with private_folder(office.home) as folder:
        (folder / FILE).write_bytes(content)
        return import_sheet(office, actor, folder / FILE, dry_run=dry_run)


@dataclass
class _Book:
    """A workbook as it was read: rows of visits, and the entries of the other sheets with their rows, by visit."""

    visits: dict[int, dict[str, str]] = field(default_factory=dict)  # by row
    entries: dict[str, dict[str, list[tuple[int, dict[str, str]]]]] = field(default_factory=dict)  # by sheet and visit
    problems: list[SheetProblem] = field(default_factory=list)


def _read(path: Path) -> _Book:
    book = _Book(entries={part.title: defaultdict(list) for part in layout.LISTS})
    for batch in read_sheets(path, layout.mappings()):
        names = list(batch.columns)
        for place, *cells in zip(
            batch.rows.to_pylist(), *(batch.columns[name].to_pylist() for name in names), strict=True
        ):
            row = {name: (cell or "").strip() for name, cell in zip(names, cells, strict=True)}
            if not any(row.values()):
                continue
            if batch.sheet == layout.VISITS:
                book.visits[place] = row
            else:
                book.entries[batch.sheet][row["visit_id"]].append((place, row))
    _check_numbers(book)
    return book


def _check_numbers(book: _Book) -> None:
    """A visit's number stands once in the first sheet, and everything in the others belongs to one of them."""
    seen: set[str] = set()
    for place, row in list(book.visits.items()):
        if not _is_whole(row["visit_id"]) or not _is_whole(row["version"]) or row["visit_id"] in seen:
            code = "row_twice" if row["visit_id"] in seen else "row_unknown"
            problem = FormProblem((), code, "")
            book.problems.append(SheetProblem(layout.VISITS, place, layout.VISIT_NO, code, problem.describe()))
            del book.visits[place]
        seen.add(row["visit_id"])
    for sheet, by_visit in book.entries.items():
        for visit_id in sorted(set(by_visit) - seen):
            text = FormProblem((), "row_unknown", "").describe()
            book.problems += [
                SheetProblem(sheet, place, layout.VISIT_NO, "row_unknown", text) for place, _ in by_visit[visit_id]
            ]


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _take(office: Office, actor: Actor, book: _Book, place: int, cells: dict[str, str], done: SheetImport) -> None:
    """One visit: its own savepoint, so that a fault of one leaves the others."""
    visit_id, version = int(cells["visit_id"]), int(cells["version"])
    if not cells["consent_no"] and not cells["head__visited_on"]:
        done.blank.append(visit_id)
        return
    try:
        with savepoint(office.database):
            values = _values(book, cells)
            visit = read_own(office, actor, visit_id)  # before anything of a stored form is compared
            form = check_form(office, visit.division, read_form(values))
            _save(office, actor, visit, version, cells, form, done, place)
    except FormInvalid as error:
        done.problems += [_at_cell(problem, book, place, cells["visit_id"]) for problem in error.problems]
    except MingceError as error:
        told = conceal(actor, error)
        column = layout.OWN_COLUMNS.get(str(told.params.get("field")), "")
        done.problems.append(SheetProblem(layout.VISITS, place, column, told.code, told.detail, told.params))


def _save(
    office: Office,
    actor: Actor,
    visit: VisitRow,
    version: int,
    cells: dict[str, str],
    form: VisitForm,
    done: SheetImport,
    place: int,
) -> None:
    visit_id, values = visit.visit_id, form.model_dump(mode="json")
    stored = present_form(office, visit_id)
    if stored is not None and stored.form == form:
        done.unchanged.append(visit_id)
        return
    try:
        if visit.version != version:
            raise VisitChanged("changed since the workbook was made", visit=visit_id, present=visit.version)
        if visit.state == "ASSIGNED":
            site = read_place({name: number_or_text(cells[name]) for name in _PLACE})
            version = start(office, actor, visit_id, site, beijing_time(cells["started_at"]), version).version
        device_key = f"sheet-{office.digest(values | {'visit': visit_id})[:48]}"
        save_form(office, actor, visit_id, values, device_key, version)
        done.saved.append(visit_id)
    except VisitChanged:
        differences = compare_forms(stored.form, form) if stored else []
        done.conflicts.append(SheetConflict(visit_id, place, tuple(differences)))


def _values(book: _Book, cells: dict[str, str]) -> dict[str, Any]:
    """A form's values from a visit's row and its entries; what was left empty in an optional field is left out."""
    values: dict[str, Any] = {"format": FORM_VERSION}
    for column in layout.VISIT_COLUMNS:
        layout.put(values, column.location, cells[column.name])
    if not values["conclusion"]["family_type"]:
        del values["conclusion"]["family_type"]
    for part in layout.LISTS:
        values[part.field] = []
        for _, row in book.entries[part.title].get(cells["visit_id"], []):
            entry: dict[str, Any] = {}
            for column in part.columns:
                layout.put(entry, column.location, row[column.name])
            values[part.field].append(entry)
    return values


def _at_cell(problem: FormProblem, book: _Book, place: int, visit_id: str) -> SheetProblem:
    """The cell that a problem of a form is about."""
    parts = {part.field: part for part in layout.LISTS}
    first = problem.location[0] if problem.location else ""
    if first in parts and len(problem.location) > 1:
        part, number = parts[str(first)], problem.location[1]
        row = book.entries[part.title][visit_id][int(number)][0]
        heading = _heading(part.columns, problem.location[2:])
        return SheetProblem(part.title, row, heading, problem.code, problem.describe())
    return SheetProblem(
        layout.VISITS, place, _heading(layout.VISIT_COLUMNS, problem.location), problem.code, problem.describe()
    )


def _heading(columns: Sequence[layout.SheetColumn], location: Location) -> str:
    return next((column.heading for column in columns if column.location == location), "")
