"""``mingce demo``: the main job, end to end, on made-up people, by the same commands a user would type."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer

from psi.errors import MingceError
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import notice, out

MARK = ".mingce-demo"
COUNTY = "330922"
START_TIMEOUT_S = 30.0

app = typer.Typer(add_completion=False)


class DemoFailed(MingceError):
    """A step of the demo did not do what it should; ``params["step"]`` is the command."""

    code = "demo_failed"


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="where everything is put; a former demo there is replaced")] = Path(
        "demo"
    ),
    customers: Annotated[int, typer.Option(min=100, help="the bank's customers")] = 50_000,
    rows: Annotated[int, typer.Option(min=100, help="people on the base list")] = 70_000,
    seed: Annotated[int, typer.Option(help="other made-up people")] = 20260105,
    json_: JsonOption = False,
) -> None:
    """Province, bank and bureau on this machine: publish, serve, match, export, hand over. Made-up people.

    Example: mingce demo --customers 5000 --rows 7000
    """
    started = time.monotonic()
    _prepare(folder)
    show = Demo(folder, quiet=json_)
    show.title("生成演示数据（虚构人员，号段从未分配）", "Make up people (ID prefixes that were never assigned)")
    show.run("generate", "county", "基础名单.csv", "--county", COUNTY, "--rows", rows, "--seed", seed)
    show.run(
        "generate",
        "customers",
        "客户清单.xlsx",
        "--county",
        COUNTY,
        "--rows",
        rows,
        "--seed",
        seed,
        "--customers",
        customers,
        "--overlap",
        0.6,
        "--dirty",
        0.002,
        "--truth",
        "答案.csv",
    )
    show.set_up(customers)
    show.title("省财政厅：加密编码并发布", "Province: encode and publish")
    show.run("province", "refresh", "--source", "基础名单.csv", "--config", "province")
    with show.serving():
        show.title("农商银行：匹配", "Bank: match")
        matched = show.run("bank", "match", "客户清单.xlsx", "--rejects", "退回.csv", "--config", "bank")
        show.title("再次运行：不再查询", "Again: nothing is asked twice")
        again = show.run("bank", "match", "客户清单.xlsx", "--config", "bank")
    show.title("导出、移交", "Export, hand over")
    show.run("bank", "export", "初筛名单.xlsx", "--config", "bank")
    show.run("bank", "export", "初筛名单.parquet", "--config", "bank", echo=False)
    show.run("bank", "handover", "移交.mch", "--config", "bank")
    show.run("bureau", "import", "移交.mch", "--config", "bureau")
    listed = show.run("bureau", "list", "--config", "bureau", "--limit", 5)
    wrong = _check(folder)
    seconds = time.monotonic() - started
    result = {
        "seconds": round(seconds, 1),
        "customers": matched["customers"],
        "matched": matched["matched"],
        "asked_again": again["asked"],
        "candidates": listed["candidates"],
        "households": listed["households"],
        "wrong": wrong,
        "folder": str(folder.resolve()),
    }
    if wrong or again["asked"] or listed["candidates"] != matched["matched"]:
        raise DemoFailed("the result is not the plain intersection", step="check", **result)
    if json_:
        sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
        return
    out.print(
        say(
            f"\n完成，用时 {seconds:.0f} 秒。匹配结果与明文比对完全一致："
            f"{matched['matched']:,} 人，{listed['households']:,} 户。\n"
            f"请看 {folder}/初筛名单.xlsx；各方的数据在 {folder}/province、bank、bureau。",
            f"\nDone in {seconds:.0f} s. The match equals the plain comparison: "
            f"{matched['matched']:,} people, {listed['households']:,} households.\n"
            f"Look at {folder}/初筛名单.xlsx; each party's state is in {folder}/province, bank, bureau.",
        ),
        markup=False,
    )


class Demo:
    """Runs `mingce` commands in the demo's folder and shows them."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self._folder = folder
        self._quiet = quiet

    def title(self, zh: str, en: str) -> None:
        if not self._quiet:
            out.print(f"\n[bold]{say(zh, en)}[/]")

    def run(self, *words: object, echo: bool = True) -> dict[str, object]:
        """Run one command, show it and how long it took, and return its JSON result. Raises DemoFailed."""
        command = [str(word) for word in words]
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603  our own command line
            [sys.executable, "-m", "scripts.cli", *command, "--json"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            notice(done.stdout + done.stderr)
            raise DemoFailed(f"exit code {done.returncode}", step=" ".join(command))
        if echo and not self._quiet:
            out.print(f"  $ mingce {' '.join(command)}  [dim]({time.monotonic() - began:.1f} s)[/]")
        return dict(json.loads(done.stdout))

    def set_up(self, customers: int) -> None:
        self.title("三方各自初始化，交换身份", "Each party makes its home; identities are exchanged")
        self.run("province", "init", "province", "--name", "省财政厅（演示）")
        self.run("bank", "init", "bank", "--name", "嵊泗农商银行（演示）", "--division", COUNTY)
        self.run("bureau", "init", "bureau", "--name", "嵊泗县财政局（演示）", "--division", COUNTY)
        for home, identity in (("bank", "province"), ("bank", "bureau"), ("bureau", "province"), ("bureau", "bank")):
            shutil.copy(self._folder / identity / "identity.json", self._folder / home / f"{identity}.identity.json")
        self.authorise(customers)
        self.run("keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
        self.run("province", "register", "bank/identity.json", "--division", COUNTY, "--config", "province")
        self.grant_budget("嵊泗农商银行（演示）", customers)
        self.run(
            "province",
            "export-receipt-keys",
            "bureau/identity.json",
            "--division",
            COUNTY,
            "--out",
            "receipt-keys.mck",
            "--config",
            "province",
        )
        self.run("bureau", "trust", "bureau/province.identity.json", "--config", "bureau")
        self.run("bureau", "trust", "bureau/bank.identity.json", "--config", "bureau")
        self.run("bureau", "import-receipt-keys", "receipt-keys.mck", "--config", "bureau")

    def authorise(self, customers: int) -> None:
        """Two made-up operators at the bank sign what it may ask. Their passphrases lie open: it is a demo."""
        self.title("农商银行：两人签署匹配授权书", "Bank: two operators sign a warrant")
        secret = self.make_operators("bank")
        terms = ("--agreement", "演示-2026-01", "--max-new-customers", max(customers, 10_000))
        signed = ("--operator", "bank-proposer.operator", *secret, "--config", "bank")
        warrant = self.run("bank", "warrant", "propose", *terms, *signed)["warrant"]
        self.run(
            "bank", "warrant", "sign", warrant, "--operator", "bank-approver.operator", *secret, "--config", "bank"
        )

    def grant_budget(self, bank: str, customers: int) -> None:
        """Two made-up operators at the province decide how much the bank may ask."""
        self.title("省财政厅：一人申报、一人复核银行额度", "Province: one declares the bank's budget, another approves")
        secret = self.make_operators("province")
        signed = ("--operator", "province-proposer.operator", *secret, "--config", "province")
        numbers = ("--customers", customers, "--new-a-night", 100, "--reason", "演示")
        declared = self.run("province", "declare", bank, *numbers, *signed)["declaration_id"]
        approver = ("--operator", "province-approver.operator", *secret, "--config", "province")
        self.run("province", "approve", declared, *approver)

    def make_operators(self, home: str) -> tuple[str, ...]:
        """``<home>-proposer.operator`` and ``<home>-approver.operator``; returns the options for their passphrase."""
        (self._folder / "口令.txt").write_text("演示用口令，请勿照搬，十二字以上\n", "utf-8")
        secret = ("--passphrase-file", "口令.txt")
        for name, role in (("演示经办", "proposer"), ("演示复核", "approver")):
            file = f"{home}-{role}.operator"
            self.run("operator", "create", name, "--out", file, *secret)
            self.run("operator", "register", f"{file}.identity.json", "--config", home)
        return secret

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The province's endpoint as a process of its own on a free loopback port, stopped at the end."""
        self.title("省财政厅：启动匹配服务", "Province: serve")
        address = self._folder / "province" / "address"
        address.unlink(missing_ok=True)
        log = (self._folder / "province" / "serve.log").open("wb")
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "scripts.cli",
                "province",
                "serve",
                "--port",
                "0",
                "--address-file",
                "province/address",
                "--config",
                "province",
            ],
            cwd=self._folder,
            stdout=log,
            stderr=log,
        )
        try:
            url = _wait_for(address, server)
            os.environ["MINGCE_PROVINCE__URL"] = url
            if not self._quiet:
                out.print(f"  $ mingce province serve --config province  [dim]({url})[/]")
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=START_TIMEOUT_S)
            log.close()


def _prepare(folder: Path) -> None:
    """An empty folder. Raises Refused rather than delete anything that is not a former demo."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise Refused(f"{folder} 不是空的，也不是先前的演示", f"{folder} is neither empty nor a former demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def _wait_for(address: Path, server: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if address.exists():
            return address.read_text("utf-8").strip()
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise DemoFailed("the server did not start; see province/serve.log", step="province serve")


def _check(folder: Path) -> int:
    """How many rows differ between the screening list and what the generator knows to be true."""
    with (folder / "答案.csv").open(encoding="utf-8", newline="") as stream:
        expected = {(row["item"], row["household_no"]) for row in csv.DictReader(stream) if row["listed"] == "1"}
    found = pq.read_table(folder / "初筛名单.parquet")
    actual = set(zip(found["证件号码"].to_pylist(), found["家庭编号"].to_pylist(), strict=True))
    return len(expected ^ actual)
