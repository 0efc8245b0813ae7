"""政策: the rules in words, two versions beside each other; proposed by one person, adopted by another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, File, Path, Query, Request, UploadFile
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_notice
from api.console.exporting import CurrentTaking, ListOut, first_of, hand_out_list
from api.console.faults import refused
from api.console.language import language_of, mark, say
from api.console.names import county_names, policy_words
from api.console.policy_view import Say, compare, rules_of, targets_of
from api.console.rendering import moment, render
from api.console.sections import BY_PATH
from api.console.uploads import read_upload
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households import Policies, PolicyClash
from matcher.households.policies import PolicyRecord
from matcher.policy import PolicyInvalid, PolicyUnknown
from psi.errors import InputError

router = APIRouter()

EXCERPT = 3  # lines before and after a faulty one
STATES: Mapping[str, tuple[str, str]] = {
    "proposed": (mark("待采用"), "warn"),
    "adopted": (mark("已采用"), "good"),
    "withdrawn": (mark("已撤回"), "plain"),
}
COLUMNS = (
    "县（市、区）", "区划代码", "版本", "状态", "今天生效", "自", "至", "提出", "提出时间", "采用", "采用时间",
    "SHA-256",
)  # fmt: skip
"""Of the list as a file."""
DONE = {
    "proposed": mark("已提出。请另一位有权的人看过后采用。"),
    "adopted": mark("已采用；到生效日起按它办理。"),
    "withdrawn": mark("已撤回；没有生效过。"),
}
# What the reader of policy files says in English, and how it is said here.
_REASONS: tuple[tuple[str, str], ...] = (
    (r"Field required", mark("缺少这一项")),
    (r"Extra inputs are not permitted", mark("没有这个参数，请检查拼写")),
    (r"Value error, write it in quotes.*", mark('须写在引号里，如 "3.80"')),
    (r"Value error, an amount has at most two places.*", mark("金额最多两位小数")),
    (r"Value error, not a reason code.*", mark("不是原因标签代码")),
    (r"Value error, lowest is above highest", mark("下限高于上限")),
    (r"Value error, valid_from is after valid_to", mark("生效日晚于截止日")),
    (r"Value error, both excluded and flagged.*", mark("同一群体既排除又标记")),
    (r"Value error, assumed names.*", mark("assumed 里有不存在的参数")),
    (r"Input should be (greater|less) than.*", mark("数值超出允许的范围")),
    (r"Input should be .*", mark("值的写法不对")),
    (r".*\(at (line|end).*", mark("不是正确的 TOML")),
)

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
WhichSha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


@router.get("/policies")
def show_list(request: Request, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """Every version that was put forward here, what is in force first."""
    in_force = _in_force(office)
    records = _list(office, in_force)
    return render(
        request, "policies.html", title=say(request, "政策"), records=records, states=STATES,
        in_force=set(in_force.values()), without=sorted(office.divisions - in_force.keys()),
        today=office.today().isoformat(), done=say(request, DONE.get(done, "")),
        proposes=actor.may(Permission.PROPOSE_POLICY), tries=actor.may(Permission.SEE_SENSITIVE),
        names=county_names(office), words=policy_words(office, records), may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.post("/policies/_export")
def export(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """Every version that was put forward here, and what became of it."""
    needs = first_of(actor, *BY_PATH["policies"].any_of)
    out = ListOut(mark("政策"), "policies", needs, COLUMNS)
    in_force, names = _in_force(office), county_names(office)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(one, names, in_force) for one in _list(office, in_force)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/policies")


@router.get("/policies/_propose")
def ask_proposal(request: Request, actor: CurrentActor) -> HTMLResponse:
    actor.require(Permission.PROPOSE_POLICY)
    return _ask_proposal(request)


@router.post("/policies/_propose")
def propose(
    request: Request, actor: CurrentActor, office: CurrentOffice, file: Annotated[UploadFile | None, File()] = None
) -> Response:
    """Checked strictly before it is kept; the same file again changes nothing."""
    actor.require(Permission.PROPOSE_POLICY)
    content = b""
    try:
        content = read_upload(file)
        record = Policies(office).propose(actor, content, (file.filename if file else "") or "")
    except PolicyInvalid as error:
        return _ask_proposal(request, error, content)
    except InputError as error:
        found = refused(request, error, {}, "file")
        return _ask_proposal(request, problems=found.problems)
    return RedirectResponse(with_notice(f"/policies/{record.sha256}", "proposed"), status_code=303)


@router.get("/policies/_compare")
def show_comparison(
    request: Request,
    office: CurrentOffice,
    before: WhichSha256 = "",
    after: WhichSha256 = "",
    all_: Annotated[bool, Query(alias="all")] = False,
) -> HTMLResponse:
    """Two versions beside each other, what differs marked; ``all`` shows what is alike, too."""
    policies, records = Policies(office), Policies(office).list()
    newest = [one.sha256 for one in records]
    before, after = before or "".join(newest[1:2] or newest[:1]), after or "".join(newest[:1])
    differences = []
    if before and after:
        left, right = (policies.by_sha256(one).policy for one in (before, after))
        differences = compare(left, right, spoken(request), english=language_of(request) == "en")
    return render(
        request, "policy-compare.html", title=say(request, "比较两个版本"), records=records, before=before, after=after,
        versions=policy_words(office, records),
        by_sha256={one.sha256: one for one in records}, everything=all_, crumbs=[(say(request, "政策"), "/policies")],
        differences=[one for one in differences if one.changed or all_],
        changed=sum(one.changed for one in differences),
    )  # fmt: skip


@router.get("/policies/{sha256}")
def show(request: Request, sha256: Sha256, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """One version in words, with what it changes and what this account may do with it."""
    return _show(request, actor, office, sha256, done=done)


@router.post("/policies/{sha256}/adopt")
def adopt(request: Request, sha256: Sha256, actor: CurrentActor, office: CurrentOffice) -> Response:
    """A second person puts it in force; again it changes nothing."""
    try:
        Policies(office).adopt(actor, sha256)
    except PolicyClash as error:
        found = refused(request, error, {}, "decide")
        return _show(request, actor, office, sha256, problems=found.problems, status=found.status)
    return RedirectResponse(with_notice(f"/policies/{sha256}", "adopted"), status_code=303)


@router.post("/policies/{sha256}/withdraw")
def withdraw(sha256: Sha256, actor: CurrentActor, office: CurrentOffice) -> Response:
    Policies(office).withdraw(actor, sha256)
    return RedirectResponse(with_notice(f"/policies/{sha256}", "withdrawn"), status_code=303)


def _show(
    request: Request,
    actor: Actor,
    office: Office,
    sha256: str,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    policies = Policies(office)
    policy = policies.by_sha256(sha256).policy
    (record,) = [one for one in policies.list() if one.sha256 == sha256]
    in_force = _in_force(office).get(record.county)
    differences = []
    if in_force is not None and in_force != sha256:
        present = policies.by_sha256(in_force).policy
        found = compare(present, policy, spoken(request), english=language_of(request) == "en")
        differences = [one for one in found if one.changed]
    years, targets = targets_of(policy)
    return render(
        request,
        "policy.html",
        title=f"{policy.county_name} {policy.version}",
        crumbs=[(say(request, "政策"), "/policies")],
        policy=policy,
        record=record,
        states=STATES,
        rules=rules_of(policy, spoken(request), english=language_of(request) == "en"),
        years=years,
        targets=targets,
        in_force=in_force,
        differences=differences,
        adopts=_may_adopt(actor, record),
        is_own=record.proposed_by == actor.name,
        withdraws=record.state == "proposed" and actor.may(Permission.PROPOSE_POLICY),
        tries=actor.may(Permission.SEE_SENSITIVE),
        key=office.random_bytes(16).hex(),
        done=say(request, DONE.get(done, "")),
        problems=problems or [],
        status=status,
    )


def _list(office: Office, in_force: Mapping[str, str]) -> list[PolicyRecord]:
    """What is in force today first, then what waits for a second person."""
    return sorted(
        Policies(office).list(), key=lambda one: (one.sha256 not in in_force.values(), one.state != "proposed")
    )


def _cells(one: PolicyRecord, names: Mapping[str, str], in_force: Mapping[str, str]) -> tuple[str, ...]:
    return (
        names.get(one.county, ""), one.county, one.version, STATES[one.state][0],
        "是" if one.sha256 in in_force.values() else "否", one.valid_from, one.valid_to, one.proposed_by,
        moment(one.proposed_at), one.adopted_by or "", moment(one.adopted_at), one.sha256,
    )  # fmt: skip


def _may_adopt(actor: Actor, record: PolicyRecord) -> bool:
    return record.state == "proposed" and actor.may(Permission.ADOPT_POLICY)


def _ask_proposal(
    request: Request,
    error: PolicyInvalid | None = None,
    content: bytes = b"",
    problems: list[tuple[str, str]] | None = None,
) -> HTMLResponse:
    lines: list[tuple[int, str, bool]] = []
    if error is not None:
        problems = [("file", fault_words(request, error))]
        faulty = error.params.get("line")
        if isinstance(faulty, int):
            text = content.decode("utf-8", "replace").splitlines()
            first = max(faulty - EXCERPT, 1)
            shown = text[first - 1 : faulty + EXCERPT]
            lines = [(place, line[:300], place == faulty) for place, line in enumerate(shown, start=first)]
    return render(
        request, "policy-propose.html", title=say(request, "提出政策"), problems=problems or [], lines=lines,
        crumbs=[(say(request, "政策"), "/policies")], status=422 if problems else 200,
    )  # fmt: skip


def fault_words(request: Request, error: PolicyInvalid) -> str:
    """Which line, which setting, and what is wrong with it."""
    reason, field, line = (error.params.get(name) for name in ("reason", "field", "line"))
    said = next((say(request, words) for like, words in _REASONS if re.fullmatch(like, str(reason), re.S)), "")
    place = say(request, "第 %(line)s 行") % {"line": line} if line else ""
    return " ".join(part for part in (place, str(field or ""), said or str(reason)) if part)


def spoken(request: Request) -> Say:
    return lambda words: say(request, words)


def _in_force(office: Office) -> dict[str, str]:
    """By county the policy of today."""
    found = {}
    for county in office.divisions:
        try:
            found[county] = Policies(office).policy_for(county, office.today()).sha256
        except PolicyUnknown:
            continue
    return found
