"""The offline sheet out: a manager's open visits as one workbook, prefilled with what is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.exports import Sheet, write_workbook
from matcher.rows import fetch_records
from matcher.transit import private_folder
from matcher.visits import sheet_layout as layout
from matcher.visits.door import OPEN
from matcher.visits.prefilling import known_form

FILE = "走访.xlsx"


def export_sheet(office: Office, actor: Actor, path: Path) -> int:
    """Write the workbook of the account's open visits; how many. Prefilled with what is known; recorded."""
    actor.require(Permission.VISIT)
    rows = fetch_records(
        office.database,
        "SELECT visit_id, household_id, household_no, version, grid, grid_officer FROM visit"
        " JOIN household USING (household_id) WHERE manager = ? AND visit.state IN (?, ?, ?, ?) ORDER BY visit_id",
        [actor.name, *OPEN],
    )
    for row in rows:
        row["form"] = known_form(
            office, actor, row["visit_id"], row["household_id"], grid=row["grid"], grid_officer=row["grid_officer"]
        )
    write_workbook(path, list(_sheets(rows)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with office.writing():
        office.record_within(
            actor, "visit.sheet", f"account/{actor.name}", purpose="offline sheet", rows=len(rows), sha256=digest
        )
    return len(rows)


def sheet_content(office: Office, actor: Actor) -> bytes:
    """What :func:`export_sheet` writes."""
    with private_folder(office.home) as folder:
        export_sheet(office, actor, folder / FILE)
        return (folder / FILE).read_bytes()


def _sheets(rows: Sequence[dict[str, Any]]) -> Iterator[Sheet]:
    own = {heading: [str(row.get(name, "")) for row in rows] for name, heading in layout.OWN_COLUMNS.items()}
    cells = {c.heading: [_cell(c, row["form"]) for row in rows] for c in layout.VISIT_COLUMNS}
    yield _sheet(layout.VISITS, own | cells, layout.VISIT_COLUMNS)
    for part in layout.LISTS:
        entries = [(row["visit_id"], entry) for row in rows for entry in row["form"][part.field]]
        listed = {layout.VISIT_NO: [str(visit_id) for visit_id, _ in entries]}
        listed |= {c.heading: [_cell(c, entry) for _, entry in entries] for c in part.columns}
        yield _sheet(part.title, listed, part.columns)
    topics, texts = zip(*layout.guide(), strict=True)
    yield _sheet(layout.GUIDE, {"项目": list(topics), "填写方法": list(texts)}, ())


def _sheet(name: str, cells: dict[str, list[str]], columns: Sequence[layout.SheetColumn]) -> Sheet:
    return Sheet(
        name,
        {heading: pa.array(values, pa.string()) for heading, values in cells.items()},
        id_columns=[c.heading for c in columns if c.location[-1] in (layout.ID_FIELD, "phone")],
        choices={c.heading: c.choices for c in columns if c.choices},
    )


def _cell(column: layout.SheetColumn, values: dict[str, Any]) -> str:
    """Empty where a prefilled form does not say."""
    try:
        return layout.cell_of(column, values)
    except KeyError:
        return ""
