"""``mingce review``: from the queue to a decision of two persons, and the end of a stay on the final list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, cast

import typer

from matcher.reviews import Reviews
from matcher.reviews.queue import QueueFilter, Stage
from matcher.reviews.records import DecisionVerdict
from scripts.county import review_confirming
from scripts.county.acting import AsOption, Desk, PasswordFileOption, at_desk, open_desk
from scripts.county.review_confirming import HouseholdsArgument
from scripts.county.review_showing import REFERENCE_DIGITS, file_lines, print_decision, print_queue
from scripts.home import ConfigOption, JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_outcomes, print_result

app = typer.Typer(no_args_is_help=True, help="审核：从待审核到最终名单。 From review to the final list.")
review_confirming.add_to(app)


HouseholdArgument = Annotated[int, typer.Argument(help="the household's number, as the queue shows it")]
ReasonOption = Annotated[list[str], typer.Option("--reason", help="a reason code, docs/reference/reasons.md; repeat")]
RemarkOption = Annotated[str, typer.Option(help="for colleagues; kept sealed")]
DecisionsArgument = Annotated[
    list[str], typer.Argument(help="NUMBER@DIGEST as `review show` and the queue print it: what you have seen")
]


@app.command()
def queue(
    stage: Annotated[str, typer.Option(help="to_propose, to_confirm, approved, confirming or not_met")] = "to_propose",
    township: Annotated[str, typer.Option(help="first digits of a division")] = "",
    claimed: Annotated[str, typer.Option(help="all, mine, nobody, or @ and an account")] = "all",
    reason: Annotated[str, typer.Option(help="a reason code of the label")] = "",
    late_after: Annotated[int, typer.Option(min=0, help="days from which on a household is late")] = 15,
    late: Annotated[bool, typer.Option("--late", help="late ones only")] = False,
    size: Annotated[int, typer.Option(min=1, max=200, help="how many to show")] = 50,
    after: Annotated[str | None, typer.Option(help="where the page before ended")] = None,
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """What waits for somebody, the longest waiting first.

    Example: mingce review queue --township 330922100 --claimed nobody --as jingban
    """
    _require_one_of(stage, ("to_propose", "to_confirm", "approved", "confirming", "not_met"))
    if not claimed.startswith("@"):
        _require_one_of(claimed, ("all", "mine", "nobody"))
    desk = open_desk(config, as_, password_file)
    wanted = QueueFilter(cast(Stage, stage), township, claimed, reason, late_after, late)
    page = Reviews(desk.office).queue.page(desk.actor, wanted, after=after, size=size)
    lines = [say(f"共 {page.total:,} 户", f"{page.total:,} households")]
    if page.next:
        lines.append(say(f"下一页：--after {page.next}", f"next page: --after {page.next}"))
    print_result({"total": page.total, "next": page.next, "items": list(map(asdict, page.items))}, lines, as_json=json_)
    if page.items and not json_:
        print_queue(page.items)


@app.command()
@at_desk
def show(
    desk: Desk,
    household: HouseholdArgument,
    json_: JsonOption = False,
) -> None:
    """A household's file: every rule with its fact and source, what is wanting, the proposal and what changed since.

    Example: mingce review show 17 --as fuhe
    """
    file = Reviews(desk.office).files.show(desk.actor, household)
    print_result(asdict(file), file_lines(file), as_json=json_)


@app.command()
@at_desk
def claim(
    desk: Desk,
    household: HouseholdArgument,
    json_: JsonOption = False,
) -> None:
    """Take a household in hand, so that nobody else works on it.

    Example: mingce review claim 17 --as jingban
    """
    case = Reviews(desk.office).queue.claim(desk.actor, household)
    print_result(asdict(case), [say(f"已领取 {household}", f"Claimed {household}")], as_json=json_)


@app.command()
@at_desk
def release(
    desk: Desk,
    household: HouseholdArgument,
    json_: JsonOption = False,
) -> None:
    """Give a household back to the queue; a checker may do it for others.

    Example: mingce review release 17 --as fuhe
    """
    Reviews(desk.office).queue.release(desk.actor, household)
    print_result({"household": household}, [say(f"已退回队列 {household}", f"Given back {household}")], as_json=json_)


@app.command()
def propose(
    households: HouseholdsArgument,
    verdict: Annotated[str, typer.Option(help="approve, reject or return")],
    reason: ReasonOption = [],  # noqa: B006
    remark: RemarkOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Propose what becomes of households; a second person confirms it. Exit code 3 if some were refused.

    Example: mingce review propose 17 18 19 --verdict approve --as jingban
    """
    _require_one_of(verdict, ("approve", "reject", "return"))
    _propose(households, verdict, reason, remark, as_, password_file, config, json_)


@app.command()
def end(
    households: HouseholdsArgument,
    verdict: Annotated[str, typer.Option(help="graduate, suspend, resume or remove")],
    reason: ReasonOption = [],  # noqa: B006
    remark: RemarkOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Propose that households leave the final list, or come back to it; a second person confirms it.

    Example: mingce review end 17 --verdict graduate --reason N30 --as jingban
    """
    _require_one_of(verdict, ("graduate", "suspend", "resume", "remove"))
    _propose(households, verdict, reason, remark, as_, password_file, config, json_)


@app.command("give-up")
def give_up(
    households: HouseholdsArgument,
    reason: ReasonOption,
    remark: RemarkOption = "",
    as_: AsOption = None,
    password_file: PasswordFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Propose that households are visited no more: moved away, died, never met. A second person confirms it.

    They are refined out; `household supplement` takes one in again. `review queue --stage not_met` lists them.

    Example: mingce review give-up 17 --reason N21 --as jingban
    """
    _propose(households, "give_up", reason, remark, as_, password_file, config, json_)


@app.command()
@at_desk
def withdraw(
    desk: Desk,
    decision: Annotated[int, typer.Argument(help="the decision's number, as the queue shows it")],
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """Take back what you proposed yourself, while nobody has answered it.

    Example: mingce review withdraw 4 --as jingban
    """
    print_decision(Reviews(desk.office).decisions.withdraw(desk.actor, decision, remark=remark), as_json=json_)


@app.command()
@at_desk
def confirm(
    desk: Desk,
    decisions: DecisionsArgument,
    remark: RemarkOption = "",
    json_: JsonOption = False,
) -> None:
    """Confirm what another person proposed, as you have seen it. Exit code 3 if some were refused.

    Example: mingce review confirm 4@9c1f03ab77d2 --as fuhe
    """
    reviews = Reviews(desk.office)
    digests = dict(_digest_seen(reviews, text) for text in decisions)
    if len(digests) == 1:
        ((number, digest),) = digests.items()
        print_decision(reviews.decisions.confirm(desk.actor, number, digest, remark=remark), as_json=json_)
    else:
        print_outcomes(reviews.decisions.confirm_many(desk.actor, digests, remark=remark), as_json=json_)


@app.command("send-back")
@at_desk
def send_back(
    desk: Desk,
    decision: Annotated[str, typer.Argument(help="NUMBER@DIGEST as `review show` prints it")],
    remark: Annotated[str, typer.Option(help="what is to be put right; kept sealed")],
    json_: JsonOption = False,
) -> None:
    """Give a proposal back to whoever made it.

    Example: mingce review send-back 4@9c1f03ab77d2 --remark 收入佐证不全 --as fuhe
    """
    reviews = Reviews(desk.office)
    number, digest = _digest_seen(reviews, decision)
    print_decision(reviews.decisions.send_back(desk.actor, number, digest, remark=remark), as_json=json_)


def _propose(
    households: Sequence[int],
    verdict: str,
    reasons: Sequence[str],
    remark: str,
    as_: Any,
    password_file: Any,
    config: Any,
    json_: bool,
) -> None:
    desk = open_desk(config, as_, password_file)
    decisions = Reviews(desk.office).decisions
    wanted = cast(DecisionVerdict, verdict)
    if len(set(households)) == 1:
        done = decisions.propose(desk.actor, households[0], wanted, reasons=reasons, remark=remark)
        print_decision(done, as_json=json_)
    else:
        outcomes = decisions.propose_many(desk.actor, households, wanted, reasons=reasons, remark=remark)
        print_outcomes(outcomes, as_json=json_)


def _digest_seen(reviews: Reviews, text: str) -> tuple[int, str]:
    """``4@9c1f…``: the decision's number, and the whole digest if these are its first digits. Raises Refused."""
    number, _, digits = text.partition("@")
    if not number.isdecimal() or len(digits) < REFERENCE_DIGITS:
        raise Refused(
            f"{text} 应为 编号@摘要，如 4@9c1f03ab77d2（见 review show）",
            f"{text} must be NUMBER@DIGEST, as 4@9c1f03ab77d2 (see review show)",
        )
    decision = reviews.decisions.records.read(int(number))
    return int(number), decision.digest if decision.digest.startswith(digits) else digits


def _require_one_of(value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise Refused(f"{value} 须为：{'、'.join(known)}", f"{value} must be one of {', '.join(known)}")
