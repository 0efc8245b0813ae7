"""``mingce review``, second part: making approvals known, what is said against them, and the final list."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from matcher.accounts.accounts import Accounts
from matcher.exports import Format
from matcher.reviews import Reviews
from matcher.reviews.queue import LARGEST_PAGE, QueueFilter
from matcher.reviews.sheets import Exported
from scripts.county.acting import Desk, at_desk
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import format_of, print_outcomes, print_result

HouseholdsArgument = Annotated[list[int], typer.Argument(help="households' numbers, as the queue shows them")]
SomeHouseholdsArgument = Annotated[list[int] | None, typer.Argument(help="households' numbers; or --all")]
AllOption = Annotated[bool, typer.Option("--all", help="every household that is ready")]
PurposeOption = Annotated[str, typer.Option(help="what the file is for; kept in the audit log")]
WhoOption = Annotated[str, typer.Option(help="who says it; kept sealed")]
WhyOption = Annotated[str, typer.Option(help="what is said; kept sealed")]
DayOption = Annotated[str, typer.Option(help="day, as 2025-03-03")]


@at_desk
def confirm_list(
    desk: Desk,
    households: SomeHouseholdsArgument = None,
    all_: AllOption = False,
    sms: Annotated[Path | None, typer.Option(help="write the SMS texts of all who were not told yet")] = None,
    village: Annotated[Path | None, typer.Option(help="write the list for the village groups (村小组评议)")] = None,
    township: Annotated[str, typer.Option(help="of the village list: first digits of a division")] = "",
    purpose: PurposeOption = "确认期告知与评议",
    json_: JsonOption = False,
) -> None:
    """Begin the confirmation of approved households, and write what makes it known.

    Example: mingce review confirm-list --all --sms 短信.xlsx --village 评议.xlsx --as jingban
    """
    reviews = Reviews(desk.office)
    chosen = _all_approved(reviews, desk) if all_ else households or []
    outcomes = reviews.confirmations.begin(desk.actor, chosen) if chosen else []
    files: dict[str, Exported] = {}
    if sms is not None:
        files["sms"] = reviews.exports.write_sms(desk.actor, sms, format=format_of(sms, Format), purpose=purpose)
    if village is not None:
        files["village"] = reviews.exports.write_deliberations(
            desk.actor, village, format=format_of(village, Format), purpose=purpose, township=township
        )
    lines = [
        say(f"{name}：{done.rows:,} 行，缺采集表 {len(done.left_out)} 户", f"{name}: {done.rows:,} rows")
        for name, done in files.items()
    ]
    print_outcomes(outcomes, as_json=json_, more={name: asdict(done) for name, done in files.items()}, lines=lines)


@at_desk
def refusals(
    desk: Desk,
    sms: Annotated[Path, typer.Argument(help="the SMS texts to write: .xlsx or .csv")],
    purpose: PurposeOption = "审核结果告知",
    json_: JsonOption = False,
) -> None:
    """Write the SMS texts for refused families that were not told yet: why, and that they may appeal.

    Example: mingce review refusals 未通过短信.xlsx --as jingban
    """
    done = Reviews(desk.office).refusals.write_sms(desk.actor, sms, format=format_of(sms, Format), purpose=purpose)
    _print_file(sms, done, as_json=json_)


@at_desk
def tell(
    desk: Desk,
    household: Annotated[int, typer.Argument(help="the household's number")],
    how: Annotated[str, typer.Option(help="how the family was told, as 电话告知")],
    refused: Annotated[bool, typer.Option("--refused", help="of its refusal, not of its confirmation")] = False,
    json_: JsonOption = False,
) -> None:
    """Record that a family was told otherwise than by SMS, of its confirmation or of its refusal.

    Example: mingce review tell 17 --how 电话告知 --as jingban
    """
    reviews = Reviews(desk.office)
    (reviews.refusals if refused else reviews.confirmations).tell(desk.actor, household, how)
    print_result({"household": household}, [say(f"已登记 {household}", f"Recorded {household}")], as_json=json_)


@at_desk
def deliberation(
    desk: Desk,
    households: HouseholdsArgument,
    held_on: DayOption,
    agreed: Annotated[bool, typer.Option("--agreed/--objected", help="what the village group said")],
    why: WhyOption = "",
    json_: JsonOption = False,
) -> None:
    """Record the village group's word (村小组评议); an objection opens the review again.

    Example: mingce review deliberation 17 18 --held-on 2025-03-08 --agreed --as zhenjie
    """
    result = "agreed" if agreed else "objected"
    done = Reviews(desk.office).deliberations.record(desk.actor, households, result, _day(held_on), why=why)  # type: ignore[arg-type]
    print_outcomes(done, as_json=json_)


@at_desk
def appeal(
    desk: Desk,
    household: Annotated[int, typer.Argument(help="the household's number")],
    who: WhoOption,
    why: WhyOption,
    received_on: DayOption,
    json_: JsonOption = False,
) -> None:
    """Enter a refused family's appeal (申诉), possible once: the review begins again.

    Example: mingce review appeal 17 --who 户主 --why 收入有误 --received-on 2025-03-03 --as zhenjie
    """
    number = Reviews(desk.office).objections.appeal(
        desk.actor, household, who=who, why=why, received_on=_day(received_on)
    )
    _print_entered(household, number, as_json=json_)


@at_desk
def objection(
    desk: Desk,
    household: Annotated[int, typer.Argument(help="the household's number")],
    who: WhoOption,
    why: WhyOption,
    received_on: DayOption,
    json_: JsonOption = False,
) -> None:
    """Enter an objection (异议) against a household whose confirmation runs: the review begins again.

    Example: mingce review objection 17 --who 邻居 --why 不在本村居住 --received-on 2025-03-06 --as zhenjie
    """
    number = Reviews(desk.office).objections.enter(
        desk.actor, household, who=who, why=why, received_on=_day(received_on)
    )
    _print_entered(household, number, as_json=json_)


@at_desk
def close(
    desk: Desk,
    households: SomeHouseholdsArgument = None,
    all_: AllOption = False,
    json_: JsonOption = False,
) -> None:
    """Put households on the final list whose confirmation is over. Exit code 3 if some were refused.

    Example: mingce review close --all --as fuhe
    """
    confirmations = Reviews(desk.office).confirmations
    chosen = confirmations.list_closable(desk.actor) if all_ else households or []
    print_outcomes(confirmations.close(desk.actor, chosen), as_json=json_)


@at_desk
def final(
    desk: Desk,
    out: Annotated[Path, typer.Argument(help="the file to write: .xlsx or .csv")],
    purpose: PurposeOption,
    bank: Annotated[
        str | None, typer.Option(help="a bank's name: its own customers' families, with their numbers")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Write the final list: masked for the bureau itself, or a bank's own part of it with ID numbers.

    Example: mingce review final 最终名单.xlsx --bank 演示银行 --purpose 放款核对 --as jingban
    """
    fingerprint = None if bank is None else Accounts(desk.office).get_bank(bank)
    done = Reviews(desk.office).exports.write_final_list(
        desk.actor, out, format=format_of(out, Format), purpose=purpose, bank=fingerprint
    )
    _print_file(out, done, as_json=json_)


@at_desk
def record(
    desk: Desk,
    out: Annotated[Path, typer.Argument(help="the file to write: .xlsx or .csv")],
    purpose: PurposeOption,
    first: Annotated[str, typer.Option("--from", help="first day, as 2025-03-01")],
    last: Annotated[str, typer.Option("--to", help="last day")],
    household: Annotated[int | None, typer.Option(help="of one household only")] = None,
    json_: JsonOption = False,
) -> None:
    """Write the review record (审核记录): what each decision rested on, who made it, and its place in the audit log.

    Example: mingce review record 审核记录.xlsx --from 2025-03-01 --to 2025-03-31 --purpose 归档 --as fuhe
    """
    done = Reviews(desk.office).record_book.write(
        desk.actor,
        out,
        format=format_of(out, Format),
        purpose=purpose,
        first=_day(first),
        last=_day(last),
        household_id=household,
    )
    _print_file(out, done, as_json=json_)


def add_to(app: typer.Typer) -> None:
    """The commands of this module, in the order of the work."""
    app.command("confirm-list")(confirm_list)
    for command in (refusals, tell, deliberation, appeal, objection, close, final, record):
        app.command()(command)


def _print_file(out: Path, done: Exported, *, as_json: bool) -> None:
    lines = [say(f"已写入 {out}：{done.rows:,} 行", f"Wrote {out}: {done.rows:,} rows"), f"SHA-256 {done.sha256}"]
    print_result({"file": str(out), **asdict(done)}, lines, as_json=as_json)


def _print_entered(household: int, number: int, *, as_json: bool) -> None:
    line = say(f"已登记 {number}；{household} 重新进入审核", f"Entered {number}; {household} is in review again")
    print_result({"household": household, "objection": number}, [line], as_json=as_json)


def _all_approved(reviews: Reviews, desk: Desk) -> list[int]:
    found: list[int] = []
    after: str | None = None
    while True:
        page = reviews.queue.page(desk.actor, QueueFilter(stage="approved"), after=after, size=LARGEST_PAGE)
        found += [item.household_id for item in page.items]
        after = page.next
        if after is None:
            return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(f"{text} 不是日期，如 2025-03-03", f"{text} is no day, as 2025-03-03") from None
