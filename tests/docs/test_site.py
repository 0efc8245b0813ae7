"""The site: links lead somewhere, nothing comes from elsewhere, the languages are paired, search finds Chinese."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import DOCS
from playwright.sync_api import Browser, sync_playwright

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make docs` builds it: a warning is a failure."""
    folder = tmp_path_factory.mktemp("site")
    built = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        str(folder / "trees"),
        str(DOCS),
        str(folder / "html"),
    ]
    done = subprocess.run(built, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 100
    foreign = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*\bhref=\"(?:https?:)?//"
    )
    assert [page.name for page in pages if foreign.search(page.read_text("utf-8"))] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", styles)


def test_each_chinese_page_and_its_english_one_lead_to_each_other(site: Path) -> None:
    link = re.compile(r'class="other-language"><a href="([^"]+)"')
    chinese = list((site / "zh").rglob("*.html"))
    assert len(chinese) == len(list((DOCS / "zh").rglob("*.md")))
    for page in chinese:
        text = page.read_text("utf-8")
        assert '<html class="no-js" lang="zh-CN"' in text
        other = (page.parent / link.findall(text)[0]).resolve()
        assert other == (site / page.relative_to(site / "zh")).resolve()
        back = link.findall(other.read_text("utf-8"))[0]
        assert (other.parent / back).resolve() == page.resolve()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("密钥轮换", "rotate-an-epoch"),
        ("额度用完", "nightly-refresh"),
        ("授权书", "first-match"),
        ("budget_exhausted", "errors"),
    ],
)
def test_search_finds_both_languages_without_a_network(site: Path, browser: Browser, asked: str, found: str) -> None:
    page = browser.new_page()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(f"{(site / 'search.html').as_uri()}?q={asked}")
    page.locator(f"#search-results li a[href*='{found}']").first.wait_for(timeout=30_000)
    assert [url for url in loaded if not url.startswith("file:")] == []
    page.close()
