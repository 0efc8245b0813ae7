"""N10 to N12, names and numbers over the whole interface: every page that can be asked for, by everybody who may not
see them, over households whose label, department's answer and decision all say so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from bureau_office import ADMIN, AUDITOR, BANK_ADMIN, CHECKER, DEPARTMENT, HANDLER, MANAGER, PROVINCE, TOWNSHIP
from bureau_server import RunningBureau, running_bureau
from handed_over import COUNTY
from whole_way import NUMBERS, walk

from api.bureau.app import list_routes
from matcher.bureau.actors import Actor
from matcher.policy import list_examples, load_policy

SENSITIVE = re.compile(r"N1[0-2]\b|低保|低边|特困")
OTHERS = (TOWNSHIP, MANAGER, BANK_ADMIN, AUDITOR, PROVINCE, DEPARTMENT, ADMIN)
PAGES = [route.path for route in list_routes() if route.method == "GET" and not route.is_open]
RULES = {"/v1/openapi.json", "/v1/visits/form-schema"}  # what may be said, of nobody
CLAUSE = next(load_policy(path).policy.groups.clause for path in list_examples() if path.name.startswith(COUNTY))
NAMED = {"/v1/claims/{claim}/report"}  # 贴息申请汇总表 has the borrower's name
WHOLE = {"/v1/visits/{visit}/form", "/v1/visits/sheet"}  # the collector's own form


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBureau]:
    world = walk(tmp_path_factory.mktemp("sensitive") / "bureau")
    with running_bureau(world.office) as running:
        yield running
        world.office.close()


def pages(path: str) -> list[str]:
    """The page of each of the three households, visits and so on."""
    return [re.sub(r"\{\w+\}", str(number), path) for number in (1, 2, 3)] if "{" in path else [path]


@pytest.mark.parametrize("path", [page for page in PAGES if "sha256" not in page])
def test_d46_who_may_not_see_it_never_does(bureau: RunningBureau, path: str) -> None:
    for actor in OTHERS:
        for page in pages(path):
            answer = bureau.get(actor, page)
            assert answer.status_code in (200, 400, 403, 404, 409, 422), answer.text
            if path in WHOLE and answer.status_code == 200:
                bureau.answers.remove(answer)
                continue
            text = answer.text.replace(CLAUSE, "")
            assert not [number for number in NUMBERS if number in text], (actor.name, page)
            assert path in RULES or not SENSITIVE.search(text), (actor.name, page, SENSITIVE.search(text))
            assert path in RULES | NAMED or not re.search("演示[01](?![0-9])", text), (actor.name, page)


def test_the_others_do_see_something(bureau: RunningBureau) -> None:
    """Else the test above could not fail."""
    seen = {page for page in PAGES for actor in OTHERS if bureau.get(actor, pages(page)[0]).status_code == 200}
    assert {"/v1/households", "/v1/households/{household}", "/v1/households/{household}/checks", "/v1/audit"} <= seen
    assert "NX1" in bureau.get(TOWNSHIP, "/v1/households/1").text
    bureau.answers = [answer for answer in bureau.answers if not answer.url.path.endswith(("/form", "/sheet"))]


@pytest.mark.parametrize("actor", [HANDLER, CHECKER], ids=lambda actor: actor.name)
def test_the_bureau_s_own_people_see_reasons_but_no_number(bureau: RunningBureau, actor: Actor) -> None:
    seen = set()
    for path in PAGES:
        if "sha256" in path or path in RULES | WHOLE:
            continue
        for page in pages(path):
            text = bureau.get(actor, page).text
            assert not [number for number in NUMBERS if number in text], page
            if SENSITIVE.search(text):
                seen.add(path)
    assert {"/v1/households/{household}", "/v1/households/{household}/checks"} <= seen
