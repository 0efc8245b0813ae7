"""The console at the size of a large county: every page of every role, and how soon a slow browser shows the first."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from keys.clock import format_time
from matcher.bureau.actors import Role
from scripts.benchmarks.console_scene import ACCOUNTS, NOW, PASSWORD, prepare_scene
from scripts.benchmarks.pages import Found, Reader, find_pages, page_routes
from scripts.home import DEMO_CLOCK
from scripts.processes import Served, serving

REQUESTS = 20  # of each shape, by each role
RENDERS = 5
THROTTLE = 4
LIMITS = {"p95_ms": 100.0, "kib": 150.0, "first_render_ms": 1_000.0}
RENDERED: tuple[tuple[str, Role, str], ...] = (
    ("queue", Role.HANDLER, "/queue"),
    ("household", Role.HANDLER, "/households/{household}"),
    ("form", Role.BANK_MANAGER, "/visits/tablet"),
    ("dashboard", Role.HANDLER, "/dashboard"),
)


@dataclass
class MeasuredPage:
    """One shape of page as one role sees it. ``kib``: the largest, with the styles and scripts it loads, as they are.

    ``p50_ms``, ``p95_ms``: from sending to the last byte, over loopback; ``cpu_ms``: the server's processor time, mean.
    """

    role: str
    shape: str
    example: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    kib: float


@dataclass
class MeasuredConsole:
    """``first_render_ms``: first contentful paint at a quarter of the processor, median; empty without a browser.

    ``unseen``: routes that can be read and that no link led to; ``broken``: links that led to no page.
    """

    households: int
    pages: list[MeasuredPage] = field(default_factory=list)
    first_render_ms: dict[str, float] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=lambda: dict(LIMITS))

    def too_much(self) -> list[str]:
        """What is over a limit, in words for a person who mends it."""
        found = [
            f"{page.shape} ({page.role}): p95 {page.p95_ms} ms, {page.kib} KiB"
            for page in self.pages
            if page.p95_ms > self.limits["p95_ms"] or page.kib > self.limits["kib"]
        ]
        late = {name: ms for name, ms in self.first_render_ms.items() if ms > self.limits["first_render_ms"]}
        return [*found, *self.broken] + [f"{name}: first render {ms} ms" for name, ms in late.items()]


def measure_console(
    folder: Path,
    households: int,
    tell: Callable[[str], None] = lambda step: None,
    requests: int = REQUESTS,
    renders: int = RENDERS,
) -> MeasuredConsole:
    """``folder`` keeps the county between runs; ``renders``: of each page whose first render is measured."""
    home = prepare_scene(folder, households, tell)
    measured = MeasuredConsole(households)
    environment = {**os.environ, DEMO_CLOCK: format_time(NOW)}
    with serving("bureau", home, environment) as served:
        seen: dict[str, set[str]] = defaultdict(set)
        firsts: dict[str, tuple[str, dict[str, str]]] = {}
        for role, name in ACCOUNTS.items():
            tell(role.value)
            reader = Reader(served.url)
            reader.sign_in(name, PASSWORD)
            found = find_pages(reader)
            measured.broken += found.broken
            _measure_pages(reader, served, role, found, requests, measured)
            seen[role.value] |= {shape.partition("?")[0] for shape in found.addresses}
            for wanted, by, route in RENDERED:
                if by is role and route in found.addresses:
                    firsts[wanted] = (found.addresses[route][0], reader.cookies)
        measured.unseen = sorted(page_routes() - set().union(*seen.values()))
        tell("render")
        measured.first_render_ms = _measure_renders(served.url, firsts, renders)
    return measured


def _measure_pages(
    reader: Reader, served: Served, role: Role, found: Found, requests: int, measured: MeasuredConsole
) -> None:
    sizes: dict[str, int] = {}
    for shape, addresses in sorted(found.addresses.items()):
        times, bodies, began_s = [], dict[str, int](), _processor_s(served.process.pid)
        for turn in range(requests):
            address = addresses[turn % len(addresses)]
            answer = reader.get(address)
            times.append(answer.seconds * 1_000)
            bodies[address] = len(answer.body)
        cpu_ms = (_processor_s(served.process.pid) - began_s) * 1_000 / requests
        for file in set().union(*(found.static[address] for address in addresses)) - sizes.keys():
            sizes[file] = len(reader.get(file).body)
        largest = max(bodies[one] + sum(sizes[file] for file in found.static[one]) for one in bodies)
        times.sort()
        measured.pages.append(
            MeasuredPage(
                role.value, shape, addresses[0], round(median(times), 1),
                round(times[max(round(len(times) * 0.95) - 1, 0)], 1), round(cpu_ms, 1), round(largest / 1_024, 1),
            )
        )  # fmt: skip


def _processor_s(pid: int) -> float:
    """Of all threads so far, also of those that have ended."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime


def _measure_renders(url: str, firsts: dict[str, tuple[str, dict[str, str]]], renders: int) -> dict[str, float]:
    try:
        from scripts.benchmarks.rendering import first_render_ms
    except ModuleNotFoundError:  # Playwright comes with the developers' dependencies only
        return {}
    return first_render_ms(url, firsts, THROTTLE, renders)


def slowest(measured: MeasuredConsole) -> list[MeasuredPage]:
    """By their p95, the slowest first."""
    return sorted(measured.pages, key=lambda page: -page.p95_ms)
