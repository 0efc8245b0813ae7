"""``mingce``: the command line. Every error becomes one sentence, what to do next, and an exit code."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Annotated

import click
import typer

from psi.errors import MingceError
from scripts import bank, bench, bureau, demo, exchange, generate, keys, province
from scripts.language import say, set_language
from scripts.messages import exit_code, explain
from scripts.output import err

app = typer.Typer(
    name="mingce",
    help="名册: privacy-preserving list matching. 隐私计算名单匹配。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(province.app, name="province")
app.add_typer(bank.app, name="bank")
app.add_typer(bureau.app, name="bureau")
app.add_typer(keys.app, name="keys")
app.add_typer(exchange.app, name="exchange")
app.add_typer(generate.app, name="generate")
app.command("bench")(bench.bench)
app.command("demo")(demo.demo)

INTERRUPTED = 130


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"mingce {version('mingce')}")
        raise typer.Exit


@app.callback()
def common(
    lang: Annotated[str | None, typer.Option(help="zh (default) or en; also MINGCE_LANG")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """名册: privacy-preserving list matching. 隐私计算名单匹配。"""
    if lang is not None:
        set_language(lang)


def main() -> None:
    """The entry point: 0 done, 2 wrong usage, 3 input refused, 4 a guard waits for an operator,
    5 the other side is unreachable or busy, 6 something is not authentic, 7 another run is at work, 1 anything else."""
    set_language()
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        err.print(say("已中断；再次运行会从断点继续。", "Interrupted; run it again to go on from there."))
        code = INTERRUPTED
    except MingceError as error:
        report(error)
        code = exit_code(error)
    sys.exit(code or 0)


def report(error: MingceError) -> None:
    """One error for a person, or as JSON where the command was asked for JSON."""
    what, hint = explain(error)
    if "--json" in sys.argv:
        document = {"error": {"code": error.code, "message": what, "next": hint, "detail": error.detail, **error.params}}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        return
    err.print(f"[bold red]{say('错误', 'Error')}[/] {error.code}: ", end="")
    err.print(what, markup=False)
    if hint:
        err.print(say("下一步：", "Next: ") + hint, markup=False)


if __name__ == "__main__":
    main()
