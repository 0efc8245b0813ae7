"""The result of one step for many: a page with a line for each household, those that were refused first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.console.errors import words_of_problem
from api.console.language import say
from api.console.rendering import render
from matcher.bureau.actors import Actor
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import Households

MOST_SHOWN = 500


@dataclass(frozen=True)
class Result:
    """What became of one row; ``why`` says what stood against it, in words."""

    household: int
    number: str
    done: bool
    why: str
    next: str


def result_of(request: Request, outcome: Outcome, household: int, number: str) -> Result:
    why, following = words_of_problem(request, outcome.code, {"params": outcome.params}) if outcome.code else ("", "")
    return Result(household, number, outcome.outcome == "done", why, following)


def results_page(
    request: Request,
    actor: Actor,
    office: Office,
    outcomes: Sequence[Outcome] = (),
    *,
    back: str,
    back_words: str,
    problems: Sequence[tuple[str, str]] = (),
    status: int = 200,
) -> HTMLResponse:
    """``outcomes`` by household; ``problems``: why nothing was done at all;
    ``back``: where the page's button leads, in ``back_words``."""
    shown = sorted(outcomes, key=lambda one: one.outcome == "done")[:MOST_SHOWN]
    numbers: Mapping[int, str] = {
        row.household_id: row.household_no
        for row in Households(office).list_named(actor, [one.id for one in shown])
    }  # fmt: skip
    done = sum(one.outcome == "done" for one in outcomes)
    return render(
        request,
        "outcomes.html",
        title=say(request, "办理结果"),
        crumbs=[(back_words, back)],
        results=[result_of(request, one, one.id, numbers.get(one.id, str(one.id))) for one in shown],
        done=done,
        refused=len(outcomes) - done,
        total=len(outcomes),
        back=back,
        problem=problems[0][1] if problems else "",
        status=status,
        back_words=back_words,
    )
