"""The page of one household: rendered for whoever looks, also again with what they typed when a step was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.console.faults import carry_out, words_for
from api.console.form_view import form_sections
from api.console.household_view import HouseholdView, view
from api.console.language import say
from api.console.names import dataset_words, department_words
from api.console.rendering import render
from matcher.attachments import KINDS as IMAGE_KINDS
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.reasons import REASONS
from matcher.reviews.decisions import may_answer, possible_verdicts
from matcher.reviews.files import CaseFile
from matcher.reviews.queue import REVIEW_STATES
from matcher.visits.form import RELATIONS
from matcher.visits.model import KINDS as VISIT_KINDS
from matcher.visits.model import OUTCOMES

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
        department_words=department_words(request),
        dataset_words=dataset_words(request),
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
    step: Callable[[], Response],
    typed: Mapping[str, Any],
) -> Response:
    """A ``step`` of the page's forms, or the page again with what was typed (api.console.faults.carry_out)."""
    again = partial(household_page, request, actor, office, household_id, typed=typed)
    fields, otherwise = _fields(typed)
    return carry_out(request, step, again, form=otherwise, fields=fields)


def outcome_page(
    request: Request, actor: Actor, office: Office, household_id: int, outcome: Outcome, typed: Mapping[str, Any]
) -> HTMLResponse:
    """The page again, with why a step that is for many at once was refused for this household."""
    problems = [("decide", words_for(request, outcome.code or "", outcome.params))]
    return household_page(request, actor, office, household_id, problems=problems, typed=typed, status=409)


def _fields(typed: Mapping[str, Any]) -> tuple[Mapping[str, str], str]:
    """By error the field at fault, and the id of the form: the members' forms have fields of their own."""
    if not (form := typed.get("form")):
        return _FIELDS, "decide"
    otherwise = f"leave-{typed['leaving']}" if form == "remove_member" else "member-remark"
    return {**_OF_MEMBER, "text_not_plain": otherwise}, otherwise


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
