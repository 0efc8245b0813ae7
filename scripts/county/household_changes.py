"""``mingce household refine|supplement|visit-list|settle|add-member|remove-member``: what a person decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

import typer

from matcher.households import Households
from matcher.households.refining import Refinement
from matcher.reasons import describe, parse_reasons
from scripts.county.acting import Desk, at_desk
from scripts.home import DryRunOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_outcomes, print_result, print_table

app = typer.Typer()

RemarkOption = Annotated[str, typer.Option(help="why, in plain words without personal data")]
ReasonsOption = Annotated[str, typer.Option(help="reason codes, joined by ','")]

_WANTED = {"in": ("纳入", "in"), "out": ("排除", "out"), "look": ("须人工核实", "to be looked at")}


@app.command()
@at_desk
def refine(
    desk: Desk,
    county: Annotated[str | None, typer.Option(help="six digits, if the bureau has several")] = None,
    township: Annotated[str, typer.Option(help="only this township, as 330922100")] = "",
    take_in: Annotated[bool, typer.Option("--in", help="take in all that the policy proposes to")] = False,
    put_out: Annotated[
        str, typer.Option("--out", help="leave out those proposed for no other reasons than these codes")
    ] = "",
    remark: RemarkOption = "",
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """细化: what the policy proposes for the matched households, by reason and township; and take it over.

    Without --in and --out nothing changes. What has an open conflict, or a flagged label, is left for a person.

    Example: mingce household refine --in --out N03,N04 --remark 年龄不符 --as jingban
    """
    found = Households(desk.office).refine(
        desk.actor,
        county_of(desk, county),
        township=township,
        take_in=take_in,
        put_out=parse_reasons(put_out),
        remark=remark,
        dry_run=dry_run,
    )
    _print_refinement(found, as_json=json_)


@app.command("refine-one")
@at_desk
def refine_one(
    desk: Desk,
    households: Annotated[list[int], typer.Argument(help="numbers from `household list`")],
    wanted: Annotated[Literal["in", "out"], typer.Option("--to", help="in or out")],
    reasons: ReasonsOption = "",
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """Take named households in, or leave them out with a reason, whatever the policy proposes.

    Example: mingce household refine-one 17 18 --to out --reasons N05 --remark 已迁出 --as jingban
    """
    outcomes = Households(desk.office).refine_many(
        desk.actor, households, wanted, reasons=parse_reasons(reasons), remark=remark
    )
    print_outcomes(outcomes, as_json=json_)


@app.command()
@at_desk
def supplement(
    desk: Desk,
    households: Annotated[list[int], typer.Argument(help="numbers from `household list`")],
    remark: RemarkOption,
    reasons: ReasonsOption = "",
    json_: JsonOption = False,
) -> None:
    """补充: take households in past their label or the county's own refinement.

    Example: mingce household supplement 21 --remark 镇街核实家庭人数有误 --as jingban
    """
    done = Households(desk.office).supplement_many(
        desk.actor, households, remark=remark, reasons=parse_reasons(reasons)
    )
    print_outcomes(done, as_json=json_)


@app.command("visit-list")
@at_desk
def visit_list(
    desk: Desk,
    area: Annotated[str | None, typer.Option(help="a county or township, else the bureau's county")] = None,
    json_: JsonOption = False,
) -> None:
    """Put whoever was taken in or supplemented on the 待入户调查名单.

    Example: mingce household visit-list --as jingban
    """
    done = Households(desk.office).put_on_visit_list(desk.actor, area or county_of(desk, None))
    print_outcomes(done, as_json=json_)


@app.command()
@at_desk
def settle(
    desk: Desk,
    conflict: Annotated[int, typer.Argument(help="its number, from `household conflicts`")],
    remark: RemarkOption,
    name: Annotated[int | None, typer.Option(help="of two names, the place of the one that is right")] = None,
    leaves: Annotated[bool, typer.Option("--leaves", help="the person is no member of this household")] = False,
    json_: JsonOption = False,
) -> None:
    """Say why a conflict is none any more.

    Example: mingce household settle 3 --name 1 --remark 见户口本 --as jingban
    """
    Households(desk.office).settle(desk.actor, conflict, remark, name=name, leaves=leaves)
    print_result({"conflict": conflict}, [say("已处理。", "Settled.")], as_json=json_)


@app.command("add-member")
@at_desk
def add_member(
    desk: Desk,
    household: Annotated[int, typer.Argument(help="the household's number here")],
    name: Annotated[str, typer.Option(help="the person's name")],
    remark: RemarkOption,
    relation: Annotated[str, typer.Option(help="as docs/reference/visit-form.md names it: spouse, child …")] = "",
    json_: JsonOption = False,
) -> None:
    """Add a member that no match found. The ID number is asked for: it stays out of the shell's history.

    Example: mingce household add-member 17 --name 演示 --relation spouse --remark 见户口本 --as jingban
    """
    number = typer.prompt(say("证件号码", "ID number"), hide_input=True, err=True)
    member = Households(desk.office).add_member(desk.actor, household, number, name, relation=relation, remark=remark)
    print_result({"member": member}, [say(f"成员编号 {member}", f"Member {member}")], as_json=json_)


@app.command("remove-member")
@at_desk
def remove_member(
    desk: Desk,
    member: Annotated[int, typer.Argument(help="the member's number, from `household members`")],
    remark: RemarkOption,
    json_: JsonOption = False,
) -> None:
    """Somebody is no member any more.

    Example: mingce household remove-member 31 --remark 已迁出 --as jingban
    """
    Households(desk.office).remove_member(desk.actor, member, remark)
    print_result({"member": member}, [say("已移除。", "Removed.")], as_json=json_)


def county_of(desk: Desk, county: str | None) -> str:
    """The one that was named, or the bureau's only one. Raises Refused."""
    own = sorted(desk.office.divisions)
    if county is None and len(own) != 1:
        raise Refused(f"请用 --county 指明：{'、'.join(own)}", f"Say which --county: {', '.join(own)}")
    return county or own[0]


def day_of(text: str | None) -> date | None:
    """An ISO day. Raises Refused."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text} 不是日期，应如 2025-03-03", f"{text} is no day such as 2025-03-03") from None


def in_words(codes: Iterable[str]) -> str:
    """Reason codes in the user's language."""
    known = [code for code in codes if code]
    return say(describe(known), describe(known, english=True))


def _print_refinement(found: Refinement, *, as_json: bool) -> None:
    counts: list[dict[str, Any]] = [
        {"wanted": wanted, "reasons": reasons, "township": township, "households": number}
        for (wanted, reasons, township), number in found.counts.items()
    ]
    done = sum(one.outcome == "done" for one in found.outcomes)
    result: dict[str, Any] = {
        "policy": found.policy, "counts": counts, "near_misses": found.near_misses, "done": done,
        "outcomes": [asdict(one) for one in found.outcomes],
    }  # fmt: skip
    lines = [
        say(
            f"办理 {done:,} 户。收入口径不同则结论不同的 {found.near_misses:,} 户。",
            f"{done:,} done. Another reading of the income clause would change {found.near_misses:,}.",
        )
    ]
    print_result(result, lines, as_json=as_json)
    if not as_json:
        columns = (("建议", "proposal"), ("原因", "reasons"), ("镇街", "township"), ("户数", "households"))
        cells = [
            [say(*_WANTED[one["wanted"]]), in_words(one["reasons"].split(",")), one["township"],
             f"{one['households']:,}"]
            for one in counts
        ]  # fmt: skip
        print_table(say("细化建议", "Proposals"), [say(*pair) for pair in columns], cells)
