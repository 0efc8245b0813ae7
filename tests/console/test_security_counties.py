"""IDOR: whatever an account knows of another county's or bank's numbers, by page, form and JSON it learns nothing.

Everything stands in one county of a bureau that has two. Of each role a person of the other county, and two of the
other bank, ask for every number there is: they are answered as for a number that nobody has, and each time the audit
log says that they asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    PROVINCE,
    SECRET,
    TOWNSHIP,
    TOWNSHIP_CODE,
    add_households,
    make_account,
    person,
)
from console.test_matrix import first_segment
from console_server import RunningConsole, Visitor, running_console
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from handed_over import COUNTY, Match, hand_over
from reviewing import add_waiting
from visiting import form_values, household_items, plan_and_assign, png, to_be_visited
from whole_way import World, walk

from api.bureau.app import ROUTERS as JSON_ROUTERS
from api.console.app import ROUTERS
from api.console.sessions import SESSION, form_token
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.claims.service import Claims
from matcher.downloads import Downloads, Wanted
from matcher.loans import Loans
from matcher.reviews import Reviews
from matcher.rows import fetch_all

ELSEWHERE = "330113"
STRANGERS = (
    *(
        replace(actor, name=f"{actor.name}9", townships=(ELSEWHERE,))
        for actor in (HANDLER, CHECKER, TOWNSHIP, DEPARTMENT, MANAGER, BANK_ADMIN, AUDITOR, PROVINCE)
    ),
    OTHER_BANK_ADMIN,
    replace(MANAGER, name="jingli8", townships=(), bank=OTHER_BANK_NO),
)
NOBODYS = 10**9
OFFICE_WIDE = frozenset({"accounts", "policies", "runs", "figures", "dashboard"})
"""Sections, and parts of the JSON interface, whose numbers are of no county: accounts, rules, runs, days."""
KEY = "ab" * 16
KEYS = count()


@dataclass(frozen=True)
class Scene:
    console: RunningConsole
    world: World
    numbers: Mapping[str, object]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    world = walk(tmp_path_factory.mktemp("counties") / "bureau")
    begun = world.office
    add_conflict(begun, tmp_path_factory.mktemp("again"))
    (proposed,) = add_waiting(begun, first=10)
    Reviews(begun).decisions.propose(HANDLER, proposed, "approve")
    (to_visit,) = add_households(begun, 1, first=12)
    to_be_visited(begun, [to_visit])
    plan_and_assign(begun, [to_visit])
    add_exceptions(world)
    daily = tmp_path_factory.mktemp("daily") / "日报.csv"
    headings = "业务日期,业务类型,证件号码,合同编号,流水号,金额,产品,合同利率,客户利率,起息日,到期日,承诺书编号"
    daily.write_text(f"{headings}\n2025-07-01,放款,,HT-404,9,100,,,,,,\n", "utf-8")
    Loans(begun).import_file(BANK_ADMIN, BANK_NO, daily)
    sheet = Wanted("名单", "名单.csv", "household", Permission.SEE_HOUSEHOLDS, personal=True)
    number = Downloads(begun).ask(HANDLER, sheet, _write, reason="演示", key=KEY)
    office = Office(begun.home, SECRET, begun.clock, [COUNTY, ELSEWHERE])
    for actor in STRANGERS:
        make_account(office, actor)
    try:
        with running_console(office) as console:
            yield Scene(console, world, {**_numbers(office), "number": number})
    finally:
        office.close()
        begun.close()


def _write(path: Path) -> int:
    path.write_text("演示", "utf-8")
    return 1


def add_conflict(office: Office, folder: Path) -> None:
    """The same bank hands a person over under another name."""
    store = BureauStore(office.home, SECRET, office.clock, [COUNTY], Random(5).randbytes)
    try:
        row = Match(person(2), household_no="H000001", name="另名", division=TOWNSHIP_CODE)
        store.import_handover(hand_over(folder / "再次.mch", [row]), HANDLER.name)
    finally:
        store.close()


def add_exceptions(world: World) -> None:
    """The claim is frozen when its year is over, and the bank's own figures have none of its lines."""
    claims = Claims(world.office)
    world.clock.advance((date(2026, 1, 2) - world.office.today()).days * 86_400)
    claims.accrue(date(2025, 12, 31))
    claims.freeze(BANK_ADMIN, 1)
    headings = "合同编号,计息起日,应计利息,客户承担,财政贴息,银行让利\nHT-404,2025-01-01,1,1,0,0\n"
    claims.take_figures(BANK_ADMIN, 1, headings.encode(), ".csv")


def _numbers(office: Office) -> dict[str, object]:
    """One of each kind, and its name in addresses and forms."""
    found: dict[str, object] = {}
    for name, table, column in (
        ("household", "household", "household_id"), ("member", "member", "member_id"), ("visit", "visit", "visit_id"),
        ("attachment", "attachment", "attachment_id"), ("decision", "decision", "decision_id"),
        ("loan", "loan", "loan_id"), ("commitment", "commitment", "commitment_id"), ("claim", "claim", "claim_id"),
        ("line", "interest_line", "line_id"), ("conflict", "conflict", "conflict_id"),
        ("exception", "claim_exception", "exception_id"), ("file", "loan_file", "file_id"),
    ):  # fmt: skip
        ((found[name],),) = fetch_all(office.database, f"SELECT MIN({column}) FROM {table}")  # noqa: S608
    return found


FORM = {
    "key": KEY, "remark": "演示", "why": "演示", "how": "演示", "who": "演示", "reason": "N31", "verdict": "reject",
    "digest": "0" * 64, "version": 1, "field": "number", "held_on": "2025-07-01", "result": "agreed", "kind": "appeal",
    "received_on": "2025-07-01", "answer": "agree", "format": "csv", "day": "2025-07-01", "size": 1, "act": "confirm",
    "outcome": "absent", "started_at": "2025-07-01T01:00:00Z", "name": "演示", "relation": "child",
    "place": json.dumps({"latitude": 30.7, "longitude": 122.4, "accuracy_m": 8}), "finding": "ok",
    "form": json.dumps(form_values(household_items(0))),
}  # fmt: skip
"""What a sound form of any page holds, so that no request fails before it is asked whose the number is."""
IN_PLACE = {
    "/households/conflicts/{conflict}/settle": {"name": "0"},
    "/claims/{claim}/findings": {"act": "ok"},
    "/claims/{claim}/lines/export": {"kind": ""},
    "/claims/{claim}/exceptions/export": {"kind": ""},
    "/visits/tablet/{visit}/image": {"kind": "photo"},
    "/visits/{visit}/image": {"kind": "photo"},
    "/households/{household}/members": {"number": person(500)},
    "/households/{household}/members/leave": {"number": ""},
}
JSON = {
    "department": "minzheng", "label": None, "as_of": "2025-07-01", "document": "演示-1", "number": person(500),
    "version": 1, "latitude": "30.7", "longitude": "122.4", "accuracy_m": "8", "reasons": ["N31"], "verdict": "reject",
    "form": form_values(household_items(0)), "from_day": "2025-07-01", "on_day": "2025-07-01",
    **{name: FORM[name] for name in ("remark", "why", "how", "who", "reason", "digest", "field", "received_on", "size",
                                     "outcome", "name", "relation", "finding")},
}  # fmt: skip
"""The same for a JSON body."""
CONTENT = {
    "/v1/visits/{visit}/images/{kind}": ("image/png", png()),
    "/v1/commitments/{commitment}/image": ("image/png", png()),
    "/v1/claims/{claim}/figures": ("text/csv", b"a,b"),
}


def numbered(routers: Any) -> list[APIRoute]:
    """The routes with a county's numbers in their address."""
    found = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return [
        route
        for route in found
        if "{" in route.path and first_segment(route.path.removeprefix("/v1")) not in OFFICE_WIDE
    ]


def at(path: str, numbers: Mapping[str, object]) -> str:
    words = {"step": "submit", "kind": "photo", **numbers}
    return re.sub(r"\{([a-z]+)\}", lambda found: str(words[found[1]]), path)


def form_fields(dependant: Dependant) -> set[str]:
    """What a page's form may hold, also what its dependencies read of it."""
    return {one.alias for one in dependant.body_params}.union(*map(form_fields, dependant.dependencies))


def ask_page(visitor: Visitor, route: APIRoute, numbers: Mapping[str, object]) -> httpx.Response:
    path = at(route.path, numbers)
    if "GET" in route.methods:
        return visitor.get(path)
    values = {
        **FORM,
        "key": f"{next(KEYS):032x}",
        **{name: number for name, number in numbers.items() if name not in ("number",)},
    }
    values |= IN_PLACE.get(route.path, {})
    fields = form_fields(route.dependant)
    values = {name: value for name, value in values.items() if name in fields}
    uploads = fields & {"file", "image"}
    token = {"token": form_token(visitor.cookies[SESSION])}
    files = {name: ("照片.png", png()) for name in uploads} or None
    headers = {"origin": visitor.url, "sec-fetch-site": "same-origin"}
    return visitor.send("POST", path, data={**token, **values}, files=files, headers=headers)


def ask_json(console: RunningConsole, token: str, route: APIRoute, numbers: Mapping[str, object]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f'"test-{next(KEYS)}"'}
    path = at(route.path, numbers)
    if "GET" in route.methods:
        query = {"bank": OTHER_BANK_NO, "contract_no": "HT-1", "commitment_no": "CN-1"}
        asked = {one.alias: query[one.alias] for one in route.dependant.query_params if one.alias in query}
        return console.client.get(path, params=asked, headers=headers)
    if route.path in CONTENT:
        kind, content = CONTENT[route.path]
        return console.client.post(path, content=content, headers={**headers, "Content-Type": kind})
    fields = [model.field_info.annotation.model_fields for model in route.dependant.body_params]
    known = {**JSON, **numbers, "number": JSON["number"]}
    if "conflict" in route.path:
        known["name"] = 0
    body = {name: known[name] for one in fields for name in one if name in known} if fields else None
    return console.client.post(path, json=body, headers=headers)


def said(answer: httpx.Response) -> tuple[int, str]:
    """The status, and what the answer says, without the number of the request."""
    text = answer.text
    if "json" not in answer.headers["content-type"]:
        text = text[text.index("<main") : text.index("</main>")]
    return answer.status_code, re.sub(r"[0-9a-f]{32}", "", text)


def differences(route: APIRoute, theirs: httpx.Response, none: httpx.Response) -> list[tuple[str, object, object]]:
    """What the answers tell of a number that is another's and of one that is nobody's."""
    if theirs.status_code in (403, 404) and said(theirs) == said(none):
        return []
    return [(f"{route.methods} {route.path}", said(theirs), said(none))]


def refusals(office: Office, name: str) -> int:
    sql = "SELECT COUNT(*) FROM audit WHERE action = 'refused' AND actor = ?"
    return int(fetch_all(office.database, sql, [name])[0][0])


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda actor: actor.name)
def test_another_countys_or_banks_numbers_are_nobodys_over_pages(scene: Scene, stranger: Actor) -> None:
    visitor, office, tried = scene.console.sign_in(stranger), scene.console.office, 0
    told: list[object] = []
    nobodys = {name: NOBODYS + place for place, name in enumerate(scene.numbers)} | {"number": "20250703-ZZZZZZ"}
    before = refusals(office, stranger.name)
    for route in numbered(ROUTERS):
        theirs, none = (ask_page(visitor, route, numbers) for numbers in (scene.numbers, nobodys))
        told += differences(route, theirs, none)
        tried += 2
    assert told == []
    assert tried > 100
    assert refusals(office, stranger.name) - before == tried


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda actor: actor.name)
def test_another_countys_or_banks_numbers_are_nobodys_in_json(scene: Scene, stranger: Actor) -> None:
    console, tried = scene.console, 0
    told: list[object] = []
    credentials = {"name": stranger.name, "password": make_account(console.office, stranger)}
    begun = console.client.post("/v1/sessions", json=credentials, headers={"Idempotency-Key": '"begin"'})
    assert begun.status_code == 201, begun.text
    nobodys = {name: NOBODYS + place for place, name in enumerate(scene.numbers)}
    before = refusals(console.office, stranger.name)
    for route in numbered(JSON_ROUTERS):
        theirs, none = (
            ask_json(console, begun.json()["token"], route, numbers) for numbers in (scene.numbers, nobodys)
        )
        told += differences(route, theirs, none)
        tried += sum(one.json()["code"] != "borrower_unknown" for one in (theirs, none))  # as of nobody's ID number
    assert told == []
    assert tried > 70
    assert refusals(console.office, stranger.name) - before == tried
