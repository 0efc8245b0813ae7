"""The forms of a page as a program reads them: where each leads, its fields and what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class PageForm:
    """``values``: names with what they hold at first; ``choices``: what a button or a list offers for a name."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self._address = address
        self._form: PageForm | None = None
        self._list = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        name = given.get("name", "")
        if tag == "form":
            action = given.get("action") or self._address
            self._form = PageForm(action, given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "option" and self._list:
            self._form.choices.setdefault(self._list, []).append(given.get("value", ""))
        elif not name:
            return
        elif tag == "select":
            self._list = name
        elif tag == "button" or given.get("type") in ("radio", "checkbox", "submit"):
            self._form.choices.setdefault(name, []).append(given.get("value", "on"))
        elif given.get("type") == "file":
            self._form.files.add(name)
        elif tag in ("input", "textarea"):
            self._form.values[name] = given.get("value", "")
            if given.get("type", "text") in ("text", "search"):
                self._form.texts.add(name)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._list = ""


def forms_of(page: str, address: str) -> list[PageForm]:
    reader = _Reader(address)
    reader.feed(page)
    return reader.forms
