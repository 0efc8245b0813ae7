"""``mingce visit``: plan visits, make them, hand them in, and take them as evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from keys.strictjson import parse_json
from matcher.attachments import KINDS as IMAGE_WORDS
from matcher.visits.form import VisitForm
from matcher.visits.problems import FormInvalid
from matcher.visits.service import Visits
from matcher.visits.showing import MAX_PAGE, VisitFilter
from scripts.county import visit_files
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk
from scripts.county.visit_printing import lines_of, print_differences, print_state, row_of
from scripts.home import ConfigOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import notice, print_outcomes, print_result, print_table

app = typer.Typer(no_args_is_help=True, help="走访：计划、分派、采集、提交、采纳。 Visits and their forms.")
visit_files.add_to(app)

MAX_FORM_BYTES = 1 << 20

VisitArgument = Annotated[int, typer.Argument(help="the visit's number, as the list shows it")]
AreaArgument = Annotated[str, typer.Argument(help="a division or its first digits: county, township or village")]
VersionOption = Annotated[
    int | None, typer.Option(help="the version you have seen; refused if it is not the present one")
]
OfficerOption = Annotated[str, typer.Option(help="the grid officer who goes along")]


@app.command()
@at_desk
def plan(
    desk: Desk,
    area: AreaArgument,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="day; else today")] = None,
    grid: Annotated[str, typer.Option(help="name the grid; else the village's division")] = "",
    household: Annotated[list[int], typer.Option(help="only these households; repeat")] = [],  # noqa: B006
    revisits: Annotated[bool, typer.Option("--revisits", help="回访: those on the final list that are due")] = False,
    json_: JsonOption = False,
) -> None:
    """Plan a visit for every household of an area that waits for one; failed ones again, as the policy says.

    Example: mingce visit plan 330922100 --on 2025-03-05 --as jingban
    """
    day = on.date() if on else desk.office.today()
    if revisits:
        due = Visits(desk.office).plan_revisits(desk.actor, area, day)
        print_result({"planned": due}, [say(f"已安排回访 {due:,} 户", f"{due:,} revisits planned")], as_json=json_)
        return
    done = Visits(desk.office).plan(desk.actor, area, day, grid=grid, households=household)
    lines = [
        say(
            f"新安排 {done.planned:,} 户，再次安排 {done.again:,} 户；次数已用完 {done.attempts_used:,} 户，"
            f"已迁出或死亡 {done.gone:,} 户",
            f"{done.planned:,} planned, {done.again:,} planned again; {done.attempts_used:,} without an attempt left, "
            f"{done.gone:,} gone",
        )
    ]
    print_result(asdict(done), lines, as_json=json_)


@app.command()
def assign(
    to: Annotated[str, typer.Option("--to", help="the account that makes the visits")],
    visits: Annotated[list[int] | None, typer.Argument(help="visits' numbers; or --area")] = None,
    area: Annotated[str, typer.Option(help="every planned visit of a division")] = "",
    grid: Annotated[str, typer.Option(help="and of this grid of it")] = "",
    officer: OfficerOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Give visits to a manager: single ones, or all that are planned in an area. Exit code 3 if one was refused.

    Example: mingce visit assign --area 330922100 --grid 330922100001 --to jingli --officer 王网格 --as jingban
    """
    if bool(visits) == bool(area):
        raise Refused("请给出走访编号，或用 --area", "Name visits, or use --area")
    desk = open_desk(config, as_, password_file)
    service = Visits(desk.office)
    if visits:
        outcomes = service.assign_many(desk.actor, visits, to, grid_officer=officer)
    else:
        outcomes = service.assign_area(desk.actor, area, to, grid=grid, grid_officer=officer)
    print_outcomes(outcomes, as_json=json_)


@app.command()
@at_desk
def unassign(
    desk: Desk,
    visit: VisitArgument,
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """Take an assigned visit back to the plan.

    Example: mingce visit unassign 17 --as jingban
    """
    print_state(Visits(desk.office).unassign(desk.actor, visit, version=version), as_json=json_)


@app.command()
@at_desk
def cancel(
    desk: Desk,
    visits: Annotated[list[int], typer.Argument(help="the visits' numbers, as the list shows them")],
    remark: Annotated[str, typer.Option(help="why; no personal data")],
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """Call off visits that nobody has begun; it counts as no attempt, and the next plan may bring them back.

    Exit code 3 if one of several was refused.

    Example: mingce visit cancel 17 --remark 家庭外出，改期 --as jingban
    """
    _require_one(visits, version)
    if len(visits) == 1:
        print_state(Visits(desk.office).cancel(desk.actor, visits[0], remark, version=version), as_json=json_)
        return
    print_outcomes(Visits(desk.office).cancel_many(desk.actor, visits, remark), as_json=json_)


@app.command("list")
@at_desk
def list_(
    desk: Desk,
    area: Annotated[str, typer.Option(help="a division or its first digits")] = "",
    grid: Annotated[str, typer.Option(help="of this grid only")] = "",
    state: Annotated[str, typer.Option(help="docs/reference/states.md")] = "",
    kind: Annotated[str, typer.Option(help="first or revisit")] = "",
    manager: Annotated[str, typer.Option(help="an account")] = "",
    after: Annotated[int, typer.Option(min=0, help="beyond this visit's number")] = 0,
    size: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="how many to show")] = 50,
    json_: JsonOption = False,
) -> None:
    """The visits in your care, by number.

    Example: mingce visit list --state SUBMITTED --as fuhe
    """
    found = Visits(desk.office).list_visits(
        desk.actor, VisitFilter(area, grid, state, kind, manager), after=after, size=size
    )
    lines = [say(f"{len(found):,} 个走访任务", f"{len(found):,} visits")]
    print_result({"visits": [asdict(visit) for visit in found]}, lines, as_json=json_)
    if found and not json_:
        columns = [say(*words) for words in (
            ("编号", "no."), ("家庭编号", "household"), ("区划", "division"), ("类型", "kind"), ("状态", "state"),
            ("计划日期", "planned"), ("客户经理", "manager"), ("次", "attempt"), ("版本", "version"),
        )]  # fmt: skip
        print_table(say("走访", "Visits"), columns, [row_of(visit) for visit in found])


@app.command()
@at_desk
def show(
    desk: Desk,
    visit: VisitArgument,
    json_: JsonOption = False,
) -> None:
    """A visit with its form, evidence and history; numbers, names and telephones are masked.

    Example: mingce visit show 17 --as fuhe
    """
    details = Visits(desk.office).show(desk.actor, visit)
    print_result(asdict(details), list(lines_of(details)), as_json=json_)


@app.command()
@at_desk
def place(
    desk: Desk,
    visit: VisitArgument,
    json_: JsonOption = False,
) -> None:
    """Where a visit began, with its track (定位与轨迹), for those who accept visits. Who looks is recorded.

    Example: mingce visit place 17 --as fuhe
    """
    found = Visits(desk.office).place_of(desk.actor, visit)
    lines = [json.dumps(found, ensure_ascii=False) if found else say("尚未到户", "not begun")]
    print_result({"visit": visit, "place": found}, lines, as_json=json_)


@app.command()
@at_desk
def start(
    desk: Desk,
    visit: VisitArgument,
    latitude: Annotated[str, typer.Option(help="WGS-84, decimal degrees")],
    longitude: Annotated[str, typer.Option(help="WGS-84, decimal degrees")],
    accuracy: Annotated[str, typer.Option(help="metres")],
    at: Annotated[str | None, typer.Option(help="when, as 2026-01-05T09:00:00Z; else now")] = None,
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """Begin a visit at the household's door, with the place.

    Example: mingce visit start 17 --latitude 30.7214 --longitude 122.4512 --accuracy 8 --as jingli
    """
    place = {"latitude": latitude, "longitude": longitude, "accuracy_m": accuracy}
    done = Visits(desk.office).start(desk.actor, visit, place, started_at=at, version=version)
    print_state(done, as_json=json_)


@app.command()
def form(
    visit: Annotated[int | None, typer.Argument(help="the visit's number")] = None,
    file: Annotated[Path | None, typer.Argument(help="the form as JSON, docs/reference/visit-form.md")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="print the form's JSON Schema and end")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="only show where it differs from the stored form")] = False,
    version: VersionOption = None,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Save a visit's form. The same file again changes nothing; every fault is printed with its place.

    Example: mingce visit form 17 采集表.json --as jingli
    """
    if schema:
        typer.echo(json.dumps(VisitForm.model_json_schema(), ensure_ascii=False, indent=1))
        return
    if visit is None or file is None:
        raise Refused("请给出走访编号和采集表文件", "Name the visit and the form's file")
    content = file.read_bytes()
    values: Any = parse_json(content, max_bytes=MAX_FORM_BYTES)
    desk = open_desk(config, as_, password_file)
    try:
        if compare:
            print_differences(Visits(desk.office).compare_form(desk.actor, visit, values), as_json=json_)
            return
        key = f"file-{hashlib.sha256(content).hexdigest()[:40]}-{visit}"
        done = Visits(desk.office).save_form(desk.actor, visit, values, device_key=key, version=version)
    except FormInvalid as error:
        if not json_:
            for problem in error.problems:
                notice(say(problem.describe(), problem.describe(english=True)))
        raise
    print_state(done, as_json=json_)


@app.command()
@at_desk
def photo(
    desk: Desk,
    visit: VisitArgument,
    files: Annotated[list[Path], typer.Argument(help="JPEG or PNG")],
    kind: Annotated[
        str, typer.Option(help="photo, signature_applicant, signature_manager, signature_officer or document")
    ] = "photo",
    json_: JsonOption = False,
) -> None:
    """Add photos or a signature. Only the pixels are kept: no place, no camera, no name of the file.

    Example: mingce visit photo 17 签字.png --kind signature_applicant --as jingli
    """
    kept = [Visits(desk.office).add_image(desk.actor, visit, kind, file.read_bytes()) for file in files]
    lines = [
        f"{image.attachment_id}: {say(IMAGE_WORDS[image.kind], image.kind)} {image.width}×{image.height}"
        f" SHA-256 {image.sha256}"
        for image in kept
    ]
    print_result({"attachments": [asdict(image) for image in kept]}, lines, as_json=json_)


@app.command()
@at_desk
def submit(
    desk: Desk,
    visit: VisitArgument,
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """Hand in a visit: its form, place, a photo and three signatures.

    Example: mingce visit submit 17 --as jingli
    """
    print_state(Visits(desk.office).submit(desk.actor, visit, version=version), as_json=json_)


@app.command()
def accept(
    visits: Annotated[list[int], typer.Argument(help="the visits' numbers, as the list shows them")],
    version: VersionOption = None,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Take visits as evidence, as another person than their collector; the households then wait for their review.

    Exit code 3 if one of several was refused.

    Example: mingce visit accept 17 --version 6 --as fuhe
    """
    _require_one(visits, version)
    desk = open_desk(config, as_, password_file)
    if len(visits) == 1:
        print_state(Visits(desk.office).accept(desk.actor, visits[0], version=version), as_json=json_)
        return
    print_outcomes(Visits(desk.office).accept_many(desk.actor, visits), as_json=json_)


@app.command("return")
@at_desk
def return_(
    desk: Desk,
    visit: VisitArgument,
    remark: Annotated[str, typer.Option(help="what has to be put right; no personal data")],
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a visit back to its collector.

    Example: mingce visit return 17 --remark 签字照片不清 --as fuhe
    """
    print_state(Visits(desk.office).return_visit(desk.actor, visit, remark, version=version), as_json=json_)


@app.command()
@at_desk
def fail(
    desk: Desk,
    visit: VisitArgument,
    outcome: Annotated[str, typer.Argument(help="absent, refused, moved, deceased or wrong_address")],
    remark: Annotated[str, typer.Option(help="no personal data")] = "",
    version: VersionOption = None,
    json_: JsonOption = False,
) -> None:
    """End a visit without a form: nobody there, refused, moved away, died, or a wrong address.

    Example: mingce visit fail 17 absent --as jingli
    """
    done = Visits(desk.office).fail(desk.actor, visit, outcome, remark=remark, version=version)
    print_state(done, as_json=json_)


def _require_one(visits: Sequence[int], version: int | None) -> None:
    """Raises Refused."""
    if version is not None and len(visits) > 1:
        raise Refused("--version 只能与一个走访编号同用", "--version goes with one visit only")
