"""Entering a bank's daily loan file: every row whole or not at all, and each reject with its place."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from matcher.bureau.bulk import savepoint
from matcher.loans.errors import EventRefused
from matcher.loans.events import Event, Recorded
from matcher.loans.loan_file import KINDS, LOAN_FILE, CellUnusable, Row, read_event
from matcher.loans.work import Work
from matcher.states import MoveInvalid
from matcher.tables import read_table
from psi.errors import InputError, MingceError
from psi.identifiers import ITEM_BYTES, Verdict, mask, normalise

_ORDER = {kind: place for place, kind in enumerate(KINDS.values())}
_HEADINGS = {name: about.headers[0] for name, about in LOAN_FILE.fields.items()} | {
    "item": LOAN_FILE.fields["number"].headers[0],
    "principal": LOAN_FILE.fields["amount"].headers[0],
}


@dataclass(frozen=True)
class RowReject:
    """One row that was not entered. ``reason`` is an error code or one of matcher.rejects.ROW_REASONS.

    ``row`` counts as in the sheet (the header is row 1); ``heading`` is the column that the reason is about, or "";
    ``number`` is masked; ``params`` are the error's.
    """

    sheet: str
    row: int
    reason: str
    heading: str
    number: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FileImport:
    """What an import did. ``accepted`` rows stand in the store now, ``new`` of them by this import.

    ``already_imported``: this very content had been entered whole before, and nothing was done.
    """

    file_id: int
    already_imported: bool
    business_date: str
    rows: int
    accepted: int
    new: int
    rejects: list[RowReject] = field(default_factory=list)


@dataclass(frozen=True)
class _Line:
    """One row with its event."""

    sheet: str
    row: int
    masked: str
    kind: str
    event: Event


class _DryRun(Exception):
    """Rolls the transaction back when its result is known."""


Enter = Callable[[Work, Event], Recorded]


def import_loan_file(
    work: Work, file: Path, enter: Enter, columns: Mapping[str, str | Sequence[str]], *, dry_run: bool
) -> FileImport:
    """See Loans.import_file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    rejects: list[RowReject] = []
    lines = list(_read(file, columns, rejects))
    rows = len(lines) + len(rejects)
    with suppress(_DryRun), work.office.writing() as database:
        known = database.execute(
            "SELECT file_id, business_date, rows, accepted FROM loan_file WHERE sha256 = ?", [digest]
        ).fetchone()
        if known is not None and known[2] == known[3]:
            return FileImport(known[0], True, known[1], known[2], known[3], 0)
        file_id = known[0] if known else _begin(work, digest, lines, rows)
        new = _enter_all(replace(work, file_id=file_id), lines, enter, rejects)
        accepted = rows - len(rejects)
        _finish(work, file_id, accepted, rejects, new)
        (business_date,) = database.execute(
            "SELECT business_date FROM loan_file WHERE file_id = ?", [file_id]
        ).fetchone()
        if dry_run:
            raise _DryRun
    return FileImport(file_id, False, business_date, rows, accepted, new, sorted(rejects, key=_place))


def _read(file: Path, columns: Mapping[str, str | Sequence[str]], rejects: list[RowReject]) -> Iterator[_Line]:
    for batch in read_table(file, LOAN_FILE.override(columns)):
        rejects += [RowReject(batch.sheet, r.row, r.reason, r.heading, r.number) for r in batch.rejects]
        cells = {name: column.to_pylist() for name, column in batch.columns.items()}
        people = normalise(batch.columns["number"])
        for place, number in enumerate(cast("list[int]", batch.rows.to_pylist())):
            verdict = Verdict(people.verdicts[place])
            item = people.items[ITEM_BYTES * place : ITEM_BYTES * (place + 1)].decode("ascii")
            texts = {name: column[place] or "" for name, column in cells.items()}
            row = Row(texts, item if verdict.is_usable else None, verdict)
            masked = mask(row.text("number"))
            try:
                yield _Line(batch.sheet, number, masked, row.kind, read_event(row))
            except CellUnusable as error:
                rejects.append(RowReject(batch.sheet, number, error.reason, _HEADINGS[error.field], masked))
            except EventRefused as error:
                rejects.append(_reject(batch.sheet, number, masked, error))


def _enter_all(work: Work, lines: Sequence[_Line], enter: Enter, rejects: list[RowReject]) -> int:
    """By day, and within a day by kind: a file may list its rows in any order. Returns how many were new."""
    new = 0
    for line in sorted(lines, key=lambda line: (line.event.on_day, _ORDER[line.kind], line.sheet, line.row)):
        try:
            with savepoint(work.database):
                new += enter(work, line.event).is_new
        except (InputError, MoveInvalid) as error:
            rejects.append(_reject(line.sheet, line.row, line.masked, error))
    return new


def _begin(work: Work, digest: str, lines: Sequence[_Line], rows: int) -> int:
    today = work.office.today()
    latest = max((line.event.on_day for line in lines if line.event.on_day <= today), default=today)
    return work.insert(
        "loan_file",
        {
            "sha256": digest,
            "bank": work.bank,
            "business_date": latest.isoformat(),
            "rows": rows,
            "accepted": 0,
            "imported_by": work.actor.name,
            "imported_at": work.office.now(),
        },
    )


def _finish(work: Work, file_id: int, accepted: int, rejects: Sequence[RowReject], new: int) -> None:
    database = work.database
    database.execute("UPDATE loan_file SET accepted = ? WHERE file_id = ?", [accepted, file_id])
    database.execute("DELETE FROM loan_file_reject WHERE file_id = ?", [file_id])
    for reject in rejects:
        database.execute(
            "INSERT INTO loan_file_reject VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                file_id,
                reject.sheet,
                reject.row,
                reject.reason,
                reject.heading,
                reject.number,
                json.dumps(reject.params, ensure_ascii=False, sort_keys=True),
            ],
        )
    reasons = dict(sorted(Counter(reject.reason for reject in rejects).items()))
    work.record("loan.import", f"loan_file/{file_id}", accepted=accepted, new=new, rejects=reasons)


def _reject(sheet: str, row: int, masked: str, error: MingceError) -> RowReject:
    if isinstance(error, MoveInvalid):
        about = "kind"  # its state forbids this kind of business
    else:
        about = str(getattr(error, "field", "") or error.params.get("field", ""))
    params = {**error.params, "detail": error.detail}
    return RowReject(sheet, row, error.code, _HEADINGS.get(about, ""), masked, params)


def _place(reject: RowReject) -> tuple[str, int]:
    return reject.sheet, reject.row
