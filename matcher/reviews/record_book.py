"""审核记录: what each decision rested on and who made it, row by row, tied to the audit chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.exports import Format
from matcher.reasons import for_bank
from matcher.reviews.records import VERDICT_WORDS
from matcher.reviews.sheets import Exported, write_sheet
from matcher.rows import fetch_records

RECORD_COLUMNS = (
    "记录编号", "家庭编号", "环节", "部门", "核查项", "数据截至", "结论", "原因代码", "经办", "复核", "时间",
    "前序哈希",
)  # fmt: skip

# Decisions that were answered on the days ?1 to ?2 (China), of one household if ?3, with the audit row of the answer.
_DECISIONS = """
    SELECT decision_id, household_no, round, verdict, decision.state, decision.reasons, checks, proposed_by,
        decision.decided_by, decision.decided_at, submitted_at, audit.previous
    FROM decision JOIN household USING (household_id) LEFT JOIN visit ON visit.visit_id = decision.visit_id
    JOIN audit ON audit.subject = 'household/' || decision.household_id AND audit.action = 'review.' || decision.state
        AND json_extract(audit.detail, '$.decision') = decision_id
    WHERE decision.state <> 'proposed' AND date(decision.decided_at, '+8 hours') BETWEEN ?1 AND ?2
        AND (?3 IS NULL OR decision.household_id = ?3)
    ORDER BY decision_id
"""
_CHECKS = """
    SELECT department, origin, as_of, COUNT(*) AS members
    FROM department_check WHERE check_id IN (SELECT value FROM json_each(?))
    GROUP BY department, origin, as_of ORDER BY department, as_of
"""

_ANSWERS = {"confirmed": "", "sent_back": "（复核退回）", "withdrawn": "（经办撤回）"}


class RecordBook:
    """The decisions as a sheet for the files and the auditors."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def write(
        self,
        actor: Actor,
        path: Path,
        *,
        format: Format,
        purpose: str,
        first: date,
        last: date,
        household_id: int | None = None,
    ) -> Exported:
        """The decisions answered from ``first`` to ``last``: for each the form, the departments' answers, the verdict.

        An auditor from outside reads it: N10 to N12 are NX1, and nobody learns what a department answered.
        Raises NotAllowed, TextNotPlain, OSError.
        """
        actor.require(Permission.DECIDE)
        with self._office.writing():
            found = fetch_records(
                self._office.database, _DECISIONS, [first.isoformat(), last.isoformat(), household_id]
            )
            rows = [row for decision in found for row in self._rows(decision)]
            return write_sheet(self._office, actor, "export.review_record", path, format, purpose, RECORD_COLUMNS, rows)

    def _rows(self, decision: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        def row(department: str, item: str, as_of: str, verdict: str, reasons: str) -> tuple[str, ...]:
            return (
                str(decision["decision_id"]), decision["household_no"], f"第{decision['round']}轮", department, item,
                as_of, verdict, ",".join(for_bank(sorted(set(filter(None, reasons.split(",")))))),
                decision["proposed_by"], decision["decided_by"], decision["decided_at"], decision["previous"],
            )  # fmt: skip

        if decision["submitted_at"]:
            yield row("", "信息采集表", decision["submitted_at"][:10], "已采纳", "")
        numbers = [number for answers in json.loads(decision["checks"]).values() for number in answers]
        for check in fetch_records(self._office.database, _CHECKS, [json.dumps(numbers)]):
            yield row(check["department"], check["origin"], check["as_of"], f"已核验（{check['members']}人）", "")
        answer = _ANSWERS[decision["state"]]
        yield row("", "审核决定", decision["decided_at"][:10], VERDICT_WORDS[decision["verdict"]] + answer,
                  decision["reasons"])  # fmt: skip
