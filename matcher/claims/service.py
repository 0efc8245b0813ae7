"""Claims: the one way in (docs/reference/claims.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from keys.database import reading
from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import SYSTEM, Actor, Permission
from matcher.bureau.office import Office
from matcher.claims import exceptions, queries, reconciliation, sampling
from matcher.claims.accrual import Accrual, accrue_within
from matcher.claims.errors import ClaimNotReady, ClaimUnknown
from matcher.claims.exceptions import ClaimException
from matcher.claims.explaining import Explanation, explain_within
from matcher.claims.lines import PARTS, digest_lines
from matcher.claims.queries import OPEN_LINES, ClaimLine, ClaimStep, ClaimSummary
from matcher.claims.reconciliation import Reconciliation, read_figures
from matcher.claims.sight import require_sight, require_sight_of, require_sight_of_line
from matcher.claims.steps import (
    FREEZE,
    MOVES,
    ClaimRow,
    Step,
    check_digest,
    move_within,
    open_claim,
    require_ready,
    require_touchable,
)
from matcher.exports import Format, write_export
from matcher.personal.fields import require_plain
from matcher.states import CLAIM
from matcher.subsidy.lines import plain_yuan
from matcher.transit import private_folder
from psi.errors import InputError

LONGEST_PAGE = 1_000
_HEADINGS = {
    "line_id": "行号", "contract_no": "合同编号", "kind": "类别", "period_start": "起息日", "period_end": "止息日",
    "settled_on": "结息日", "claim_year": "所属年度", "balance_days": "余额积数", "gross": "应计利息",
    "customer": "客户承担", "excess": "超出部分", "fiscal": "财政贴息", "bank": "银行让利", "province": "其中省级",
    "local": "其中地方", "interest_due": "客户应付利息", "interest_paid": "客户已付利息",
}  # fmt: skip
_KINDS = {"regular": "结息", "adjustment": "更正"}


@dataclass(frozen=True)
class ClaimHead:
    """A claim with its way so far."""

    summary: ClaimSummary
    steps: list[ClaimStep]


@dataclass(frozen=True)
class ClaimPage:
    """A claim with its way so far, what a person has to look at, and some of its lines."""

    summary: ClaimSummary
    steps: list[ClaimStep]
    exceptions: list[ClaimException]
    lines: list[ClaimLine]


class Claims:
    """Interest accrued, and the claims made of it. Every method is one transaction."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._idempotency = Idempotency(office)

    # T+1

    def accrue(self, day: date) -> Accrual:
        """Compute all interest up to the end of ``day``: the nightly job's part, which needs no permission and
        decides nothing. It never goes back behind a day accrued before, and run again it changes nothing.
        Raises InputError for a day that is not over."""
        if day >= self._office.today():
            raise InputError("interest is accrued for days that are over", field="day")
        with self._office.writing():
            return accrue_within(self._office, SYSTEM, day)

    # Building

    def open(self, actor: Actor, bank: str, county: str, year: int, *, key: str | None = None) -> int:
        """A claim of a bank in a county for a year, still accruing; the one that is there, if there is one.

        Returns its number. Raises NotAllowed, ClaimUnknown (no such bank, or no policy of the county).
        """

        def do() -> dict[str, Any]:
            actor.require(Permission.PREPARE_CLAIM, division=county, bank=bank)
            return {"claim": self._open(actor, bank, county, year)}

        request = {"do": "claim.open", "bank": bank, "county": county, "year": year}
        return int(self._idempotency.run(actor, key, request, do)["claim"])

    def _open(self, actor: Actor, bank: str, county: str, year: int) -> int:
        database, now = self._office.database, self._office.now()
        for what, sql, value in (
            ("bank", "SELECT 1 FROM bank WHERE fingerprint = ?", bank),
            ("county", "SELECT 1 FROM policy WHERE county = ? AND state = 'adopted'", county),
        ):
            if database.execute(sql, [value]).fetchone() is None:
                raise ClaimUnknown("nothing to claim for", what=what, number=value)
        known = database.execute(
            "SELECT claim_id FROM claim WHERE bank = ? AND county = ? AND year = ?", [bank, county, year]
        ).fetchone()
        if known is not None:
            return int(known[0])
        cursor = database.execute(
            "INSERT INTO claim (bank, county, year, state, created_by, created_at, updated_at)"
            " VALUES (?, ?, ?, 'ACCRUING', ?, ?, ?)",
            [bank, county, year, actor.name, now, now],
        )
        claim_id = int(cursor.lastrowid or 0)
        self._office.record_within(actor, "claim.open", f"claim/{claim_id}", bank=bank[:16], county=county, year=year)
        return claim_id

    def freeze(self, actor: Actor, claim_id: int, *, key: str | None = None) -> ClaimSummary:
        """Compute all interest once more up to yesterday and freeze the lines that are due and paid.

        What is not paid waits for a later claim. Raises ClaimUnknown, NotAllowed, MoveInvalid, and ClaimNotReady:
        the year is not over, an earlier year is not frozen or a later one is, there is no line, or a household's
        loans cannot be computed.
        """

        def do() -> dict[str, Any]:
            claim = open_claim(self._office, actor, claim_id, FREEZE.permission)
            CLAIM.check(claim.state, FREEZE.to_state)
            yesterday = self._office.today() - timedelta(days=1)
            if yesterday < date(claim.year, 12, 31):
                raise ClaimNotReady("the year is not over", what="year", count=1)
            accrued = accrue_within(self._office, actor, yesterday)
            self._check_order(claim)
            if accrued.faults:
                raise ClaimNotReady("some loans cannot be computed", what="faults", count=len(accrued.faults))
            database = self._office.database
            taken = database.execute(
                f"UPDATE interest_line SET claim_id = ?4 WHERE {OPEN_LINES}",  # noqa: S608 (our own condition)
                [claim.bank, claim.year, claim.county, claim_id],
            )
            if not taken.rowcount:
                raise ClaimNotReady("nothing is due and paid", what="lines", count=0)
            digest, _ = digest_lines(database, "claim_id = ?", [claim_id])
            through = accrued.through.isoformat()
            move_within(self._office, actor, claim, FREEZE.to_state, "", through=through, digest=digest)
            exceptions.find_within(database, claim_id)
            return {}

        self._idempotency.run(actor, key, {"do": "claim.freeze", "claim": claim_id}, do)
        return self.get(actor, claim_id).summary

    def _check_order(self, claim: ClaimRow) -> None:
        """Corrections go forward only, so years are frozen one after another; one without lines holds none up.

        Raises ClaimNotReady.
        """
        lines = f"SELECT 1 FROM interest_line WHERE {OPEN_LINES} AND claim_year <= claim.year"  # noqa: S608 (our own)
        for what, condition in (
            ("earlier", f"year < ?2 AND state = 'ACCRUING' AND EXISTS ({lines})"),
            ("later", "year > ?2 AND state <> 'ACCRUING'"),
        ):
            sql = f"SELECT COUNT(*) FROM claim WHERE (bank, county) = (?1, ?3) AND {condition}"  # noqa: S608 (our own)
            (count,) = self._office.database.execute(sql, [claim.bank, claim.year, claim.county]).fetchone()
            if count:
                raise ClaimNotReady("years are frozen one after another", what=what, count=count)

    # On its way

    def reconcile(self, actor: Actor, claim_id: int, path: Path) -> Reconciliation:
        """Compare a frozen claim with a file of the bank's own figures; differences become exceptions.

        The same file again changes nothing that was settled. Raises ClaimUnknown, NotAllowed, MoveInvalid,
        FiguresFileInvalid, and what read_table raises.
        """
        with reading(self._office.database):
            require_touchable(open_claim(self._office, actor, claim_id, Permission.PREPARE_CLAIM))
        theirs = read_figures(path)  # before the transaction: reading a workbook may take its time
        with self._office.writing():
            return reconciliation.reconcile_within(self._office, actor, claim_id, theirs)

    def take_figures(
        self, actor: Actor, claim_id: int, content: bytes, suffix: Literal[".csv", ".xlsx"]
    ) -> Reconciliation:
        """:meth:`reconcile` of an upload."""
        with private_folder(self._office.home) as folder:
            file = folder / f"figures{suffix}"
            file.write_bytes(content)
            return self.reconcile(actor, claim_id, file)

    def settle(self, actor: Actor, exception_id: int, settlement: str, *, key: str | None = None) -> None:
        """Say why an exception stands: the auditor of a finding, the bank of everything else.

        Raises ClaimUnknown, NotAllowed, MoveInvalid, ExceptionSettled, TextNotPlain.
        """

        def do() -> dict[str, Any]:
            exceptions.settle_within(self._office, actor, exception_id, settlement)
            return {}

        self._idempotency.run(actor, key, {"do": "claim.settle", "exception": exception_id, "why": settlement}, do)

    def sample(self, actor: Actor, claim_id: int, size: int, *, key: str | None = None) -> list[int]:
        """Draw the auditor's sample once, by a recorded seed; returns the lines' numbers. Again it returns the same.

        Raises ClaimUnknown, NotAllowed, MoveInvalid, InputError, ClaimTampered.
        """

        def do() -> dict[str, Any]:
            return {"lines": sampling.draw_within(self._office, actor, claim_id, size)}

        return list(
            self._idempotency.run(actor, key, {"do": "claim.sample", "claim": claim_id, "size": size}, do)["lines"]
        )

    def find(self, actor: Actor, claim_id: int, line_id: int, finding: str, *, key: str | None = None) -> None:
        """Note what the auditor found of a sampled line: ``ok``, or what is wrong, which has to be settled.

        Raises ClaimUnknown, NotAllowed, MoveInvalid, TextNotPlain, InputError.
        """

        def do() -> dict[str, Any]:
            sampling.find_within(self._office, actor, claim_id, line_id, finding)
            return {}

        request = {"do": "claim.find", "claim": claim_id, "line": line_id, "finding": finding}
        self._idempotency.run(actor, key, request, do)

    def move(
        self, actor: Actor, claim_id: int, step: Step, *, remark: str = "", key: str | None = None
    ) -> ClaimSummary:
        """Take a claim a step on. Where money is decided, by another person than before (OTHER_PERSON).

        Raises ClaimUnknown, NotAllowed, MoveInvalid, SamePerson, ClaimNotReady, ClaimTampered, TextNotPlain.
        """

        def do() -> dict[str, Any]:
            claim = open_claim(self._office, actor, claim_id, MOVES[step].permission)
            CLAIM.check(claim.state, MOVES[step].to_state)
            require_ready(self._office.database, claim, step)
            said = require_plain(remark, "remark", optional=step is not Step.RETURN)
            move_within(self._office, actor, claim, MOVES[step].to_state, said)
            return {}

        self._idempotency.run(actor, key, {"do": f"claim.{step}", "claim": claim_id, "remark": remark}, do)
        return self._summary(claim_id)

    # Looking

    def list(self, actor: Actor) -> list[ClaimSummary]:
        """All claims of the account's county and bank. Raises NotAllowed."""
        require_sight(actor)
        with reading(self._office.database) as database:
            found = queries.summarise(database, bank=actor.bank)
        return [claim for claim in found if actor.cares_for(claim.county)]

    def head(self, actor: Actor, claim_id: int) -> ClaimHead:
        """A claim without what it consists of. Raises NotAllowed, ClaimUnknown."""
        with reading(self._office.database) as database:
            require_sight_of(database, actor, claim_id)
            return ClaimHead(queries.summarise(database, claim_id)[0], queries.list_steps(database, claim_id))

    def get(self, actor: Actor, claim_id: int, *, first: int = 0, count: int = 0) -> ClaimPage:
        """A claim with its steps and exceptions, and ``count`` of its lines from ``first`` on, 1,000 at most.

        Raises NotAllowed, ClaimUnknown.
        """
        with reading(self._office.database) as database:
            require_sight_of(database, actor, claim_id)
            return ClaimPage(
                queries.summarise(database, claim_id)[0],
                queries.list_steps(database, claim_id),
                exceptions.list_within(database, claim_id),
                queries.list_lines(database, claim_id, max(first, 0), min(max(count, 0), LONGEST_PAGE)),
            )

    def verify(self, actor: Actor, claim_id: int) -> ClaimSummary:
        """Whether a frozen claim's lines are those that were frozen. Raises NotAllowed, ClaimUnknown, ClaimTampered."""
        with reading(self._office.database) as database:
            claim = require_sight_of(database, actor, claim_id)
            if claim.digest is not None:
                check_digest(database, claim)
            return queries.summarise(database, claim_id)[0]

    def explain(self, actor: Actor, line_id: int) -> Explanation:
        """How a line came about, from what is stored with it. Raises NotAllowed, ClaimUnknown."""
        with reading(self._office.database) as database:
            require_sight_of_line(database, actor, line_id)
            return explain_within(database, line_id)

    def export(self, actor: Actor, claim_id: int, path: Path, format: Format) -> int:
        """Write a claim's lines, with the columns that ``reconcile`` reads; returns how many. No personal data.

        Raises NotAllowed, ClaimUnknown, OSError.
        """
        actor.require(Permission.EXPORT)
        with self._office.writing() as database:
            claim = require_sight_of(database, actor, claim_id)
            lines = queries.list_lines(database, claim_id)
            self._office.record_within(
                actor, "claim.export", f"claim/{claim_id}", purpose="claim lines", rows=len(lines), digest=claim.digest
            )
        write_export(path, _columns(lines), format=format)  # after its audit row: none gets out without one
        return len(lines)

    def _summary(self, claim_id: int) -> ClaimSummary:
        with reading(self._office.database) as database:
            return queries.summarise(database, claim_id)[0]


def _columns(lines: Sequence[ClaimLine]) -> dict[str, pa.Array[Any]]:
    columns: dict[str, pa.Array[Any]] = {}
    for name, heading in _HEADINGS.items():
        cells = [getattr(line.amounts if name in PARTS else line, name) for line in lines]
        columns[heading] = pa.array([_cell(name, cell) for cell in cells], pa.string())
    return columns


def _cell(name: str, value: Any) -> str:
    if name == "kind":
        return _KINDS[value]
    if name in PARTS or name in ("balance_days", "interest_due", "interest_paid"):
        return plain_yuan(value)
    return str(value)
