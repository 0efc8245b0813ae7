"""What the tutorial of the console tells its reader to press is on the console's pages, in both languages."""

from __future__ import annotations

import re

import pytest
from babel.messages.pofile import read_po
from documents import DOCS, ROOT

CONSOLE = ROOT / "api" / "console"
NOT_LABELS = {"English", "then"}


def chinese() -> str:
    """Every sentence of the pages, of their programs and of the states' names."""
    sources = [
        *CONSOLE.rglob("*.html"),
        *CONSOLE.rglob("*.py"),
        *CONSOLE.rglob("*.js"),
        *(ROOT / "matcher").rglob("*.py"),
    ]
    return "\n".join(path.read_text("utf-8") for path in sources)


def english() -> set[str]:
    with (CONSOLE / "locale" / "en.po").open("rb") as stream:
        return {str(message.string) for message in read_po(stream)}


@pytest.mark.parametrize(
    ("name", "quoted"), [("zh/tutorial/first-week.md", r"「([^」]+)」"), ("tutorial/first-week.md", r"\*\*([^*]+)\*\*")]
)
def test_every_label_is_on_a_page(name: str, quoted: str) -> None:
    labels = set(re.findall(quoted, (DOCS / name).read_text("utf-8"))) - NOT_LABELS
    labels = {re.sub(r"^(确认：|Confirm: ).*", r"\1%(verdict)s", label) for label in labels}
    assert len(labels) > 25
    if name.startswith("zh/"):
        words = chinese()
        assert {label for label in labels if not re.search(rf"[\"'>]{re.escape(label)}[\"'<]", words)} == set()
    else:
        assert labels - english() == set()
