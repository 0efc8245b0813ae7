"""``mingce generate visits`` and ``checks``: made-up field work in a demonstration's home."""

from __future__ import annotations

from typing import Annotated

import typer

from matcher.generate.casework import carry_out_visits, enter_checks
from matcher.households.policies import Policies
from matcher.schemas import get_schema
from matcher.visits.service import Visits
from matcher.visits.showing import MAX_PAGE, VisitFilter
from scripts.county.acting import AsOption, Desk, PasswordFileOption, open_desk
from scripts.home import ConfigOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result

app = typer.Typer()

SeedOption = Annotated[int, typer.Option(help="the same seed makes the same answers")]


@app.command()
def visits(
    seed: SeedOption = 1,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Make the visits assigned to you: made-up forms, photos and signatures. In a demonstration's home only.

    Example: mingce generate visits --as jingli
    """
    desk = _demo_desk(config, as_, password_file)
    service, visit_ids = Visits(desk.office), list[int]()
    wanted = VisitFilter(state="ASSIGNED", manager=desk.actor.name)
    while page := service.list_visits(desk.actor, wanted, after=visit_ids[-1] if visit_ids else 0, size=MAX_PAGE):
        visit_ids += [visit.visit_id for visit in page]
    townships = desk.home.settings.townships
    work = carry_out_visits(desk.office, desk.actor, visit_ids, seed=seed, township_names=townships)
    failed = sum(work.failed.values()) + work.without_adult
    print_result(
        {"visits": len(visit_ids), "submitted": work.submitted, "failed": failed},
        [
            say(
                f"走访 {len(visit_ids):,} 户（虚构）：提交 {work.submitted:,}，未成功 {failed:,}",
                f"{len(visit_ids):,} made-up visits: {work.submitted:,} submitted, {failed:,} failed",
            )
        ],
        as_json=json_,
    )


@app.command()
def checks(
    seed: SeedOption = 1,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Answer the department checks that households still lack: nothing speaks against anybody. In a demonstration only.

    Example: mingce generate checks --as jingban
    """
    desk = _demo_desk(config, as_, password_file)
    entered = 0
    for county in desk.home.settings.divisions:
        required = Policies(desk.office).policy_for(county, desk.office.today()).policy.checks.required
        schemas = {name: get_schema(f"{name}/1") for name in required}
        entered += enter_checks(desk.office, desk.actor, county, schemas, seed=seed)
    print_result(
        {"entered": entered},
        [say(f"登记部门答复 {entered:,} 条（虚构）", f"{entered:,} made-up department answers")],
        as_json=json_,
    )


def _demo_desk(config: ConfigOption, as_: AsOption, password_file: PasswordFileOption) -> Desk:
    desk = open_desk(config, as_, password_file)
    if not desk.home.settings.demo:
        raise Refused(
            "只能在演示目录里生成：这里的数据不是演示数据（mingce.toml 的 demo）",
            "Only in a demonstration's home: this one's data are real (`demo` in mingce.toml)",
        )
    return desk
