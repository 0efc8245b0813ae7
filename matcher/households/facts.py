"""What is known of households, fact by fact, with where each comes from and of which day it is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from matcher.bureau.office import Office
from matcher.eligibility import Facts, completed_years
from matcher.rows import fetch_all
from psi.identifiers import birth_date

ADULT = 18  # civil code, article 17: whoever may sign a contract
_AT_ONCE = 4_096

_HOUSEHOLDS = """
    SELECT household_id, household_size, reasons,
        (SELECT dataset || '/' || epoch || '/' || edition || ' ' || substr(updated_at, 1, 10)
         FROM candidate JOIN epoch USING (epoch_no) WHERE candidate.household_id = household.household_id
         ORDER BY epoch_no DESC, edition DESC, row_version DESC, candidate_id LIMIT 1)
    FROM household WHERE household_id IN (SELECT value FROM json_each(?))
"""
_MEMBERS = """
    SELECT household_id, member_id, is_applicant, sealed, substr(updated_at, 1, 10) FROM member
    WHERE left_at IS NULL AND household_id IN (SELECT value FROM json_each(?)) ORDER BY member_id
"""
_FORMS = """
    SELECT household_id, visit_id, device_key, sealed FROM visit JOIN form USING (visit_id)
    WHERE visit.state = 'ACCEPTED' AND replaced_at IS NULL AND household_id IN (SELECT value FROM json_each(?))
    ORDER BY visit_id
"""
_CHECKS = """
    SELECT household_id, check_id, department, reasons, as_of FROM present_check
    WHERE reasons <> '' AND household_id IN (SELECT value FROM json_each(?)) ORDER BY check_id
"""
_CONFLICTS = """
    SELECT household_id, conflict_id, substr(found_at, 1, 10) FROM conflict
    WHERE settled_at IS NULL AND household_id IN (SELECT value FROM json_each(?)) ORDER BY conflict_id
"""


class Source(NamedTuple):
    """``reference``: dataset/epoch/edition of a label, visit/17, check/4, member/8 or conflict/2. ``as_of`` a day."""

    kind: Literal["label", "form", "check", "member", "conflict"]
    reference: str
    as_of: str


@dataclass(frozen=True)
class KnownFacts:
    """``sources`` are by the name of the fact, a reason's by its code."""

    household_id: int
    facts: Facts
    sources: Mapping[str, Source]

    def to_json(self) -> dict[str, Any]:
        """As a decision keeps it: personal data, to be sealed."""
        facts = {**vars(self.facts), "reasons": sorted(self.facts.reasons)}
        facts["born_on"] = self.facts.born_on.isoformat() if self.facts.born_on else None
        return {"facts": facts, "sources": {name: list(source) for name, source in self.sources.items()}}


def gather_facts(office: Office, household_ids: Sequence[int], on: date) -> Iterator[KnownFacts]:
    """See Households.gather_facts."""
    for start in range(0, len(household_ids), _AT_ONCE):
        part = household_ids[start : start + _AT_ONCE]
        yield from _gather(office, part, on)


def _gather(office: Office, household_ids: Sequence[int], on: date) -> Iterator[KnownFacts]:
    wanted = [json.dumps(list(household_ids))]

    def by_household(sql: str) -> dict[int, list[tuple[Any, ...]]]:
        found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        for row in fetch_all(office.database, sql, wanted):
            found[row[0]].append(row)
        return found

    labels = by_household(_HOUSEHOLDS)
    members, forms, checks, conflicts = map(by_household, (_MEMBERS, _FORMS, _CHECKS, _CONFLICTS))
    for household_id in household_ids:
        if household_id not in labels:
            continue
        known = _Known(office, on)
        known.take_label(*labels[household_id][0])
        known.take_members(members.get(household_id, ()))
        known.take_checks(checks.get(household_id, ()))
        known.take_conflicts(conflicts.get(household_id, ()))
        if household_id in forms:
            known.take_form(*forms[household_id][-1])
        yield known.finish(household_id)


class _Known:
    """One household's facts as they are put together: what is taken later counts."""

    def __init__(self, office: Office, on: date) -> None:
        self._office = office
        self._on = on
        self._values: dict[str, Any] = {}
        self._reasons: set[str] = set()
        self._sources: dict[str, Source] = {}

    def finish(self, household_id: int) -> KnownFacts:
        return KnownFacts(household_id, Facts(**self._values, reasons=frozenset(self._reasons)), self._sources)

    def take_label(self, household_id: int, size: str, reasons: str, edition: str | None) -> None:
        reference, _, as_of = (edition or " ").partition(" ")
        source = Source("label", reference, as_of)
        if size:
            self._take("members", int(size), source)
        self._take_reasons(reasons, source)

    def take_members(self, members: Sequence[tuple[Any, ...]]) -> None:
        """The applicant's birth date; while nobody is named, that of the youngest adult, who could be one."""
        open_, born = self._office.personal.open, {}
        for member in [member for member in members if member[2]] or members:
            born[birth_date(open_(member[3], "member", "sealed", member[1])["item"])] = member
        if born:
            adults = [one for one in born if completed_years(one, self._on) >= ADULT]
            chosen = max(adults) if adults else min(born)
            _, member_id, _, _, day = born[chosen]
            self._take("born_on", chosen, Source("member", f"member/{member_id}", day))

    def take_checks(self, checks: Sequence[tuple[Any, ...]]) -> None:
        for _, check_id, department, reasons, as_of in checks:
            source = Source("check", f"check/{check_id} {department}", as_of)
            self._take_reasons(reasons, source)
            if "N05" in reasons.split(","):
                self._take("is_resident", False, source)

    def take_conflicts(self, conflicts: Sequence[tuple[Any, ...]]) -> None:
        for _, conflict_id, found_on in conflicts:
            self._take_reasons("N20", Source("conflict", f"conflict/{conflict_id}", found_on))

    def take_form(self, household_id: int, visit_id: int, device_key: str, sealed: bytes) -> None:
        """An accepted form, ``mingce-visit-form/1`` as JSON (docs/reference/visit-form.md)."""
        form = self._office.personal.open(sealed, "form", "sealed", device_key)
        source = Source("form", f"visit/{visit_id}", form["head"]["visited_on"])
        self._take("members", len(form["members"]), source)
        self._take("income", int(Decimal(form["income"]["total"]) * 100), source)
        for name in ("is_resident", "has_good_credit", "has_full_capacity"):
            self._take(name, form["conclusion"][name], source)
        self._take_reasons(",".join(form["conclusion"]["reasons"]), source)

    def _take(self, name: str, value: object, source: Source) -> None:
        self._values[name] = value
        self._sources[name] = source

    def _take_reasons(self, codes: str, source: Source) -> None:
        for code in filter(None, codes.split(",")):
            self._reasons.add(code)
            self._sources[code] = source
