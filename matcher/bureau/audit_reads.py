"""Who saw what: the audit rows that say who looked at a person in full, for what, and what was carried away."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.audit_log import begin_of
from matcher.bureau.office import Office
from matcher.rows import fetch_all, fetch_records

READS = (
    "person.reveal", "person.reveal_refused", "person.search", "attachment.read", "visit.place",
    "visit.sheet", "visit.take_along", "claim.export", "report.export",
    "download.ask", "download.agree", "download.fetch", "download.take",
)  # fmt: skip
"""And every ``export.…``."""
MOST_ROWS = 1_000

# The subjects under which reads of one household stand.
_SUBJECTS = """
    SELECT 'household/' || household_id FROM household WHERE household_no = ?1
    UNION ALL SELECT 'member/' || member_id FROM member JOIN household USING (household_id) WHERE household_no = ?1
    UNION ALL SELECT 'visit/' || visit_id FROM visit JOIN household USING (household_id) WHERE household_no = ?1
"""
_HOUSEHOLD_OF = """CASE substr(subject, 1, instr(subject, '/'))
    WHEN 'household/' THEN CAST(substr(subject, 11) AS INTEGER)
    WHEN 'member/' THEN (SELECT household_id FROM member WHERE member_id = CAST(substr(subject, 8) AS INTEGER))
    WHEN 'visit/' THEN (SELECT household_id FROM visit WHERE visit_id = CAST(substr(subject, 7) AS INTEGER)) END"""


@dataclass(frozen=True)
class ReadRow:
    """One look. ``household_id`` where it was at one household; ``field`` of a reveal; no personal data."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    household_id: int | None
    household_no: str | None
    field: str
    purpose: str


@dataclass(frozen=True)
class ReadFilter:
    """Each given value narrows it. ``household_no`` to the letter; ``subject`` such as ``member/17``; days in China,
    both included."""

    account: str = ""
    household_no: str = ""
    subject: str = ""
    since: date | None = None
    until: date | None = None


def list_reads(
    office: Office, actor: Actor, wanted: ReadFilter, *, before: int | None = None, limit: int = 100
) -> list[ReadRow]:
    """The newest first; ``before`` is a row's number, for the next page. Raises NotAllowed."""
    actor.require(Permission.SEE_AUDIT)
    subjects = [wanted.subject] if wanted.subject else []
    if wanted.household_no:
        of_household = [subject for (subject,) in fetch_all(office.database, _SUBJECTS, [wanted.household_no])]
        subjects = [one for one in of_household if not subjects or one in subjects]
        if not subjects:
            return []
    rows = fetch_records(
        office.database,
        f"SELECT seq, at, actor, action, subject, detail, found.household_id, household_no FROM ("  # noqa: S608
        f" SELECT seq, at, actor, action, subject, detail, {_HOUSEHOLD_OF} AS household_id FROM ("
        " SELECT seq, at, actor, action, subject, detail FROM audit"
        " WHERE (action IN (SELECT value FROM json_each(?1)) OR action GLOB 'export.*')"
        " AND (?2 = '' OR actor = ?2) AND (?3 OR subject IN (SELECT value FROM json_each(?4)))"
        " AND (?5 IS NULL OR at >= ?5) AND (?6 IS NULL OR at < ?6) AND (?7 IS NULL OR seq < ?7)"
        " ORDER BY seq DESC LIMIT ?8)) found LEFT JOIN household ON household.household_id = found.household_id"
        " ORDER BY seq DESC",
        [
            json.dumps(READS), wanted.account, not subjects, json.dumps(subjects),
            begin_of(wanted.since) if wanted.since else None,
            begin_of(wanted.until + timedelta(days=1)) if wanted.until else None,
            before, min(limit, MOST_ROWS),
        ],
    )  # fmt: skip
    return [_read(row) for row in rows]


def _read(row: dict[str, object]) -> ReadRow:
    detail = json.loads(str(row.pop("detail")))
    return ReadRow(**row, field=str(detail.get("field", "")), purpose=str(detail.get("purpose", "")))  # type: ignore[arg-type]
