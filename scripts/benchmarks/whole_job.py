"""The main job at a size of the programme, by the commands a user types: time and memory of each process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from psi.errors import MingceError

COUNTY = "330922"
SIZES = {"S": (50_000, 70_000), "M": (300_000, 400_000), "L": (800_000, 1_200_000)}  # customers, base rows
START_TIMEOUT_S = 60.0


class BenchFailed(MingceError):
    """A command of the measured job failed; ``params["step"]`` is the command."""

    code = "bench_failed"


@dataclass(frozen=True)
class Step:
    """One process: wall-clock and processor seconds, and its largest resident set."""

    step: str
    wall_s: float
    cpu_s: float
    max_rss_mib: float


def measure_whole_job(size: str) -> list[Step]:
    """Generate, refresh, serve and match at one of SIZES, in a folder that is removed. Raises BenchFailed."""
    customers, rows = SIZES[size]
    with TemporaryDirectory(prefix="mingce-bench-") as name:
        job = Job(Path(name))
        job.run("generate", "county", "base.csv", "--county", COUNTY, "--rows", rows)
        job.run("generate", "customers", "customers.csv", "--county", COUNTY, "--rows", rows, "--customers", customers)
        job.run("province", "init", "province", "--name", "bench province")
        job.run("bank", "init", "bank", "--name", "bench bank", "--division", COUNTY)
        shutil.copy(job.folder / "province" / "identity.json", job.folder / "bank" / "province.identity.json")
        job.run("keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
        job.run("province", "register", "bank/identity.json", "--division", COUNTY, "--config", "province")
        job.decide(customers)
        steps = [job.run("province", "refresh", "--source", "base.csv", "--config", "province")]
        server = job.start_server()
        try:
            steps.append(job.run("bank", "match", "customers.csv", "--config", "bank"))
            steps.append(job.run("bank", "match", "customers.csv", "--config", "bank", note="again"))
        finally:
            steps.append(server.stop())
        steps.append(job.run("bank", "export", "list.xlsx", "--config", "bank"))
    return steps


class Job:
    """Commands of ``mingce`` in a folder, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = dict(os.environ)

    def run(self, *words: object, note: str = "") -> Step:
        """Raises BenchFailed if the command does not end well."""
        return self.finish(self.start(*words), note)

    def finish(self, process: Process, note: str = "") -> Step:
        """Wait for a command. Raises BenchFailed if it does not end well."""
        step = process.wait()
        if process.exit_code:
            raise BenchFailed(process.output(), step=step.step)
        return Step(f"{step.step} {note}".rstrip(), step.wall_s, step.cpu_s, step.max_rss_mib)

    def decide(self, customers: int) -> None:
        """Two operators at the province grant the budget, two at the bank sign the warrant."""
        (self.folder / "passphrase").write_text("of made-up operators\n", "utf-8")
        for home in ("province", "bank"):
            for role in ("proposer", "approver"):
                self.run("operator", "create", role, "--out", f"{home}.{role}", "--passphrase-file", "passphrase")
                self.run("operator", "register", f"{home}.{role}.identity.json", "--config", home)
        numbers = ("--customers", customers, "--reason", "benchmark")
        self.run("province", "declare", "bench bank", *numbers, *_signed("province", "proposer"))
        self.run("province", "approve", 1, *_signed("province", "approver"))
        terms = ("--agreement", "benchmark", "--max-new-customers", customers)
        self.run("bank", "warrant", "propose", *terms, "--json", *_signed("bank", "proposer"))
        warrant = json.loads((self.folder / "output").read_text("utf-8"))["warrant"]
        self.run("bank", "warrant", "sign", warrant, *_signed("bank", "approver"))

    def start_server(self) -> Process:
        address = self.folder / "address"
        server = self.start("province", "serve", "--port", 0, "--address-file", address, "--config", "province")
        until = time.monotonic() + START_TIMEOUT_S
        while not address.exists():
            if time.monotonic() > until or server.has_ended():
                server.stop()
                raise BenchFailed(server.output(), step=server.name)
            time.sleep(0.05)
        self._environment["MINGCE_PROVINCE__URL"] = address.read_text("utf-8").strip()
        return server

    def start(self, *words: object) -> Process:
        return self.start_module("scripts.cli", *words)

    def start_module(self, module: str, *words: object) -> Process:
        return Process(module, [str(word) for word in words], self.folder, self._environment)


def _signed(home: str, role: str) -> tuple[str, ...]:
    return ("--operator", f"{home}.{role}", "--passphrase-file", "passphrase", "--config", home)


class Process:
    """One ``mingce`` command, reaped by wait4, which tells what it used."""

    def __init__(self, module: str, words: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.name = " ".join(words[:2])
        self.exit_code = 0
        self._output = folder / "output"
        self._began = time.monotonic()
        with self._output.open("wb") as sink:
            self._process = subprocess.Popen(  # noqa: S603  our own command line
                [sys.executable, "-m", module, *words],
                cwd=folder,
                env=environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def stop(self) -> Step:
        if not self.has_ended():
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> Step:
        _, status, used = os.wait4(self._process.pid, 0)
        self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - self._began
        return Step(self.name, round(wall, 2), round(used.ru_utime + used.ru_stime, 2), round(used.ru_maxrss / 1024, 1))

    def output(self) -> str:
        return self._output.read_text("utf-8", "replace")[-2000:]
