"""The documents as a site: ``make docs``. Decision 0023 says why with this tool, and what is added to it here.

The pages are Markdown that a code host shows as well: nothing in them is meant for this program alone. So the tree
of pages is made of the links of each ``index.md``, and Chinese pages (zh/…) are paired with English ones by name.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import sphinx
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.locale import init as load_words
from sphinx.search.en import SearchEnglish

HERE = Path(__file__).parent
CHINESE = "zh/"

project = html_title = "名册 Mingce"
author = "Mingce"
version = release = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]
language = "en"
extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_show_copyright = html_show_sphinx = html_copy_source = html_use_index = False
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["mingce.css"]
html_search_language = "zh-en"

THEME_WORDS = {
    "Next": "下一页",
    "Previous": "上一页",
    "Home": "首页",
    "On this page": "本页内容",
    "Back to top": "回到顶部",
    "Skip to content": "跳到正文",
}
"""The theme's words that Sphinx has no Chinese for."""

_OWN_PAGE = re.compile(r"\]\(((?!\.\./)[^()#\s:]+)\.md\)")
_CJK = "\u3400-\u9fff\uf900-\ufaff"
_TERMS = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+")


class ChineseAndEnglish(SearchEnglish):
    """Chinese is written without spaces. In the pages every two neighbours are a term; in what is looked for, the
    neighbours within each word, as the browser tells words apart."""

    lang = "zh-en"
    js_splitter_code = (HERE / "_search" / "splitter.js").read_text("utf-8")

    def split(self, input: str) -> list[str]:
        return [part for term in _TERMS.findall(input) for part in _pairs(term)]


def _pairs(term: str) -> list[str]:
    is_chinese = re.match(f"[{_CJK}]{{2}}", term)
    return [term[place : place + 2] for place in range(len(term) - 1)] if is_chinese else [term]


def grow_tree(app: Sphinx, docname: str, content: list[str]) -> None:
    """The pages that an index links to are its branches, in its order; or the indexes, if it links to any."""
    if Path(docname).name == "index":
        pages = list(dict.fromkeys(_OWN_PAGE.findall(content[0])))
        pages = [page for page in pages if page.endswith("/index")] or pages
        content[0] += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(pages) + "\n```\n"


def turn_to_language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """A Chinese page has the theme's words in Chinese and the Chinese branch beside it; both lead to their pair."""
    other = page.removeprefix(CHINESE) if page.startswith(CHINESE) else CHINESE + page
    known = app.env.found_docs
    context["pair"] = other if other in known else f"{CHINESE}index" if page in known else None
    context["is_chinese"] = page.startswith(CHINESE)
    if context["is_chinese"]:
        known_words = load_words([str(Path(sphinx.__file__).parent / "locale")], "zh_CN")[0]

        def say(text: str) -> str:
            return THEME_WORDS.get(text.strip()) or known_words.gettext(text)

        context.update(language="zh-CN", master_doc=f"{CHINESE}index", _=say, gettext=say)
    if "furo_navigation_tree" in context:
        context["furo_navigation_tree"] = _branch(context)


def _branch(context: dict[str, Any]) -> str:
    """The navigation without the other language."""
    tree = BeautifulSoup(context["furo_navigation_tree"], "html.parser")
    top = context["pathto"](f"{CHINESE}index")  # "#" on that page itself
    chinese = next(entry for entry in tree.select("li.toctree-l1") if entry.a["href"] == top)
    if context["is_chinese"]:
        return str(chinese.ul)
    chinese.decompose()
    return str(tree)


def setup(app: Sphinx) -> None:
    app.add_search_language(ChineseAndEnglish)
    app.connect("source-read", grow_tree)
    app.connect("html-page-context", turn_to_language, priority=900)
