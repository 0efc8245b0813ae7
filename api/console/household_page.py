"""The page of one household: rendered for whoever looks, also again with what they typed when a step was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.bureau.problems import describe_problem
from api.console.errors import words_of_problem
from api.console.form_view import form_sections
from api.console.household_view import HouseholdView, view
from api.console.language import say
from api.console.rendering import render
from matcher.attachments import KINDS as IMAGE_KINDS
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.reasons import REASONS
from matcher.reviews.decisions import may_answer, possible_verdicts
from matcher.reviews.files import CaseFile
from matcher.reviews.queue import REVIEW_STATES
from matcher.visits.form import RELATIONS
from matcher.visits.model import KINDS as VISIT_KINDS
from matcher.visits.model import OUTCOMES
from psi.errors import MingceError

_FIELDS = {"reason_missing": "reason", "reason_unknown": "reason", "remark_missing": "remark"}  # error: field at fault
_OF_MEMBER = {"number_invalid": "member-number"}


@dataclass(frozen=True)
class Box:
    """What the box at the foot of the page offers this account. ``collected``: it made the visit that counts, so it
    does not decide. ``verdicts``: what it could propose."""

    verdicts: tuple[str, ...]
    answers: bool
    withdraws: bool
    collected: bool
    claims: bool
    releases: bool
    begins: bool
    tells: bool
    hears_village: bool
    closes: bool
    tells_refusal: bool
    speaks: str  # appeal, objection or ''

    @property
    def is_empty(self) -> bool:
        return not any(
            (self.verdicts, self.answers, self.withdraws, self.claims, self.releases, self.begins, self.tells,
             self.hears_village, self.closes, self.tells_refusal, self.speaks)
        )  # fmt: skip


def household_page(
    request: Request,
    actor: Actor,
    office: Office,
    household_id: int,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: Mapping[str, Any] | None = None,
    revealed: Mapping[int, tuple[str, str]] | None = None,
    places: Mapping[int, Mapping[str, Any] | None] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``problems``: (field's id, words); ``revealed``: by member, a field and its value; ``places``: by visit.

    Raises NotAllowed, HouseholdUnknown.
    """
    shown = view(office, actor, household_id)
    return render(
        request,
        "household.html",
        title=shown.details.household.household_no,
        crumbs=[(say(request, "名单"), "/households")],
        status=status,
        view=shown,
        household=shown.details.household,
        box=_box(actor, office, shown),
        done=done,
        problems=problems or [],
        typed=typed or {},
        revealed=revealed or {},
        places=places or {},
        may_reveal=actor.may(Permission.REVEAL),
        may_supplement=actor.may(Permission.SUPPLEMENT),
        may_see_place=actor.may(Permission.ACCEPT_VISIT),
        reasons={code: reason for code, reason in REASONS.items() if code != "NX1"},
        relations=RELATIONS,
        visit_kinds=VISIT_KINDS,
        visit_outcomes=OUTCOMES,
        image_kinds=IMAGE_KINDS,
        form_sections=lambda form: form_sections(form, lambda words: say(request, words)),
        today=office.today().isoformat(),
        key=office.random_bytes(16).hex(),
    )


def attempt(
    request: Request,
    actor: Actor,
    office: Office,
    household_id: int,
    do: Callable[[], Response],
    typed: Mapping[str, Any],
) -> Response:
    """``do``; if it cannot be done as things stand, the page again with why, and with what was typed.

    Raises what is no matter of the form: a refusal of the account (which is recorded), something that is not there,
    a failure of our own.
    """
    try:
        return do()
    except MingceError as error:
        kind = describe_problem(error).kind
        if kind.status not in (409, 422) or kind.refusal:
            raise
        return refused_page(
            request, actor, office, household_id, error.code, error.params, typed, error.detail, status=kind.status
        )


def refused_page(
    request: Request,
    actor: Actor,
    office: Office,
    household_id: int,
    code: str,
    params: Mapping[str, object],
    typed: Mapping[str, Any],
    detail: str = "",
    *,
    status: int = 409,
) -> HTMLResponse:
    """The page again, with why it cannot be done at the top and what was typed still there."""
    words, next_step = words_of_problem(request, code, {"params": params, "detail": detail})
    field = str(params.get("field", "")) if code == "text_not_plain" else _FIELDS.get(code, "")
    if form := typed.get("form"):  # one of the members' own
        field = _OF_MEMBER.get(code) or (f"leave-{typed['leaving']}" if form == "remove_member" else "member-remark")
    problems = [(field or "decide", f"{words}。{next_step}" if next_step else words)]
    return household_page(request, actor, office, household_id, problems=problems, typed=typed, status=status)


def _box(actor: Actor, office: Office, shown: HouseholdView) -> Box:
    file, state = shown.file, shown.details.household.state
    proposal = file.proposal if file else None
    running = file.confirmation if file else None
    claimed_by = shown.details.household.claimed_by
    collected = any(one.visit.state == "ACCEPTED" and one.visit.collector == actor.name for one in shown.visits)
    reviews, decides, objects = map(actor.may, (Permission.REVIEW, Permission.DECIDE, Permission.OBJECT))
    is_free = claimed_by in (None, actor.name) or state not in REVIEW_STATES
    in_review = state in REVIEW_STATES
    return Box(
        verdicts=possible_verdicts(actor, state) if file and not proposal and is_free and not collected else (),
        answers=proposal is not None and may_answer(actor, proposal.decision) and not collected,
        withdraws=proposal is not None and proposal.decision.proposed_by == actor.name,
        collected=collected,
        claims=in_review and reviews and claimed_by is None and not proposal,
        releases=in_review and not proposal and (claimed_by == actor.name or (decides and claimed_by is not None)),
        begins=reviews and state == "APPROVED",
        tells=reviews and running is not None and "sms" in running.ways and running.sms_at is None,
        hears_village=objects and state == "CONFIRMING",
        closes=decides and running is not None and running.waits_for(office.today()) is None,
        tells_refusal=reviews and state == "REJECTED" and _is_untold(file),
        speaks={"REJECTED": "appeal", "CONFIRMING": "objection"}.get(state, "") if objects else "",
    )


def _is_untold(file: CaseFile | None) -> bool:
    """Whether the family does not know yet that it was refused."""
    refusals = [one for one in file.decisions if one.verdict == "reject" and one.state == "confirmed"] if file else []
    return bool(refusals) and refusals[-1].told_at is None
