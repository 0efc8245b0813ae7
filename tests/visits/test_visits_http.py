"""Visits over HTTP, as a tablet and the console use them: real server, real sessions."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from bureau_office import BANK_ADMIN, CHECKER, HANDLER, MANAGER, OTHER_MANAGER, TOWNSHIP
from bureau_server import RunningBureau, running_bureau
from handed_over import COUNTY
from PIL import Image
from visiting import form_values, household_items, png

from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.rows import fetch_all

START = {"latitude": "30.72", "longitude": "122.45", "accuracy_m": "8.5"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HOSTILE_NAMES = ["../../x", "/abs", "C:\\x", "x" * 300]


@pytest.fixture
def bureau(office: Office, households: list[int]) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        running.post(HANDLER, "/v1/visits/plan", {"area": COUNTY, "planned_for": "2025-03-03"})
        running.post(HANDLER, "/v1/visits/assign", {"visits": [1, 2], "manager": MANAGER.name})
        yield running


def version(bureau: RunningBureau, visit: int = 1) -> int:
    return int(bureau.get(HANDLER, f"/v1/visits/{visit}").json()["visit"]["version"])


def act(bureau: RunningBureau, actor: Actor, step: str, key: str | None = None, **body: Any) -> httpx.Response:
    return bureau.post(actor, f"/v1/visits/1/{step}", {"version": version(bureau), **body}, key=key)


def send_image(
    bureau: RunningBureau, actor: Actor, kind: str, content: bytes, media_type: str = "image/png", **headers: str
) -> httpx.Response:
    fields = {"Content-Type": media_type, "Idempotency-Key": '"image-1"', **headers}
    return bureau.send(actor, "POST", f"/v1/visits/1/images/{kind}", content=content, headers=fields)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def make_visit(bureau: RunningBureau) -> None:
    assert act(bureau, MANAGER, "start", **START).status_code == 200
    assert act(bureau, MANAGER, "form", "device-0001", form=form_values(household_items(0))).status_code == 200
    for kind in ("photo", "signature_applicant", "signature_manager", "signature_officer"):
        assert send_image(bureau, MANAGER, kind, png()).status_code == 201
    assert act(bureau, MANAGER, "submit").status_code == 200


def test_a_visit_from_the_tablet_to_its_acceptance(bureau: RunningBureau) -> None:
    make_visit(bureau)
    shown = bureau.get(CHECKER, "/v1/visits/1").json()
    assert (shown["visit"]["state"], shown["missing"]) == ("SUBMITTED", [])
    assert household_items(0)[0] not in bureau.answers[-1].text
    image = bureau.get(CHECKER, f"/v1/visits/1/images/{shown['attachments'][0]['attachment_id']}")
    assert image.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(image.content)).format == "JPEG"
    assert bureau.get(CHECKER, "/v1/visits/1/place").json()["place"] == {**START, "track": []}
    assert refused(act(bureau, MANAGER, "accept")) == (403, "not_allowed")
    assert act(bureau, CHECKER, "accept").json()["state"] == "ACCEPTED"


def test_who_made_the_visit_gets_the_form_whole_and_nobody_else(bureau: RunningBureau) -> None:
    assert bureau.get(MANAGER, "/v1/visits/1/form").json() == {"form": None}
    make_visit(bureau)
    own = bureau.get(MANAGER, "/v1/visits/1/form").json()["form"]
    assert own["members"][0]["id_number"] == household_items(0)[0]
    assert refused(bureau.get(CHECKER, "/v1/visits/1/form")) == (403, "not_allowed")
    for actor in (OTHER_MANAGER, TOWNSHIP):
        assert refused(bureau.get(actor, "/v1/visits/1/form")) == (404, "not_in_care")


def test_a_stale_version_is_refused_and_compared(bureau: RunningBureau) -> None:
    seen = version(bureau)
    act(bureau, MANAGER, "start", **START)
    body = {"version": seen, "form": form_values(household_items(0))}
    answer = bureau.post(MANAGER, "/v1/visits/1/form", body, key="device-0001")
    assert refused(answer) == (409, "visit_changed")
    assert answer.json()["params"]["present"] == seen + 1
    assert act(bureau, MANAGER, "form", "device-0001", form=form_values(household_items(0))).status_code == 200
    again = bureau.post(MANAGER, "/v1/visits/1/form", body, key="device-0001")  # lost answers are asked for again
    assert again.status_code == 200
    changed = form_values(household_items(0), spending__living="1")
    found = bureau.post(MANAGER, "/v1/visits/1/form/compare", {"form": changed}).json()["differences"]
    assert [difference["path"] for difference in found] == ["spending.living"]


def test_d46_a_bad_form_is_answered_without_what_was_typed(bureau: RunningBureau) -> None:
    act(bureau, MANAGER, "start", **START)
    secret = household_items(0)[0]
    form = form_values(household_items(0), members__0__phone=secret, income__wage=secret, members__1__id_number=secret)
    answer = act(bureau, MANAGER, "form", "device-0001", form={**form, secret: secret})
    assert refused(answer) == (422, "form_invalid")
    assert {problem["code"] for problem in answer.json()["params"]["problems"]} >= {"bad_phone", "amount_too_large"}
    assert secret not in answer.text


NO_PHOTOS: list[tuple[bytes, str, tuple[int, str]]] = [
    (b"<html><script>alert(1)</script></html>", "image/jpeg", (422, "image_refused")),
    (b"<svg onload='alert(1)'/>", "image/png", (422, "image_refused")),
    (b"", "image/png", (400, "bad_body")),
    (b"x", "image/svg+xml", (415, "unsupported_media_type")),
    (b"x", "text/html", (415, "unsupported_media_type")),
]


def test_d44_uploads_that_are_no_photo(bureau: RunningBureau, office: Office) -> None:
    act(bureau, MANAGER, "start", **START)
    for content, media_type, expected in NO_PHOTOS:
        assert refused(send_image(bureau, MANAGER, "photo", content, media_type)) == expected
    assert not (office.home / "attachments").exists()


def test_d44_a_senders_name_for_a_file_is_not_used(bureau: RunningBureau, office: Office) -> None:
    act(bureau, MANAGER, "start", **START)
    for seed, name in enumerate(HOSTILE_NAMES):
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        assert send_image(bureau, MANAGER, "photo", png(seed), **disposition).status_code == 201
        assert send_image(bureau, MANAGER, name.replace("/", "%2F"), png()).status_code in (404, 422)
    files = list((office.home / "attachments").iterdir())
    assert len(files) == len(HOSTILE_NAMES)
    assert {len(file.name.removesuffix(".sealed")) for file in files} == {32}


def test_d44_an_image_of_another_visit_is_not_shown(bureau: RunningBureau) -> None:
    make_visit(bureau)
    assert refused(bureau.get(OTHER_MANAGER, "/v1/visits/1/images/1")) == (404, "not_in_care")
    assert refused(bureau.get(MANAGER, "/v1/visits/2/images/1")) == (404, "not_in_care")


def test_the_workbook_goes_out_and_comes_back(bureau: RunningBureau, office: Office) -> None:
    book = bureau.get(MANAGER, "/v1/visits/sheet")
    assert book.headers["content-type"] == XLSX
    headers = {"Content-Type": XLSX, "Idempotency-Key": '"k"'}
    answer = bureau.send(MANAGER, "POST", "/v1/visits/sheet", content=book.content, headers=headers)
    assert answer.json() == {"saved": [], "unchanged": [], "blank": [1, 2], "conflicts": [], "problems": []}
    assert refused(bureau.send(MANAGER, "POST", "/v1/visits/sheet", content=b"PK\3\4", headers=headers))[0] == 422
    assert list((office.home / "transit").iterdir()) == []


def test_bodies_of_another_shape(bureau: RunningBureau) -> None:
    for path, body in (
        ("/v1/visits/plan", {"area": "33", "planned_for": "2025-03-03"}),
        ("/v1/visits/plan", {"area": COUNTY, "planned_for": "2025-02-30"}),
        ("/v1/visits/assign", {"visits": [], "manager": "jingli"}),
        ("/v1/visits/1/start", {"version": 1, **START, "latitude": "1e3"}),
        ("/v1/visits/1/fail", {"version": 1, "outcome": "done"}),
        ("/v1/visits/1/form", {"version": 1, "form": []}),
        ("/v1/visits/1/submit", {}),
    ):
        assert refused(bureau.post(HANDLER, path, body)) == (422, "body_invalid")


def test_lists_and_areas(bureau: RunningBureau) -> None:
    listed = bureau.get(BANK_ADMIN, "/v1/visits", state="ASSIGNED", size=1).json()["visits"]
    assert [visit["visit_id"] for visit in listed] == [1]
    wanted = {"area": COUNTY, "manager": OTHER_MANAGER.name}
    assert bureau.post(BANK_ADMIN, "/v1/visits/assign-area", wanted).json()["outcomes"] == [
        {"id": 3, "outcome": "done", "result": None, "code": None, "params": {}}
    ]
    assert bureau.post(HANDLER, "/v1/visits/revisits", {"area": COUNTY, "planned_for": "2025-09-03"}).json() == {
        "planned": 0
    }
    assert bureau.get(MANAGER, "/v1/visits/form-schema").json()["title"] == "VisitForm"


def test_d40_a_double_click_is_one_change(bureau: RunningBureau, office: Office) -> None:
    make_visit(bureau)
    body = {"version": version(bureau)}
    first, second = (bureau.post(CHECKER, "/v1/visits/1/accept", body, key="click") for _ in range(2))
    assert first.json() == second.json()
    moves = fetch_all(office.database, "SELECT COUNT(*) FROM visit_move WHERE to_state = 'ACCEPTED'")
    assert moves == [(1,)]
