"""Whatever a person or a program can meet has its place in docs/reference: commands, options, settings, codes.

tests/scripts/test_references.py holds the generated documents against what makes them; here the program itself is
gone through once more, so that a fault of the makers shows too. Metrics: tests/keeping/test_watching.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from documents import DOCS, ROOT
from pydantic import BaseModel
from test_doc_commands import PROGRAM, part
from typer.core import TyperGroup, TyperOption

from api.bureau.problems import KINDS as BUREAU_KINDS
from api.problems import KINDS
from scripts.cli import COMMANDS
from scripts.references.errors import list_errors
from scripts.settings import Settings

REFERENCE = DOCS / "reference"


def sections(name: str) -> dict[str, str]:
    """A document's parts by their headings."""
    parts = re.split(r"^## (.+)$", (REFERENCE / name).read_text("utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def all_commands() -> Iterator[tuple[str, Any]]:
    def below(command: Any, path: str) -> Iterator[tuple[str, Any]]:
        if not isinstance(command, TyperGroup) or command.invoke_without_command:
            yield path, command
        if isinstance(command, TyperGroup):
            for name, found in command.commands.items():
                yield from below(found, f"{path} {name}")

    for name in COMMANDS:
        yield from below(part(name), f"mingce {name}")


def all_settings(model: type[BaseModel] = Settings, place: str = "") -> Iterator[tuple[str, str]]:
    """(heading of the section, setting) of each; what a name chooses is NAME."""
    for name, field in model.model_fields.items():
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        models = [kind for kind in kinds if issubclass(kind, BaseModel)]
        if models:
            chosen = ".NAME" if get_origin(field.annotation) is dict else ""
            yield from all_settings(models[0], f"{place}.{name}{chosen}".lstrip("."))
        else:
            yield f"[{place}]" if place else "At the top", name


def test_every_command_and_option() -> None:
    told = sections("command-line.md")
    missing = []
    for path, command in all_commands():
        if path not in told or not command.help:
            missing.append(path)
            continue
        for parameter in command.params:
            names = [*parameter.opts, *parameter.secondary_opts]
            names = names if isinstance(parameter, TyperOption) else [(parameter.name or "").upper()]
            missing += [f"{path} {name}" for name in names if f"`{name}`" not in told[path] and name != "--help"]
    assert missing == []
    assert len(list(all_commands())) > 150
    assert {f"`{option}`" for one in PROGRAM.params for option in one.opts} - {"`--help`"} <= set(
        re.findall(r"`--\w+`", (REFERENCE / "command-line.md").read_text("utf-8").split("\n## ")[0])
    )


def test_every_option_says_what_it_is_for() -> None:
    silent = [
        f"{path} {parameter.name}"
        for path, command in all_commands()
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]
    assert silent == []


def test_every_setting() -> None:
    told = sections("configuration.md")
    found = list(all_settings())
    assert [(place, name) for place, name in found if f"| `{name}` |" not in told.get(place, "")] == []
    assert len(found) > 60


def test_every_variable_of_the_environment() -> None:
    """What the program reads by name; settings' variables follow from the settings."""
    sources = [
        path for package in ("psi", "keys", "matcher", "api", "scripts") for path in (ROOT / package).rglob("*.py")
    ]
    read = {
        name for path in sources for name in re.findall(r"\"(MINGCE_[A-Z]+(?:_[A-Z]+)*)\"", path.read_text("utf-8"))
    }
    told = "".join((REFERENCE / name).read_text("utf-8") for name in ("configuration.md", "command-line.md"))
    assert [name for name in sorted(read) if f"`{name}`" not in told] == []
    assert {"MINGCE_CONFIG", "MINGCE_LANG", "MINGCE_AS"} <= read


def test_every_error_code() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", (REFERENCE / "errors.md").read_text("utf-8"), re.M))
    assert (list_errors().keys() | KINDS.keys() | BUREAU_KINDS.keys()) - told == set()
    assert len(told) > 300


@pytest.mark.parametrize("status", [200, 299])
def test_statuses_are_errors(status: int) -> None:
    assert f"| {status} |" not in (REFERENCE / "errors.md").read_text("utf-8")
