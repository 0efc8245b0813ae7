"""``mingce bureau warrant``: what the bureau may check, why and until when, signed by two operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from matcher.bank.warrants import Terms, WarrantRecord
from scripts.asking.warrant_commands import WarrantArgument, describe_warrant, warrant_lines
from scripts.county.checking import LinkOption, OpenLink, open_link
from scripts.home import ConfigOption, JsonOption, open_home
from scripts.keyring.signing import OperatorOption, PassphraseFileOption, open_operator
from scripts.language import say
from scripts.output import print_result

app = typer.Typer(no_args_is_help=True, help="核验授权书，须两人签名。 Warrants for checks, signed by two operators.")


@app.command()
def propose(
    agreement: Annotated[str, typer.Option(help="the number of the agreement with the department")],
    max_new_people: Annotated[int, typer.Option(min=1, help="how many people all checks under it may ask about")],
    operator: OperatorOption,
    dataset: LinkOption = None,
    days: Annotated[int, typer.Option(min=1, max=1100, help="how long it holds, from now on")] = 365,
    purpose: Annotated[str | None, typer.Option(help="else the department's setting")] = None,
    legal_basis: Annotated[str | None, typer.Option(help="else the department's setting")] = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write a warrant for checks against one department's dataset and sign it as the first of two operators.

    Example: mingce bureau warrant propose --dataset minzheng --agreement 01 --max-new-people 900 --operator z.operator
    """
    link = open_link(open_home(config, "bureau"), dataset)
    begins = link.home.clock.now().replace(microsecond=0)
    terms = Terms(
        purpose=purpose or link.settings.purpose,
        legal_basis=legal_basis or link.settings.legal_basis,
        agreement_no=agreement,
        dataset=link.settings.dataset,
        divisions=tuple(sorted(set(link.divisions))),
        max_new_customers=max_new_people,
        not_before=begins,
        not_after=begins + timedelta(days=days),
    )
    _print(link, link.warrants.propose(terms, open_operator(operator, passphrase_file)), as_json=json_)


@app.command()
def sign(
    warrant: WarrantArgument,
    operator: OperatorOption,
    dataset: LinkOption = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a warrant and sign it as the second operator: from then on it is in force.

    Example: mingce bureau warrant sign 3fa9 --dataset minzheng --operator li.operator
    """
    link = open_link(open_home(config, "bureau"), dataset)
    if not json_:
        _print(link, link.warrants.get(warrant), as_json=False)
    _print(link, link.warrants.sign(warrant, open_operator(operator, passphrase_file)), as_json=json_)


@app.command()
def revoke(
    warrant: WarrantArgument,
    operator: OperatorOption,
    dataset: LinkOption = None,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Take a warrant back at once and for good; one operator is enough.

    Example: mingce bureau warrant revoke 3fa9 --dataset minzheng --operator li.operator
    """
    link = open_link(open_home(config, "bureau"), dataset)
    _print(link, link.warrants.revoke(warrant, open_operator(operator, passphrase_file)), as_json=json_)


@app.command("list")
def list_(dataset: LinkOption = None, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every warrant for checks against a department's dataset, the newest first.

    Example: mingce bureau warrant list --dataset minzheng
    """
    link = open_link(open_home(config, "bureau"), dataset)
    found = link.warrants.list_all()
    lines = [line for record in found for line in [*warrant_lines(record), ""]]
    print_result(
        {"warrants": [describe_warrant(record) for record in found]},
        lines or [say("没有授权书。", "No warrant.")],
        as_json=json_,
    )


def _print(link: OpenLink, record: WarrantRecord, *, as_json: bool) -> None:
    lines = warrant_lines(record)
    if record.state == "PROPOSED":
        command = f"mingce bureau warrant sign {record.sha256[:8]} --dataset {link.name}"
        lines.append(say(f"下一步：另一位复核人运行 {command}", f"Next: another operator runs {command}"))
    print_result(describe_warrant(record), lines, as_json=as_json)
