"""The demo's end: the console open on its data, and who can sign in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from keys.clock import parse_time
from matcher.bureau.actors import ROLE_WORDS, Role
from scripts.demo.casework import ACCOUNTS, ADMINISTRATORS
from scripts.demo.runner import PASSWORD
from scripts.home import DEMO_CLOCK
from scripts.language import say
from scripts.messages import Refused
from scripts.output import out, print_table
from scripts.processes import Served, serving

MARK = ".mingce-demo"
"""In every demo's folder; in a finished one it holds the moment at which it ended."""
_STOP = (signal.SIGTERM, signal.SIGHUP)


def serve_demo(folder: Path) -> None:
    """Serve the bureau's console until Ctrl-C, SIGTERM or SIGHUP. Raises Refused, ServerNotStarted."""
    mark = folder / MARK
    ended_at = mark.read_text("utf-8").strip() if mark.exists() else ""
    if not ended_at:
        raise Refused(f"{folder} 里没有做完的演示", f"There is no finished demo in {folder}")
    parse_time(ended_at)
    for number in _STOP:
        signal.signal(number, _stop)
    try:
        with serving("bureau", folder / "bureau", demo_environment(ended_at)) as served:
            _tell(served)
            _open_browser(served.url)
            served.process.wait()
    except KeyboardInterrupt:
        out.print(say("控制台已停止。", "The console has stopped."))


def demo_environment(moment: str) -> dict[str, str]:
    """The demo's own time, and sign-in without a second device."""
    return {**os.environ, DEMO_CLOCK: moment, "MINGCE_SIGN_IN__SECOND_FACTOR": "false"}


def accounts() -> Iterator[tuple[str, Role]]:
    """Everybody's account and role."""
    for name, _, words in ACCOUNTS:
        yield name, Role(words[words.index("--role") + 1])
    for name in ADMINISTRATORS:
        yield name, Role.ADMIN


def _tell(served: Served) -> None:
    rows = [(say(ROLE_WORDS[role], role.value), name, PASSWORD) for name, role in accounts()]
    columns = (say("岗位", "role"), say("账号", "account"), say("口令", "password"))
    print_table(say("控制台的演示账号（虚构）", "The console's accounts (made up)"), columns, rows)
    out.print(
        say(f"\n控制台：{served.url}（Ctrl-C 停止）", f"\nThe console: {served.url} (Ctrl-C stops it)"), markup=False
    )


def _open_browser(url: str) -> None:
    """Where there is a screen: elsewhere a text browser would take the terminal over."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    opener = shutil.which("xdg-open")
    if opener is None:
        webbrowser.open(url)
        return
    quiet = subprocess.DEVNULL
    subprocess.Popen([opener, url], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
