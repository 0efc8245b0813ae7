"""Does what a tutorial tells its reader to do, in an empty folder, and looks for what they are told to see."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from documents import Block, Step, blocks, is_seen, steps

from keys.clock import BEIJING

PORT = "8443"  # as the documents have it; here it is a free one
PASSPHRASE = "one sentence for everybody"
_EXIT = re.compile(r"#.*(?:exit code|退出码) (\d)")
_ONCE = re.compile(r"\b[a-z0-9]{6}(?:-[a-z0-9]{6}){3}\b")
STARTS_WITHIN_S = 60


class Differs(AssertionError):
    """A command did not end, or did not say, what the document tells."""


@dataclass
class Reader:
    """Somebody who types what the document says. ``typed``: what stands in it for something that differs each time,
    with a pattern that finds the real one in what was printed before; ``days``: the documents' dates, as so many days
    from now. A password that was handed over once is typed when the reader chooses their own."""

    folder: Path
    typed: Mapping[str, str]
    port: str
    days: Mapping[str, int] = field(default_factory=dict)
    printed: str = ""
    serving: ExitStack = field(default_factory=ExitStack)

    def follow(self, document: Path) -> int:
        """How many commands were run. Raises Differs."""
        done = 0
        with self.serving:
            for block in filter(lambda block: block.is_run, blocks(document)):
                if block.comes_after_stop:
                    self.serving.close()
                for step in steps(block):
                    place = f"{document.name}:{block.number}: {step.command}"
                    act = self._begin if block.goes_on else self._run
                    act(step, place)
                    done += 1
        return done

    def _run(self, step: Step, place: str) -> None:
        wanted = _EXIT.search(step.command)
        answered = subprocess.run(
            ["bash", "-c", self._script(step.command)],
            cwd=self.folder,
            input=self._answers(step.command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            start_new_session=True,  # no terminal: passphrases are read from standard input
        )
        self.printed += answered.stdout
        if answered.returncode != (int(wanted[1]) if wanted else 0):
            raise Differs(f"{place}\nexit code {answered.returncode}\n{answered.stdout}")
        self._compare(step, answered.stdout, place)

    def _answers(self, command: str) -> str:
        """What is typed where a command asks."""
        given = _ONCE.findall(self.printed)[-1:] if "set-password" in command else []
        return "".join(f"{line}\n" for line in [*given, *[PASSPHRASE] * 4])

    def _begin(self, step: Step, place: str) -> None:
        log = self.folder / "served.log"
        with log.open("w", encoding="utf-8") as stream:
            server = subprocess.Popen(
                ["bash", "-c", self._script(f"exec {step.command}")],
                cwd=self.folder,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.serving.callback(_stop, server)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and server.poll() is None:
            if all(is_seen(self._here(line), log.read_text("utf-8")) for line in step.seen):
                return
            time.sleep(0.1)
        raise Differs(f"{place}\n{log.read_text('utf-8')}")

    def _compare(self, step: Step, output: str, place: str) -> None:
        missing = [line for line in step.seen if line.strip() and not is_seen(self._here(line), output)]
        if missing:
            raise Differs(f"{place}\nnot seen: {missing}\nprinted:\n{output}")

    def _script(self, command: str) -> str:
        """The command, with what earlier ones exported and the folder they went to; both are kept for the next."""
        kept = shlex.quote(str(self.folder / ".kept"))
        keep = f'{{ export -p; echo cd "$PWD"; }} > {kept}'
        return f"[ ! -e {kept} ] || . {kept}\n{self._here(command)}\nended=$?\n{keep}\nexit $ended"

    def _here(self, text: str) -> str:
        for written, pattern in self.typed.items():
            if written in text:
                found = re.findall(pattern, self.printed)
                if not found:
                    raise Differs(f"nothing printed so far is {pattern!r}")
                text = text.replace(written, found[-1])
        for written, later in self.days.items():
            text = text.replace(written, (datetime.now(BEIJING).date() + timedelta(later)).isoformat())
        return text.replace(PORT, self.port)


@contextmanager
def reader(folder: Path, typed: Mapping[str, str], days: Mapping[str, int] | None = None) -> Iterator[Reader]:
    """In an empty folder, without anything of the tests' surroundings but the program."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    kept = {
        "MINGCE_SERVE__PORT": port,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
    }
    (folder / ".kept").write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in kept.items()), "utf-8"
    )
    yield Reader(folder, typed, port, days or {})


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(40)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


def list_not_run(documents: list[Path]) -> list[Block]:
    """The blocks of commands that no test runs, each of which says why."""
    return [block for document in documents for block in blocks(document) if block.not_run is not None]
