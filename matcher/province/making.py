"""Making an edition from a checked list, or from an earlier edition: a delta where little changed, else a full one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from keys.clock import Clock, format_time
from keys.keystore import KeyStore
from matcher.province.editions import Draft, Edition, EditionFolders, Source
from matcher.province.plan import DatasetPlan, ListShrunk, Observer
from matcher.province.staging import Staged
from psi.columns import pc
from psi.edition import BaseReference, Slice
from psi.encoding import BaseRows, Comparison, Encoded, EncodingKeys, changed_rows, compare, encode_changed
from psi.errors import InputError
from psi.remembered import Remembered, difference, empty_state, restore
from psi.slicing import build_delta, build_full

Kind = Literal["full", "delta"]


@dataclass(frozen=True)
class Changes:
    """What a list changes: rows just encoded, and what is then remembered."""

    encoded: Encoded
    remembered: Remembered
    divisions: dict[str, str]
    source: Source


class EditionMaker:
    """``current`` is everywhere the edition served so far, None before the first."""

    def __init__(
        self,
        keystore: KeyStore,
        folders: EditionFolders,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes],
        threads: int,
    ) -> None:
        self._keys = keystore
        self._folders = folders
        self._clock = clock
        self._random_bytes = random_bytes
        self._threads = threads

    def compare(self, plan: DatasetPlan, staged: Staged, current: Edition | None, observer: Observer) -> Comparison:
        """Raises InputError if the label's layout is not the epoch's."""
        observer.step("compare", len(staged.rows))
        if current is not None and current.manifest.label != plan.label:
            raise InputError("the label's layout is fixed for the life of an epoch", dataset=plan.dataset)
        return compare(_remembered(current), staged.rows, self._encoding_keys(plan, staged.rows), plan.label)

    def choose_kind(
        self, plan: DatasetPlan, staged: Staged, current: Edition | None, comparison: Comparison, *, full: bool
    ) -> Kind:
        """A delta, unless ``full`` is wanted or there is no base, a division is new or too much changed since it."""
        if full or current is None:
            return "full"
        base = current.base or current
        published = {int(entry.division) for entry in base.manifest.slices}
        if not published.issuperset(pc.unique(staged.rows.slices).to_pylist()):
            return "full"
        since_base = comparison.changes + (current.read_state().num_rows if current.base is not None else 0)
        return "delta" if since_base <= plan.delta_limit * len(staged.rows) else "full"

    def encode(
        self, plan: DatasetPlan, staged: Staged, current: Edition | None, comparison: Comparison, observer: Observer
    ) -> Changes:
        """The only step that needs the epoch's key."""
        observer.step("encode", comparison.added + comparison.changed)
        keys = self._encoding_keys(plan, staged.rows)
        encoded = encode_changed(
            comparison,
            staged.rows,
            keys,
            plan.label,
            dataset=plan.dataset,
            epoch=plan.epoch,
            threads=self._threads,
            progress=observer.progress,
        )
        remembered = _remembered(current)
        remembered = remembered.replace(changed_rows(remembered, comparison, staged.rows, encoded))
        return Changes(encoded, remembered, staged.divisions, staged.source)

    def make(
        self,
        plan: DatasetPlan,
        number: int,
        current: Edition | None,
        changes: Changes,
        kind: Kind,
        observer: Observer,
    ) -> Edition:
        """Write the edition; it is complete on disk but not served yet."""
        state = changes.remembered.whole() if kind == "full" else changes.remembered.changed
        pa.default_memory_pool().release_unused()
        if kind == "full":
            slices = build_full(
                state,
                changes.encoded,
                {} if current is None else current.open_divisions(),
                plan.label,
                bucket=plan.bucket,
                random_bytes=self._random_bytes,
            )
        else:
            slices = self._delta_slices(plan, current, changes)
        base = None if kind == "full" or current is None else (current.base or current).reference
        draft = self._draft(plan, number, current, changes.divisions, changes.source, state, base)
        return self._folders.write(draft, slices, self._keys.get_identity(), observer.step)

    def restore(
        self, plan: DatasetPlan, number: int, current: Edition, earlier: Edition, observer: Observer
    ) -> Edition:
        """Write an edition with the slices of an earlier one, remembering every version used since."""
        state = restore(earlier.remembered(), current.remembered())
        if earlier.base is not None:
            state = difference(state, earlier.base.read_state())
        withdrawn = {current.source.sha256, *current.source.withdrawn} - {earlier.source.sha256}
        source = replace(earlier.source, withdrawn=tuple(sorted(withdrawn)))
        base = None if earlier.base is None else earlier.base.reference
        draft = self._draft(plan, number, current, earlier.manifest.divisions, source, state, base)
        return self._folders.write_copy(draft, earlier, self._keys.get_identity(), observer.step)

    def _delta_slices(
        self, plan: DatasetPlan, current: Edition | None, changes: Changes
    ) -> Iterator[tuple[int, Slice]]:
        assert current is not None  # noqa: S101  choose_kind gives no delta without one
        base = current.base or current
        return build_delta(
            changes.remembered,
            changes.encoded,
            current.open_slices() if current.base is not None else {},
            [int(entry.division) for entry in base.manifest.slices],
            plan.label,
            bucket=plan.bucket,
            random_bytes=self._random_bytes,
        )

    def _encoding_keys(self, plan: DatasetPlan, rows: BaseRows) -> EncodingKeys:
        def derive(purpose: str) -> bytes:
            return self._keys.derive_epoch_secret(plan.dataset, plan.epoch, purpose)

        receipt_keys = {
            division: self._keys.receipt_key(plan.dataset, plan.epoch, f"{division:06d}")
            for division in pc.unique(rows.slices).to_pylist()
        }
        return EncodingKeys(
            key=self._keys.open_epoch_key(plan.dataset, plan.epoch),
            reference_key=derive("row references"),
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
        state: pa.Table,
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
            divisions=divisions,
            previous=None if current is None else current.manifest_sha256,
            state=state,
            source=source,
            base=base,
        )


def guard_shrinking(plan: DatasetPlan, comparison: Comparison) -> None:
    """Raise ListShrunk if more than ``shrink_limit`` of the rows is gone."""
    before = comparison.kept + comparison.changed + comparison.removed
    share = comparison.removed / before if before else 0.0
    if share > plan.shrink_limit:
        raise ListShrunk(
            "the list lost too many rows",
            rows=len(comparison.unchanged),
            removed=comparison.removed,
            removed_share=round(share, 4),
            limit=plan.shrink_limit,
        )


def _remembered(current: Edition | None) -> Remembered:
    return Remembered(empty_state(), empty_state()) if current is None else current.remembered()
