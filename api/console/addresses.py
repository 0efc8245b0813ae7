"""Addresses within the console: a page's own with another page or filter, and nothing from outside."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request


def with_query(request: Request, **changes: object) -> str:
    """This page with these parts of its query changed; None or '' takes a part away."""
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name not in changes]
    added = [(name, str(value)) for name, value in changes.items() if value not in (None, "")]
    query = urlencode(kept + added)
    return f"{request.url.path}?{query}" if query else request.url.path


def with_notice(path: str, done: str, fragment: str = "") -> str:
    """Where a form leads once it was carried out: the page says what was done."""
    return f"{path}?{urlencode({'done': done})}{f'#{fragment}' if fragment else ''}"
