"""docs/reference/command-line.md, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption

from scripts.cli import app

HEAD = """\
# Command line

Made from the program by `make reference`; a test fails when it is out of date.

Every command takes `--help`. `--config` names a `mingce.toml` or its folder (else `MINGCE_CONFIG`, else ./mingce.toml);
`--json` prints one JSON document; `--lang`, before the command, is `zh` or `en` (`mingce --lang en …`, or
`MINGCE_LANG=en`); `--version` instead of a command prints the version.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error of another kind; the message says which |
| 2 | wrong usage |
| 3 | the input cannot be used |
| 4 | a guard waits for an operator (a suspicious list, a budget) |
| 5 | the other side is unreachable, busy, or refuses |
| 6 | something is not authentic: do not go on |
| 7 | another run is at work |
| 130 | interrupted; run it again to go on |
"""


def sections(command: Any, path: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        if command.invoke_without_command:
            yield _section(command, path)
        context = typer.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            yield from sections(found, f"{path} {name}")
        return
    yield _section(command, path)


def _section(command: Any, path: str) -> str:
    lines = [f"## {path}", "", *(line.strip() for line in (command.help or "").splitlines()), ""]
    options = [_describe(parameter) for parameter in command.params]
    if options:
        lines += ["| | |", "|---|---|", *(option for option in options if option), ""]
    return "\n".join(lines)


def _describe(parameter: Any) -> str:
    if parameter.name == "help":
        return ""
    if isinstance(parameter, TyperOption):
        name = ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])
        shown = parameter.default if not callable(parameter.default) else None
        default = f" (default `{shown}`)" if shown not in (None, False, (), [], "") else ""
        required = " **required**" if parameter.required else ""
    else:
        name, default, required = f"`{(parameter.name or '').upper()}`", "", ""
    help_text = (getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| {name} | {help_text}{default}{required} |"


def reference() -> str:
    return HEAD + "\n" + "\n".join(sections(typer.main.get_command(app), "mingce"))
