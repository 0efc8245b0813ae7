"""What stands against a form, as the page shows it that the form came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.bureau.problems import describe_problem
from api.console.addresses import with_notice
from api.console.errors import words_of_problem
from api.console.language import language_of, say
from api.words import explain_code
from psi.errors import InputError, MingceError


class FormFault(InputError):
    """What a page itself finds wrong with a form: ``field``'s id, and what to do in words that are marked for
    translation. It never leaves the console."""

    code = "bad_input"

    def __init__(self, field: str, words: str) -> None:
        super().__init__("not as the form wants it", field=field)
        self.field = field
        self.words = words


@dataclass(frozen=True)
class Refused:
    """``problems``: (the field's id, words), for the macro ``faults``."""

    problems: list[tuple[str, str]]
    status: int


class Again(Protocol):
    """A page shown again, with what stands against its form; what was typed is in it already."""

    def __call__(self, *, problems: list[tuple[str, str]], status: int) -> Response: ...


def carry_out(
    request: Request,
    step: Callable[[], Response],
    again: Again,
    *,
    form: str,
    fields: Mapping[str, str] | None = None,
) -> Response:
    """What a form asks for: the ``step``'s answer, or the page ``again`` with why not.

    ``form``: the id of the form; ``fields``: by error code, the field at fault. Raises what :func:`refused` does.
    """
    try:
        return step()
    except MingceError as error:
        found = refused(request, error, fields or {}, form)
        return again(problems=found.problems, status=found.status)


def day_of(text: str, field: str, words: str) -> date:
    """A day that was typed or chosen. Raises FormFault with these words."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise FormFault(field, words) from None


def seen_at(path: str, done: str, fragment: str = "") -> RedirectResponse:
    """After a form was carried out: to a page that says so, so that loading it again repeats nothing."""
    return RedirectResponse(with_notice(path, done, fragment), status_code=303)


def refused(request: Request, error: MingceError, fields: Mapping[str, str], otherwise: str) -> Refused:
    """The page's own words for an error that is a matter of the form. ``fields``: by error code, the field at fault;
    ``otherwise``: the id of the form.

    Raises the error again if it is none: a refusal of the account (which is recorded), something that is not there,
    a failure of our own.
    """
    if isinstance(error, FormFault):
        return Refused([(error.field, say(request, error.words))], 422)
    kind = describe_problem(error).kind
    if kind.status not in (409, 422) or kind.refusal:
        raise error
    named = str(error.params.get("field", "")) if error.code == "text_not_plain" else ""
    words = words_for(request, error.code, dict(error.params), error.detail)
    return Refused([(fields.get(error.code) or named or otherwise, words)], kind.status)


def words_for(request: Request, code: str, params: Mapping[str, object], detail: str = "") -> str:
    """What happened and what next, in one line."""
    words, next_step = words_of_problem(request, code, {"params": params, "detail": detail})
    if not words:  # its sentence ends in the English detail, which is left away
        words, next_step = explain_code(code, "", dict(params), language_of(request))
    said = words.rstrip("：: ")
    return f"{said}。{next_step}" if next_step else said
