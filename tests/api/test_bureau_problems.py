"""Errors of the bureau's work as problem documents: a status for each kind, and no ID number in any."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.bureau.problems import describe_problem
from keys.database import DatabaseBusy, DatabaseDamaged, DatabaseUnavailable
from keys.wrap import KeyUnwrapFailed
from matcher.accounts.model import AccountState, AccountUnknown, SessionInvalid, SignInFailed
from matcher.accounts.passwords import PasswordWeak
from matcher.bureau.actors import NotAllowed, SamePerson
from matcher.sealing import SealedDataDamaged
from matcher.states import MoveInvalid
from psi.errors import BackendError, InputError, MingceError
from psi.identifiers import mask

NUMBER = "990000198001011234"


class Foreign(MingceError):
    """Not raised by the bureau's parts."""

    code: ClassVar[str] = "foreign"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InputError("x"), 422, "bad_input"),
        (PasswordWeak("x"), 422, "password_weak"),
        (AccountUnknown("x"), 404, "account_unknown"),
        (AccountState("x"), 409, "account_state"),
        (MoveInvalid("x"), 409, "move_invalid"),
        (NotAllowed("x"), 403, "not_allowed"),
        (SamePerson("x"), 403, "same_person"),
        (SignInFailed("x"), 401, "sign_in_failed"),
        (SessionInvalid("x"), 401, "session_invalid"),
        (DatabaseBusy("x"), 503, "busy"),
        (DatabaseUnavailable("x"), 503, "unavailable"),
        (DatabaseDamaged("x"), 503, "unavailable"),
        (SealedDataDamaged("x"), 503, "unavailable"),
        (KeyUnwrapFailed("x"), 422, "key_unwrap_failed"),
        (BackendError("x"), 500, "internal"),
        (Foreign("x"), 500, "internal"),
        (ValueError(NUMBER), 500, "internal"),
        (HTTPException(404, NUMBER), 404, "not_found"),
        (HTTPException(405, NUMBER), 405, "method_not_allowed"),
        (HTTPException(400, NUMBER), 400, "bad_body"),
        (HTTPException(500, NUMBER), 500, "internal"),
    ],
)
def test_every_error_has_a_status(error: Exception, status: int, code: str) -> None:
    answer = describe_problem(error).response("the-request")
    document = json.loads(bytes(answer.body))
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert (document["type"], document["request_id"]) == (f"urn:mingce:{code}", "the-request")
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert NUMBER not in str(document)
    if status >= 500:
        assert "detail" not in document


def test_what_a_person_needs_is_shown_and_numbers_are_masked() -> None:
    error = InputError(f"see {NUMBER}", row=7, column="证件号码", found=[NUMBER, {"in": NUMBER}])
    masked = mask(NUMBER)
    assert describe_problem(error).members == {
        "detail": f"see {masked}",
        "params": {"row": 7, "column": "证件号码", "found": [masked, {"in": masked}]},
    }


def test_a_fault_names_our_own_places_only() -> None:
    faults = [
        {"loc": ("body", "members", 3, "name"), "type": "string_type", "input": NUMBER, "msg": NUMBER},
        {"loc": ("body", NUMBER), "type": "extra_forbidden", "input": NUMBER},
        {"loc": ("query", "size"), "type": "greater_than", "ctx": {"gt": NUMBER}},
    ]
    problem = describe_problem(RequestValidationError(faults))
    assert problem.members == {
        "faults": [
            {"place": "body.members.3.name", "fault": "string_type"},
            {"place": "body.?", "fault": "extra_forbidden"},
            {"place": "query.size", "fault": "greater_than"},
        ]
    }
