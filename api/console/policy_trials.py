"""试算: which of the present households another policy would take in or leave out. Nothing changes by it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Request, UploadFile
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.errors import words_of_problem
from api.console.exporting import CurrentTaking, ListOut, hand_out_file, hand_out_list
from api.console.faults import refused
from api.console.language import mark, say
from api.console.names import county_names, policy_words
from api.console.policies import fault_words
from api.console.rendering import moment, render
from api.console.trying import TrialWorker
from api.console.uploads import read_upload
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.downloads import Wanted
from matcher.households import Policies
from matcher.households.trials import Trial, Trials, write_trial
from matcher.policy import PolicyInvalid, PolicyUnknown
from psi.errors import InputError

router = APIRouter()

TRIAL_STATES = {"running": mark("未算完"), "done": mark("已算完"), "failed": mark("未算成")}
COLUMNS = (
    "试算", "县（市、区）", "版本", "SHA-256", "以哪一天为准", "状态", "现在符合（户）", "试算后符合（户）",
    "何人", "何时", "算完",
)  # fmt: skip
"""Of the list as a file."""
REFRESH_S = 2  # while it is computed
_AMOUNT = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")

Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class Side:
    """Households that come in, or fall out: by reasons, each with its townships, the largest first."""

    total: int
    by_reasons: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]
    by_township: tuple[tuple[str, int], ...]


@router.get("/policies/trials")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    policy: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = "",
) -> HTMLResponse:
    """What was tried before, and the form of another trial."""
    return _show_list(request, actor, office, {"policy": policy})


@router.post("/policies/trials")
def ask(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    policy: Annotated[str, Form(pattern=r"^([0-9a-f]{64})?$")] = "",
    file: Annotated[UploadFile | None, File()] = None,
    on: Annotated[str, Form(max_length=10)] = "",
    cost_each: Annotated[str, Form(max_length=12)] = "",
) -> Response:
    """Put down and computed aside; the answer leads to the trial's own page."""
    typed = {"policy": policy, "on": on, "cost_each": cost_each}
    problems = _unreadable(request, on, cost_each)
    try:
        if not problems:
            content = Policies(office).content_of(policy) if policy else read_upload(file)
            trial = Trials(office).ask(
                actor, content, on=date.fromisoformat(on) if on else None, key=key,
                cost_each=int(Decimal(cost_each.strip()) * 100) if cost_each.strip() else None,
            )  # fmt: skip
            _worker(request).start(trial)
            return RedirectResponse(f"/policies/trials/{trial}", status_code=303)
    except PolicyInvalid as error:
        problems = [("file", fault_words(request, error))]
    except PolicyUnknown as error:
        problems = [("on", words_of_problem(request, error.code, {"params": error.params})[0])]
    except InputError as error:
        problems = refused(request, error, {}, "file").problems
    return _show_list(request, actor, office, typed, problems)


@router.post("/policies/trials/_export")
def export_list(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """Every trial, the newest first, with what it would change."""
    out, names = ListOut(mark("政策试算"), "policy/trial", Permission.SEE_SENSITIVE, COLUMNS), county_names(office)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(one, names) for one in Trials(office).list_all(actor)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/policies/trials")


@router.get("/policies/trials/{trial}")
def show(request: Request, trial: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """The trial's result, or that it is being computed: then the page comes again by itself."""
    return _show(request, actor, office, trial)


@router.post("/policies/trials/{trial}/again")
def ask_again(request: Request, trial: Number, key: Key, actor: CurrentActor, office: CurrentOffice) -> Response:
    """The same file, on the households as they are now."""
    number = Trials(office).ask_again(actor, trial, key=key)
    _worker(request).start(number)
    return RedirectResponse(f"/policies/trials/{number}", status_code=303)


@router.post("/policies/trials/{trial}/export")
def export(
    request: Request, trial: Number, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking
) -> Response:
    found = Trials(office).show(actor, trial)

    def make(path: FilePath) -> int:
        return write_trial(path, found, format=taking.format)

    title, name = say(request, "政策试算"), f"政策试算-{trial}.{taking.format}"
    wanted = Wanted(title, name, f"policy/trial/{trial}", Permission.SEE_SENSITIVE, False)
    back, back_words = f"/policies/trials/{trial}", say(request, "试算")
    return hand_out_file(request, actor, office, taking, wanted, make, back=back, back_words=back_words)


def _show(
    request: Request,
    actor: Actor,
    office: Office,
    number: int,
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    trial = Trials(office).show(actor, number)
    is_at_work = trial.state == "running" and _worker(request).is_at_work(number)
    if trial.state == "running" and not is_at_work:
        trial = Trials(office).show(actor, number)  # it may have ended between the two looks
    found = trial.simulation
    return render(
        request,
        "policy-trial.html",
        title=say(request, "试算 %(number)s") % {"number": number},
        crumbs=[(say(request, "政策"), "/policies"), (say(request, "试算"), "/policies/trials")],
        trial=trial,
        is_at_work=is_at_work,
        found=found,
        counties=county_names(office),
        comes_in=_side(found.comes_in) if found else None,
        falls_out=_side(found.falls_out) if found else None,
        known={one.sha256: one.version for one in Policies(office).list()},
        exports=actor.may(Permission.EXPORT),
        keys=[office.random_bytes(16).hex() for _ in range(2)],
        headers={"Refresh": str(REFRESH_S)} if is_at_work else {},
        problems=problems or [],
        status=status,
    )


def _show_list(
    request: Request,
    actor: Actor,
    office: Office,
    typed: Mapping[str, str],
    problems: list[tuple[str, str]] | None = None,
) -> HTMLResponse:
    trials = Trials(office).list_all(actor)
    worker, records = _worker(request), Policies(office).list()
    return render(
        request, "policy-trials.html", title=say(request, "试算"), trials=trials, problems=problems or [],
        at_work={one.trial_id for one in trials if worker.is_at_work(one.trial_id)}, faults_of=dict(problems or []),
        records=records, words=policy_words(office, records), counties=county_names(office),
        typed={"policy": "", "on": "", "cost_each": "", **typed},
        may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
        crumbs=[(say(request, "政策"), "/policies")],
        status=422 if problems else 200,
    )  # fmt: skip


def _cells(one: Trial, names: Mapping[str, str]) -> tuple[str, ...]:
    found = one.simulation
    counts = (str(found.fits_now), str(found.fits_then)) if found else ("", "")
    return (
        str(one.trial_id), names.get(one.county, one.county), one.version, one.sha256, one.on_day,
        TRIAL_STATES[one.state], *counts, one.account, moment(one.asked_at), moment(one.done_at),
    )  # fmt: skip


def _side(counts: Mapping[tuple[str, str], int]) -> Side:
    by_reasons, by_township = Counter[str](), Counter[str]()
    places: dict[str, Counter[str]] = {}
    for (reasons, township), count in counts.items():
        by_reasons[reasons] += count
        by_township[township] += count
        places.setdefault(reasons, Counter())[township] += count
    shown = tuple((reasons, count, tuple(places[reasons].most_common())) for reasons, count in by_reasons.most_common())
    return Side(sum(counts.values()), shown, tuple(by_township.most_common()))


def _unreadable(request: Request, on: str, cost_each: str) -> list[tuple[str, str]]:
    problems = []
    if on:
        try:
            date.fromisoformat(on)
        except ValueError:
            problems.append(("on", say(request, "日期写作 2026-03-05")))
    if cost_each.strip() and not _AMOUNT.fullmatch(cost_each.strip()):
        problems.append(("cost_each", say(request, "金额写作 280 或 280.50")))
    return problems


def _worker(request: Request) -> TrialWorker:
    worker: TrialWorker = request.app.state.trials
    return worker
