"""The documents' links lead somewhere, and where they name a test, it is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
THREATS = ROOT / "docs" / "explanation" / "threat-model.md"

_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def links(document: Path) -> Iterator[tuple[str, str]]:
    """(text, target) of every link to a place in this repository."""
    for text, target in _LINK.findall(_FENCED.sub("", document.read_text("utf-8"))):
        if not re.match(r"[a-z]+:", target):
            yield text, target


@cache
def anchors(document: Path) -> set[str]:
    """The headings as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", document.read_text("utf-8")), re.M)
    return {_NOT_IN_ANCHORS.sub("", heading.strip().lower()).replace(" ", "-") for heading in headings}


@cache
def functions(source: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(source.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for text, target in links(document):
        place, _, anchor = target.partition("#")
        path = (document.parent / place).resolve() if place else document
        found = path.exists() and ROOT in (path, *path.parents)
        if found and anchor and path.suffix == ".md":
            found = anchor in anchors(path)
        if found and re.fullmatch(r"`test_\w+`", text):
            found = text.strip("`") in functions(path)
        if not found:
            broken.append((text, target))
    assert broken == []


def test_every_answer_to_an_attack_names_what_shows_it() -> None:
    """Each row of the tables of attacks and accidents ends with links to tests, or to where they are told."""
    tables = THREATS.read_text("utf-8").split("\n## ")[2:-1]
    rows = [line for table in tables for line in table.split("\n") if line.startswith("| ")]
    attacks = [row for row in rows if not row.endswith("| shown by |")]
    assert len(attacks) > 30
    assert [row for row in attacks if not _LINK.search(row.rsplit("|", 2)[1])] == []
