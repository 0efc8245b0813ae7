"""A department's answers as a file for the bureau's own use: masked, or whole for a reason."""

from __future__ import annotations

import hashlib
from pathlib import Path

from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.checks.results import ID_COLUMN, result_columns
from matcher.exports import Format, write_export
from matcher.personal.fields import require_plain
from matcher.schemas import ListSchema


def export_results(
    office: Office,
    actor: Actor,
    path: Path,
    *,
    store: BankStore,
    run: Run,
    schema: ListSchema,
    format: Format,
    reason: str = "",
    listed_only: bool = False,
) -> int:
    """Write a run's results and return how many rows; numbers and names are whole if a ``reason`` is given.

    The audit log has who, why, how many and the file's digest; the run's own log has the name of the file.
    Raises NotAllowed, TextNotPlain, RunStateInvalid, OSError.
    """
    actor.require(Permission.EXPORT)
    actor.require(Permission.SEE_SENSITIVE)
    if reason:
        actor.require(Permission.REVEAL)
        reason = require_plain(reason, "reason")
    columns = result_columns(store, run, schema, masked=not reason, listed_only=listed_only)
    rows = len(columns[ID_COLUMN])
    note = f"export {path.name}, {'whole numbers: ' + reason if reason else 'masked'}"
    store.runs.release(run.run_id, actor.name, note)  # on record before it leaves
    with office.writing():
        write_export(path, columns, format=format, id_columns=(ID_COLUMN,))
        office.record_within(
            actor,
            "export.check",
            f"run/{run.run_id}",
            purpose=reason,
            rows=rows,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            columns=list(columns),
            masked=not reason,
        )
    return rows
