"""身份承诺书: what a borrower signs, by version, and the page that is printed.

What the store keeps of the text is the version and the SHA-256 of its template. A digest of the filled-in text would
give the ID number away to whoever tries them all.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from matcher.loans.errors import TemplateUnknown

_FOLDER = Path(__file__).parent / "templates"
FIELDS = ("commitment_no", "household_no", "bank", "contract_no", "masked_item")

_PAGE = """<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 25mm; }}
body {{ font: 12pt/1.9 "Noto Serif CJK SC", "SimSun", serif; }}
h1 {{ text-align: center; font-size: 20pt; letter-spacing: 4pt; }}
pre {{ font: inherit; white-space: pre-wrap; margin: 0; }}
footer {{ margin-top: 12mm; font-size: 8pt; color: #555; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{title}</h1>
<pre>{text}</pre>
<footer>模板 {version}　SHA-256 {sha256}</footer>
</body>
</html>
"""


@dataclass(frozen=True)
class Template:
    """``sha256`` is of the file ``templates/<version>.txt``: a text that was signed is never changed, only followed."""

    version: str
    text: str
    sha256: str

    def fill(self, values: Mapping[str, str]) -> str:
        """The text to sign. ``values`` gives every one of FIELDS."""
        return self.text.format_map({name: values[name] for name in FIELDS})

    def page(self, values: Mapping[str, str]) -> str:
        """The text as a page of HTML, for print; it loads nothing."""
        title, _, text = self.fill(values).partition("\n")
        return _PAGE.format(
            title=html.escape(title), text=html.escape(text.strip("\n")), version=self.version, sha256=self.sha256
        )


def versions() -> list[str]:
    """Known versions, ascending."""
    return sorted((path.stem for path in _FOLDER.glob("*.txt")), key=int)


@cache
def load_template(version: str = "") -> Template:
    """The newest, or the one of a version. Raises TemplateUnknown."""
    known = versions()
    chosen = version or known[-1]
    if chosen not in known:
        raise TemplateUnknown("no such version", version=version[:20], known=known)
    content = (_FOLDER / f"{chosen}.txt").read_bytes()
    return Template(chosen, content.decode("utf-8"), hashlib.sha256(content).hexdigest())
