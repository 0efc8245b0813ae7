"""A party's home: its configuration, its key store, and the places in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, cast

import typer

from keys.clock import Clock, ShiftedClock, SystemClock, parse_time
from keys.files import make_folder, write_atomic
from keys.identity import IdentityKind, PublicIdentity
from keys.keystore import KeyStore
from keys.wrap import KekProvider, create_kek_file, provider_from_setting
from matcher.keeping.restored import require_settled
from scripts.ending import close_at_end
from scripts.language import say
from scripts.messages import Refused
from scripts.settings import CONFIG_NAME, Settings, SettingsInvalid, find_config

DEMO_CLOCK = "MINGCE_DEMO_CLOCK"  # RFC 3339, UTC

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="mingce.toml or its folder; else MINGCE_CONFIG, else ./mingce.toml"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print the result as one JSON document")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="say what would happen, change nothing")]
YesOption = Annotated[bool, typer.Option("--yes", help="do not ask")]


class Closable(Protocol):
    def close(self) -> None: ...


Store = TypeVar("Store", bound=Closable)


@dataclass(frozen=True)
class Home:
    """An opened home. ``path`` is the folder of its mingce.toml.

    A command has one handle on each store of the home, and the end of the command closes it: a file whose flush
    failed under one handle must not be flushed, and believed, under another.
    """

    path: Path
    settings: Settings
    clock: Clock
    _opened: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def open_once(self, name: str, opening: Callable[[], Store]) -> Store:
        """The store of this name, which ``opening`` opens when it is first asked for."""
        if name not in self._opened:
            self._opened[name] = store = opening()
            close_at_end(store.close)
        return cast("Store", self._opened[name])

    def open_keys(self) -> KeyStore:
        def opening() -> KeyStore:
            return KeyStore(self.path, open_kek(self.path, self.settings.keys.kek), clock=self.clock, actor=actor())

        return self.open_once("keys", opening)

    def resolve(self, path: Path) -> Path:
        """A path of the configuration, relative to the home."""
        return path if path.is_absolute() else self.path / path


def actor() -> str:
    """Who runs this, for the records."""
    return f"{os.environ.get('SUDO_USER') or os.environ.get('USER') or 'uid ' + str(os.getuid())}"


def open_any_home(config: Path | None, clock: Clock | None = None) -> Home:
    """Load the configuration of whichever party it is. Raises SettingsInvalid."""
    path = find_config(config)
    settings = Settings.load(path)
    return Home(path.parent.resolve(), settings, clock or _clock(settings))


def _clock(settings: Settings) -> Clock:
    """The real one. Only a demonstration's home lets itself be told another time, to show years in a minute."""
    told = os.environ.get(DEMO_CLOCK)
    if told is None or not settings.demo:
        return SystemClock()
    return ShiftedClock.starting_at(parse_time(told))


def open_home(config: Path | None, party: str, clock: Clock | None = None) -> Home:
    """Load a party's configuration. Raises SettingsInvalid if it is another party's, RestoreUnsettled.

    A department is a sender as the province is, so the province's commands work in its home too.
    """
    home = open_any_home(config, clock)
    found = "province" if home.settings.party == "department" else home.settings.party
    if found != party:
        reason = f"{home.settings.party} ≠ {party}"
        raise SettingsInvalid("another party's configuration", file=str(home.path), field="party", reason=reason)
    require_settled(home.path)
    return home


def open_kek(home: Path, setting: str) -> KekProvider:
    kind, _, rest = setting.partition(":")
    if kind == "file" and not Path(rest).is_absolute():
        setting = f"file:{home / rest}"
    return provider_from_setting(
        setting, ask_passphrase=lambda: typer.prompt(say("口令", "Passphrase"), hide_input=True, err=True)
    )


def create_home(folder: Path, party: IdentityKind, name: str, config_text: str, clock: Clock) -> Home:
    """Make a new home: configuration, a random key-encryption key in a file, and an identity.

    Raises Refused if there is a home already: nothing is ever overwritten.
    """
    if (folder / CONFIG_NAME).exists():
        raise Refused(
            f"{folder} 里已有配置，不会覆盖。",
            f"There is a home in {folder} already; it is never overwritten.",
            "接着用它，或给出另一个目录。",
            "Go on with it, or name another folder.",
        )
    make_folder(folder / "secrets")
    write_atomic(folder / CONFIG_NAME, config_text.encode())
    create_kek_file(folder / "secrets" / "kek")
    home = Home(folder.resolve(), Settings.load(folder / CONFIG_NAME), clock)
    identity = home.open_keys().create_identity(name, party)
    write_atomic(folder / "identity.json", identity.public.to_json())
    return home


def require_yes(yes: bool, zh: str, en: str) -> None:
    """Ask before what cannot be undone, unless ``--yes`` was given. Anything but yes ends the command."""
    if not yes:
        typer.confirm(say(zh, en), abort=True, err=True)


def read_identity(path: Path) -> PublicIdentity:
    """A party's public identity file. Raises Refused, or InputError kinds."""
    try:
        return PublicIdentity.from_json(path.read_bytes())
    except FileNotFoundError:
        raise Refused(
            f"没有身份文件 {path}",
            f"No identity file {path}",
            "请对方发来 identity.json，当面或电话核对指纹，再放到这里。",
            "Ask the party for its identity.json, compare the fingerprint in person or by telephone, and put it there.",
        ) from None
