"""A province's list at its own size: first edition, nights, compaction and look-up, with memory and disk watched."""

from __future__ import annotations

import codecs
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matcher.generate import CountySpec, generate_county
from matcher.province.editions import Edition, EditionFolders
from psi.edition import Slice
from psi.identifiers import ITEM_BYTES
from psi.lookup import Overlay, find_labels
from psi.oprf import MODE_VOPRF, evaluate
from scripts.benchmarks.sampling import Sampler
from scripts.benchmarks.whole_job import Job, Step
from scripts.home import open_home

DATASET, EPOCH = "base", "2026"
NIGHT_ROWS = 1_000
QUERIES = 100_000
_LOOK_UP_ROWS = 32_768  # at a time, as a bank does
_MIB = 1 << 20


@dataclass(frozen=True)
class Watched:
    """One command. ``max_anonymous_mib`` is memory of its own at its largest; ``max_rss_mib`` counts pages of mapped
    files too. ``max_disk_mib`` is the home at its largest while it ran, ``disk_mib`` when it had ended.
    """

    step: str
    rows: int
    wall_s: float
    cpu_s: float
    rows_per_s: int
    max_rss_mib: float
    max_anonymous_mib: float
    max_disk_mib: int
    disk_mib: int


def measure_province(folder: Path, rows: int, county: str, tell: Callable[[str], None]) -> Iterator[Watched]:
    """Make up a list of so many rows below ``folder``, which is empty, and do a province's work on it.

    Raises BenchFailed.
    """
    job = Job(folder)
    tell("generate")
    generate_county(folder / "base.csv", CountySpec(rows=rows, county=county))
    job.run("province", "init", "province", "--name", "bench province")
    job.run("keys", "create-epoch", DATASET, EPOCH, "--activate", "--config", "province")
    refresh = ("province", "refresh", "--config", "province", "--json")
    by_list, by_changes = (*refresh, "--source", "base.csv"), (*refresh, "--changes", "changes.csv")
    left: list[bytes] = []
    for name, words in (
        ("first edition", by_list),
        ("a night", by_list),
        ("a night by changes", by_changes),
        ("compaction", (*by_changes, "--full")),
        ("look-up", ()),
    ):
        tell(name)
        if name == "a night":
            left = _drop_lines(folder / "base.csv", NIGHT_ROWS)
        elif name == "a night by changes":
            _write_changes(folder / "base.csv", left, folder / "changes.csv")
        with _Watch(folder / "province") as watch:
            process = job.start(*words) if words else job.start_module("scripts.benchmarks.province_size", rows)
            watch.pid = process.pid
            step = job.finish(process, name)
        yield watch.describe(step, QUERIES if name == "look-up" else rows)


class _Watch(Sampler):
    """The memory of a process and the disk of the folder it works in, at most."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.pid = 0
        self._folder = folder
        self._anonymous_kib = self._resident_kib = self._disk = 0

    def describe(self, step: Step, rows: int) -> Watched:
        return Watched(
            step.step,
            rows,
            step.wall_s,
            step.cpu_s,
            round(rows / step.wall_s),
            round(self._resident_kib / 1024, 1),
            round(self._anonymous_kib / 1024, 1),
            self._disk // _MIB,
            _size_of(self._folder) // _MIB,
        )

    def look(self) -> None:
        self._disk = max(self._disk, _size_of(self._folder))
        try:
            status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        except OSError:
            return
        figures = dict(line.split(":", 1) for line in status.splitlines())
        self._anonymous_kib = max(self._anonymous_kib, _kib(figures.get("RssAnon")))
        self._resident_kib = max(self._resident_kib, _kib(figures.get("VmHWM")))


def _kib(figure: str | None) -> int:
    """Of a line of /proc/PID/status; a process that has ended has none."""
    return int(figure.split()[0]) if figure else 0


def _size_of(folder: Path) -> int:
    """What its files take on disk; they come and go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _drop_lines(path: Path, rows: int) -> list[bytes]:
    """Take the last lines out of a file, and return them."""
    lines = _last_lines(path, rows)
    os.truncate(path, path.stat().st_size - sum(map(len, lines)))
    return lines


def _last_lines(path: Path, rows: int) -> list[bytes]:
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, end - 400 * rows))
        return stream.read().splitlines(keepends=True)[-rows:]


def _write_changes(base: Path, left: list[bytes], changes: Path) -> None:
    """NIGHT_ROWS changes: some of those who ``left`` come back, as many have another household size, the rest leave."""
    third = NIGHT_ROWS // 3
    with base.open("rb") as stream:
        header = stream.readline().removeprefix(codecs.BOM_UTF8)
    rows = _last_lines(base, NIGHT_ROWS - third)
    lines = [f"操作,{header.decode()}", *(f"新增,{row.decode()}" for row in left[:third])]
    for row in rows[:third]:
        number, household, _, rest = row.decode().split(",", 3)
        lines.append(f"变更,{number},{household},9,{rest}")
    lines += [f"删除,{row.decode()}" for row in rows[third:]]
    changes.write_text("".join(lines), "utf-8", newline="")


def look_up(home: Path, rows: int) -> dict[str, float]:
    """Find members of the list and strangers in the current edition as a bank does: mapped files, 32,768 at a time."""
    opened = open_home(home, "province")
    keys = opened.open_keys()
    folders = EditionFolders(opened.path, keys.get_public_identity())
    newest = max(int(path.name) for path in folders.epoch_folder(DATASET, EPOCH).glob("[0-9]*"))
    edition = folders.read(DATASET, EPOCH, newest)
    items = _sample_items(home.parent / "base.csv", rows)
    outputs = evaluate(MODE_VOPRF, keys.open_epoch_key(DATASET, EPOCH), items, ITEM_BYTES)
    divisions = _divisions(edition)
    began, found = time.perf_counter(), 0
    for start in range(0, len(outputs), _LOOK_UP_ROWS * 64):
        found += len(find_labels(divisions, outputs[start : start + _LOOK_UP_ROWS * 64], edition.manifest).positions)
    took = time.perf_counter() - began
    return {"queries": len(outputs) // 64, "found": found, "look_up_s": round(took, 3), "slices": len(divisions)}


def _divisions(edition: Edition) -> list[Slice | Overlay]:
    own = edition.open_slices()
    if edition.base is None:
        return list(own.values())
    return [Overlay(part, own[division]) for division, part in edition.base.open_slices().items()]


def _sample_items(path: Path, rows: int) -> bytes:
    """Every n-th row's number, and as many that nobody has."""
    step = max(1, 2 * rows // QUERIES)
    members = bytearray()
    with path.open("rb") as stream:
        next(stream)
        for number, line in enumerate(stream):
            if number % step == 0:
                members += line[:ITEM_BYTES]
    strangers = b"".join(b"000000%012d" % number for number in range(QUERIES - len(members) // ITEM_BYTES))
    return bytes(members) + strangers


if __name__ == "__main__":
    print(json.dumps(look_up(Path("province"), int(sys.argv[1]))))
