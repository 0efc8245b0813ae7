"""Pictures of the console on a demo's data, for the documents: ``python -m scripts.demo.screenshots demo docs/images``.

Run by hand (`make screenshots`) after a demo; needs the developers' dependencies and Debian's Chromium.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.demo.console import MARK, demo_environment
from scripts.demo.runner import PASSWORD
from scripts.processes import serving

DESKTOP, TABLET, PHONE, WALL = (1440, 900), (820, 1180), (360, 740), (1920, 1080)
MOST_BYTES = 150 << 10
FORM = ("#cards button.open", "[data-go=income]")
SHOTS: tuple[tuple[str, str, tuple[int, int], tuple[str, ...]], ...] = (
    ("queue", "jingban", DESKTOP, ("/queue",)),
    ("household", "fuhe", DESKTOP, ("/queue", "table.rows tbody a")),
    ("visits", "jingli", TABLET, ("/visits",)),
    ("visit-form-tablet", "jingli", TABLET, ("/visits/tablet", *FORM)),
    ("visit-form-phone", "jingli", PHONE, ("/visits/tablet", *FORM)),
    ("dashboard", "jingban", DESKTOP, ("/dashboard",)),
    ("wall", "jingban", WALL, ("/dashboard/wall",)),
    ("claim", "hangguan", DESKTOP, ("/claims", "table a[href^='/claims/']")),
)
"""File, account, window, and the way: an address, then what is clicked."""


def take_screenshots(demo: Path, out: Path) -> list[Path]:
    """One file for each of SHOTS."""
    out.mkdir(parents=True, exist_ok=True)
    moment = (demo / MARK).read_text("utf-8").strip()
    with serving("bureau", demo / "bureau", demo_environment(moment)) as served, _chromium() as browser:
        return [_take(browser, served.url, out, *shot) for shot in SHOTS]


def _take(
    browser: Browser, url: str, out: Path, name: str, account: str, size: tuple[int, int], way: tuple[str, ...]
) -> Path:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.fill("#name", account)
    page.fill("#password", PASSWORD)
    page.click("main button")
    address, *clicks = way
    page.goto(url + address)
    for selector in clicks:
        page.locator(selector).first.click()
        page.wait_for_load_state()
    written = out / f"{name}.png"
    written.write_bytes(_small(page))
    context.close()
    return written


def _small(page: Page) -> bytes:
    """The window as a PNG with a palette, narrower if it has to be."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours, scale in ((256, 1.0), (128, 1.0), (64, 1.0), (64, 0.75), (32, 0.5)):
        kept = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        encoded = io.BytesIO()
        kept.quantize(colours).save(encoded, "PNG", optimize=True)
        if encoded.tell() <= MOST_BYTES:
            break
    return encoded.getvalue()


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    for path in take_screenshots(Path(sys.argv[1]), Path(sys.argv[2])):
        sys.stdout.write(f"{path}  {path.stat().st_size:,}\n")
