"""Reports: who may make which, of which days, and where they went."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, get_args

from sqlite_utils import Database

from keys.clock import parse_time
from keys.database import reading
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.errors import ClaimUnknown
from matcher.figures.definitions import VERSION
from matcher.figures.records import end_of
from matcher.figures.service import DayTable, Figures
from matcher.households.policies import Policies
from matcher.personal.fields import require_plain
from matcher.policy.reading import LoadedPolicy
from matcher.reports import performance
from matcher.reports.claim import find_head, make_claim
from matcher.reports.document import Column, Report, Row, Table, yuan
from matcher.reports.indicators import Period, days_of
from matcher.reports.performance import Frame
from matcher.reports.plain import write_csv, write_json
from matcher.reports.staff import make_staff, read_staff
from matcher.reports.workbook import write_workbook
from matcher.rows import fetch_all, fetch_first
from matcher.states import CLAIM
from psi.errors import InputError

ReportFormat = Literal["xlsx", "csv", "json"]


class ReportPeriodInvalid(InputError):
    """A report of days that have not come, or that are not in order; ``params``: start, end."""

    code = "report_period_invalid"


class CountyUnclear(InputError):
    """The bureau has several counties, and a report is one county's; ``params``: counties."""

    code = "report_county_unclear"


@dataclass(frozen=True)
class Written:
    """What an export left: its files, and the number of its row in the audit log."""

    files: tuple[Path, ...]
    rows: int
    sha256: str
    audit_seq: int


class Reports:
    """``townships``: the names of townships by code, for people; a code stands for itself without one.

    A report computes the figures of its last day anew; the days with which it is compared stay as they were kept.
    With ``until`` it goes to that day at the latest, and takes it, too, as it was kept: what the nightly job left.
    An account of a bank, and every report for the ``outside``, gets small cells hidden.
    """

    def __init__(self, office: Office, townships: Mapping[str, str] | None = None, *, is_demo: bool = False) -> None:
        self._office = office
        self._figures = Figures(office)
        self._townships = dict(townships or {})
        self._is_demo = is_demo

    def kpi(self, actor: Actor, day: date, *, outside: bool = False, until: date | None = None) -> Report:
        """The KPI table as of the end of a day. Raises NotAllowed, ReportPeriodInvalid, PolicyUnknown."""
        frame = self._frame(actor, day, outside)
        return self._marked(performance.make_kpi(frame, self._period(day, until)))

    def monthly(
        self, actor: Actor, year: int, month: int, *, outside: bool = False, until: date | None = None
    ) -> Report:
        """成效监测表 of a month that is over, or of the running one as far as it has gone. Raises as :meth:`kpi`."""
        day = self._last_day(year, month, until)
        frame = self._frame(actor, day, outside)
        return self._marked(performance.make_monthly(frame, self._period(day, until)))

    def year(self, actor: Actor, year: int, *, outside: bool = False, until: date | None = None) -> Report:
        """The year-end summary, of the running year as far as it has gone. Raises as :meth:`kpi`."""
        day = min(until or self._office.today(), date(year, 12, 31))
        if day.year != year:
            raise ReportPeriodInvalid("a year that has not come", start=f"{year}-01-01", end=f"{year}-12-31")
        frame = self._frame(actor, day, outside)
        period = self._period(day, until)
        ends = [self._kept(self._last_day(year, month)) for month in range(1, day.month)]
        months = [period.year_before, *ends, period.end]
        claims = _claim_table(self._office.database, year, actor.bank)
        return self._marked(performance.make_year(frame, period, months, claims))

    def staff(self, actor: Actor, start: date, end: date) -> Report:
        """Staff figures of a period, both days included; a bank's account gets its own people's.

        Raises NotAllowed, ReportPeriodInvalid, PolicyUnknown.
        """
        actor.require(Permission.SEE_FIGURES, division="")
        if not start <= end <= self._office.today():
            raise ReportPeriodInvalid("a period of days that have come", start=start.isoformat(), end=end.isoformat())
        policy = self._policy(end).policy
        with self._snapshot() as database:
            staff = read_staff(database, start, end, actor.bank)
        names = dict(fetch_all(self._office.database, "SELECT name, display_name FROM account"))
        return self._marked(make_staff(staff, names, policy.county_name, start, end, self._office.today()))

    def claim(self, actor: Actor, claim_id: int) -> Report:
        """贷款贴息申请汇总表 of a claim; frozen or not. Borrowers' names are in it, their numbers masked.

        Raises NotAllowed (another bank's too), ClaimUnknown.
        """
        actor.require(Permission.SEE_LOANS)
        with self._snapshot() as database:
            head = find_head(database, claim_id)
            if head is None:
                raise ClaimUnknown("no such claim", what="claim", number=claim_id)
            actor.require(Permission.SEE_LOANS, division=head.county, bank=head.bank)
            policies = self._policies_of(head.county)
            products = {product.code: product.name for loaded in policies for product in loaded.policy.loan.products}
            county_name = policies[-1].policy.county_name if policies else head.county
            today = self._office.today()
            report = make_claim(database, self._office.personal, head, county_name, products, today)
        return self._marked(report)

    def export(self, actor: Actor, report: Report, path: Path, *, format: ReportFormat, purpose: str) -> Written:
        """Write a report and record who took it, for what, how many rows and which content.

        Raises NotAllowed, TextNotPlain (``purpose``), OSError.
        """
        actor.require(Permission.EXPORT)
        reason = require_plain(purpose, "purpose")
        files = tuple(_WRITERS[format](path, report))
        sha256 = _digest(files)
        with self._office.writing():
            seq = self._office.record_within(
                actor, "report.export", report.subject, purpose=reason, report=report.name, format=format,
                rows=report.row_count, sha256=sha256, outside=report.is_outside,
            )  # fmt: skip
        return Written(files, report.row_count, sha256, seq)

    def _frame(self, actor: Actor, day: date, outside: bool) -> Frame:
        actor.require(Permission.SEE_FIGURES, division="")  # the county's numbers are for those who care for all of it
        if day > self._office.today():
            raise ReportPeriodInvalid("a day that has not come", start=day.isoformat(), end=day.isoformat())
        policy = self._policy(day).policy
        return Frame(policy, self._townships, self._office.today(), outside or actor.bank is not None)

    def _policy(self, day: date) -> LoadedPolicy:
        if len(self._office.divisions) != 1:
            counties = ", ".join(sorted(self._office.divisions))
            raise CountyUnclear("a report is of one county", counties=counties)
        (county,) = self._office.divisions
        return Policies(self._office).policy_for(county, day)

    def _policies_of(self, county: str) -> list[LoadedPolicy]:
        """All that were adopted for a county, in the order of their beginning: contracts keep theirs."""
        policies = Policies(self._office)
        rows = self._office.database.execute(
            "SELECT sha256 FROM policy WHERE county = ? AND state = 'adopted' ORDER BY valid_from", [county]
        ).fetchall()
        return [policies.by_sha256(sha256) for (sha256,) in rows]

    def _last_day(self, year: int, month: int, until: date | None = None) -> date:
        """Of a month, or the last one there is if it is not over. Raises ReportPeriodInvalid for one to come."""
        first = date(year, month, 1)
        after = date(year + month // 12, month % 12 + 1, 1)
        last = until or self._office.today()
        if first > last:
            raise ReportPeriodInvalid("a month that has not come", start=first.isoformat(), end=after.isoformat())
        return min(after - timedelta(days=1), last)

    def _period(self, day: date, until: date | None) -> Period:
        if until is None:
            self._figures.compute(day)
        end = self._kept(day) if until else self._figures.read_table(day)
        return Period(end, *(self._kept(other) for other in days_of(day)[1:]))

    def _kept(self, day: date) -> DayTable:
        """A past day's figures as they were kept; computed now if they were not, or before the day was over."""
        row = fetch_first(
            self._office.database,
            "SELECT computed_at FROM figure_day WHERE day = ? AND definitions = ?",
            [day.isoformat(), VERSION],
        )
        if row is None or parse_time(row[0]) < parse_time(end_of(day)):
            self._figures.compute(day)
        return self._figures.read_table(day)

    def _marked(self, report: Report) -> Report:
        return report.marked_as_demo() if self._is_demo else report

    @contextmanager
    def _snapshot(self) -> Iterator[Database]:
        with reading(self._office.database) as database:
            yield database


_WRITERS: dict[ReportFormat, Callable[[Path, Report], list[Path]]] = {
    "xlsx": write_workbook,
    "csv": write_csv,
    "json": write_json,
}
if set(_WRITERS) != set(get_args(ReportFormat)):
    raise ImportError("a format without a writer")


def _claim_table(database: Database, year: int, bank: str | None) -> Table:
    """The year's claims, how far each has come and what it asks of finance."""
    rows = fetch_all(
        database,
        "SELECT bank.name, claim.year, claim.state, COUNT(line_id), COALESCE(SUM(excess), 0), COALESCE(SUM(fiscal), 0),"
        " COALESCE(SUM(province), 0), COALESCE(SUM(local), 0) FROM claim JOIN bank ON bank.fingerprint = claim.bank"
        " LEFT JOIN interest_line USING (claim_id) WHERE claim.year = ?1 AND (?2 IS NULL OR claim.bank = ?2)"
        " GROUP BY claim_id ORDER BY bank.name",
        [year, bank],
    )
    columns = (
        Column("bank", "申报银行", "text", 26),
        Column("year", "年度", "text", 8),
        Column("state", "状态", "text", 12),
        Column("lines", "计息行数", width=10),
        Column("excess", "超出部分（元）", width=16),
        Column("fiscal", "财政贴息（元）", width=16),
        Column("province", "其中省级（元）", width=16),
        Column("local", "其中地方（元）", width=16),
    )
    body: list[Row] = [
        (name, str(of_year), CLAIM.words[state], lines, *(yuan(amount) for amount in amounts))
        for name, of_year, state, lines, *amounts in rows
    ]
    return Table("申报", "六、贴息申报情况", columns, tuple(body))


def _digest(files: tuple[Path, ...]) -> str:
    """SHA-256 over the files' own, in order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
