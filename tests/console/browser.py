"""Debian's Chromium at a running console. Without it the tests say that they did not run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from console_server import Visitor
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
DESKTOP, TABLET, PHONE = (1440, 900), (820, 1180), (360, 740)
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"  # ignored by git

needs_browser = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="NOT RUN: chromium is not installed")


@dataclass
class Watched:
    """A tab and what went wrong in it: console messages, script errors, requests to other hosts."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> Watched:
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self._check_host(request.url))
        return self

    def goto(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def keep(self, name: str) -> None:
        """A picture of the whole page, as a result of the tests."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.jpg", full_page=True, type="jpeg", quality=70)

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and "status of 4" not in text:  # refusals that a test asks for
            self.complaints.append(f"{kind}: {text}")

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"request leaves the host: {url}")


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def open_tab(
    browser: Browser,
    url: str,
    visitor: Visitor | None = None,
    size: tuple[int, int] = DESKTOP,
    *,
    scripts: bool = True,
    bypass_csp: bool = False,
) -> Watched:
    """A tab of its own; with a visitor's cookies it is signed in. ``bypass_csp``: for a tool that adds scripts."""
    context: BrowserContext = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN",
        java_script_enabled=scripts,
        bypass_csp=bypass_csp,
    )
    for name, value in (visitor.cookies if visitor else {}).items():
        # Over loopback a browser takes such cookies from an answer, but only from https by this way.
        context.add_cookies([{"name": name, "value": value, "url": url.replace("http:", "https:"), "secure": True}])
    return Watched(context.new_page(), url).watch()
