"""A bank's file between its preview and the word to enter it: sealed, one account's, gone within an hour or two.

It lies in the folder of what comes and goes (matcher.transit), which forgets what was left there.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from typing import Literal, cast

from keys.files import make_folder
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.sealing import SealedDataDamaged
from matcher.transit import FOLDER, forget_old
from psi.errors import InputError

Suffix = Literal[".csv", ".xlsx"]
_NAME = re.compile(r"[0-9a-f]{32}")
_CONTENT = "loans.sealed"


class HeldFileGone(InputError):
    """The file of a preview is not kept any more, or another account looked at it."""

    code = "loan_file_gone"


@dataclass(frozen=True)
class HeldFile:
    """``bank``: a fingerprint; ``content`` holds ID numbers."""

    bank: str
    suffix: Suffix
    content: bytes = field(repr=False)


def hold(office: Office, actor: Actor, file: HeldFile) -> str:
    """Keep it; returns the name by which :func:`read_held` finds it for the same account."""
    parent = make_folder(office.home.joinpath(FOLDER))
    forget_old(parent)
    name = office.random_bytes(16).hex()
    head = f"{file.bank}{file.suffix}\n".encode()
    sealed = office.personal.sealer.seal(head + file.content, "held_file", actor.name, name)
    make_folder(parent.joinpath(name)).joinpath(_CONTENT).write_bytes(sealed)
    return name


def read_held(office: Office, actor: Actor, name: str) -> HeldFile:
    """Raises HeldFileGone, also for another account's."""
    try:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(name)
        sealed = office.home.joinpath(FOLDER, name, _CONTENT).read_bytes()
        opened = office.personal.sealer.open(sealed, "held_file", actor.name, name)
    except (FileNotFoundError, SealedDataDamaged):
        raise HeldFileGone("the file of this preview is not kept for this account") from None
    head, _, content = opened.partition(b"\n")
    bank, _, kind = head.decode().partition(".")
    return HeldFile(bank, cast("Suffix", f".{kind}"), content)


def drop_held(office: Office, name: str) -> None:
    """After it was entered; again it changes nothing."""
    if _NAME.fullmatch(name):
        shutil.rmtree(office.home.joinpath(FOLDER, name), ignore_errors=True)
