"""A Chinese page says what its English one says: as many sections, blocks and rows, and the same commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import DOCS, blocks, commands

PAGES = sorted((DOCS / "zh").rglob("*.md"))
GUIDES = [page for page in PAGES if page.parent.name in ("how-to", "tutorial") and page.name != "index.md"]


def english(page: Path) -> Path:
    return DOCS / page.relative_to(DOCS / "zh")


def counts(page: Path) -> dict[str, int]:
    text = page.read_text("utf-8")
    return {
        "sections": len(re.findall(r"^##+ ", text, re.M)),
        "blocks": len(blocks(page)),
        "rows": len(re.findall(r"^ *\|", text, re.M)),
        "pictures": text.count("!["),
    }


def spoken(page: Path) -> list[list[str]]:
    """Of each command its names and options, without what stands for the reader's own."""
    return [[words[0], *(word for word in words[1:] if word.startswith("--"))] for _, words in commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_chinese_page_has_its_english_one(page: Path) -> None:
    assert english(page).is_file()


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_both_have_the_same_parts_and_commands(page: Path) -> None:
    assert counts(page) == counts(english(page))
    assert spoken(page) == spoken(english(page))


def test_every_guide_of_the_operators_is_in_chinese() -> None:
    missing = {page.name for page in (DOCS / "how-to").glob("*.md")} - {
        page.name for page in (DOCS / "zh/how-to").glob("*.md")
    }
    assert missing == set()
    tutorials = {page.name for page in (DOCS / "tutorial").glob("*.md")}
    assert tutorials == {page.name for page in (DOCS / "zh/tutorial").glob("*.md")}
