"""A list larger than memory, here one of which few rows fit: the same editions, and a break costs one part."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from publishing import DATASET, EPOCH, HEADER, PLAN, create_home, number, open_publisher, refresh, write_list

import matcher.province.parts
import matcher.province.spill
from matcher.province.batches import KINDS, Batches
from matcher.province.editions import Edition
from matcher.province.plan import DatasetPlan, Observer
from matcher.rejects import Reject
from matcher.tables.lists import sift_table
from psi import encoding
from psi.slicing import ENTRY_SCHEMA, SliceBuilder

PROGRAM = Path(__file__).with_name("publishing.py")
PEOPLE = {person: 1 + person % 5 for person in range(300)}
LATER = {person: 1 + (person % 5 if person % 50 else 7) for person in range(3, 310)}
PLANS = replace(PLAN, bucket=16, duplicates="first")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "province")
    return tmp_path / "province"


def make_small(patch: pytest.MonkeyPatch) -> None:
    """A few rows are much: seven runs and more of a list, some thirty parts, blocks of a few tags."""
    patch.setattr(matcher.province.spill, "RUN_ROWS", 40)
    patch.setattr(matcher.province.parts, "PART_ROWS", 10)
    patch.setattr("matcher.province.making.SliceBuilder", partial(SliceBuilder, block_rows=25))
    patch.setattr("matcher.province.spill.sift_table", partial(sift_table, batch_rows=16))


def write_mixed(path: Path, people: dict[int, int], seed: int) -> Path:
    """A list in any order over two divisions that go by two names each, with repeated and unusable rows."""
    shuffled = random.Random(seed)
    rows = []
    for person, size in people.items():
        county, name = (("330922", "嵊泗县"), ("330113", "临平区"))[person % 2]
        rows.append(f"{number(person)},H{person},{size},{county},{name if person % 7 else '别名'},是,")
        if person % 40 == 0:
            rows.append(f"{number(person)},H{person},{size + person % 80 // 40},{county},{name},是,")
        if person % 60 == 0:
            rows.append(f"{number(person)[:-1]},H{person},{size},{county},{name},是,")
    shuffled.shuffle(rows)
    header = HEADER.replace("行政区划", "行政区划,行政区划名称")
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def served(home: Path) -> Edition:
    publisher = open_publisher(home)
    record = publisher._ledger.current_edition(DATASET, EPOCH)
    assert record is not None
    edition = publisher.folders.read(DATASET, EPOCH, record.edition)
    edition.check_files()
    publisher._ledger.close()
    return edition


def public_bytes(edition: Edition) -> dict[str, bytes]:
    public = edition.folder / "public"
    return {str(path.relative_to(public)): path.read_bytes() for path in public.rglob("*.*")}


def run(
    home: Path, source: Path, plan: DatasetPlan
) -> tuple[dict[str, object], list[Reject], dict[str, bytes], object]:
    outcome, rejects = open_publisher(home).refresh(plan, source)
    edition = served(home)
    state = edition.open_state()
    return outcome.as_dict(), rejects, public_bytes(edition), state.read(0, len(state))


@pytest.mark.parametrize("keep", ["first", "last"])
def test_an_edition_is_the_same_in_one_part_or_many(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, keep: str
) -> None:
    """A first edition, two nights and a compaction, each from two homes with one key: one has hardly any memory."""
    other = tmp_path / "other"
    plan = replace(PLANS, duplicates=keep, delta_limit=0.3)  # type: ignore[arg-type]
    subprocess.run(["cp", "-r", str(home), str(other)], check=True)
    lists = [write_mixed(tmp_path / f"{n}.csv", people, n) for n, people in enumerate((PEOPLE, LATER, {**LATER, 4: 9}))]
    for source, each in (
        (lists[0], plan),
        (lists[1], plan),
        (lists[2], plan),
        (lists[0], replace(plan, delta_limit=0)),
    ):
        whole = run(home, source, each)
        with monkeypatch.context() as patch:
            make_small(patch)
            in_parts = run(other, source, each)
        assert in_parts[0] == whole[0]
        assert in_parts[1] == whole[1]
        assert in_parts[2] == whole[2]
        assert in_parts[3].equals(whole[3])  # type: ignore[attr-defined]
    assert [path.name for path in (other / "staging").rglob("*") if path.is_file()] == []


def test_no_id_number_is_on_disk_in_the_clear_while_a_list_is_read(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = 0

    class Looking(Observer):
        def step(self, name: str, total: int | None = None) -> None:
            nonlocal seen
            files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
            seen += any(path.is_file() and "runs" in path.parts for path in home.rglob("*"))
            assert not any(number(person).encode() in content for person in PEOPLE for content in files)

    make_small(monkeypatch)
    refresh(home, write_list(tmp_path / "a.csv", PEOPLE), Looking())
    assert seen == 1  # the runs, between reading and packing


def test_a_break_costs_one_part(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    source = write_list(tmp_path / "a.csv", PEOPLE)
    sealed: list[int] = []
    encode = encoding.encode_changed

    def counting(comparison, rows, *more, **options):  # type: ignore[no-untyped-def]
        if len(sealed) == 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        sealed.append(len(rows))
        return encode(comparison, rows, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr("matcher.province.making.encode_changed", counting)
        with pytest.raises(OSError, match="No space"):
            refresh(home, source, Observer())
    names: list[str] = []

    class Noting(Observer):
        def step(self, name: str, total: int | None = None) -> None:
            names.append(name)

    before = len(sealed)
    batches = home / "staging" / DATASET / f"epoch-{EPOCH}" / "batches"
    half_written = batches / "3-sealed.arrow"
    half_written.write_bytes(half_written.read_bytes()[:-9])
    (batches / "5.json").unlink()
    (batches / "7.json").write_bytes(b"{")
    again: list[int] = []

    def counting_again(comparison, rows, *more, **options):  # type: ignore[no-untyped-def]
        again.append(len(rows))
        return encode(comparison, rows, *more, **options)

    monkeypatch.setattr("matcher.province.making.encode_changed", counting_again)
    outcome = refresh(home, source, Noting())
    assert outcome.outcome == "published"
    assert "read" not in names  # that was done
    parts = matcher.province.parts.count_parts(len(PEOPLE) + 2)
    assert (before, len(again)) == (12, parts - 12 + 3)
    assert served(home).count_live() == len(PEOPLE)


def test_another_list_after_a_break_starts_anew(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("matcher.province.editions.publish_folder", _no_space)
        with pytest.raises(OSError, match="No space"):
            refresh(home, write_list(tmp_path / "a.csv", PEOPLE), Observer())
    outcome = refresh(home, write_list(tmp_path / "b.csv", LATER), Observer())
    assert (outcome.outcome, outcome.edition, outcome.rows) == ("published", 1, len(LATER))
    assert served(home).count_live() == len(LATER)


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_killed_while_it_encodes_then_the_same_bytes(tmp_path: Path, home: Path) -> None:
    """Another process, killed at each step in turn, and one that was never disturbed."""
    other = tmp_path / "other"
    subprocess.run(["cp", "-r", str(home), str(other)], check=True)
    source = write_list(tmp_path / "a.csv", PEOPLE)
    for step in ("read", "stage", "compare", "encode", "write slices", "flush"):
        words = [sys.executable, str(PROGRAM), str(home), str(source), step]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    refresh(home, source, Observer())
    refresh(other, source, Observer())
    assert public_bytes(served(home)) == public_bytes(served(other))


def test_a_note_of_other_work_removes_the_parts(tmp_path: Path) -> None:
    schemas = {kind: ENTRY_SCHEMA for kind in KINDS}
    tables = {kind: ENTRY_SCHEMA.empty_table() for kind in KINDS}
    first = Batches(tmp_path / "batches", "a", 2, schemas)
    first.write(1, tables)
    assert (first.is_done(0), first.is_done(1)) == (False, True)
    assert Batches(tmp_path / "batches", "a", 2, schemas).is_done(1)
    assert not Batches(tmp_path / "batches", "b", 2, schemas).is_done(1)
    assert not Batches(tmp_path / "batches", "a", 3, schemas).is_done(1)
