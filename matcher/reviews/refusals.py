"""Telling a family that it was refused: why, that a person decided it, and that it may appeal (PIPL article 24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.exports import Format
from matcher.households.policies import Policies
from matcher.personal.fields import require_plain
from matcher.reasons import describe, for_bank
from matcher.reviews.cases import read_case_for
from matcher.reviews.errors import RefusalTold
from matcher.reviews.exports import SMS_COLUMNS
from matcher.reviews.sheets import Exported, write_sheet
from matcher.rows import fetch_records
from matcher.visits.service import Visits

UNTOLD = "verdict = 'reject' AND decision.state = 'confirmed' AND told_at IS NULL AND household.state = 'REJECTED'"
"""A refused family that does not know it yet: a condition on ``decision`` joined with ``household``."""
_UNTOLD = f"""
    SELECT decision_id, household_id, household_no, township, decided_at, policy, decision.reasons,
        EXISTS (SELECT 1 FROM objection WHERE objection.household_id = decision.household_id AND kind = 'appeal')
            AS has_appealed
    FROM decision JOIN household USING (household_id)
    WHERE {UNTOLD} AND (?1 IS NULL OR household_id = ?1)
    ORDER BY decision_id
"""  # noqa: S608  (fixed texts)


@dataclass(frozen=True)
class UntoldRow:
    """A refused family that is still to be told."""

    household_id: int
    household_no: str
    township: str
    decided_at: str


class Refusals:
    """The column ``decision.told_at``: which refused families know of it."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._policies = Policies(office)
        self._visits = Visits(office)

    def write_sms(
        self, actor: Actor, path: Path, *, format: Format, purpose: str, counts_as_told: bool = True
    ) -> Exported:
        """A text for each refused family that has not been told yet: its telephone, no name and no ID number.

        They count as told from here, unless whoever sends it is to say so afterwards.
        Raises NotAllowed, TextNotPlain, OSError.
        """
        actor.require(Permission.REVIEW)
        with self._office.writing():
            untold = self._list_untold()
            forms = self._visits.accepted_forms([one["household_id"] for one in untold])
            reached = [one for one in untold if one["household_id"] in forms]
            rows = [
                (forms[one["household_id"]].form.applicant.phone, self._text(one), one["household_no"])
                for one in reached
            ]
            left_out = [one["household_id"] for one in untold if one["household_id"] not in forms]
            done = write_sheet(
                self._office, actor, "export.refusal_sms", path, format, purpose, SMS_COLUMNS, rows, left_out
            )
            if counts_as_told:
                self._mark_told_within([one["decision_id"] for one in reached])
        return done

    def list_untold(self, actor: Actor) -> list[UntoldRow]:
        """Refused families that do not know of it, the longest waiting first. Raises NotAllowed."""
        actor.require(Permission.REVIEW)
        return [
            UntoldRow(one["household_id"], one["household_no"], one["township"], one["decided_at"])
            for one in self._list_untold()
            if actor.cares_for(one["township"])
        ]

    def tell(self, actor: Actor, household_id: int, how: str, *, key: str | None = None) -> None:
        """Record that a refused family was told otherwise than by SMS: by letter, at a visit.

        Raises NotAllowed, HouseholdUnknown, RefusalTold, TextNotPlain.
        """
        how = require_plain(how, "how")
        request = {"operation": "refusal.tell", "household": household_id, "how": how}
        Idempotency(self._office).run(
            actor, key, request, lambda: {"number": self._tell_within(actor, household_id, how)}
        )

    def tell_many(
        self, actor: Actor, household_ids: Sequence[int], how: str, *, key: str | None = None
    ) -> list[Outcome]:
        """:meth:`tell` for many, in one transaction; those that cannot be are left as they were."""
        actor.require(Permission.REVIEW)
        how = require_plain(how, "how")
        request = {"operation": "refusal.tell_many", "ids": list(household_ids), "how": how}
        return Idempotency(self._office).run_each(
            actor, key, request, household_ids, lambda number: self._tell_within(actor, number, how)
        )

    def _tell_within(self, actor: Actor, household_id: int, how: str) -> int:
        read_case_for(self._office, actor, household_id, Permission.REVIEW)
        untold = self._list_untold(household_id)
        if not untold:
            raise RefusalTold("no refusal to tell of", household=household_id)
        self._mark_told_within([one["decision_id"] for one in untold])
        return self._office.record_within(actor, "refusal.tell", f"household/{household_id}", how=how)

    def _list_untold(self, household_id: int | None = None) -> list[dict[str, Any]]:
        return fetch_records(self._office.database, _UNTOLD, [household_id])

    def _mark_told_within(self, decision_ids: Sequence[int]) -> None:
        """The transaction's own audit row says how they were told."""
        for decision_id in decision_ids:
            self._office.database.execute(
                "UPDATE decision SET told_at = ? WHERE decision_id = ?", [self._office.now(), decision_id]
            )

    def _text(self, untold: dict[str, Any]) -> str:
        """An SMS passes through others' hands, so the groups of PIPL article 28 stand in it as 政策排除."""
        county = self._policies.by_sha256(untold["policy"]).policy.county_name
        reasons = describe(for_bank(filter(None, untold["reasons"].split(","))))
        begin = f"【{county}财政局】您家庭（编号{untold['household_no']}）"
        if untold["has_appealed"]:
            return (
                f"{begin}的申诉已由工作人员重新审核，结果为未通过财金助力扩中家庭审核，原因：{reasons}。"
                "详细理由请向所在乡镇（街道）查询。"
            )
        return (
            f"{begin}未通过财金助力扩中家庭审核，原因：{reasons}。审核由工作人员作出。"
            "如不同意，可向所在乡镇（街道）申诉一次，由工作人员重新审核；详细理由也可在那里查询。"
        )
