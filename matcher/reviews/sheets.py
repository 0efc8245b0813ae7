"""The one way of writing a file that leaves the review: with its purpose, and an audit row that names its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.exports import Format, write_export
from matcher.personal.fields import require_plain

ID_COLUMNS = ("证件号码", "手机号码")


@dataclass(frozen=True)
class Exported:
    """What is in the file. ``left_out`` are households that it could not hold: without an accepted form."""

    rows: int
    sha256: str
    left_out: tuple[int, ...] = ()


def write_sheet(
    office: Office,
    actor: Actor,
    action: str,
    path: Path,
    format: Format,
    purpose: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    left_out: Sequence[int] = (),
) -> Exported:
    """Write the file and its audit row, in the caller's transaction. Raises NotAllowed, TextNotPlain, OSError."""
    actor.require(Permission.EXPORT)
    purpose = require_plain(purpose, "purpose")
    columns = {heading: pa.array([row[place] for row in rows], pa.string()) for place, heading in enumerate(headings)}
    write_export(path, columns, format=format, id_columns=ID_COLUMNS)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    office.record_within(
        actor, action, f"export/{sha256[:16]}", purpose=purpose, rows=len(rows), sha256=sha256, columns=list(headings)
    )
    return Exported(len(rows), sha256, tuple(left_out))
