"""What stands against a form, as the page shows it that the form came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from api.bureau.problems import describe_problem
from api.console.errors import words_of_problem
from api.console.language import language_of
from api.words import explain_code
from psi.errors import MingceError


@dataclass(frozen=True)
class Refused:
    """``problems``: (the field's id, words), for the macro ``faults``."""

    problems: list[tuple[str, str]]
    status: int


def refused(request: Request, error: MingceError, fields: Mapping[str, str], otherwise: str) -> Refused:
    """The page's own words for an error that is a matter of the form. ``fields``: by error code, the field at fault;
    ``otherwise``: the id of the form.

    Raises the error again if it is none: a refusal of the account (which is recorded), something that is not there,
    a failure of our own.
    """
    kind = describe_problem(error).kind
    if kind.status not in (409, 422) or kind.refusal:
        raise error
    members = {"params": dict(error.params), "detail": error.detail}
    words, next_step = words_of_problem(request, error.code, members)
    field = str(error.params.get("field", "")) if error.code == "text_not_plain" else fields.get(error.code, "")
    if not words:  # its sentence ends in the English detail, which is left away
        words, next_step = explain_code(error.code, "", dict(error.params), language_of(request))
    said = words.rstrip("：: ")
    return Refused([(field or otherwise, f"{said}。{next_step}" if next_step else said)], kind.status)
