"""``mingce``: the command line. Every error becomes one sentence, what to do next, and an exit code."""

from __future__ import annotations

import errno
import gc
import json
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Protocol, runtime_checkable

import typer
from typer.core import TyperGroup

from psi.errors import MingceError
from scripts.ending import one_command
from scripts.language import say, set_language
from scripts.messages import exit_code, explain, explain_os_error
from scripts.output import err

COMMANDS = {
    "province": "scripts.sending.province",
    "department": "scripts.sending.department",
    "bank": "scripts.asking.bank",
    "bureau": "scripts.county.bureau",
    "keys": "scripts.keyring.keys",
    "operator": "scripts.keyring.operator",
    "account": "scripts.county.account",
    "audit": "scripts.asking.audit",
    "certificate": "scripts.sending.certificate",
    "exchange": "scripts.asking.exchange",
    "generate": "scripts.made_up.generate",
    "review": "scripts.county.review",
    "loan": "scripts.county.loan",
    "claim": "scripts.county.claim",
    "subsidy": "scripts.county.subsidy",
    "policy": "scripts.county.policy",
    "household": "scripts.county.household",
    "visit": "scripts.county.visit",
    "report": "scripts.county.report",
    "backup": "scripts.keeping.backup",
    "shares": "scripts.keeping.shares",
    "doctor": "scripts.keeping.doctor",
    "bench": "scripts.benchmarks.bench",
    "demo": "scripts.demo",
}


class _CommandsOnDemand(TyperGroup):
    """Imports a party's commands only when they are asked for: loading all would take a second each time."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load_command(cmd_name) if cmd_name in COMMANDS else None


@cache
def load_command(name: str) -> Any:
    gc.disable()  # what imports make stays: looking for garbage in it is some 40 ms of a command's start
    try:
        command = typer.main.get_command(import_module(COMMANDS[name]).app)
    finally:
        gc.enable()
    command.name = name
    return command


app = typer.Typer(
    name="mingce",
    cls=_CommandsOnDemand,
    help="名册: privacy-preserving list matching. 隐私计算名单匹配。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

INTERRUPTED = 130


@runtime_checkable
class UsageError(Protocol):
    """Typer's errors of usage, by what they can do: it does not export their base class."""

    exit_code: int

    def show(self) -> None: ...


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
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys and ID numbers
    with one_command():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """The exit code; an error is told."""
    try:
        return app(standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        err.print(say("已中断；再次运行会从断点继续。", "Interrupted; run it again to go on from there."))
        return INTERRUPTED
    except MingceError as error:
        report(error)
        if error.code in ("not_allowed", "not_in_care", "same_person"):
            from scripts.county.acting import record_refusal  # only here: most commands need no account

            with suppress(MingceError):  # the refusal stands though its row cannot be written
                record_refusal(error)
        return exit_code(error)
    except OSError as error:
        report_os_error(error)
        return 3 if error.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR) else 1
    except Exception as error:
        if not isinstance(error, UsageError):
            raise
        error.show()
        return error.exit_code


def report(error: MingceError) -> None:
    """One error for a person, or as JSON where the command was asked for JSON."""
    what, hint = explain(error)
    _tell(what, hint, {"code": error.code, "message": what, "next": hint, "detail": error.detail, **error.params})


def report_os_error(error: OSError) -> None:
    """A file that cannot be read or written, in the same two forms."""
    what, hint = explain_os_error(error)
    detail = f"{error.filename or ''} {error.strerror or type(error).__name__}"
    _tell(what, hint, {"code": "file_failed", "message": what, "next": hint, "detail": detail})


def _tell(what: str, hint: str, error: Mapping[str, object]) -> None:
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False, default=str) + "\n")
        return
    err.print(f"[bold red]{say('错误', 'Error')}[/] {error['code']}: ", end="")
    err.print(what, markup=False)
    if hint:
        err.print(say("下一步：", "Next: ") + hint, markup=False)


if __name__ == "__main__":
    main()
