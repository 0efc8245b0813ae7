"""The demo's end: the console open on its data until it is told to stop, never where nobody would stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bureau_office import CHEAP

from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import STORE_SECRET, Office
from scripts import templates
from scripts.benchmarks.pages import Reader, find_pages
from scripts.demo.casework import ADMINISTRATORS
from scripts.demo.console import MARK, accounts
from scripts.demo.runner import PASSWORD
from scripts.home import create_home

ENDED_AT = datetime(2029, 1, 7, 2, 0, tzinfo=UTC)
ADDRESS = re.compile(r"http://127\.0\.0\.1:[0-9]+")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a demo leaves, as far as the console needs it: a home in another year, and everybody's account."""
    folder = tmp_path_factory.mktemp("demo")
    config = f"demo = true\n{templates.bureau('演示县财政局', ['330922'])}"
    home = create_home(folder / "bureau", "bureau", "演示县财政局", config, SettableClock(ENDED_AT))
    office = Office(home.path, home.open_keys().get_store_secret(STORE_SECRET), home.clock, ["330922"])
    register, sign_in = Accounts(office, CHEAP), SignIn(office, CHEAP)
    for name in ADMINISTRATORS:
        sign_in.set_password(name, register.found("test", name, "演示"), PASSWORD)
    first, second = (Actor(name, frozenset({Role.ADMIN})) for name in ADMINISTRATORS)
    register.propose(first, NewAccount("jingban", "演示", frozenset({Role.HANDLER})))
    sign_in.set_password("jingban", register.approve(second, "jingban"), PASSWORD)
    office.close()
    (folder / MARK).write_text("2029-01-07T02:00:00Z", "utf-8")
    return folder


@contextmanager
def served_demo(folder: Path, language: str = "zh") -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """`mingce demo --serve`, what it said before it waits, and the address in it."""
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "demo", "--serve", "--folder", str(folder)],
        stdout=subprocess.PIPE, text=True, env={**environment, "PYTHONUNBUFFERED": "1", "MINGCE_LANG": language},
    )  # fmt: skip
    assert process.stdout
    said = ""
    try:
        for line in process.stdout:
            said += line
            if found := ADDRESS.search(line):
                yield process, said, found[0]
                break
        else:
            pytest.fail(said)
    finally:
        process.terminate()  # killed, it could not stop its server
        process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_told_to_stop(finished: Path, number: signal.Signals) -> None:
    with served_demo(finished) as (process, _, url):
        reader = Reader(url)
        reader.sign_in("jingban", PASSWORD)  # without a second device
        assert "演示数据" in reader.get("/queue").body.decode()
        reader.close()
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        with pytest.raises(ConnectionRefusedError):
            Reader(url).get("/sign-in")


def test_it_tells_everybodys_account_in_the_users_language(finished: Path) -> None:
    with served_demo(finished) as (_, said, _):
        assert {"县财政经办", "农商行客户经理", "部门", "省财政"} <= set(re.findall(r"[\u4e00-\u9fff]+", said))
        assert said.count(PASSWORD) == len(list(accounts()))
    assert {role for _, role in accounts()} == set(Role)
    with served_demo(finished, "en") as (_, said, _):
        assert not re.findall(r"[\u4e00-\u9fff]+", said)
        assert "jingban" in said


@pytest.mark.parametrize("mark", [None, ""])
def test_there_has_to_be_a_finished_demo(tmp_path: Path, mark: str | None) -> None:
    if mark is not None:
        (tmp_path / MARK).write_text(mark)
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", "demo", "--serve", "--folder", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "没有做完的演示" in done.stderr


@pytest.mark.slow
def test_the_whole_demo_ends_by_itself_without_a_terminal_and_everybody_finds_their_pages(tmp_path: Path) -> None:
    """Every account follows every link: none leads nowhere."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", "demo", "--customers", "5000", "--rows", "7000"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1_200, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mingce demo --serve" in done.stdout
    with served_demo(tmp_path / "demo") as (_, _, url):
        pages = {}
        for name, role in accounts():
            reader = Reader(url)
            reader.sign_in(name, PASSWORD)
            found = find_pages(reader)
            assert found.broken == []
            pages[role] = found.addresses
            reader.close()
    assert "/households/{household}" in pages[Role.HANDLER], json.dumps(sorted(pages[Role.HANDLER]))
