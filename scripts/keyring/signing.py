"""How a command gets at the key of the person who runs it: ``--operator FILE`` and a passphrase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keys.identity import Identity
from keys.operators import open_operator_key
from scripts.language import say
from scripts.messages import FileAbsent

OperatorOption = Annotated[Path, typer.Option("--operator", help="your own key file, from `mingce operator create`")]
PassphraseFileOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="a file that holds the passphrase; else it is asked for")
]


def open_operator(path: Path, passphrase_file: Path | None) -> Identity:
    """The operator's own identity. Raises Refused, OperatorKeyInvalid, KeyUnwrapFailed."""
    return open_operator_key(read_file(path), read_passphrase(passphrase_file))


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """From a file (its first line) or typed in, without an echo."""
    if file is not None:
        return read_file(file).decode("utf-8", "replace").splitlines()[0] if file.stat().st_size else ""
    return str(typer.prompt(say("口令", "Passphrase"), hide_input=True, confirmation_prompt=confirm, err=True))


def read_file(path: Path) -> bytes:
    """A file that a command names. Raises FileAbsent."""
    try:
        return path.read_bytes()  # a pipe will do, too
    except FileNotFoundError:
        raise FileAbsent("no such file", file=str(path)) from None
