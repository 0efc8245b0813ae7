"""What a loan's interest is computed from, for many loans at once: its movements, and the days that bear no subsidy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from sqlite_utils import Database

from matcher.subsidy.periods import Movement

SpanKind = Literal["overdue", "extension", "suspension", "stop", "off_list"]


@dataclass(frozen=True)
class Bare:
    """Days that bear no subsidy, half-open; ``to_day`` is date.max while open.

    ``off_list``: the household was suspended or removed from the final list.
    """

    kind: SpanKind
    from_day: date
    to_day: date
    reason: str


@dataclass(frozen=True)
class LoanAccount:
    """A signed contract with all that moved on it. Amounts in 分, rates in percent a year.

    ``ends_on`` is the first day that bears no interest (an extension moved it), ``ended_on`` when it was settled or
    written off. ``movements`` are of the principal: drawdowns positive, repayments negative. ``supported`` is the part
    of them that bears subsidy: not what was drawn after the household had graduated. ``interest``: what the customer
    paid, by day. ``bare`` may overlap.
    """

    loan_id: int
    household_id: int
    division: str
    bank: str
    contract_no: str
    product: str
    state: str
    subsidy_state: str
    principal: int
    contract_rate: Decimal
    customer_rate: Decimal
    policy: str
    starts_on: date
    ends_on: date
    ended_on: date | None
    listed_from: date
    revision: int
    movements: tuple[Movement, ...]
    supported: tuple[Movement, ...]
    interest: tuple[Movement, ...]
    bare: tuple[Bare, ...]

    @property
    def without(self) -> list[tuple[date, date]]:
        """``bare`` as matcher.subsidy.lines takes it."""
        return [(span.from_day, span.to_day) for span in self.bare]


def supported_movements(movements: Iterable[Movement], graduated_on: date | None) -> tuple[Movement, ...]:
    """The movements of the part that bears subsidy, when draws from ``graduated_on`` on bear none.

    What was drawn first is repaid first (assumed; it is to finance's advantage), so a repayment lessens the
    supported part as long as there is one.
    """
    if graduated_on is None:
        return tuple(movements)
    owed, found = 0, []
    for movement in sorted(movements, key=lambda m: (m.on, -m.amount)):  # of one day, draws first
        if movement.amount > 0 and movement.on >= graduated_on:
            continue
        amount = max(movement.amount, -owed)
        owed += amount
        if amount:
            found.append(Movement(movement.on, amount))
    return tuple(found)


_LOANS = """
    SELECT loan_id, loan.household_id, division, loan.bank, contract_no, product, loan.state, subsidy_state, principal,
        contract_rate, customer_rate, policy, starts_on, ends_on, ended_on, revision, listing_id
    FROM loan JOIN household USING (household_id)
    WHERE signed_on IS NOT NULL{only} ORDER BY loan.household_id, starts_on, loan_id
"""


def read_accounts(database: Database, loan_ids: Collection[int] | None = None) -> list[LoanAccount]:
    """All signed contracts, or some; by household, then in the order in which they share its cap."""
    only = "" if loan_ids is None else f" AND loan_id IN ({','.join(str(int(n)) for n in loan_ids)})"
    cursor = database.execute(_LOANS.format(only=only))
    names = [about[0] for about in cursor.description]
    loans = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    wanted = {loan["loan_id"] for loan in loans}
    moved, interest = _movements(database, wanted)
    spans = _spans(database, wanted)
    listings = _listings(database)
    return [_account(loan, moved, interest, spans, listings[loan["household_id"]]) for loan in loans]


@dataclass(frozen=True)
class _Listing:
    listing_id: int
    from_day: date
    to_day: date | None
    ended_as: str | None
    reasons: str


def _account(
    loan: dict[str, Any],
    moved: dict[int, list[Movement]],
    interest: dict[int, list[Movement]],
    spans: dict[int, list[Bare]],
    listings: Sequence[_Listing],
) -> LoanAccount:
    number, listing_id = loan["loan_id"], loan.pop("listing_id")
    own = next(listing for listing in listings if listing.listing_id == listing_id)
    later = [listing for listing in listings if listing.from_day >= own.from_day]
    graduated = [listing.to_day for listing in later if listing.ended_as == "GRADUATED" and listing.to_day]
    movements = tuple(moved[number])
    return LoanAccount(
        **loan
        | {
            "contract_rate": Decimal(loan["contract_rate"]),
            "customer_rate": Decimal(loan["customer_rate"]),
            "starts_on": date.fromisoformat(loan["starts_on"]),
            "ends_on": date.fromisoformat(loan["ends_on"]),
            "ended_on": date.fromisoformat(loan["ended_on"]) if loan["ended_on"] else None,
        },
        listed_from=own.from_day,
        movements=movements,
        supported=supported_movements(movements, min(graduated, default=None)),
        interest=tuple(interest[number]),
        bare=(*spans[number], *_off_list(later)),
    )


def _off_list(listings: Sequence[_Listing]) -> list[Bare]:
    """From the day a household was suspended or removed until the day it was on the list again."""
    found = []
    for listing in listings:
        if listing.ended_as in ("SUSPENDED", "REMOVED") and listing.to_day is not None:
            back = min((other.from_day for other in listings if other.from_day >= listing.to_day), default=date.max)
            if back > listing.to_day:
                found.append(Bare("off_list", listing.to_day, back, listing.reasons))
    return found


def _movements(
    database: Database, wanted: Collection[int]
) -> tuple[dict[int, list[Movement]], dict[int, list[Movement]]]:
    principal: dict[int, list[Movement]] = defaultdict(list)
    interest: dict[int, list[Movement]] = defaultdict(list)
    rows = database.execute("SELECT loan_id, kind, on_day, amount FROM movement ORDER BY on_day, movement_id")
    for loan_id, kind, on_day, amount in rows.fetchall():
        if loan_id in wanted:
            to = interest if kind == "interest" else principal
            signed = -amount if kind == "repayment" else amount
            to[loan_id].append(Movement(date.fromisoformat(on_day), signed))
    return principal, interest


def _spans(database: Database, wanted: Collection[int]) -> dict[int, list[Bare]]:
    found: dict[int, list[Bare]] = defaultdict(list)
    rows = database.execute("SELECT loan_id, kind, from_day, to_day, reason FROM loan_span ORDER BY from_day, span_id")
    for loan_id, kind, from_day, to_day, reason in rows.fetchall():
        if loan_id in wanted:
            end = date.fromisoformat(to_day) if to_day else date.max
            found[loan_id].append(Bare(kind, date.fromisoformat(from_day), end, reason))
    return found


def _listings(database: Database) -> dict[int, list[_Listing]]:
    """Of the households that have loans, the earliest first."""
    found: dict[int, list[_Listing]] = defaultdict(list)
    rows = database.execute(
        "SELECT household_id, listing_id, effective_from, effective_to, ended_as, reasons FROM listing"
        " WHERE household_id IN (SELECT household_id FROM loan) ORDER BY effective_from, listing_id"
    )
    for household_id, listing_id, from_day, to_day, ended_as, reasons in rows.fetchall():
        end = date.fromisoformat(to_day) if to_day else None
        found[household_id].append(_Listing(listing_id, date.fromisoformat(from_day), end, ended_as, reasons))
    return found
