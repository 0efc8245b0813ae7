"""Who finds which pages of the console by following its links and filters, as a person would."""

from __future__ import annotations

import http.client
import re
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

from api.console.app import ROUTERS
from scripts.benchmarks.whole_job import BenchFailed

MOST_ADDRESSES = 3  # of one shape that are kept
MOST_FETCHED = 250  # by one visitor
_NO_PAGES = ("/static/", "/sign-out", "/language", "/households/images/")


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    body: bytes
    location: str
    seconds: float


class Reader:
    """One connection to a console, kept open, with its cookies: no more than is needed to read pages."""

    def __init__(self, url: str, cookies: dict[str, str] | None = None) -> None:
        self._host = urlsplit(url).netloc
        self._url = url
        self.cookies = dict(cookies or {})
        self._connection = http.client.HTTPConnection(self._host, timeout=60)

    def sign_in(self, name: str, password: str) -> None:
        """Raises BenchFailed."""
        answer = self.send("POST", "/sign-in", urlencode({"name": name, "password": password}))
        if answer.status != 303:
            raise BenchFailed(f"signing in: {answer.status}", step="/sign-in")

    def get(self, address: str) -> Answer:
        return self.send("GET", address)

    def send(self, method: str, address: str, form: str | None = None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if form is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._url}
        began = time.perf_counter()
        self._connection.request(method, address, body=form, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        for line in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        kind = (answer.headers["Content-Type"] or "").partition(";")[0]
        return Answer(answer.status, kind, body, answer.headers["Location"] or "", seconds)

    def close(self) -> None:
        self._connection.close()


@dataclass
class Found:
    """Addresses by shape, which is a route with the names of its query; ``static``: by page, the files it loads.

    ``broken``: links that were not answered with a page, with the answer's status and where they stand.
    """

    addresses: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    broken: list[str] = field(default_factory=list)
    static: dict[str, frozenset[str]] = field(default_factory=dict)


def find_pages(reader: Reader, begin: str = "/") -> Found:
    """Every shape of page that links and filters lead to from ``begin``."""
    found, waiting, seen = Found(), deque([(begin, ""), ("/me", "")]), set[str]()
    while waiting and len(seen) < MOST_FETCHED:
        address, linked_from = waiting.popleft()
        if address in seen or len(found.addresses[shape_of(address)]) >= MOST_ADDRESSES:
            continue
        seen.add(address)
        answer = reader.get(address)
        if answer.status == 303:
            waiting.append((answer.location, linked_from))
            continue
        if answer.status != 200:
            found.broken.append(f"{answer.status} {address} (on {linked_from})")
            continue
        if answer.kind != "text/html":
            continue
        page = read_page(answer.body.decode())
        found.addresses[shape_of(address)].append(address)
        found.static[address] = frozenset(page.files)
        links = page.links if "?" in address else [*page.links, *page.filtered]  # one filter at a time
        waiting.extend((one, address) for one in (_whole(address, link) for link in links) if _is_page(one))
    found.addresses = {shape: kept for shape, kept in found.addresses.items() if kept}
    return found


def shape_of(address: str) -> str:
    """The route that answers, with the names of the query: ``/households/{household}?done``."""
    parts = urlsplit(address)
    route = next((path for pattern, path in _ROUTES if pattern.fullmatch(parts.path)), parts.path)
    names = sorted({name for name, _ in parse_qsl(parts.query)})
    return f"{route}?{'&'.join(names)}" if names else route


def page_routes() -> set[str]:
    """Every route that can be read."""
    return {path for _, path in _ROUTES}


def _routes() -> Iterator[tuple[re.Pattern[str], str]]:
    pages = {
        route.path: route.path_regex  # type: ignore[attr-defined]
        for router in ROUTERS
        for route in router.routes
        if "GET" in route.methods  # type: ignore[attr-defined]
    }
    for path in sorted(pages, key=lambda one: (one.count("{"), one)):  # a fixed word before a parameter
        yield pages[path], path


_ROUTES = tuple(_routes())


class _Page(HTMLParser):
    """What a page links to, what its filters lead to, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.filtered: list[str] = []
        self.files: set[str] = set()
        self._form: str | None = None
        self._fields: dict[str, str] = {}
        self._choices: dict[str, list[str]] = {}
        self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "a" and "href" in given and "download" not in given:
            self.links.append(given["href"])
        elif tag == "link" or (tag in ("script", "img") and "src" in given):
            self.files.add(given.get("src") or given.get("href", ""))
        elif tag == "form" and given.get("method", "get").lower() == "get":
            self._form, self._fields, self._choices = given.get("action", ""), {}, {}
        elif self._form is not None and given.get("name"):
            self._take(tag, given)
        elif self._form is not None and tag == "option" and self._select and given.get("value"):
            self._choices.setdefault(self._select, []).append(given["value"])

    def _take(self, tag: str, given: dict[str, str]) -> None:
        if tag == "select":
            self._select = given["name"]
        elif tag == "input" and given.get("type") == "checkbox":
            self._choices.setdefault(given["name"], []).append(given.get("value", "on"))
        elif tag == "input" and given.get("type") not in ("radio", "submit"):
            self._fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "form" and self._form is not None:
            for name, values in self._choices.items():
                chosen = ({**self._fields, name: value} for value in values[:2])
                self.filtered += [f"{self._form}?{urlencode({k: v for k, v in one.items() if v})}" for one in chosen]
            self._form = None


def read_page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page


def _whole(address: str, link: str) -> str:
    """A link as an address of this host, without its fragment; empty for what leads elsewhere."""
    link = link.partition("#")[0]
    if link.startswith("?"):
        return urlsplit(address).path + link
    return link if link.startswith("/") else ""


def _is_page(address: str) -> bool:
    return bool(address) and not address.startswith(_NO_PAGES) and "format=" not in address
