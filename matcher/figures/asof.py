"""What the statements need beside the tables: the policy's products, and incomes, which lie sealed in forms."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from sqlite_utils import Database

from matcher.bureau.office import Office
from matcher.figures.families import FAMILY_OF
from matcher.figures.records import AsOf, IncomePair, end_of
from matcher.policy.reading import parse_policy

APART = timedelta(days=300)
"""Two forms tell a year's change if they are at least so far apart: revisits are not a year apart to the day."""

_FORMS = """
SELECT {family} AS family, form.form_id, form.device_key, form.sealed, date(visit.submitted_at, '+8 hours') AS on_day
FROM form JOIN visit USING (visit_id)
WHERE form.replaced_at IS NULL AND visit.state = 'ACCEPTED' AND visit.decided_at < :before
AND family IN (
    SELECT {borrower} FROM movement JOIN loan USING (loan_id)
    WHERE movement.kind = 'drawdown' AND movement.on_day <= :day)
ORDER BY family, on_day, form.form_id"""
_FORMS_OF_BORROWERS = _FORMS.format(
    family=FAMILY_OF.format(household="visit.household_id"), borrower=FAMILY_OF.format(household="loan.household_id")
)

_POLICIES = """
SELECT content, MAX(valid_from) FROM policy
WHERE state = 'adopted' AND adopted_at < :before AND valid_from <= :day AND valid_to >= :day
GROUP BY county ORDER BY county"""


def find_as_of(office: Office, database: Database, day: date) -> AsOf:
    """The parameters of a day's figures, inside the caller's transaction."""
    times = {"day": day.isoformat(), "before": end_of(day)}
    policies = [parse_policy(content) for content, _ in database.execute(_POLICIES, times)]
    products = {product.code for loaded in policies for product in loaded.policy.loan.products}
    return AsOf(
        day,
        tuple(sorted(products)),
        ",".join(loaded.sha256 for loaded in policies),
        _pair_incomes(office, database, times),
    )


def _pair_incomes(office: Office, database: Database, times: dict[str, str]) -> list[IncomePair]:
    """Each borrowing family's newest form beside the newest one that is at least APART older."""
    pairs = []
    rows = [_Form(*row) for row in database.execute(_FORMS_OF_BORROWERS, times).fetchall()]
    for family, group in groupby(rows, key=attrgetter("family")):
        *earlier, latest = group
        last_day = date.fromisoformat(latest.on_day)
        older = [form for form in earlier if last_day - date.fromisoformat(form.on_day) >= APART]
        if older:
            before, after = _income_of(office, older[-1]), _income_of(office, latest)
            pairs.append(IncomePair(family, older[-1].form_id, before, latest.form_id, after))
    return pairs


class _Form(NamedTuple):
    family: int
    form_id: int
    device_key: str
    sealed: bytes
    on_day: str


def _income_of(office: Office, form: _Form) -> int:
    """分, the total on the form."""
    values = office.personal.open(form.sealed, "form", "sealed", form.device_key)
    return int(Decimal(values["income"]["total"]) * 100)
