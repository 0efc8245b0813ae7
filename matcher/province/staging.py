"""A list that was read and checked, sealed on disk in parts: between `import` and `encode`, and while a refresh runs.

Reading goes through the file once, in runs that fit into memory. A run is ordered by its rows' references and cut
into parts (matcher.province.parts); when all are written, each part is put together from its pieces in the runs,
loses its repeated numbers and gets its labels. What holds an ID number is sealed before it comes to the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path

from keys.files import fsync_folder, make_folder, write_atomic
from matcher.columns import list_columns
from matcher.province.editions import Edition, Source
from matcher.province.parts import RememberedFiles, count_parts, cut_sorted, part_starts
from matcher.province.plan import DatasetPlan, ListShrunk, NothingStaged, Observer
from matcher.province.rows import (
    choose_rows,
    count_divisions,
    first_names,
    join_rows,
    label_rows,
    pack_rows,
    read_part,
    rows_of_table,
    unpack_rows,
    write_part,
)
from matcher.province.spill import Spill, look_through, read_runs
from matcher.rejects import Reject
from matcher.sealing import SealedDataDamaged, Sealer
from matcher.tables.lists import Sifted, drop_duplicates, read_labelled_list
from psi.columns import data_of, sorted_positions
from psi.encoding import BaseRows
from psi.errors import InputError
from psi.remembered import Remembered, row_references

STAGING_SECRET = "staging"  # noqa: S105  the name of a secret, not one
_FORMAT = 1


@dataclass(frozen=True)
class About:
    """What is known of a list beside its rows. ``key`` says from what, and how, it was made."""

    key: str
    label_width: int
    divisions: dict[str, str]
    source: Source
    part_rows: list[int]
    rows_by_division: dict[int, int]
    rejects: list[Reject] = field(default_factory=list)

    def encode(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, content: bytes) -> About:
        fields = json.loads(content)
        fields["source"] = Source.decode(fields["source"])
        fields["rows_by_division"] = {int(name): rows for name, rows in fields["rows_by_division"].items()}
        fields["rejects"] = [Reject(*reject) for reject in fields["rejects"]]
        return cls(**fields)


@dataclass(frozen=True, repr=False)
class StagedList:
    """A list on disk, read a part at a time. ``extra`` are rows besides the file's, by part: its canaries."""

    folder: Path
    about: About
    sealer: Sealer
    extra: dict[int, BaseRows] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.about.part_rows) + sum(map(len, self.extra.values()))

    @property
    def parts(self) -> int:
        return len(self.about.part_rows)

    @property
    def untouched(self) -> int:
        """Of the published rows: a list says of each that it stays or, by silence, that it left."""
        return 0

    @property
    def misfits(self) -> int:
        return 0

    def count(self, part: int) -> int:
        return self.about.part_rows[part] + (len(self.extra[part]) if part in self.extra else 0)

    def read(self, part: int) -> BaseRows:
        """The rows of one part, in no order. Raises SealedDataDamaged, OSError."""
        rows = read_part(self.folder, self.sealer, self.about.key, part)
        return join_rows(rows, self.extra[part]) if part in self.extra else rows

    def open_remembered(self, current: Edition | None, *, full: bool) -> RememberedFiles:
        """What is remembered of ``current``, in this list's parts: all of it, since a list says who left by silence."""
        return RememberedFiles(None, None, self.parts) if current is None else current.open_remembered(self.parts)

    def concerned(self, remembered: Remembered, part: int) -> Remembered:
        """The remembered rows that the rows of a part are compared with."""
        return remembered

    def cut_for(self, current: Edition | None, *, full: bool) -> StagedList:
        return self

    def with_extra(
        self, rows: BaseRows, reference_key: bytes, canaries: str, absent: tuple[int, ...] = ()
    ) -> StagedList:
        """The same list with some more rows; ``canaries`` is their digest, ``absent`` the numbers of those left out."""
        source = replace(self.about.source, canaries=canaries, absent=absent)
        order = sorted_positions(row_references(reference_key, rows.items))
        references = row_references(reference_key, rows.items).take(order)
        ranges = cut_sorted(data_of(references).to_pybytes(), part_starts(self.parts))
        extra = {
            part: choose_rows(rows, order[start:stop], self.about.label_width)
            for part, (start, stop) in enumerate(ranges)
            if stop > start
        }
        return replace(self, about=replace(self.about, source=source), extra=extra)

    def save(self) -> None:
        """Make it what :func:`open_list` finds: written last, when every part is on disk."""
        whole = reduce(join_rows, self.extra.values()) if self.extra else None
        table = b"" if whole is None else pack_rows(whole, self.about.label_width)
        write_atomic(self.folder / "extra", self.sealer.seal(table, "extra", self.about.key, ""))
        write_atomic(self.folder / "about", self.sealer.seal(self.about.encode(), "about", "", ""))


def open_list(folder: Path, sealer: Sealer, reference_key: bytes) -> StagedList | None:
    """The list that stands whole in a folder. Raises SealedDataDamaged."""
    if not (folder / "about").exists():
        return None
    about = About.decode(sealer.open((folder / "about").read_bytes(), "about", "", ""))
    staged = StagedList(folder, about, sealer)
    extra = sealer.open((folder / "extra").read_bytes(), "extra", about.key, "")
    if not extra:
        return staged
    return staged.with_extra(unpack_rows(extra), reference_key, about.source.canaries, about.source.absent)


def find_list(folder: Path, sealer: Sealer, reference_key: bytes, key: str) -> StagedList | None:
    """The list in a folder if it is whole and the one with this key, without its extra rows."""
    try:
        staged = open_list(folder, sealer, reference_key)
    except (SealedDataDamaged, OSError):
        return None
    return staged if staged is not None and staged.about.key == key else None


def list_key(plan: DatasetPlan, sha256: str) -> str:
    """Changes with the file and with whatever says how it is read."""
    how = [_FORMAT, sha256, plan.dataset, plan.epoch, plan.label.model_dump(by_alias=True), plan.division]
    how += [plan.schema.name, plan.duplicates, sorted(plan.columns.items())]
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()


def stage_list(
    plan: DatasetPlan, path: Path, folder: Path, sealer: Sealer, reference_key: bytes, observer: Observer
) -> StagedList:
    """Read and check a list into ``folder``, which is emptied first; memory does not grow with it. Not saved yet.

    Raises as matcher.tables.read_labelled_list does, ListShrunk if no row can be used.
    """
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        digest, lines = look_through(path)
        observer.step("read", lines)
        sifted, starts = Sifted(), part_starts(count_parts(lines))
        spill = Spill(folder / "runs", sealer)
        for run in read_runs(plan, path, sifted, reference_key, observer):
            spill.add(run, starts)
        observer.step("stage", lines)
        settled = _settle(plan, folder, spill, sifted, list_key(plan, digest), digest, sealer, observer)
        if not len(settled):
            raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=plan.shrink_limit)
        shutil.rmtree(folder / "runs")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # nothing of it can be used again, and the disk may be full
        raise
    return settled


def read_list(plan: DatasetPlan, path: Path) -> BaseRows:
    """A list in memory, whole. Raises as stage_list does."""
    mapping = list_columns(plan.schema, one_division=plan.division is not None).override(plan.columns)
    listed = read_labelled_list(path, plan.schema, mapping, division=plan.division, duplicates=plan.duplicates)
    if not len(listed):
        raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=plan.shrink_limit)
    return label_rows(listed, plan.schema, plan.label)


class Staging:
    """The lists of one home that wait or are at work, ``<home>/staging/<dataset>/<what>``."""

    def __init__(self, home: Path, secret: Callable[[], bytes]) -> None:
        self._root = home / "staging"
        self._secret = secret

    def sealer(self, plan: DatasetPlan) -> Sealer:
        return staging_sealer(self._secret(), plan)

    def imported(self, plan: DatasetPlan) -> Path:
        """The folder of the list that was imported."""
        return self._folder(plan, "imported")

    def importing(self, plan: DatasetPlan) -> Path:
        """The folder of a list that is being read, to become the imported one or nothing."""
        return self._folder(plan, "importing")

    def job(self, plan: DatasetPlan) -> Path:
        """The folder of what an edition is made of until it is published."""
        return self._folder(plan, f"epoch-{plan.epoch}")

    def take_imported(self, plan: DatasetPlan) -> None:
        """Let the list that was read take the place of the one imported before."""
        self.remove(self.imported(plan))
        self.importing(plan).rename(self.imported(plan))
        fsync_folder(self.imported(plan).parent)

    def open_imported(self, plan: DatasetPlan, reference_key: bytes) -> StagedList:
        """Raises NothingStaged, InputError if it was imported for another label, SealedDataDamaged."""
        folder = self.imported(plan)
        staged = open_list(folder, self.sealer(plan), reference_key) if folder.exists() else None
        if staged is None:
            raise NothingStaged("no imported list waits to be encoded", dataset=plan.dataset, epoch=plan.epoch)
        if staged.about.label_width != plan.label.width:
            raise InputError("the list was imported with another label width", dataset=plan.dataset)
        return staged

    def remove(self, folder: Path) -> None:
        """The notes that make a folder count go first, so that a break leaves none that looks whole."""
        for note in sorted(folder.rglob("about")) + sorted(folder.rglob("key")):
            note.unlink()
        if folder.exists():
            shutil.rmtree(folder)

    def _folder(self, plan: DatasetPlan, name: str) -> Path:
        return make_folder(self._root / plan.dataset) / name


def _settle(
    plan: DatasetPlan,
    folder: Path,
    spill: Spill,
    sifted: Sifted,
    key: str,
    digest: str,
    sealer: Sealer,
    observer: Observer,
) -> StagedList:
    """Each part with one row for every number, packed as it is encoded, in a sealed file of its own."""
    names: dict[tuple[str, str], int] = {}
    repeated: list[Reject] = []
    part_rows: list[int] = []
    by_division: dict[int, int] = {}
    for part in range(spill.finish()):
        table, more = drop_duplicates(spill.read(part), plan.duplicates, sifted.sheets)
        repeated += more
        rows = rows_of_table(plan, table, names)
        del table
        count_divisions(by_division, rows)
        write_part(folder, sealer, key, part, rows, plan.label.width)
        part_rows.append(len(rows))
        observer.progress(sum(part_rows))
    rejects = sifted.all_rejects(repeated)
    source = Source(digest, sum(part_rows), len(rejects), divisions=by_division)
    about = About(key, plan.label.width, first_names(names), source, part_rows, by_division, rejects)
    return StagedList(folder, about, sealer)


def staging_sealer(secret: bytes, plan: DatasetPlan, random_bytes: Callable[[int], bytes] = os.urandom) -> Sealer:
    """Seals what waits of this dataset and epoch; ``secret`` is the home's STAGING_SECRET."""
    return Sealer(secret, f"staging {plan.dataset} {plan.epoch}", random_bytes)
