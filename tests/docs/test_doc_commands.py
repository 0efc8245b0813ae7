"""Every command in the documents, in either language, is one that the program takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import ANYTHING, DOCUMENTS, ROOT, commands, mentioned
from typer.core import TyperGroup

from scripts.cli import app

PROGRAM: Any = typer.main.get_command(app)


@cache
def part(name: str) -> Any:
    """A party's commands: building them takes a while."""
    return PROGRAM.get_command(typer.Context(PROGRAM), name)


def find(words: list[str]) -> tuple[Any, Any, list[str]]:
    """The command that the first words name, its context and the words left over."""
    command, context, left = PROGRAM, typer.Context(PROGRAM, info_name="mingce"), list(words)
    if left[:1] == ["--lang"]:
        left = left[2:]
    while isinstance(command, TyperGroup) and left and not left[0].startswith("-"):
        found = part(left[0]) if command is PROGRAM else command.get_command(context, left[0])
        if found is None:
            if command.invoke_without_command:
                break
            raise LookupError(f"no command {' '.join(words)}")
        command, context = found, typer.Context(found, parent=context, info_name=left.pop(0))
    return command, context, left


def options(command: Any) -> set[str]:
    return {"--help"}.union(*({*one.opts, *one.secondary_opts} for one in command.params))


def fault(words: list[str]) -> str | None:
    """What the program would say to a whole command line before it did anything; None if it would go to work."""
    command, context, left = find(words)
    try:
        command.make_context(context.info_name, left, parent=context.parent)
    except Exception as error:
        if getattr(error, "exit_code", 2) == 0:  # --version, --help
            return None
        message = error.format_message() if hasattr(error, "format_message") else repr(error)
        return None if ANYTHING in message or "does not exist" in message else message  # a file of the reader's
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_is_one_of_the_program(document: Path) -> None:
    faults = {}
    for line, words in commands(document):
        try:
            found = fault(words)
        except LookupError as error:
            found = str(error)
        if found:
            faults[f"line {line}: mingce {' '.join(words)}"] = found
    assert faults == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_the_text_names_is_there(document: Path) -> None:
    unknown = []
    for words in mentioned(document):
        try:
            command, _, left = find(words)
        except LookupError:
            unknown.append(words)
            continue
        unknown += [
            (words, word) for word in left if word.startswith("--") and word.split("=")[0] not in options(command)
        ]
    assert unknown == []


def test_a_wrong_command_is_found() -> None:
    """These tests can fail."""
    assert fault(["bank", "match", "客户清单.xlsx", "--config", "bank"]) is None
    assert "No such option" in str(fault(["bank", "match", "客户清单.xlsx", "--turbo"]))
    assert "Missing" in str(fault(["bank", "match"]))
    with pytest.raises(LookupError):
        find(["bank", "marry"])
    assert sum(1 for document in DOCUMENTS for _ in commands(document)) > 250
