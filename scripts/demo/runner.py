"""Runs `mingce` commands as a user would type them, one process each (commands.py), and shows them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from keys.clock import format_time
from psi.errors import MingceError
from scripts.demo.commands import Typist
from scripts.home import DEMO_CLOCK
from scripts.language import say
from scripts.output import Steps, notice, out, progress_bars
from scripts.processes import serving

PASSWORD_FILE = "口令.txt"  # noqa: S105
PASSWORD = "yanshi-mingce-2026"  # noqa: S105  one for everybody, in the open: it is a demo
OFFICE_HOUR = 2  # UTC: ten in the morning


class DemoFailed(MingceError):
    """A step of the demo did not do what it should; ``params["step"]`` is the command."""

    code = "demo_failed"


class Demo:
    """One demonstration. ``folder`` holds everything; ``quiet`` shows nothing."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self.folder = folder
        self._quiet = quiet
        self._environment = dict(os.environ)
        self._steps: Steps | None = None
        self._typed = 0
        (folder / PASSWORD_FILE).write_text(f"{PASSWORD}\n", "utf-8")

    @contextmanager
    def watched(self, commands: int) -> Iterator[None]:
        """On a terminal a bar says how many of about so many commands are typed, and how long the rest will take."""
        with progress_bars(quiet=self._quiet, console=out) as self._steps:
            self._steps.begin(say("演示", "demo"), commands)
            yield
        self._steps = None

    def title(self, zh: str, en: str) -> None:
        if not self._quiet:
            out.print(f"\n[bold]{say(zh, en)}[/]")

    def note(self, zh: str, en: str) -> None:
        if not self._quiet:
            out.print(f"    {say(zh, en)}", markup=False)

    def go_to(self, day: date) -> None:
        """From here on it is this day in the bureau's home."""
        moment = datetime(day.year, day.month, day.day, OFFICE_HOUR, tzinfo=UTC)
        self._environment[DEMO_CLOCK] = format_time(moment)

    @property
    def moment(self) -> str:
        """What the bureau's clock was told last."""
        return self._environment[DEMO_CLOCK]

    def set_variable(self, name: str, value: str) -> None:
        self._environment[name] = value

    @cached_property
    def _typist(self) -> Typist:
        return Typist()

    def run(self, *words: object, echo: bool = True, accept: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """Run one command, show it and how long it took, and return its JSON result.

        Raises DemoFailed unless it ends with one of the exit codes ``accept``.
        """
        command = [str(word) for word in words]
        began = time.monotonic()
        done = self._typist.type([*command, "--json"], self._environment, self.folder)
        self._typed += 1
        if self._steps is not None:
            self._steps.advance_to(self._typed)
        if done.exit_code not in accept:
            notice(done.stdout + done.stderr)
            raise DemoFailed(f"exit code {done.exit_code}", step=" ".join(command))
        if echo and not self._quiet:
            shown = " ".join(command)
            shown = shown if len(shown) <= 160 else shown[:150] + " …"
            out.print(f"  $ mingce {shown}  ({time.monotonic() - began:.1f} s)", markup=False, highlight=False)
        return dict(json.loads(done.stdout))

    def act(self, account: str, *words: object, echo: bool = True, accept: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """The same by somebody with an account at the bureau."""
        signed_in = ("--as", account, "--password-file", PASSWORD_FILE, "--config", "bureau")
        return self.run(*words, *signed_in, echo=echo, accept=accept)

    def make_operators(self, home: str) -> tuple[str, ...]:
        """``<home>-proposer.operator`` and ``<home>-approver.operator``; returns the options for their passphrase."""
        secret = ("--passphrase-file", PASSWORD_FILE)
        for name, role in (("演示经办", "proposer"), ("演示复核", "approver")):
            file = f"{home}-{role}.operator"
            self.run("operator", "create", name, "--out", file, *secret, echo=False)
            self.run("operator", "register", f"{file}.identity.json", "--config", home, echo=False)
        return secret

    @contextmanager
    def serving(self, command: str, home: str) -> Iterator[str]:
        """An endpoint as a process of its own, stopped at the end; gives its address. Raises ServerNotStarted."""
        with serving(command, self.folder / home, self._environment) as served:
            self.note(
                f"$ mingce {command} serve --config {home}  ({served.url})", f"$ mingce {command} serve ({served.url})"
            )
            yield served.url
