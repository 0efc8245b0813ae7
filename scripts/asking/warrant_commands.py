"""``mingce bank warrant``: what the bank may ask, why and until when, signed by two operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from keys.clock import format_time
from matcher.bank.warrants import Terms, WarrantRecord, Warrants
from scripts.asking.bank_home import open_store, open_warrants
from scripts.home import ConfigOption, Home, JsonOption, open_home
from scripts.keyring.signing import OperatorOption, PassphraseFileOption, open_operator
from scripts.language import say
from scripts.output import print_result

app = typer.Typer(no_args_is_help=True, help="匹配授权书，须两人签名。 Warrants, signed by two operators.")

WarrantArgument = Annotated[str, typer.Argument(help="the warrant's id, or how it begins")]
STATES = {
    "PROPOSED": ("待第二人签名", "waits for a second signature"),
    "SIGNED": ("已签署", "signed"),
    "REVOKED": ("已撤销", "revoked"),
}


@app.command()
def propose(
    agreement: Annotated[str, typer.Option(help="the number of the agreement with the province")],
    max_new_customers: Annotated[int, typer.Option(min=1, help="how many customers all runs under it may ask about")],
    operator: OperatorOption,
    days: Annotated[int, typer.Option(min=1, max=1100, help="how long it holds, from now on")] = 365,
    purpose: Annotated[str | None, typer.Option(help="else the setting match.purpose")] = None,
    legal_basis: Annotated[str | None, typer.Option(help="else the setting match.legal_basis")] = None,
    division: Annotated[list[str], typer.Option("--division", help="repeat; else the setting match.divisions")] = [],  # noqa: B006
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Write a warrant and sign it as the first of two operators. A standing one lets a nightly job run.

    Example: mingce bank warrant propose --agreement 浙财合 2026-01 --max-new-customers 55000 --operator zhang.operator
    """
    home = open_home(config, "bank")
    settings = home.settings.match
    begins = home.clock.now().replace(microsecond=0)
    terms = Terms(
        purpose=purpose or settings.purpose,
        legal_basis=legal_basis or settings.legal_basis,
        agreement_no=agreement,
        dataset=settings.dataset,
        divisions=tuple(sorted(set(division or settings.divisions))),
        max_new_customers=max_new_customers,
        not_before=begins,
        not_after=begins + timedelta(days=days),
    )
    _print(_warrants(home).propose(terms, open_operator(operator, passphrase_file)), as_json=json_)


@app.command()
def sign(
    warrant: WarrantArgument,
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a warrant and sign it as the second operator: from then on it is in force.

    Example: mingce bank warrant sign 3fa9 --operator li.operator
    """
    warrants = _warrants(open_home(config, "bank"))
    if not json_:
        _print(warrants.get(warrant), as_json=False)
    _print(warrants.sign(warrant, open_operator(operator, passphrase_file)), as_json=json_)


@app.command()
def revoke(
    warrant: WarrantArgument,
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Take a warrant back at once and for good; one operator is enough.

    Example: mingce bank warrant revoke 3fa9 --operator li.operator
    """
    warrants = _warrants(open_home(config, "bank"))
    _print(warrants.revoke(warrant, open_operator(operator, passphrase_file)), as_json=json_)


@app.command("list")
def list_(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every warrant, the newest first, and how many customers were asked about under it.

    Example: mingce bank warrant list
    """
    home = open_home(config, "bank")
    store = open_store(home)
    found = open_warrants(home, store).list_all()
    used = {record.sha256: store.batches.count_customers(record.sha256) for record in found}
    rows = [{**describe_warrant(record), "used": used[record.sha256]} for record in found]
    lines = [line for record in found for line in [*warrant_lines(record), _used(used[record.sha256]), ""]]
    print_result({"warrants": rows}, lines or [say("没有授权书。", "No warrant.")], as_json=json_)


def _warrants(home: Home) -> Warrants:
    return open_warrants(home, open_store(home))


def _print(record: WarrantRecord, *, as_json: bool) -> None:
    lines = warrant_lines(record)
    if record.state == "PROPOSED":
        lines.append(
            say(
                f"下一步：另一位复核人运行 mingce bank warrant sign {record.sha256[:8]}",
                f"Next: another operator runs mingce bank warrant sign {record.sha256[:8]}",
            )
        )
    print_result(describe_warrant(record), lines, as_json=as_json)


def describe_warrant(record: WarrantRecord) -> dict[str, object]:
    terms = record.terms
    return {
        "warrant": record.sha256,
        "state": record.state,
        "signers": record.signers,
        **vars(terms),
        "not_before": format_time(terms.not_before),
        "not_after": format_time(terms.not_after),
    }


def warrant_lines(record: WarrantRecord) -> list[str]:
    terms = record.terms
    divisions = ", ".join(terms.divisions)
    span = f"{format_time(terms.not_before)} – {format_time(terms.not_after)}"
    return [
        say(
            f"授权书 {record.sha256[:12]}  {STATES[record.state][0]}",
            f"Warrant {record.sha256[:12]}  {STATES[record.state][1]}",
        ),
        say(
            f"  目的 {terms.purpose}；依据 {terms.legal_basis}；协议 {terms.agreement_no}",
            f"  purpose {terms.purpose}; legal basis {terms.legal_basis}; agreement {terms.agreement_no}",
        ),
        say(
            f"  名单 {terms.dataset}；区划 {divisions}；最多 {terms.max_new_customers:,} 个客户；{span}",
            f"  dataset {terms.dataset}; divisions {divisions}; at most {terms.max_new_customers:,} customers; {span}",
        ),
    ]


def _used(customers: int) -> str:
    return say(f"  已查询 {customers:,} 个客户", f"  {customers:,} customers asked about")
