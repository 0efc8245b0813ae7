"""Decisions as they are stored: what is open of one, and what is sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matcher.bureau.office import Office
from matcher.reviews.errors import DecisionUnknown
from matcher.rows import fetch_first, fetch_records

DecisionVerdict = Literal["approve", "reject", "return", "graduate", "suspend", "resume", "remove", "give_up"]
VERDICT_WORDS: Mapping[str, str] = {
    "approve": "通过",
    "reject": "不通过",
    "return": "退回",
    "graduate": "跃迁",
    "suspend": "暂停",
    "resume": "恢复",
    "remove": "移出",
    "give_up": "不再走访",
}
_OPEN = """
    SELECT decision_id, household_id, round, verdict, state, reasons, policy, digest, proposed_by, proposed_at,
        decided_by, decided_at, told_at
    FROM decision
"""


@dataclass(frozen=True)
class Decision:
    """A decision without what is sealed of it. ``policy`` is the SHA-256 of the policy's file; ``told_at`` is of a
    refusal, once the family knows of it."""

    decision_id: int
    household_id: int
    round: int
    verdict: DecisionVerdict
    state: Literal["proposed", "confirmed", "sent_back", "withdrawn"]
    reasons: tuple[str, ...]
    policy: str
    digest: str
    proposed_by: str
    proposed_at: str
    decided_by: str | None
    decided_at: str | None
    told_at: str | None


class DecisionRecords:
    """Reads the table ``decision``."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def read(self, decision_id: int) -> Decision:
        """Raises DecisionUnknown."""
        found = self._list(f"{_OPEN} WHERE decision_id = ?", [decision_id])
        if not found:
            raise DecisionUnknown("no such decision", decision=decision_id)
        return found[0]

    def list_of(self, household_id: int) -> list[Decision]:
        """Every decision about a household, in order."""
        return self._list(f"{_OPEN} WHERE household_id = ? ORDER BY decision_id", [household_id])

    def open_sealed(self, decision: Decision) -> dict[str, Any]:
        """``evidence`` as it was frozen and ``remark``; empty once a purge has erased it."""
        return self._open(decision, "sealed")

    def open_answer(self, decision: Decision) -> str:
        """What the second person remarked."""
        return str(self._open(decision, "sealed_answer").get("remark", ""))

    def _open(self, decision: Decision, column: str) -> dict[str, Any]:
        row = fetch_first(
            self._office.database, "SELECT sealed, sealed_answer FROM decision WHERE decision_id = ?",
            [decision.decision_id],
        )  # fmt: skip
        sealed = dict(zip(("sealed", "sealed_answer"), row or (), strict=False)).get(column)
        return self._office.personal.open(sealed, "decision", column, decision.digest) if sealed else {}

    def _list(self, sql: str, values: Sequence[object]) -> list[Decision]:
        return [
            Decision(**{**row, "reasons": tuple(filter(None, row["reasons"].split(",")))})
            for row in fetch_records(self._office.database, sql, values)
        ]
