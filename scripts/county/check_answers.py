"""``mingce bureau take-checks|enter-check|missing-checks``: departments' answers in the case work."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from keys.epochs import check_name
from matcher.checks.service import DepartmentChecks
from matcher.households.policies import Policies
from matcher.schemas import ListSchema, get_schema
from scripts.county.acting import Desk, at_desk
from scripts.county.checking import latest_run, open_link
from scripts.home import DryRunOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table

app = typer.Typer()

MemberArgument = Annotated[int, typer.Argument(help="the member's number, from `bureau find`")]


@app.command("take-checks")
@at_desk
def take_checks(
    desk: Desk,
    dataset: Annotated[str | None, typer.Argument(help="which [department.NAME] of mingce.toml")] = None,
    run: Annotated[str | None, typer.Option("--run", help="which run; else the last completed one")] = None,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Take the results of `bureau check` over into the households' files. The same run again adds nothing.

    Example: mingce bureau take-checks minzheng --as jingban
    """
    link = open_link(desk.home, dataset)
    taken = DepartmentChecks(desk.office).take(
        desk.actor, link.name, link.store, latest_run(link, run), link.schema, dry_run=dry_run
    )
    word = say("演练：", "dry run: ") if dry_run else ""
    line = say(
        f"{taken.department}（{taken.origin}）：{taken.people:,} 人，在名单 {taken.listed:,}；"
        f"新增答复 {taken.added:,}，已有 {taken.present:,}，不是任何家庭成员 {taken.unknown:,}",
        f"{taken.department} ({taken.origin}): {taken.people:,} people, {taken.listed:,} listed; "
        f"{taken.added:,} answers added, {taken.present:,} present before, {taken.unknown:,} people in no household",
    )
    print_result({**vars(taken), "dry_run": dry_run}, [word + line], as_json=json_)


@app.command("enter-check")
@at_desk
def enter_check(
    desk: Desk,
    member: MemberArgument,
    department: Annotated[str, typer.Option(help="as the policy's checks.required names it")],
    document: Annotated[str, typer.Option(help="the document's number")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="the day of the department's answer")],
    listed: Annotated[
        bool, typer.Option("--listed/--not-listed", help="whether the person is on the department's list")
    ],
    value: Annotated[
        list[str], typer.Option("--value", help="FIELD=VALUE of the department's label schema; repeat")
    ] = [],  # noqa: B006
    json_: JsonOption = False,
) -> None:
    """Enter a department's answer on paper, where it is not connected. The same entry again changes nothing.

    Example: mingce bureau enter-check 12 --department minzheng --listed --value assistance=低保
    --value as_of=2025-02-01 --as-of 2025-03-01 --document 嵊民函〔2025〕3号 --as jingban
    """
    label = dict(_split(one) for one in value)
    if label and not listed:
        raise Refused("不在名单上的人没有 --value", "Somebody who is not on the list has no --value")
    check_id = DepartmentChecks(desk.office).enter(
        desk.actor,
        member,
        check_name(department, "department"),
        _schema_of(desk, department),
        label=label if listed else None,
        as_of=as_of.date(),
        document_no=document,
    )
    print_result(
        {"check": check_id, "member": member, "department": department},
        [say(f"已登记第 {check_id} 号答复。", f"Entered as answer {check_id}.")],
        as_json=json_,
    )


@app.command("missing-checks")
@at_desk
def missing_checks(
    desk: Desk,
    household: Annotated[list[int], typer.Option("--household", help="which; repeat; else all under way")] = [],  # noqa: B006
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="on which day; else today")] = None,
    limit: Annotated[int, typer.Option(min=1, help="how many rows to show")] = 50,
    json_: JsonOption = False,
) -> None:
    """Which department checks households still lack by the policy in force, or have that are too old.

    Example: mingce bureau missing-checks --household 12 --as jingban
    """
    day: date = on.date() if on else desk.office.today()
    checks, policies = DepartmentChecks(desk.office), Policies(desk.office)
    missing = [
        one
        for county in desk.home.settings.divisions
        for one in checks.list_missing(
            desk.actor, county, policies.policy_for(county, day).policy.checks, day, household
        )
    ]
    result = {
        "on": day.isoformat(),
        "households": len({one.household_id for one in missing}),
        "missing": [vars(one) for one in missing],
    }
    if json_:
        print_result(result, [], as_json=True)
        return
    why = {"never": say("没有", "never"), "too_old": say("已过期", "too old")}
    print_table(
        say(f"尚缺的部门核验（{result['households']:,} 户）", f"Checks missing ({result['households']:,} households)"),
        [say("家庭", "household"), say("成员", "member"), say("部门", "department"), say("原因", "why")],
        [[one.household_id, one.member_id, one.department, f"{why[one.why]} {one.as_of or ''}"]
         for one in missing[:limit]],
    )  # fmt: skip


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refused(f"--value 须写成 字段=值：{text}", f"--value is FIELD=VALUE: {text}")
    return name.strip(), value.strip()


def _schema_of(desk: Desk, department: str) -> ListSchema:
    """The schema agreed on with a connected department, else the built-in one of that name."""
    if department in desk.home.settings.department:
        return open_link(desk.home, department).schema
    return get_schema(f"{department}/1")
