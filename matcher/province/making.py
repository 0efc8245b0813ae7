"""Making an edition from a checked list, or from an earlier edition: a delta where little changed, else a full one.

A list is compared, encoded and remembered part by part (matcher.province.parts), and its slices are put together from
the parts' runs by ranges of tags (psi.slicing), so memory does not grow with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa

from keys.clock import Clock, format_time
from keys.keystore import KeyStore
from matcher.province.batches import Batches
from matcher.province.editions import Draft, Edition, EditionFolders, Source, build_slices, copy_slices
from matcher.province.parts import count_parts
from matcher.province.plan import DatasetPlan, ListShrunk, Observer
from matcher.province.staged import Staged
from psi.columnfile import ColumnFile
from psi.edition import BaseReference
from psi.encoding import BaseRows, EncodingKeys, Progress, changed_rows, compare, encode_changed
from psi.errors import InputError
from psi.noise import noise_streams
from psi.remembered import STATE_SCHEMA, Remembered, difference, restore
from psi.slicing import ENTRY_SCHEMA, SliceBuilder, delta_entries, full_entries, sealed_run, sealed_schema

Kind = Literal["full", "delta"]


@dataclass(frozen=True)
class Tally:
    """What a list changes with respect to the edition served so far. ``to_encode`` counts by part."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    kept: int = 0
    to_encode: tuple[int, ...] = ()

    @property
    def changes(self) -> int:
        return self.added + self.changed + self.removed

    @property
    def rows(self) -> int:
        return self.added + self.changed + self.kept

    def plus(self, added: int, changed: int, removed: int, kept: int) -> Tally:
        """With another part."""
        return Tally(
            self.added + added,
            self.changed + changed,
            self.removed + removed,
            self.kept + kept,
            (*self.to_encode, added + changed),
        )


class EditionMaker:
    """``current`` is everywhere the edition served so far, None before the first."""

    def __init__(self, keystore: KeyStore, folders: EditionFolders, clock: Clock, *, threads: int) -> None:
        self._keys = keystore
        self._folders = folders
        self._clock = clock
        self._threads = threads

    def reference_key(self, plan: DatasetPlan) -> bytes:
        """The key of the references by which lists and remembered rows are cut into parts."""
        return self._keys.derive_epoch_secret(plan.dataset, plan.epoch, "row references")

    def compare(self, plan: DatasetPlan, staged: Staged, current: Edition | None, observer: Observer) -> Tally:
        """Raises InputError if the label's layout is not the epoch's."""
        observer.step("compare", len(staged))
        if current is None:
            return Tally(added=len(staged), to_encode=(len(staged),))
        if current.manifest.label != plan.label:
            raise InputError("the label's layout is fixed for the life of an epoch", dataset=plan.dataset)
        staged = staged.cut_for(current, full=False)
        tally = Tally(kept=staged.untouched)
        keys, remembered = self.encoding_keys(plan, staged), staged.open_remembered(current, full=False)
        for part in range(staged.parts):
            concerned = staged.concerned(remembered.read(part), part)
            found = compare(concerned, staged.read(part), keys, plan.label)
            tally = tally.plus(found.added, found.changed, found.removed, found.kept)
            observer.progress(tally.rows)
        return tally

    def choose_kind(
        self,
        plan: DatasetPlan,
        staged: Staged,
        current: Edition | None,
        tally: Tally,
        *,
        accept_shrink: bool,
        full: bool,
    ) -> Kind:
        """A delta, unless ``full`` is wanted or there is no base, a division is new or too much changed since it.

        Raises ListShrunk if too much is gone, unless an operator accepts that.
        """
        if not accept_shrink:
            _guard_shrinking(plan, tally)
        if full or current is None:
            return "full"
        base = current.base or current
        published = {int(entry.division) for entry in base.manifest.slices}
        if not published.issuperset(staged.about.rows_by_division):
            return "full"
        since_base = tally.changes + (len(current.open_state()) if current.base is not None else 0)
        return "delta" if since_base <= plan.delta_limit * len(staged) else "full"

    def encode(
        self,
        plan: DatasetPlan,
        staged: Staged,
        current: Edition | None,
        tally: Tally,
        kind: Kind,
        folder: Path,
        observer: Observer,
    ) -> Batches:
        """The only step that needs the epoch's key. What ``folder`` has of the same work already is not done again."""
        observer.step("encode", sum(tally.to_encode))
        staged = staged.cut_for(current, full=kind == "full")
        batches = Batches(folder, work_key(staged, current, kind), staged.parts, encoded_schemas(plan))
        remembered = staged.open_remembered(current, full=kind == "full")
        keys = self.encoding_keys(plan, staged)
        done = 0
        for part in range(staged.parts):
            if not batches.is_done(part):
                ahead = _Ahead(observer, done)
                rows, before = staged.read(part), remembered.read(part)
                concerned = staged.concerned(before, part)
                encoded = encode_part(plan, rows, before, concerned, keys, kind, threads=self._threads, progress=ahead)
                batches.write(part, encoded)
            done += batches.count_sealed(part)
            observer.progress(done)
        return batches

    def make(
        self,
        plan: DatasetPlan,
        number: int,
        current: Edition | None,
        staged: Staged,
        batches: Batches,
        kind: Kind,
        observer: Observer,
    ) -> Edition:
        """Write the edition; it is complete on disk but not served yet."""
        pa.default_memory_pool().release_unused()
        earlier: dict[int, list[ColumnFile]] = {}
        base = None
        if kind == "delta" and current is not None:
            base = current.base or current
            earlier = {int(entry.division): [] for entry in base.manifest.slices}
            if current.base is not None:
                earlier |= {division: [part] for division, part in current.open_slice_files().items()}
        elif current is not None:
            earlier = current.open_divisions()
        secret = self._keys.derive_epoch_secret(plan.dataset, plan.epoch, "dummies")
        builder = SliceBuilder(
            batches.open("entries"),
            batches.open("sealed"),
            earlier,
            plan.label,
            bucket=plan.bucket,
            noise=noise_streams(secret, f"{plan.dataset} {plan.epoch} {number}"),
        )
        about = staged.about
        reference = None if base is None else base.reference
        names = about.divisions
        if kind == "delta" and current is not None:
            names = names | current.manifest.divisions  # they stay until a whole list makes a full edition
        draft = self._draft(plan, number, current, names, about.source, batches.states(), reference)
        draft = replace(draft, rows_to_write=sum(builder.rows_to_write.values()))
        fill = build_slices(builder, plan.bucket, plan.label, observer.progress)
        return self._folders.write(draft, fill, self._keys.get_identity(), observer)

    def restore(
        self, plan: DatasetPlan, number: int, current: Edition, earlier: Edition, observer: Observer
    ) -> Edition:
        """Write an edition with the slices of an earlier one, remembering every version used since."""
        withdrawn = {current.source.sha256, *current.source.withdrawn} - {earlier.source.sha256}
        source = replace(earlier.source, withdrawn=tuple(sorted(withdrawn)))
        base = None if earlier.base is None else earlier.base.reference
        state = _restored(earlier, current)
        draft = self._draft(plan, number, current, earlier.manifest.divisions, source, state, base)
        return self._folders.write(draft, copy_slices(earlier), self._keys.get_identity(), observer)

    def encoding_keys(self, plan: DatasetPlan, staged: Staged) -> EncodingKeys:
        """All that encoding this list needs. Raises EpochStateError once the epoch is over."""

        def derive(purpose: str) -> bytes:
            return self._keys.derive_epoch_secret(plan.dataset, plan.epoch, purpose)

        receipt_keys = {
            division: self._keys.receipt_key(plan.dataset, plan.epoch, f"{division:06d}")
            for division in staged.about.rows_by_division
        }
        return EncodingKeys(
            key=self._keys.open_epoch_key(plan.dataset, plan.epoch),
            reference_key=self.reference_key(plan),
            digest_key=derive("row digests"),
            receipt_keys=receipt_keys if plan.label.receipt else {},
        )

    def _draft(
        self,
        plan: DatasetPlan,
        number: int,
        current: Edition | None,
        divisions: dict[str, str],
        source: Source,
        state: Iterable[pa.Table],
        base: BaseReference | None,
    ) -> Draft:
        epoch = self._keys.get_epoch(plan.dataset, plan.epoch)
        return Draft(
            dataset=plan.dataset,
            epoch=plan.epoch,
            edition=number,
            public_key=epoch.public_key,
            created_at=format_time(self._clock.now()),
            not_before=format_time(epoch.not_before),
            not_after=format_time(epoch.not_after),
            label=plan.label,
            bucket=plan.bucket,
            divisions=dict(sorted(divisions.items())),
            previous=None if current is None else current.manifest_sha256,
            state=state,
            source=source,
            base=base,
        )


@dataclass(frozen=True)
class _Ahead:
    """Tells an observer of a part's rows, with those of the parts before."""

    observer: Observer
    before: int

    def __call__(self, done: int) -> None:
        self.observer.progress(self.before + done)


def encode_part(
    plan: DatasetPlan,
    rows: BaseRows,
    before: Remembered,
    concerned: Remembered,
    keys: EncodingKeys,
    kind: Kind,
    *,
    threads: int = 0,
    progress: Progress = None,
) -> dict[str, pa.Table]:
    """A part's rows as :class:`Batches` keeps them. ``concerned`` are those remembered rows to compare with."""
    comparison = compare(concerned, rows, keys, plan.label)
    encoded = encode_changed(
        comparison,
        rows,
        keys,
        plan.label,
        dataset=plan.dataset,
        epoch=plan.epoch,
        threads=threads,
        progress=progress,
    )
    after = before.replace(changed_rows(concerned, comparison, rows, encoded))
    state = after.whole() if kind == "full" else after.changed
    return {
        "sealed": pa.table(sealed_run(encoded), schema=sealed_schema(plan.label)),
        "entries": full_entries(state) if kind == "full" else delta_entries(after),
        "state": state,
    }


def encoded_schemas(plan: DatasetPlan) -> dict[str, pa.Schema]:
    """What :func:`encode_part` gives."""
    return {"sealed": sealed_schema(plan.label), "entries": ENTRY_SCHEMA, "state": STATE_SCHEMA}


def _guard_shrinking(plan: DatasetPlan, tally: Tally) -> None:
    """Raise ListShrunk if more than ``shrink_limit`` of the rows is gone."""
    before = tally.kept + tally.changed + tally.removed
    share = tally.removed / before if before else 0.0
    if share > plan.shrink_limit:
        raise ListShrunk(
            "the list lost too many rows",
            rows=tally.rows,
            removed=tally.removed,
            removed_share=round(share, 4),
            limit=plan.shrink_limit,
        )


def work_key(staged: Staged, current: Edition | None, kind: Kind) -> str:
    """Changes with whatever the encoded rows depend on: the list, its canaries, what is remembered, the kind."""
    about = staged.about
    parts = [about.key, about.source.canaries, None if current is None else current.manifest_sha256, kind]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _restored(earlier: Edition, latest: Edition) -> Iterator[pa.Table]:
    """What to remember when ``earlier`` is published again, in parts."""
    parts = count_parts(len((latest.base or latest).open_state()))
    was, now = earlier.open_remembered(parts), latest.open_remembered(parts)
    for part in range(parts):
        before = was.read(part)
        state = restore(before, now.read(part))
        yield state if earlier.base is None else difference(state, before.base)
