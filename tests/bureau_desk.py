"""A bureau's home as those meet it who type commands in it: made by ``mingce bureau init``, a demonstration."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import bureau_office
import pytest
from bureau_office import make_office, password_of
from handed_over import COUNTY
from typer.testing import CliRunner, Result

from keys.clock import SettableClock, parse_time
from matcher.bureau.actors import Actor
from matcher.bureau.office import STORE_SECRET, Office
from psi.errors import MingceError
from scripts.cli import app
from scripts.home import DEMO_CLOCK, open_home

SPRING = "2025-03-03T01:00:00Z"


class BureauDesk:
    """Commands run in ``folder``, whose ``bureau`` is the home; ``group`` are the words they all begin with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *group: str, moment: str = SPRING) -> None:
        self.folder, self.home, self.group = folder, folder / "bureau", group
        self._monkeypatch = monkeypatch
        self.at(moment)
        with chdir(folder):
            done = CliRunner().invoke(app, ["bureau", "init", "bureau", "--name", "演示", "--division", COUNTY])
        assert done.exit_code == 0, done.output
        self.config = self.home / "mingce.toml"
        self.config.write_text(f"demo = true\n{self.config.read_text('utf-8')}", "utf-8")
        secret = open_home(self.home, "bureau").open_keys().get_store_secret(STORE_SECRET)
        monkeypatch.setattr(bureau_office, "SECRET", secret)  # the office of this home has its own

    def at(self, moment: str) -> None:
        self._moment = moment
        self._monkeypatch.setenv(DEMO_CLOCK, moment)

    def office(self) -> Office:
        """Its office at the same moment, for what is not the command under test; to be closed."""
        return make_office(self.home, SettableClock(parse_time(self._moment)))

    def write(self, name: str, content: object) -> str:
        """A file in the folder: text, or else JSON."""
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (self.folder / name).write_text(text, "utf-8")
        return name

    def run(self, actor: Actor | None, *words: object) -> Result:
        signed: tuple[str, ...] = ()
        if actor is not None:
            signed = ("--as", actor.name, "--password-file", self.write("password", password_of(actor)))
        with chdir(self.folder):
            return CliRunner().invoke(app, [*self.group, *map(str, words), *signed, "--config", "bureau"])

    def result(self, actor: Actor | None, *words: object, code: int = 0) -> dict[str, Any]:
        done = self.run(actor, *words, "--json")
        assert done.exit_code == code, f"{words}: {done.output} {done.exception!r}"
        return dict(json.loads(done.stdout))

    def refused(self, actor: Actor | None, *words: object) -> str:
        """The code of the refusal."""
        done = self.run(actor, *words)
        assert isinstance(done.exception, MingceError), done.output
        return done.exception.code
