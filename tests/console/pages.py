"""What tests of pages do again and again: one-time keys, forms, and where a form leads."""

from __future__ import annotations

import csv
import re
from io import StringIO

import httpx
from console_server import Visitor

KEY = re.compile(r'name="key" value="([0-9a-f]{32})"')


def key_of(page: str) -> str:
    """Any of the page's keys: each stands for nothing until it is used."""
    return KEY.findall(page)[0]


def send(visitor: Visitor, page: str, path: str, **form: object) -> httpx.Response:
    """A form of a page, and the page that it leads to."""
    answer = visitor.post(path, {"key": key_of(page), **form})
    return visitor.get(answer.headers["location"]) if answer.status_code == 303 else answer


def todo_of(page: str) -> int:
    """The number in the bar."""
    found = re.search(r'class="todo"[^>]*>[^<]*<strong>([0-9,]+)</strong>', page)
    assert found, "no number in the bar"
    return int(found[1].replace(",", ""))


def rows_of(answer: httpx.Response) -> list[list[str]]:
    """The cells of a downloaded CSV, the headings first."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    return list(csv.reader(StringIO(answer.content.decode("utf-8-sig"))))
