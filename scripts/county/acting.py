"""Who acts on the command line: an account and its password, in the bureau's home."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from matcher.accounts.refusals import RefusedActs
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor
from matcher.bureau.office import STORE_SECRET, Office
from psi.errors import MingceError
from scripts.home import ConfigOption, Home, actor, open_home
from scripts.keyring.signing import read_passphrase
from scripts.messages import Refused

AsOption = Annotated[str | None, typer.Option("--as", envvar="MINGCE_AS", help="your account's name")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file", envvar="MINGCE_PASSWORD_FILE", help="a file that holds your password; else it is asked for"
    ),
]


_desks: list[Desk] = []  # of this process, which is one command


@dataclass(frozen=True)
class Desk:
    """An account at work in the bureau's home."""

    home: Home
    office: Office
    actor: Actor


def open_desk(config: Path | None, as_: str | None, password_file: Path | None) -> Desk:
    """Sign in. Raises Refused without a name, SettingsInvalid, SignInFailed, PasswordNotChosen."""
    if not as_:
        raise Refused("请用 --as 说明您的账号", "Say who you are: --as NAME")
    home = open_home(config, "bureau")
    office = open_office(home)
    desk = Desk(home, office, SignIn(office).authenticate(as_, read_passphrase(password_file), this_device(office)))
    _desks.append(desk)
    return desk


def at_desk(command: Callable[..., None]) -> Callable[..., None]:
    """A command of somebody with an account: its first parameter is their :class:`Desk`, for which the command line
    takes ``--as``, ``--password-file`` and ``--config``, before ``--json``. They sign in before anything else."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    signing_in = inspect.signature(_signing_in, eval_str=True).parameters.values()
    last = [parameter for parameter in own if parameter.name == "json_"]

    @wraps(command)
    def at_work(
        *, as_: str | None = None, password_file: Path | None = None, config: Path | None = None, **values: Any
    ) -> None:
        command(open_desk(config, as_, password_file), **values)

    parameters = [*(one for one in own if one not in last), *signing_in, *last]
    at_work.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
    return at_work


def _signing_in(as_: AsOption = None, password_file: PasswordFileOption = None, config: ConfigOption = None) -> None:
    """The options that :func:`at_desk` adds."""


def record_refusal(error: MingceError) -> None:
    """The audit row of an act that was refused to whoever signed in for this command."""
    for desk in _desks:
        RefusedActs(desk.office).record_refusal(
            actor=desk.actor.name,
            subject="command line",
            code=error.code,
            permission=str(error.params.get("permission", "")),
        )


def open_office(home: Home) -> Office:
    """The bureau's office, with nobody at work in it."""
    secret, divisions = home.open_keys().get_store_secret, home.settings.divisions
    return home.open_once("office", lambda: Office(home.path, secret(STORE_SECRET), home.clock, divisions))


def this_device(office: Office) -> str:
    """Where failed sign-ins on the command line count: the operating system's user, as nobody outside can name it."""
    return office.digest({"user": actor()})
