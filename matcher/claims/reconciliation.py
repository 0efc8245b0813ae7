"""A bank's own figures beside ours: the differences, line by line (docs/reference/claims.md has the file)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, cast

from sqlite_utils import Database

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.errors import FiguresFileInvalid
from matcher.claims.exceptions import add_within
from matcher.claims.steps import open_claim, require_touchable
from matcher.columns import ColumnMapping, Field
from matcher.tables import read_table

AMOUNTS = ("gross", "customer", "fiscal", "bank")
FIGURES_COLUMNS = ColumnMapping(
    {
        "number": Field(("合同编号", "合同号", "contract_no")),
        "period_start": Field(("起息日", "计息起日", "from")),
        "gross": Field(("应计利息", "gross")),
        "customer": Field(("客户承担", "客户承担利息", "customer")),
        "fiscal": Field(("财政贴息", "fiscal")),
        "bank": Field(("银行让利", "bank")),
    }
)
_AMOUNT = re.compile(r"-?\d{1,12}(\.\d{1,2})?", re.ASCII)


class LineKey(NamedTuple):
    """A claim has at most one line of a contract and a period's first day."""

    contract_no: str
    period_start: str


@dataclass(frozen=True)
class Difference:
    """``ours`` and ``theirs`` in 分, in the order of AMOUNTS; None where that side has no such line."""

    contract_no: str
    period_start: str
    ours: tuple[int, ...] | None
    theirs: tuple[int, ...] | None
    line_id: int | None
    loan_id: int | None

    @property
    def kind(self) -> str:
        return "missing_theirs" if self.theirs is None else "missing_ours" if self.ours is None else "amounts"


@dataclass(frozen=True)
class Reconciliation:
    """``lines``: of the claim; ``rows``: of the file."""

    claim_id: int
    lines: int
    rows: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Figures:
    """What a bank's file says: ``amounts`` in 分, in the order of AMOUNTS; ``sha256`` of the file."""

    amounts: dict[LineKey, tuple[int, ...]]
    sha256: str


def read_figures(path: Path) -> Figures:
    """Raises FiguresFileInvalid, and what read_table raises."""
    found: dict[LineKey, tuple[int, ...]] = {}
    for batch in read_table(path, FIGURES_COLUMNS):
        for reject in batch.rejects:
            raise _invalid(path, batch.sheet, reject.row, "", reject.reason)
        columns = {name: column.to_pylist() for name, column in batch.columns.items()}
        for place, row in enumerate(cast("list[int]", batch.rows.to_pylist())):
            cells = {name: (column[place] or "").strip().lstrip("'") for name, column in columns.items()}
            key = LineKey(cells["number"], cells["period_start"][:10].replace("/", "-"))
            for name, is_good in _checks(cells, key):
                if not is_good:
                    raise _invalid(path, batch.sheet, row, FIGURES_COLUMNS.fields[name].headers[0], "value")
            if key in found:
                raise _invalid(path, batch.sheet, row, FIGURES_COLUMNS.fields["number"].headers[0], "twice")
            found[key] = tuple(int(Decimal(_plain(cells[name])) * 100) for name in AMOUNTS)
    with path.open("rb") as stream:
        return Figures(found, hashlib.file_digest(stream, "sha256").hexdigest())


def _checks(cells: dict[str, str], key: LineKey) -> Iterator[tuple[str, bool]]:
    yield "number", bool(key.contract_no)
    yield "period_start", _is_day(key.period_start)
    for name in AMOUNTS:
        yield name, _AMOUNT.fullmatch(_plain(cells[name])) is not None


def _plain(text: str) -> str:
    return text.replace(",", "").removesuffix("元")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _invalid(path: Path, sheet: str, row: int, column: str, reason: str) -> FiguresFileInvalid:
    return FiguresFileInvalid(
        f"row {row} cannot be read", file=path.name, sheet=sheet, row=row, column=column, reason=reason
    )


def compare_within(database: Database, claim_id: int, theirs: dict[LineKey, tuple[int, ...]]) -> Reconciliation:
    """The differences, by contract and period."""
    rows = database.execute(
        "SELECT contract_no, period_start, line_id, loan_id, gross, customer, fiscal, interest_line.bank"
        " FROM interest_line JOIN loan USING (loan_id) WHERE claim_id = ?",
        [claim_id],
    ).fetchall()
    ours = {LineKey(row[0], row[1]): (row[2], row[3], tuple(row[4:])) for row in rows}
    differences = []
    for key in sorted(ours.keys() | theirs.keys()):
        line_id, loan_id, amounts = ours.get(key, (None, None, None))
        if amounts != theirs.get(key):
            differences.append(Difference(*key, amounts, theirs.get(key), line_id, loan_id))
    return Reconciliation(claim_id, len(ours), len(theirs), tuple(differences))


def reconcile_within(office: Office, actor: Actor, claim_id: int, theirs: Figures) -> Reconciliation:
    """Compare a frozen claim with the bank's file. Open differences of an earlier file are replaced.

    Raises ClaimUnknown, NotAllowed, MoveInvalid.
    """
    require_touchable(open_claim(office, actor, claim_id, Permission.PREPARE_CLAIM))
    done = compare_within(office.database, claim_id, theirs.amounts)
    office.database.execute(
        "DELETE FROM claim_exception WHERE claim_id = ? AND kind = 'difference' AND settled_at IS NULL", [claim_id]
    )
    settled = _settled(office.database, claim_id)
    found = [(d.line_id, d.loan_id, _detail(d)) for d in done.differences]
    add_within(office.database, claim_id, "difference", [row for row in found if row[2] not in settled])
    office.database.execute("UPDATE claim SET reconciled = ? WHERE claim_id = ?", [theirs.sha256, claim_id])
    office.record_within(
        actor,
        "claim.reconcile",
        f"claim/{claim_id}",
        file=theirs.sha256,
        rows=done.rows,
        differences=len(done.differences),
    )
    return done


def _settled(database: Database, claim_id: int) -> set[str]:
    rows = database.execute(
        "SELECT detail FROM claim_exception WHERE claim_id = ? AND kind = 'difference' AND settled_at IS NOT NULL",
        [claim_id],
    )
    return {detail for (detail,) in rows.fetchall()}


def _detail(found: Difference) -> str:
    values = {
        "kind": found.kind,
        "contract_no": found.contract_no,
        "from": found.period_start,
        "ours": found.ours and dict(zip(AMOUNTS, found.ours, strict=True)),
        "theirs": found.theirs and dict(zip(AMOUNTS, found.theirs, strict=True)),
    }
    return json.dumps(values, ensure_ascii=False, sort_keys=True)
