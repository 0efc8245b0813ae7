"""The bureau's endpoint over HTTP: sessions, the gate, strict JSON, problem documents."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pysqlite3
import pytest
from bureau_office import (
    ADMIN,
    CHECKER,
    HANDLER,
    MANAGER,
    add_households,
    make_account,
    make_office,
    password_of,
    spring,
)
from bureau_server import RunningBureau, running_bureau
from case_invariants import check_alive

from api.bureau.app import list_routes
from api.limits import Limits
from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.bureau.office import Office

SESSIONS, ME = "/v1/sessions", "/v1/sessions/current"


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.close()


@pytest.fixture
def bureau(office: Office) -> Iterator[RunningBureau]:
    with running_bureau(office) as running:
        yield running


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_who_signs_in_is_known(bureau: RunningBureau) -> None:
    described = bureau.get(HANDLER, ME).json()
    assert (described["name"], described["roles"]) == (HANDLER.name, ["handler"])
    assert "review.propose" in described["permissions"]
    assert "review.decide" not in described["permissions"]


def test_a_session_ends_when_it_is_told_to(bureau: RunningBureau) -> None:
    assert bureau.send(HANDLER, "DELETE", ME).status_code == 204
    assert refused(bureau.get(HANDLER, ME)) == (401, "session_invalid")
    bureau.tokens.clear()
    assert bureau.get(HANDLER, ME).status_code == 200


def test_a_session_ends_by_itself(bureau: RunningBureau, clock: SettableClock) -> None:
    assert bureau.get(HANDLER, ME).status_code == 200
    clock.advance(1_801)
    assert refused(bureau.get(HANDLER, ME)) == (401, "session_invalid")


def test_a_closed_account_is_out_at_once(bureau: RunningBureau, office: Office) -> None:
    assert bureau.get(HANDLER, ME).status_code == 200
    Accounts(office).close(ADMIN, HANDLER.name)
    assert refused(bureau.get(HANDLER, ME)) == (401, "session_invalid")
    credentials = {"name": HANDLER.name, "password": password_of(HANDLER)}
    assert refused(bureau.post(None, SESSIONS, credentials)) == (401, "sign_in_failed")


def test_a_new_password_ends_every_session(bureau: RunningBureau) -> None:
    bureau.token(HANDLER)
    wanted = "another long password"
    body = {"name": HANDLER.name, "present": password_of(HANDLER), "wanted": wanted}
    assert bureau.post(None, "/v1/password", body).status_code == 204
    assert refused(bureau.get(HANDLER, ME)) == (401, "session_invalid")
    assert bureau.post(None, SESSIONS, {"name": HANDLER.name, "password": wanted}).status_code == 201


def test_nobody_learns_which_accounts_there_are(bureau: RunningBureau, office: Office) -> None:
    make_account(office, HANDLER)
    answers = [
        bureau.post(None, SESSIONS, {"name": name, "password": "not the password"}).json()
        for name in (HANDLER.name, "nobody")
    ]
    assert len({tuple(sorted({**answer, "request_id": ""}.items(), key=str)).__repr__() for answer in answers}) == 1


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer x", f"bearer {'A' * 43}", f"Bearer {'A' * 43}", f"Basic {'A' * 43}"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", ME), ("GET", "/v1/openapi.json"), ("POST", "/v1/anything")])
def test_nothing_is_open_without_a_session(bureau: RunningBureau, method: str, path: str, authorization: str) -> None:
    answer = bureau.send(None, method, path, headers={"Authorization": authorization} if authorization else {})
    assert refused(answer) == (401, "session_invalid")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_what_is_not_there_is_told_only_to_accounts(bureau: RunningBureau) -> None:
    assert refused(bureau.get(HANDLER, "/v1/anything")) == (404, "not_found")
    assert refused(bureau.send(HANDLER, "PUT", ME)) == (405, "method_not_allowed")


def sign_in_with(bureau: RunningBureau, content: bytes, media_type: str = "application/json") -> httpx.Response:
    return bureau.send(None, "POST", SESSIONS, content=content, headers={"Content-Type": media_type})


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json; charset=utf-16", "image/jpeg", "a" * 300])
def test_d18_another_content_type_at_the_bureau(bureau: RunningBureau, media_type: str) -> None:
    assert refused(sign_in_with(bureau, b"{}", media_type)) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "a", "password": "b"}'.encode("utf-16"),
        b'{"name": "\xff", "password": "b"}',
        b'{"name": "a", "name": "a", "password": "b"}',
        b'{"name": "\\ud800", "password": "b"}',
        b'{"name": NaN, "password": "b"}',
        b'{"name": 1.5, "password": "b"}',
        b'{"name": 9223372036854775808, "password": "b"}',
        b'{"name": ' + b"9" * 5_000 + b"}",
        b"",
    ],
)
def test_d18_d19_d20_what_is_no_strict_json(bureau: RunningBureau, content: bytes) -> None:
    assert refused(sign_in_with(bureau, content)) == (400, "json_invalid")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"name": "a", "password": "b", "990000198001011234": 1}', {"place": "body.?", "fault": "extra_forbidden"}),
        (b'{"name": 1, "password": "b"}', {"place": "body.name", "fault": "string_type"}),
        (b'{"name": true, "password": "b"}', {"place": "body.name", "fault": "string_type"}),
        (
            b'{"name": "990000198001011234990000198001011234", "password": "b"}',
            {"place": "body.name", "fault": "string_too_long"},
        ),
        (b'{"name": "a"}', {"place": "body.password", "fault": "missing"}),
        (b"[]", {"place": "body", "fault": "model_attributes_type"}),
    ],
)
def test_d19_d20_d21_a_body_of_another_shape_is_not_repeated(
    bureau: RunningBureau, content: bytes, fault: dict[str, str]
) -> None:
    answer = sign_in_with(bureau, content)
    assert refused(answer) == (422, "body_invalid")
    assert answer.json()["faults"] == [fault]


def test_d22_deep_json_at_the_bureau(bureau: RunningBureau) -> None:
    assert refused(sign_in_with(bureau, b"[" * 16_000)) == (400, "json_invalid")
    answer = bureau.send(HANDLER, "POST", "/v1/password", content=b"[" * 16_000)
    assert answer.status_code in (400, 415)


def test_d12_d13_d14_bodies_that_are_too_large_or_packed(bureau: RunningBureau) -> None:
    assert refused(sign_in_with(bureau, b" " * (17 << 10))) == (413, "too_large")
    large = iter([b" " * (1 << 16)] * 300)
    answer = bureau.send(HANDLER, "POST", "/v1/anything", content=large)
    assert refused(answer) == (413, "too_large")
    packed = bureau.send(None, "POST", SESSIONS, content=b"{}", headers={"Content-Encoding": "gzip"})
    assert refused(packed) == (415, "unsupported_media_type")


def test_d16_a_body_that_never_ends(office: Office) -> None:
    with running_bureau(office, Limits(body_deadline_s=0.5)) as bureau:
        url = bureau.client.base_url
        with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
            head = ("POST /v1/sessions HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 100")
            started_s = time.monotonic()
            connection.sendall("\r\n".join((*head, "", "{")).encode())
            assert connection.recv(1_000).startswith(b"HTTP/1.1 408")
            assert time.monotonic() - started_s < 5


def test_d46_a_password_is_in_no_answer_log_or_file(bureau: RunningBureau, office: Office) -> None:
    token = bureau.token(HANDLER)
    bureau.post(None, SESSIONS, {"name": HANDLER.name, "password": password_of(HANDLER) + "x"})
    office.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in office.home.rglob("*"):
        if path.is_file():
            assert password_of(HANDLER).encode() not in path.read_bytes()
            assert token.encode() not in path.read_bytes()
    assert all(password_of(HANDLER) not in answer.text for answer in bureau.answers)


def test_every_refused_act_is_in_the_audit_chain(bureau: RunningBureau, office: Office) -> None:
    bureau.get(None, ME)
    rows = office.database.execute(
        "SELECT actor, subject, json_extract(detail, '$.code') FROM audit WHERE action = 'refused'"
    ).fetchall()
    assert rows == [("unknown", "none", "session_invalid")]


def test_too_many_requests_of_one_account(office: Office) -> None:
    with running_bureau(office, Limits(open_requests_per_party=0)) as bureau:
        assert refused(bureau.get(HANDLER, ME)) == (503, "busy")


def test_strangers_who_dawdle_keep_nobody_from_signing_in(office: Office) -> None:
    with running_bureau(office, Limits(open_requests=4, open_requests_per_party=2)) as bureau, ExitStack() as held:
        url = bureau.client.base_url
        for _ in range(20):
            connection = held.enter_context(socket.create_connection((url.host, url.port or 0), timeout=10))
            head = ("POST /v1/sessions HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 100")
            connection.sendall("\r\n".join((*head, "", "{")).encode())
        assert bureau.get(HANDLER, ME).status_code == 200


def test_the_description_names_every_route(bureau: RunningBureau) -> None:
    described = bureau.get(CHECKER, "/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {route.path for route in list_routes()}
    assert "HTTPValidationError" not in str(described)
    assert described["paths"]["/v1/sessions"]["post"]["security"] == []
    assert "security" not in described["paths"]["/v1/sessions/current"]["get"]


def test_d39_a_store_that_another_process_holds(bureau: RunningBureau, office: Office) -> None:
    credentials = {"name": HANDLER.name, "password": make_account(office, HANDLER)}
    office.database.execute("PRAGMA busy_timeout = 300")
    other = pysqlite3.connect(str(office.home / "bureau.sqlite"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        answer = bureau.post(None, SESSIONS, credentials)
        assert refused(answer) == (503, "busy")
        assert answer.headers["retry-after"] == "2"
        check_alive(bureau.client)
    finally:
        other.close()
    assert bureau.post(None, SESSIONS, credentials).status_code == 201


def test_many_sign_ins_at_once_wait_or_are_told_to_come_back(office: Office) -> None:
    with running_bureau(office, Limits(authentications=2, authentication_threads=1)) as bureau:
        credentials = {"name": HANDLER.name, "password": make_account(office, HANDLER)}
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: bureau.post(None, SESSIONS, credentials), range(16)))
        assert {answer.status_code for answer in answers} <= {201, 503}
        assert any(answer.status_code == 201 for answer in answers)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "idempotency_key_missing"),
        ({"Idempotency-Key": "unquoted"}, 400, "bad_body"),
        ({"Idempotency-Key": '""'}, 400, "bad_body"),
        ({"Idempotency-Key": '"unfinished'}, 400, "bad_body"),
    ],
)
def test_d27_a_change_needs_a_key(bureau: RunningBureau, headers: dict[str, str], status: int, code: str) -> None:
    answer = bureau.send(HANDLER, "POST", "/v1/reviews/1/claim", headers=headers)
    assert refused(answer) == (status, code)


def test_who_may_not_is_told_so_and_recorded(bureau: RunningBureau, office: Office) -> None:
    (household,) = add_households(office, 1)
    answer = bureau.post(MANAGER, f"/v1/reviews/{household}/claim")
    assert refused(answer) == (403, "not_allowed")
    assert answer.json()["params"] == {"permission": "review.propose"}
    rows = office.database.execute("SELECT actor, subject FROM audit WHERE action = 'refused'").fetchall()
    assert rows == [(MANAGER.name, "/v1/reviews/{household}/claim")]
