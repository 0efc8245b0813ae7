"""What tests of visits and of what follows them need: accounts, a policy, forms, images, a visit made whole."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import date
from typing import Any

from bureau_office import (
    BANK_ADMIN,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_CHECKER,
    OTHER_MANAGER,
    TOWNSHIP,
    make_account,
    person,
)
from handed_over import COUNTY

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.policy import list_examples
from matcher.visits.form import FORM_VERSION
from matcher.visits.service import Visits
from psi.identifiers import sex

PLACE = {"latitude": 30.72, "longitude": 122.45, "accuracy_m": 8.5}
NO_HOLDINGS = ("housing", "homestead", "vehicles", "boats", "sea_use", "fishing_rights")


def add_accounts(office: Office, *actors: Actor) -> None:
    for actor in actors or (CHECKER, OTHER_CHECKER, TOWNSHIP, MANAGER, OTHER_MANAGER, BANK_ADMIN, HANDLER):
        make_account(office, actor)


def adopt_policy(office: Office, county: str = COUNTY) -> str:
    """Put a county's example policy in force; returns its SHA-256."""
    (path,) = [path for path in list_examples() if path.name.startswith(county)]
    policies = Households(office).policies
    proposed = policies.propose(HANDLER, path.read_bytes(), path.name)
    policies.adopt(CHECKER, proposed.sha256)
    return proposed.sha256


def to_be_visited(office: Office, households: Sequence[int]) -> None:
    with office.writing():
        for household in households:
            for wanted in ("REFINED_IN", "TO_VISIT"):
                Households(office).move_within(HANDLER, household, wanted)


def form_values(items: Sequence[str], day: str = "2025-03-03", **changes: Any) -> dict[str, Any]:
    """A sound form as a device sends it: the first of ``items`` is the applicant, the second the spouse, then children.

    ``changes`` name places with ``__``: ``income__wage="1"``, ``conclusion__is_admitted=False``.
    """
    relations = ["self", "spouse", *("child" for _ in items[2:])]
    members = [
        {
            "relation": relation,
            "name": f"演示{place}",
            "sex": sex(item),
            "id_number": item,
            "marriage": "single" if relation == "child" or len(items) == 1 else "married",
            "work": "务渔",
            "phone": "13800000000" if place == 0 else "",
        }
        for place, (relation, item) in enumerate(zip(relations, items, strict=False))
    ]
    values: dict[str, Any] = {
        "format": FORM_VERSION,
        "consent_no": "演示授权-0001",
        "head": {
            "visited_on": day,
            "manager": "演示经理",
            "grid_officer": "演示网格员",
            "township": "演示镇",
            "village": "演示村",
            "grid": "演示一网格",
            "address": "演示镇演示村1号",
        },
        "members": members,
        "income": {
            "wage": "60000", "business": "0", "farming": "12000.50", "property": "0", "transfer": "0",
            "total": "72000.50", "evidence": "银行流水",
        },
        "spending": {"living": "30000", "schooling": "8000", "medical": "1500"},
        "assets": {
            **{name: {"count": 0, "value": "0"} for name in NO_HOLDINGS},
            "housing": {"count": 1, "value": "400000"},
            "deposits": "20000",
        },
        "debts": [{"lender": "亲友", "balance": "10000", "use": "修船"}],
        "needs": [{"product": "jingying", "amount": "100000", "months": 12, "use": "购置网具"}],
        "conclusion": {
            "is_resident": True, "has_good_credit": True, "has_full_capacity": True, "family_type": "farming",
            "is_admitted": True, "is_subsidised": True, "reasons": [], "remark": "",
        },
        "signatures": {name: {"name": "演示", "signed_on": day} for name in ("applicant", "manager", "officer")},
    }  # fmt: skip
    for path, value in changes.items():
        *folders, last = path.split("__")
        place: Any = values
        for folder in folders:
            place = place[int(folder) if folder.isdecimal() else folder]
        place[int(last) if last.isdecimal() else last] = value
    return values


def household_items(household: int, members: int = 2) -> list[str]:
    """The ID numbers of bureau_office.add_households' household of this place (0, 1, …)."""
    return [person(household * members + place) for place in range(members)]


def png(seed: int = 0, width: int = 24, height: int = 16) -> bytes:
    """A small image drawn by hand; another ``seed`` gives other pixels."""
    row = b"\0" + b"".join(bytes([(seed * 37 + x * 5) % 256, (seed * 11) % 256, x % 256]) for x in range(width))
    return png_of(width, height, 8, 2, zlib.compress(row * height))


def png_of(width: int, height: int, depth: int, colour: int, data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these parts (RFC 2083): ``chunks`` come between the header and the data."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )


def plan_and_assign(office: Office, households: Sequence[int], manager: Actor = MANAGER) -> list[int]:
    """Visits of these TO_VISIT or RETURNED households, assigned to ``manager``; their numbers in the same order."""
    visits = Visits(office)
    visits.plan(HANDLER, COUNTY, office.today(), households=households)
    with office.writing() as database:
        found = {
            household: database.execute(
                "SELECT visit_id FROM visit WHERE household_id = ? AND state = 'PLANNED'", [household]
            ).fetchone()[0]
            for household in households
        }
    outcomes = visits.assign_many(HANDLER, list(found.values()), manager.name, grid_officer="演示网格员")
    assert {outcome.outcome for outcome in outcomes} == {"done"}
    return [found[household] for household in households]


def collect(office: Office, visit: int, values: dict[str, Any], manager: Actor = MANAGER) -> None:
    """From ASSIGNED to SUBMITTED, with a photo and three signatures."""
    visits = Visits(office)
    visits.start(manager, visit, PLACE)
    visits.save_form(manager, visit, values, device_key=f"device-{visit:06d}")
    for place, kind in enumerate(("photo", "signature_applicant", "signature_manager", "signature_officer")):
        visits.add_image(manager, visit, kind, png(visit * 10 + place))
    visits.submit(manager, visit)


def visit_household(
    office: Office, household: int, items: Sequence[str], manager: Actor = MANAGER, checker: Actor = CHECKER,
    day: date | None = None, **changes: Any,
) -> int:  # fmt: skip
    """Take a TO_VISIT or RETURNED household to PENDING_REVIEW by a whole visit; returns the visit's number."""
    (visit,) = plan_and_assign(office, [household], manager)
    collect(office, visit, form_values(items, (day or office.today()).isoformat(), **changes), manager)
    Visits(office).accept(checker, visit)
    return visit
