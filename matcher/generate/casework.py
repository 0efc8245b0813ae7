"""Made-up field work in a demonstration: visits carried out and department answers entered, through the real services.

The same seed and visit give the same form, place and pictures, whatever else was made before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from matcher.bureau.actors import Actor
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.checks.service import DepartmentChecks
from matcher.generate.pictures import draw_photo, draw_signature
from matcher.generate.visit_forms import Family, make_form
from matcher.households.policies import Policies
from matcher.rows import fetch_all, fetch_first
from matcher.schemas import ListSchema
from matcher.visits.service import Visits

_ABSENT, _REFUSED = 0.05, 0.02
_SIGNATURES = ("signature_applicant", "signature_manager", "signature_officer")
# Where the counties of the official plans lie, so that a map shows the sea or the town; others get the first.
_PLACES = {"330922": (30.72, 122.45), "330113": (30.42, 120.30)}
# What a department's list says of an ordinary person; the other departments' lists do not name one.
_ORDINARY = {"gongan": {"registration": "在册", "relation": "其他", "vehicles": "0"}}


@dataclass
class FieldWork:
    """What came of the visits: ``failed`` by outcome."""

    submitted: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    without_adult: int = 0  # left alone: nobody with a number can be the applicant


def carry_out_visits(
    office: Office, actor: Actor, visit_ids: Sequence[int], *, seed: int, township_names: dict[str, str] | None = None
) -> FieldWork:
    """Make assigned visits of ``actor``: start, form, photo, signatures, submission; a few find nobody.

    Raises what matcher.visits.service.Visits raises.
    """
    visits, work = Visits(office), FieldWork()
    for visit_id in visit_ids:
        source = Random(f"{seed} visit {visit_id}")
        household_id, division, size, grid_officer = _visit(office, visit_id)
        visits.start(actor, visit_id, _place(source, division))
        chance = source.random()
        if chance < _ABSENT + _REFUSED:
            outcome = "absent" if chance < _ABSENT else "refused"
            visits.fail(actor, visit_id, outcome)
            work.failed[outcome] += 1
            continue
        on = office.today()
        policy = Policies(office).policy_for(division[:6], on).policy
        numerator, denominator = policy.income.limit_for(size)
        rows = fetch_all(
            office.database,
            "SELECT member_id, sealed FROM member WHERE household_id = ? AND left_at IS NULL ORDER BY member_id",
            [household_id],
        )
        people = [open_member(office.personal, *row) for row in rows]
        if not any(_is_adult(person.item, on) for person in people):
            visits.fail(actor, visit_id, "wrong_address")
            work.without_adult += 1
            continue
        township = (township_names or {}).get(division[:9], division[:9])
        family = Family(people, size, township, numerator // denominator)
        form = make_form(source, family, policy.loan.products, on, actor.name, grid_officer or "网格员")
        visits.save_form(actor, visit_id, form, device_key=f"made-{seed}-{visit_id}")
        visits.add_image(actor, visit_id, "photo", draw_photo(source))
        for kind in _SIGNATURES:
            visits.add_image(actor, visit_id, kind, draw_signature(source))
        visits.submit(actor, visit_id)
        work.submitted += 1
    return work


def enter_checks(
    office: Office,
    actor: Actor,
    county: str,
    schemas: dict[str, ListSchema],
    *,
    seed: int,
    household_ids: Sequence[int] = (),
) -> int:
    """Answer, as on paper, every department check that households still lack: nothing speaks against anybody.

    What departments' lists say of people is made by matcher.generate.departments and comes by matching instead.
    Returns how many were entered.
    ``schemas``: by department. Raises NotAllowed, PolicyUnknown.
    """
    today, checks = office.today(), DepartmentChecks(office)
    policy = Policies(office).policy_for(county, today).policy
    missing = checks.list_missing(actor, county, policy.checks, today, household_ids)
    for lack in missing:
        source = Random(f"{seed} check {lack.member_id} {lack.department}")
        checks.enter(
            actor,
            lack.member_id,
            lack.department,
            schemas[lack.department],
            label=_ORDINARY.get(lack.department),
            as_of=today - timedelta(days=source.randrange(1, 10)),
            document_no=f"演示函〔{today.year}〕{lack.department}",
        )
    return len(missing)


def _visit(office: Office, visit_id: int) -> tuple[int, str, int, str]:
    row = fetch_first(
        office.database,
        "SELECT household_id, division, household_size, grid_officer FROM visit JOIN household USING (household_id)"
        " WHERE visit_id = ?",
        [visit_id],
    )
    household_id, division, size, officer = row or (0, "", "1", "")
    return household_id, division, max(1, int(size or "1")), officer


def _place(source: Random, division: str) -> dict[str, float]:
    latitude, longitude = _PLACES.get(division[:6], _PLACES["330922"])
    return {
        "latitude": round(latitude + source.uniform(-0.03, 0.03), 6),
        "longitude": round(longitude + source.uniform(-0.03, 0.03), 6),
        "accuracy_m": source.choice((5.0, 8.0, 12.0)),
    }


def _is_adult(item: str, on: date) -> bool:
    return (int(item[6:10]) + 18, int(item[10:14])) <= (on.year, on.month * 100 + on.day)
