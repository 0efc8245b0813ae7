"""数字营销系统: the visit list out to a bank's own system, and what its managers did back in.

A bank gets the households of its own customers and nothing of another bank's (docs/reference/marketing-export.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from matcher.bureau.actors import Actor, Permission, conceal
from matcher.bureau.bulk import savepoint
from matcher.bureau.office import Office
from matcher.columns import ColumnMapping, Field
from matcher.exports import Format, write_export
from matcher.personal.fields import require_plain
from matcher.rows import fetch_records
from matcher.tables import read_table
from matcher.visits.collecting import begin, end_without_form
from matcher.visits.model import FAILURES, KINDS, OUTCOMES
from matcher.visits.place import beijing_time, number_or_text, read_place
from matcher.visits.planning import assigner, may_make
from matcher.visits.problems import FormInvalid, FormProblem
from matcher.visits.records import VisitRow, read_visit
from psi.errors import InputError, MingceError

VISIT_NO = "任务编号"
COLUMNS = (
    VISIT_NO, "家庭编号", "客户姓名", "证件号码", "家庭人数", "行政区划", "网格", "计划走访日期", "走访类型",
    "客户经理", "网格员",
)  # fmt: skip
RETURNED: Mapping[str, tuple[str, bool]] = {  # our field: its heading, and whether every file has it
    "visit_id": (VISIT_NO, True),
    "manager": ("客户经理", True),
    "outcome": ("走访结果", True),
    "started_at": ("到户时间", True),
    "latitude": ("纬度", True),
    "longitude": ("经度", True),
    "accuracy_m": ("定位精度（米）", True),
    "grid_officer": ("网格员", False),
}
_MAPPING = ColumnMapping({name: Field((heading,), required) for name, (heading, required) in RETURNED.items()})
_OUTCOME_CODES = {word: code for code, word in OUTCOMES.items()} | {code: code for code in OUTCOMES}


@dataclass(frozen=True)
class MarketingExport:
    """``rows`` customers of ``visits`` planned or assigned visits; ``sha256`` of the file, as the audit has it."""

    visits: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class RowProblem:
    """A row of the returned file that was not taken; ``code`` is an error's, or one of ROW_REASONS or FORM_PROBLEMS."""

    row: int
    column: str
    code: str
    detail: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass
class MarketingImport:
    """Visits that the file started or failed, those where everything was known already, and rows not taken."""

    started: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    unchanged: list[int] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


def export_visits(
    office: Office, actor: Actor, path: Path, *, bank: str, area: str, purpose: str, format: Format
) -> MarketingExport:
    """Write the planned and assigned visits of an area: a row for each customer of ``bank`` (a fingerprint) in them.

    The export is recorded with its purpose. Raises NotAllowed, InputError for a bank that is none, TextNotPlain.
    """
    actor.require(Permission.PLAN_VISITS)
    actor.require(Permission.EXPORT, division=area, bank=bank)
    purpose = require_plain(purpose, "purpose")
    if not fetch_records(office.database, "SELECT name FROM bank WHERE fingerprint = ?", [bank]):
        raise InputError("no such bank")
    rows = fetch_records(
        office.database,
        "SELECT visit_id, household_no, item_ref, sealed_person, household.household_size AS size,"
        " household.division, grid, planned_for, kind, manager, grid_officer FROM visit"
        " JOIN household USING (household_id) JOIN candidate USING (household_id)"
        " WHERE visit.state IN ('PLANNED', 'ASSIGNED') AND household.division GLOB ?1 || '*'"
        " AND (manager IS NULL OR EXISTS (SELECT 1 FROM account WHERE name = manager AND account.bank = ?2))"
        " AND EXISTS ("
        "  SELECT 1 FROM candidate_source JOIN handover USING (handover_id)"
        "  WHERE candidate_source.candidate_id = candidate.candidate_id AND handover.bank = ?2)"
        " ORDER BY visit_id, candidate_id",
        [area, bank],
    )
    cells = [_cells(office, row) for row in rows]
    columns = {name: pa.array([row[place] for row in cells], pa.string()) for place, name in enumerate(COLUMNS)}
    write_export(path, columns, format=format, id_columns=["证件号码"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with office.writing():
        office.record_within(
            actor, "export.visits", f"bank/{bank}", purpose=purpose, area=area, rows=len(rows), sha256=digest
        )
    return MarketingExport(len({row["visit_id"] for row in rows}), len(rows), digest)


def import_visits(office: Office, actor: Actor, path: Path, *, dry_run: bool = False) -> MarketingImport:
    """Take in what a bank's system returns: who went, when, where, and with what outcome. Forms come by the sheet.

    The actor answers for the file (PLAN_VISITS), so the records name the actor beside the manager whose visit it is.
    Each row by itself; the same file again changes nothing. Raises the errors of matcher.tables.read_table.
    """
    actor.require(Permission.PLAN_VISITS)
    done = MarketingImport()
    rows = []
    for batch in read_table(path, _MAPPING):
        done.problems += [RowProblem(reject.row, "", reject.reason, "") for reject in batch.rejects]
        names = list(batch.columns)
        for place, *cells in zip(batch.rows.to_pylist(), *(batch.columns[n].to_pylist() for n in names), strict=True):
            rows.append((place, {name: (cell or "").strip() for name, cell in zip(names, cells, strict=True)}))
    with office.writing() as database:
        database.execute("SAVEPOINT file")
        for place, row in rows:
            try:
                with savepoint(database):
                    _take(office, actor, row, done)
            except FormInvalid as error:
                done.problems += [RowProblem(place, p.heading, p.code, p.describe()) for p in error.problems]
            except MingceError as error:
                told = conceal(actor, error)
                heading = RETURNED.get(str(told.params.get("field")), ("", False))[0]
                done.problems.append(RowProblem(place, heading, told.code, told.detail, told.params))
        if dry_run:
            database.execute("ROLLBACK TO file")
        database.execute("RELEASE file")
        if not dry_run:
            office.record_within(
                actor, "visit.import", f"file/{hashlib.sha256(path.read_bytes()).hexdigest()}",
                started=len(done.started), failed=len(done.failed), refused=len(done.problems),
            )  # fmt: skip
    return done


def _cells(office: Office, row: dict[str, Any]) -> tuple[str, ...]:
    sealer, reference = office.personal.sealer, row["item_ref"]
    item, name = json.loads(sealer.open(row["sealed_person"], "candidate", "sealed_person", reference.hex()))
    return (
        str(row["visit_id"]), row["household_no"], name, item, row["size"], row["division"], row["grid"],
        row["planned_for"], KINDS[row["kind"]], row["manager"] or "", row["grid_officer"],
    )  # fmt: skip


def _take(office: Office, actor: Actor, row: Mapping[str, str], done: MarketingImport) -> None:
    """One row: assign, start and perhaps fail, as far as the visit is not there yet. Raises what these steps raise."""
    number = row["visit_id"]
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):
        raise _faulty("visit_id", "row_unknown")
    outcome = _OUTCOME_CODES.get(row["outcome"])
    if outcome is None:
        raise _faulty("outcome", "no_such_choice", choices="、".join(OUTCOMES.values()))
    visit = read_visit(office, int(number))
    actor.require(Permission.PLAN_VISITS, division=visit.division)
    manager = may_make(office, actor, row["manager"], visit)
    if _is_known(visit, row["manager"], outcome):
        done.unchanged.append(visit.visit_id)
        return
    if visit.state == "PLANNED" or (visit.state == "ASSIGNED" and visit.manager != manager.name):
        assigner(office, actor, manager.name, row.get("grid_officer", ""))(visit.visit_id)
    if visit.state in ("PLANNED", "ASSIGNED"):
        place = read_place({name: number_or_text(row[name]) for name in ("latitude", "longitude", "accuracy_m")})
        begin(office, actor, read_visit(office, visit.visit_id), place, beijing_time(row["started_at"]))
        if outcome == "done":
            done.started.append(visit.visit_id)
    if outcome in FAILURES:
        end_without_form(office, actor, read_visit(office, visit.visit_id), outcome)
        done.failed.append(visit.visit_id)


def _faulty(name: str, code: str, **params: object) -> FormInvalid:
    return FormInvalid([FormProblem((name,), code, RETURNED[name][0], params)])


def _is_known(visit: VisitRow, manager: str, outcome: str) -> bool:
    """Whether the visit says already what the row says, or is further on."""
    if visit.state == "FAILED":
        return (visit.manager, visit.outcome) == (manager, outcome)
    return outcome == "done" and visit.manager == manager and visit.state not in ("PLANNED", "ASSIGNED")
