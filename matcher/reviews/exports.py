"""What leaves the review as a file, each with the fewest fields for its purpose and an audit row:
SMS texts, deliberation lists and the final list (docs/reference/reviews.md has their columns)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.exports import Format
from matcher.households.policies import Policies
from matcher.masking import mask_name
from matcher.reasons import describe, for_bank
from matcher.reviews.confirmations import Confirmation, Confirmations
from matcher.reviews.sheets import Exported, write_sheet
from matcher.rows import fetch_records
from matcher.visits.form import VisitForm
from matcher.visits.service import Visits
from psi.identifiers import mask

SMS_COLUMNS = ("手机号码", "短信内容", "家庭编号")
DELIBERATION_COLUMNS = ("序号", "家庭编号", "户主姓名", "乡镇（街道）", "村（社区）", "家庭人数", "评议意见", "备注")
LIST_COLUMNS = ("家庭编号", "客户姓名", "证件号码", "行政区划", "生效日期", "终止日期", "终止方式", "终止原因")
ENDINGS: Mapping[str, str] = {"GRADUATED": "跃迁", "REMOVED": "移出", "SUSPENDED": "暂停"}


# Of all, or a bank's own: the families it handed over a member of, and those that its managers visit.
_STAYS = """
    SELECT household_id, household_no, household.division, effective_from, effective_to, ended_as, listing.reasons
    FROM listing JOIN household USING (household_id)
    WHERE ?1 IS NULL OR household.bank = ?1 OR EXISTS (
        SELECT 1 FROM household_bank held WHERE held.household_id = household.household_id AND held.bank = ?1)
    ORDER BY household.division, household_no, listing_id
"""


@dataclass(frozen=True)
class _Family:
    """A household whose confirmation runs."""

    running: Confirmation
    household_no: str
    division: str


class ReviewExports:
    """Every method writes one file with its audit row; the file is there before anybody counts as told."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._policies = Policies(office)
        self._visits = Visits(office)
        self._confirmations = Confirmations(office)

    def write_sms(
        self, actor: Actor, path: Path, *, format: Format, purpose: str, counts_as_told: bool = True
    ) -> Exported:
        """A text for each family that has not been told yet: its telephone, no name and no ID number.

        They count as told from here, unless whoever sends it is to say so afterwards.
        Raises NotAllowed, TextNotPlain, OSError.
        """
        actor.require(Permission.REVIEW)
        with self._office.writing():
            families, left_out = self._families(lambda one: "sms" in one.running.ways and one.running.sms_at is None)
            rows = [(form.applicant.phone, self._sms_text(family), family.household_no) for family, form in families]
            done = write_sheet(self._office, actor, "export.sms", path, format, purpose, SMS_COLUMNS, rows, left_out)
            for family, _ in families if counts_as_told else ():
                self._confirmations.mark_told_within(family.running.confirmation_id)
        return done

    def write_deliberations(
        self, actor: Actor, path: Path, *, format: Format, purpose: str, township: str = ""
    ) -> Exported:
        """A sheet for the village groups whose word is missing, with empty places for it; the name is in it, because
        neighbours have to know whom they speak of. Raises NotAllowed, TextNotPlain, OSError.
        """
        actor.require(Permission.REVIEW)
        with self._office.writing():
            families, left_out = self._families(
                lambda one: (
                    "village" in one.running.ways
                    and one.running.village_result is None
                    and one.division.startswith(township)
                )
            )
            families.sort(key=lambda one: (one[1].head.township, one[1].head.village, one[0].household_no))
            rows = [
                (
                    str(place), family.household_no, form.applicant.name, form.head.township, form.head.village,
                    str(len(form.members)), "", "",
                )
                for place, (family, form) in enumerate(families, start=1)
            ]  # fmt: skip
            return write_sheet(
                self._office, actor, "export.deliberation", path, format, purpose, DELIBERATION_COLUMNS, rows, left_out
            )

    def write_final_list(
        self, actor: Actor, path: Path, *, format: Format, purpose: str, bank: str | None = None
    ) -> Exported:
        """Every stay on the final list, ended ones too.

        For a ``bank`` (fingerprint): its own customers' families with their numbers, so that it can lend to them.
        Without one, for the bureau's own use: names and numbers masked. Raises NotAllowed, TextNotPlain, OSError.
        """
        if bank is None:
            actor.require(Permission.LIST_END)
        else:
            actor.require(Permission.SEE_LOANS, bank=bank)
        with self._office.writing():
            stays = fetch_records(
                self._office.database,
                _STAYS,
                [bank],
            )
            forms = self._visits.accepted_forms(sorted({stay["household_id"] for stay in stays}))
            rows = [
                _list_row(stay, forms[stay["household_id"]].form, is_masked=bank is None)
                for stay in stays
                if stay["household_id"] in forms
            ]
            left_out = [stay["household_id"] for stay in stays if stay["household_id"] not in forms]
            return write_sheet(
                self._office, actor, "export.final_list", path, format, purpose, LIST_COLUMNS, rows, left_out
            )

    def _families(self, is_wanted: Callable[[_Family], bool]) -> tuple[list[tuple[_Family, VisitForm]], list[int]]:
        """The wanted families with their forms, and the households that have none."""
        running = self._confirmations.list_running()
        ids = [one.household_id for one in running]
        known = {
            row["household_id"]: row
            for row in fetch_records(
                self._office.database,
                "SELECT household_id, household_no, division FROM household"
                " WHERE household_id IN (SELECT value FROM json_each(?))",
                [json.dumps(ids)],
            )
        }
        forms = self._visits.accepted_forms(ids)
        found, left_out = [], []
        for one in running:
            row, saved = known[one.household_id], forms.get(one.household_id)
            family = _Family(one, row["household_no"], row["division"])
            if not is_wanted(family):
                continue
            if saved is None:
                left_out.append(one.household_id)
            else:
                found.append((family, saved.form))
        return found, left_out

    def _sms_text(self, family: _Family) -> str:
        (policy,) = self._office.database.execute(
            "SELECT policy FROM decision WHERE decision_id = ?", [family.running.decision_id]
        ).fetchone()
        rules = self._policies.by_sha256(policy).policy
        ends_on = date.fromisoformat(family.running.ends_on)
        return (
            f"【{rules.county_name}财政局】您家庭（编号{family.household_no}）已通过财金助力扩中家庭审核，"
            f"现进入确认期，至{ends_on.year}年{ends_on.month}月{ends_on.day}日止。如有疑问请联系所在乡镇（街道）。"
        )


def _list_row(stay: dict[str, Any], form: VisitForm, *, is_masked: bool) -> tuple[str, ...]:
    applicant = form.applicant
    return (
        stay["household_no"],
        mask_name(applicant.name) if is_masked else applicant.name,
        mask(applicant.id_number) if is_masked else applicant.id_number,
        stay["division"],
        stay["effective_from"],
        stay["effective_to"] or "",
        ENDINGS.get(stay["ended_as"], ""),
        describe(for_bank(filter(None, stay["reasons"].split(",")))),
    )
