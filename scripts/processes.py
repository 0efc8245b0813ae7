"""`mingce … serve` as a process of its own on a free loopback port: for the demo and the measurements."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psi.errors import MingceError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ServerNotStarted(MingceError):
    """It ended, or did not listen in time; params ``log``: what it said."""

    code = "server_not_started"


@dataclass(frozen=True)
class Served:
    """``url`` without a slash at its end."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def serving(command: str, home: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    """``mingce <command> serve`` over ``home``, stopped at the end. What it says goes to ``<home>/serve.log``.

    Raises ServerNotStarted.
    """
    address, log = home / "address", home / "serve.log"
    address.unlink(missing_ok=True)
    where = ("--port", "0", "--address-file", str(address.resolve()), "--config", str(home.resolve()))
    with log.open("wb") as sink:
        server = subprocess.Popen(  # noqa: S603  our own command line
            [sys.executable, "-m", "scripts.cli", command, "serve", *where],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C ends the one who waits, who then ends this
        )
        try:
            yield Served(_wait_for(address, server, log), server)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(address: Path, server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        if address.exists():
            return address.read_text("utf-8").strip().rstrip("/")
        time.sleep(0.05)
    raise ServerNotStarted(f"the server did not start; see {log}", log=str(log))
