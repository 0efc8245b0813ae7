"""``mingce policy propose|adopt|withdraw|list|simulate``: which rules are in force in a bureau's home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from matcher.households import Households
from matcher.households.policies import Policies, PolicyRecord
from matcher.policy import load_policy
from matcher.subsidy.lines import yuan
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk, open_office
from scripts.county.household_changes import day_of, in_words
from scripts.county.subsidy import parse_amount
from scripts.home import ConfigOption, JsonOption, open_home
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result, print_table

app = typer.Typer()

_SHORTEST = 8  # of a SHA-256, to name a policy by its beginning
_STATES = {"proposed": ("待采用", "proposed"), "adopted": ("已采用", "adopted"), "withdrawn": ("已撤回", "withdrawn")}

PolicyArgument = Annotated[str, typer.Argument(help="its SHA-256, or 8 characters of it or more")]


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="a policy file")],
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Put a policy forward for a county. It is in force once a second person adopts it.

    Example: mingce policy propose 330922-2025.toml --as jingban
    """
    load_policy(file)  # says which file is faulty
    desk = open_desk(config, as_, password_file)
    record = Policies(desk.office).propose(desk.actor, file.read_bytes(), file.name)
    _print_record(record, as_json=json_)


@app.command()
@at_desk
def adopt(
    desk: Desk,
    policy: PolicyArgument,
    json_: JsonOption = False,
) -> None:
    """Put a proposed policy in force, as a second person. What was decided under another keeps that one.

    Example: mingce policy adopt da6a8806 --as fuhe
    """
    policies = Policies(desk.office)
    _print_record(policies.adopt(desk.actor, _find(policies, policy)), as_json=json_)


@app.command()
@at_desk
def withdraw(
    desk: Desk,
    policy: PolicyArgument,
    json_: JsonOption = False,
) -> None:
    """Take a proposal back. What was adopted stays.

    Example: mingce policy withdraw da6a8806 --as jingban
    """
    policies = Policies(desk.office)
    _print_record(policies.withdraw(desk.actor, _find(policies, policy)), as_json=json_)


@app.command("list")
def list_(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """The policies of the bureau's home, the newest first.

    Example: mingce policy list
    """
    records = Policies(open_office(open_home(config, "bureau"))).list()
    print_result({"policies": [asdict(record) for record in records]}, [], as_json=json_)
    if not json_:
        columns = (
            ("政策", "policy"),
            ("版本", "version"),
            ("有效期", "validity"),
            ("状态", "state"),
            ("提出", "by"),
            ("采用", "adopted by"),
        )
        cells = [
            [r.sha256[:12], f"{r.county} {r.version}", f"{r.valid_from} – {r.valid_to}", say(*_STATES[r.state]),
             r.proposed_by, r.adopted_by or ""]
            for r in records
        ]  # fmt: skip
        print_table(say("政策", "Policies"), [say(*pair) for pair in columns], cells)


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(help="the policy to try")],
    on: Annotated[str | None, typer.Option(help="a day, else today")] = None,
    cost_each: Annotated[
        str | None, typer.Option(help="expected subsidy of a household a year, yuan; else the average of the last year")
    ] = None,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """What if: which of the present households would come in or fall out, why, where, and at what cost.

    Nothing changes by it.

    Example: mingce policy simulate 330922-2026.toml --cost-each 280 --as jingban
    """
    other = load_policy(file)
    desk = open_desk(config, as_, password_file)
    found = Households(desk.office).simulate(
        desk.actor, other, on=day_of(on), cost_each=None if cost_each is None else parse_amount(cost_each)
    )
    result = {
        **asdict(found),
        "comes_in": _counts(found.comes_in),
        "falls_out": _counts(found.falls_out),
    }
    cost = (
        say("未知（尚无贴息明细，可用 --cost-each 给出）", "unknown; give --cost-each")
        if found.cost is None
        else say(
            f"每年 {yuan(found.cost)} 元（每户 {yuan(found.each or 0)} 元）",
            f"{yuan(found.cost)} yuan a year ({yuan(found.each or 0)} each)",
        )
    )
    lines = [
        say(
            f"现有 {found.households:,} 户：现行政策不排除 {found.fits_now:,} 户，试算政策 {found.fits_then:,} 户；"
            f"将退出者中已在最终名单 {found.listed_falling_out:,} 户；收入口径有别 {found.near_misses:,} 户",
            f"{found.households:,} households: {found.fits_now:,} fit or may fit now, {found.fits_then:,} then; "
            f"{found.listed_falling_out:,} of those falling out are on the final list; the reading of the income "
            f"clause matters to {found.near_misses:,}",
        ),
        say(f"预计成本变动：{cost}", f"Expected change of cost: {cost}"),
    ]
    print_result(result, lines, as_json=json_)
    if not json_:
        for title, counts in ((say("将纳入", "Come in"), found.comes_in), (say("将退出", "Fall out"), found.falls_out)):
            columns = [say(*pair) for pair in (("原因", "reasons"), ("镇街", "township"), ("户数", "households"))]
            cells = [[in_words(r.split(",")), t, f"{n:,}"] for (r, t), n in counts.items()]
            print_table(title, columns, cells)


def _counts(counts: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    return [{"reasons": r, "township": t, "households": number} for (r, t), number in counts.items()]


def _find(policies: Policies, beginning: str) -> str:
    found = [one.sha256 for one in policies.list() if one.sha256.startswith(beginning.lower())]
    if len(beginning) < _SHORTEST or len(found) > 1:
        raise Refused(
            f"请给出 {_SHORTEST} 位以上、能唯一确定的 SHA-256", f"Give {_SHORTEST} characters or more that name one"
        )
    return found[0] if found else beginning


def _print_record(record: PolicyRecord, *, as_json: bool) -> None:
    state = say(*_STATES[record.state])
    lines = [f"{record.county} {record.version}：{state}", f"  SHA-256 {record.sha256}"]
    if record.state == "proposed":
        lines.append(say("请另一人采用：", "A second person adopts it: ") + f"mingce policy adopt {record.sha256[:12]}")
    print_result(asdict(record), lines, as_json=as_json)
