"""Problem documents: every code documented, nothing shown that is not in the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.problems import KINDS, PROBLEM_TYPE, KeyEpoch, RangeNotSatisfiable, describe_problem
from keys.database import DatabaseBusy, DatabaseUnavailable
from keys.keystore import EpochUnknown
from psi.errors import BadElement, MingceError
from psi.remembered import EditionInconsistent

PROTOCOL = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


def test_the_reference_lists_exactly_these_codes_with_their_status_and_members() -> None:
    errors = PROTOCOL.read_text(encoding="utf-8").split("## 6. Errors")[1]
    listed = {}
    for status, code, rest in re.findall(r"^\| (\d{3}) \| `(\w+)`([^|]*)\|", errors, re.M):
        shown = tuple(re.findall(r"`(\w+)`", rest.split(":")[0] if code == "clock_skew" else rest))
        listed[code] = (int(status), shown, "Retry-After" in rest)
    assert listed == {code: (kind.status, kind.shown, kind.retry_after_s is not None) for code, kind in KINDS.items()}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EpochUnknown("x"), "not_found"),
        (DatabaseBusy("x"), "busy"),
        (DatabaseUnavailable("x"), "unavailable"),
        (EditionInconsistent("x"), "unavailable"),
        (HTTPException(404), "not_found"),
        (HTTPException(405), "method_not_allowed"),
        (HTTPException(400, "990000198001011234"), "bad_body"),
        (HTTPException(500, "990000198001011234"), "internal"),
        (RequestValidationError([{"input": "990000198001011234"}]), "bad_body"),
        (MingceError("990000198001011234"), "internal"),
        (ValueError("990000198001011234"), "internal"),
    ],
)
def test_an_error_has_one_code_and_its_words_stay_inside(error: Exception, code: str) -> None:
    response = describe_problem(error).response("the-request")
    assert response.media_type == PROBLEM_TYPE
    assert json.loads(bytes(response.body)) == {
        "type": f"urn:mingce:{code}",
        "title": KINDS[code].title,
        "status": KINDS[code].status,
        "code": code,
        "request_id": "the-request",
    }


def test_only_the_named_members_are_shown() -> None:
    problem = describe_problem(BadElement("x", index=3, element="00" * 32))
    assert problem.members == {"index": 3}
    epoch = describe_problem(KeyEpoch("x", current_epoch=None, fingerprint=None, asked="y"))
    assert epoch.members == {"current_epoch": None, "fingerprint": None, "edition": None, "manifest_sha256": None}
    assert describe_problem(RangeNotSatisfiable("x", length=7)).headers == {"Content-Range": "bytes */7"}


def test_every_outage_says_when_to_come_back() -> None:
    for code, kind in KINDS.items():
        assert (kind.retry_after_s is not None) == (kind.status == 503 or code == "in_flight")
