"""How soon a browser on a slow processor shows something (Chromium, by the DevTools protocol)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Browser, Error, ViewportSize, sync_playwright

TABLET = ViewportSize(width=820, height=1180)
_PAINT_MS = """
() => new Promise(resolve => {
  const found = () => performance.getEntriesByName('first-contentful-paint')[0];
  const look = () => found() ? resolve(found().startTime) : setTimeout(look, 20);
  look();
})
"""


def first_render_ms(
    url: str, pages: Mapping[str, tuple[str, Mapping[str, str]]], throttle: int, times: int
) -> dict[str, float]:
    """First contentful paint from the start of the navigation, in a new context each time, so with nothing cached.

    ``pages``: address and cookies by name; for each the median of so many ``times``. ``throttle``: 4 is a quarter of
    this processor. Empty without a browser.
    """
    with _chromium() as browser:
        if browser is None:
            return {}
        return {
            name: median(_render(browser, url, address, cookies, throttle) for _ in range(times))
            for name, (address, cookies) in pages.items()
        }


@contextmanager
def _chromium() -> Iterator[Browser | None]:
    path = shutil.which("chromium")
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _render(browser: Browser, url: str, address: str, cookies: Mapping[str, str], throttle: int) -> float:
    context = browser.new_context(viewport=TABLET, locale="zh-CN")
    try:
        # Over loopback a browser takes such cookies from an answer, but only from https by this way.
        secure = url.replace("http:", "https:")
        context.add_cookies(
            [{"name": name, "value": value, "url": secure, "secure": True} for name, value in cookies.items()]
        )
        page = context.new_page()
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        page.goto(url + address)
        return round(float(page.evaluate(_PAINT_MS)), 1)
    except Error as error:
        raise RuntimeError(f"{address}: {error.message}") from error
    finally:
        context.close()
