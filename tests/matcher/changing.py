"""A home whose list is changed night by night, and change lists written from what changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from publishing import DATASET, EPOCH, HEADER, PLAN, number, open_publisher

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.canaries import Canaries, Canary
from matcher.province.editions import Edition
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan, Outcome
from matcher.rejects import Reject

People = dict[int, tuple[int, str]]  # a person's household size and division
COUNTIES = ("330922", "330113", "331122")
BASE: People = {person: (2, COUNTIES[person % 2]) for person in range(60)}
RELAXED = replace(PLAN, bucket=8, shrink_limit=1.0, delta_limit=0.4)
CHANGE_HEADER = f"操作,{HEADER}"


def row(person: int, size: int | str, division: str) -> str:
    return f"{number(person)},H{person},{size},{division},是,"


def write_people(path: Path, people: People) -> Path:
    rows = [row(person, *facts) for person, facts in people.items()]
    path.write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    return path


def write_changes(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([CHANGE_HEADER, *rows]) + "\n", "utf-8")
    return path


def differences(before: People, after: People) -> list[str]:
    """The rows of a change list; who left is told by the number alone."""
    rows = [f"新增,{row(person, *after[person])}" for person in after.keys() - before.keys()]
    rows += [f"删除,{number(person)},,,,," for person in before.keys() - after.keys()]
    moved = [person for person in after.keys() & before if after[person] != before[person]]
    return rows + [f"变更,{row(person, *after[person])}" for person in moved]


@dataclass
class Home:
    path: Path
    plan: DatasetPlan = RELAXED

    def refresh(self, source: Path, **options: object) -> tuple[Outcome, list[Reject]]:
        return open_publisher(self.path).refresh(self.plan, source, **options)  # type: ignore[arg-type]

    def change(self, source: Path, **options: object) -> tuple[Outcome, list[Reject]]:
        return self.refresh(source, changes=True, **options)

    def current(self) -> Edition:
        publisher = open_publisher(self.path)
        record = publisher._ledger.current_edition(DATASET, EPOCH)
        assert record is not None
        edition = publisher.folders.read(DATASET, EPOCH, record.edition)
        edition.check_files()
        publisher._ledger.verify_audit()
        assert record.rows == edition.count_live()
        return edition

    def canaries(self) -> Canaries:
        clock = SettableClock()
        keystore = KeyStore(self.path, FileKek(self.path / "kek"), clock=clock, actor="test")
        return Canaries(self.path, keystore, Ledger.open(self.path, clock), clock, os.urandom)

    def plant(self, source: Path, count: int = 3) -> list[Canary]:
        return self.canaries().plant(
            self.plan, source, division=COUNTIES[0], count=count, prefix="990000", actor="演示员"
        )

    def copy(self, name: str) -> Home:
        shutil.copytree(self.path, self.path.with_name(name))
        return Home(self.path.with_name(name), self.plan)


def files(edition: Edition) -> dict[str, bytes]:
    """Every file of an edition but the note of what it was made from."""
    found = {str(path.relative_to(edition.folder)): path for path in edition.folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "private/source.json"}


def assert_same(one: Home, other: Home) -> None:
    ours, theirs = one.current(), other.current()
    assert files(ours) == files(theirs)
    for name in ("rows", "divisions", "canaries", "absent"):
        assert getattr(ours.source, name) == getattr(theirs.source, name), name


def counted(outcome: Outcome) -> dict[str, object]:
    return {name: value for name, value in outcome.as_dict().items() if name not in ("source_sha256", "misfits")}
