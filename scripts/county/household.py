"""``mingce household``: the county's households, from the match to the list of those to be visited."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from matcher.eligibility import Outcome, Verdict
from matcher.households import HouseholdFilter, Households
from matcher.households.showing import HouseholdRow
from matcher.households.supplementing import Conflict
from matcher.states import HOUSEHOLD
from scripts.county import household_changes
from scripts.county.acting import Desk, at_desk
from scripts.home import JsonOption
from scripts.language import say
from scripts.output import print_result, print_table

app = typer.Typer(no_args_is_help=True, help="家庭：细化、补充、核对。 Households before anybody visits them.")
app.add_typer(household_changes.app)

HouseholdArgument = Annotated[int, typer.Argument(help="the household's number here, from `household list`")]

_VERDICTS = {
    Verdict.FITS: ("符合", "fits"),
    Verdict.DOES_NOT_FIT: ("不符合", "does not fit"),
    Verdict.INCOMPLETE: ("资料不全", "incomplete"),
}
OUTCOME_WORDS = {
    Outcome.MET: ("符合", "met"),
    Outcome.NOT_MET: ("不符合", "not met"),
    Outcome.UNKNOWN: ("待核实", "unknown"),
    Outcome.FLAGGED: ("须留意", "flagged"),
}
CONFLICT_WORDS = {
    "person_in_two_households": ("一人在两户", "one person in two households"),
    "labels_differ": ("成员标签不一致", "members' labels differ"),
    "too_many_members": ("成员多于家庭人数", "more members than the household has"),
    "two_names_for_one_number": ("同号不同名", "two names for one number"),
    "label_changed": ("办理中标签变动", "the label changed under a case at work"),
}


@app.command("list")
@at_desk
def list_(
    desk: Desk,
    area: Annotated[str, typer.Option(help="a prefix of the division, as 330922100")] = "",
    state: Annotated[str, typer.Option(help="as docs/reference/states.md names it")] = "",
    year: Annotated[int | None, typer.Option(help="of the base list")] = None,
    conflicts: Annotated[bool, typer.Option("--conflicts", help="only with an open conflict")] = False,
    after: Annotated[int, typer.Option(min=0, help="go on after this number")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many to show")] = 50,
    json_: JsonOption = False,
) -> None:
    """Households in the account's care, and how many stand where.

    Example: mingce household list --area 330922100 --state MATCHED --as jingban
    """
    households, wanted = Households(desk.office), HouseholdFilter(area, state, year, conflicts)
    counts = households.count(desk.actor, wanted)
    rows = households.list(desk.actor, wanted, after=after, size=limit)
    states = "，".join(f"{HOUSEHOLD.words[name]} {number:,}" for name, number in counts.items())
    total = sum(counts.values())
    print_result(
        {"states": counts, "shown": [asdict(row) for row in rows]},
        [say(f"共 {total:,} 户。{states}", f"{total:,} households: {counts}")],
        as_json=json_,
    )
    if not json_:
        _print_rows(rows)


@app.command()
@at_desk
def show(
    desk: Desk,
    household: HouseholdArgument,
    json_: JsonOption = False,
) -> None:
    """One household: members (masked), conflicts, cases of other years, and its way so far.

    Example: mingce household show 17 --as jingban
    """
    found = Households(desk.office).show(desk.actor, household)
    print_result(asdict(found), [], as_json=json_)
    if json_:
        return
    _print_rows([found.household])
    _print_members(found.members)
    _print_conflicts(found.conflicts)
    if found.links:
        columns = [
            say(*pair) for pair in (("编号", "no."), ("名单年度", "year"), ("状态", "state"), ("共同成员", "shared"))
        ]
        print_table(
            say("其他年度的同一批人", "The same people in other years"),
            columns,
            [[link.household_id, link.list_year, HOUSEHOLD.words[link.state], link.shared] for link in found.links],
        )
    columns = [
        say(*p) for p in (("时间", "at"), ("状态", "state"), ("办理人", "by"), ("原因", "reasons"), ("说明", "remark"))
    ]
    moves = [
        [m.at, HOUSEHOLD.words[m.to_state], m.account, household_changes.in_words(m.reasons), m.remark]
        for m in found.moves
    ]
    print_table(say("经过", "Its way"), columns, moves)


@app.command()
@at_desk
def members(
    desk: Desk,
    household: HouseholdArgument,
    json_: JsonOption = False,
) -> None:
    """The members of a household, masked. Their numbers are what `bureau reveal` and `remove-member` take.

    Example: mingce household members 17 --as jingban
    """
    found = Households(desk.office).show(desk.actor, household).members
    print_result({"members": [asdict(member) for member in found]}, [], as_json=json_)
    if not json_:
        _print_members(found)


@app.command()
@at_desk
def assess(
    desk: Desk,
    household: HouseholdArgument,
    on: Annotated[str | None, typer.Option(help="a day, else today")] = None,
    json_: JsonOption = False,
) -> None:
    """What the policy in force says of a household, rule by rule. It decides nothing: a person does.

    Example: mingce household assess 17 --as jingban
    """
    day = household_changes.day_of(on)
    found = Households(desk.office).assess(desk.actor, household, day)
    assessment = found.assessment
    result: dict[str, Any] = {
        "household": household,
        "on": found.on.isoformat(),
        "policy": found.policy,
        **asdict(assessment),
        **found.known.to_json(),
    }
    lines = [say(f"结论：{_VERDICTS[assessment.verdict][0]}", f"Verdict: {_VERDICTS[assessment.verdict][1]}")]
    lines += [f"  {say(*OUTCOME_WORDS[rule.outcome])}  {rule.text}  {rule.clause}" for rule in assessment.rules]
    lines += [say(f"注意：{line}", f"Note: {line}") for line in assessment.near_misses]
    print_result(result, lines, as_json=json_)


@app.command()
@at_desk
def conflicts(
    desk: Desk,
    settled: Annotated[bool, typer.Option("--all", help="also those that are settled")] = False,
    json_: JsonOption = False,
) -> None:
    """What a person has to settle.

    Example: mingce household conflicts --as jingban
    """
    found = Households(desk.office).list_conflicts(desk.actor, settled=settled)
    line = say(f"{len(found):,} 项冲突", f"{len(found):,} conflicts")
    print_result({"conflicts": [asdict(conflict) for conflict in found]}, [line], as_json=json_)
    if not json_:
        _print_conflicts(found)


@app.command()
@at_desk
def names(
    desk: Desk,
    conflict: Annotated[int, typer.Argument(help="its number, from `household conflicts`")],
    reason: Annotated[str, typer.Option(help="why they have to be seen; kept in the audit log")],
    json_: JsonOption = False,
) -> None:
    """The names of a 同号不同名 in the clear, each with the place that `household settle --name` takes.

    Example: mingce household names 3 --reason 核对户口本 --as jingban
    """
    found = Households(desk.office).reveal_names(desk.actor, conflict, reason)
    lines = [f"{place}: {name}" for place, name in enumerate(found)]
    print_result({"conflict": conflict, "names": list(found)}, lines, as_json=json_)


def _print_rows(rows: list[HouseholdRow]) -> None:
    columns = (
        ("编号", "no."), ("家庭编号", "household"), ("名单年度", "year"), ("行政区划", "division"), ("状态", "state"),
        ("自", "since"), ("家庭人数", "size"), ("已知成员", "known"), ("是否扩中家庭", "expanding"),
        ("非扩中原因标签", "reasons"), ("冲突", "conflicts"),
    )  # fmt: skip
    cells = [
        [
            row.household_id, row.household_no, row.list_year, row.division, HOUSEHOLD.words[row.state],
            row.state_since[:10], row.household_size, row.members,
            say("是", "yes") if row.expanding else say("否", "no"),
            household_changes.in_words(row.reasons), row.open_conflicts or "",
        ]
        for row in rows
    ]  # fmt: skip
    print_table(say("家庭", "Households"), [say(*pair) for pair in columns], cells)


def _print_members(found: Any) -> None:
    columns = (
        ("编号", "no."),
        ("姓名", "name"),
        ("证件号码", "ID number"),
        ("关系", "relation"),
        ("来源", "source"),
        ("离户", "left"),
    )
    cells = [[m.member_id, m.name, m.number, m.relation, m.source, (m.left_at or "")[:10]] for m in found]
    print_table(say("成员", "Members"), [say(*pair) for pair in columns], cells)


def _print_conflicts(found: Any) -> None:
    columns = (
        ("编号", "no."),
        ("家庭", "household"),
        ("冲突", "conflict"),
        ("证件号码", "ID number"),
        ("姓名", "names"),
        ("处理", "settled"),
    )
    cells = [_conflict_cells(conflict) for conflict in found]
    print_table(say("冲突", "Conflicts"), [say(*pair) for pair in columns], cells)


def _conflict_cells(one: Conflict) -> list[object]:
    names = "  ".join(f"{place}:{name}" for place, name in enumerate(one.names))
    return [one.conflict_id, one.household_id, say(*CONFLICT_WORDS[one.kind]), one.number, names, one.settlement or ""]
