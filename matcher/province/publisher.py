"""The province's work on its lists: import, encode, publish, and refresh, which is all three for cron.

Whatever breaks, the edition that is served stays whole: a new one is built beside it and counts only
once the ledger's one transaction names it. Run again after a break, each step starts clean.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from keys.clock import Clock, format_time
from keys.files import exclusive_lock, make_folder
from keys.keystore import KeyStore
from keys.sealedfile import read_sealed, write_sealed
from matcher.columns import BASE_LIST_COLUMNS
from matcher.province.editions import Draft, Edition, EditionFolders, Source
from matcher.province.ledger import Ledger
from matcher.reasons import for_bank_column
from matcher.rejects import Reject
from matcher.slices import file_sha256
from matcher.tables import BaseList, read_base_list
from matcher.tables.duplicates import Keep
from psi.columns import data_of, fixed, pc
from psi.edition import LabelSchema, pack_labels
from psi.encoding import (
    ITEM_BYTES,
    BaseRows,
    Comparison,
    EncodingKeys,
    all_tags,
    build_slices,
    compare,
    empty_state,
    encode_changed,
    next_state,
)
from psi.errors import InputError, MingceError

STAGING_SECRET = "staging"  # noqa: S105  the name of a secret, not one
STAGING_BATCH_ROWS = 65_536


class ListShrunk(MingceError):
    """The new list lost more rows than the operator allows without a word; nothing was published."""

    code = "list_shrunk"


class NothingStaged(InputError):
    """There is no imported list, or no encoded edition, to go on with."""

    code = "nothing_staged"


@dataclass(frozen=True)
class DatasetPlan:
    """How one dataset is published; the command line fills it from mingce.toml."""

    dataset: str
    epoch: str
    label: LabelSchema = field(default_factory=lambda: LabelSchema())
    bucket: int = 1_024
    duplicates: Keep = "last"
    shrink_limit: float = 0.2
    columns: dict[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a step did: imported, checked, encoded, would_encode, published, would_publish or unchanged."""

    outcome: str
    dataset: str
    epoch: str
    edition: int | None
    rows: int
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    source_sha256: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Staged:
    """A list that was read and checked, ready to be compared and encoded."""

    rows: BaseRows
    divisions: dict[str, str]
    source: Source


class Observer:
    """Hears each step's name before it begins, and how many of how many rows are done."""

    def step(self, name: str, total: int | None = None) -> None:
        pass

    def progress(self, done: int) -> None:
        pass


SILENT = Observer()


def base_rows(base: BaseList, label: LabelSchema) -> BaseRows:
    """A list as it is encoded: items, packed labels as a bank may see them, and the slice of each row."""
    fields = {
        "household_no": base.household_no,
        "household_size": base.household_size,
        "division": base.division,
        "expanding": base.expanding,
        "reasons": for_bank_column(base.reasons),
    }
    labels = pack_labels([fields[name] for name in label.fields], label.width)
    slices = pc.utf8_slice_codeunits(base.division, 0, 6).cast(pa.uint32())
    return BaseRows(base.items.to_pybytes(), labels, slices)


class Publisher:
    """The work on one province's home. Each method holds the home's lock: one at a time, or Locked."""

    def __init__(
        self,
        home: Path,
        keystore: KeyStore,
        ledger: Ledger,
        clock: Clock,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        threads: int = 0,
    ) -> None:
        self._home = home
        self._keys = keystore
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes
        self._threads = threads
        self._identity = keystore.get_identity()
        self.folders = EditionFolders(home, self._identity.public)

    def import_list(
        self, plan: DatasetPlan, source: Path, observer: Observer = SILENT, *, dry_run: bool = False
    ) -> tuple[Outcome, list[Reject]]:
        """Read and check a list and keep it, sealed, for :meth:`encode`.

        Raises InputError kinds, ListShrunk if no row can be used.
        """
        with self._exclusive():
            rejects, staged = self._read(plan, source, observer)
            if dry_run:
                return self._outcome("checked", plan, None, staged), rejects
            observer.step("stage")
            self._write_staging(plan, staged)
            return self._outcome("imported", plan, None, staged), rejects

    def encode(
        self,
        plan: DatasetPlan,
        *,
        accept_shrink: bool = False,
        dry_run: bool = False,
        observer: Observer = SILENT,
    ) -> Outcome:
        """Build the next edition from the imported list, without publishing it. Raises NothingStaged, ListShrunk."""
        with self._exclusive():
            staged = self._read_staging(plan)
            current = self._current(plan)
            comparison = self._compare(plan, staged, current, observer)
            self._guard(plan, comparison, accept_shrink)
            if dry_run:
                return self._outcome("would_encode", plan, self._next_number(plan), staged, comparison)
            self._clean(plan)
            edition = self._build(plan, staged, current, comparison, observer)
            self._staging_path(plan).unlink()
            return self._outcome("encoded", plan, edition.manifest.edition, staged, comparison)

    def publish(self, plan: DatasetPlan, observer: Observer = SILENT, *, dry_run: bool = False) -> Outcome:
        """Check the encoded edition from disk once more and make it the one served."""
        with self._exclusive():
            number = self._next_number(plan)
            if not self.folders.path(plan.dataset, plan.epoch, number).is_dir():
                raise NothingStaged("no encoded edition waits to be published", dataset=plan.dataset, epoch=plan.epoch)
            observer.step("check")
            edition = self.folders.read(plan.dataset, plan.epoch, number)
            edition.check_files()
            state = edition.read_state()
            rows = int(pc.sum(state["live"].cast(pa.int64())).as_py() or 0)
            outcome = "would_publish" if dry_run else "published"
            if not dry_run:
                self._record(plan, edition, rows, {}, observer)
            return Outcome(outcome, plan.dataset, plan.epoch, number, rows, source_sha256=edition.source.sha256)

    def refresh(
        self,
        plan: DatasetPlan,
        source: Path,
        *,
        accept_shrink: bool = False,
        dry_run: bool = False,
        observer: Observer = SILENT,
    ) -> tuple[Outcome, list[Reject]]:
        """What cron calls: publish a new edition if the list changed, and only then.

        Raises Locked if another refresh is at work, InputError kinds for a list that cannot be read,
        ListShrunk for a suspicious one. The served edition is untouched unless this returns "published".
        """
        with self._exclusive():
            observer.step("look")
            if not dry_run:
                self._clean(plan)
            current = self._current(plan)
            if current is not None and current.source.sha256 == file_sha256(source):
                return self._same_file(plan, current), []
            rejects, staged = self._read(plan, source, observer)
            comparison = self._compare(plan, staged, current, observer)
            if current is not None and comparison.is_same:
                return self._outcome("unchanged", plan, current.manifest.edition, staged, comparison), rejects
            self._guard(plan, comparison, accept_shrink)
            if dry_run:
                return self._outcome("would_publish", plan, self._next_number(plan), staged, comparison), rejects
            edition = self._build(plan, staged, current, comparison, observer)
            outcome = self._outcome("published", plan, edition.manifest.edition, staged, comparison)
            counts = {name: getattr(outcome, name) for name in ("added", "changed", "removed", "unchanged", "rejected")}
            self._record(plan, edition, len(staged.rows), counts, observer)
            return outcome, rejects

    # Steps

    def _exclusive(self) -> AbstractContextManager[None]:
        make_folder(self._home / "editions")
        return exclusive_lock(self._home / "editions" / "lock")

    def _read(self, plan: DatasetPlan, source: Path, observer: Observer) -> tuple[list[Reject], Staged]:
        observer.step("read")
        digest = file_sha256(source)
        base = read_base_list(source, BASE_LIST_COLUMNS.override(plan.columns), duplicates=plan.duplicates)
        if not len(base):
            raise ListShrunk("the list is empty", rows=0, removed_share=1.0, limit=plan.shrink_limit)
        staged = Staged(base_rows(base, plan.label), base.division_names, Source(digest, len(base), len(base.rejects)))
        rejects = base.rejects
        del base  # the label's bytes say all of it; a large list need not be in memory twice
        pa.default_memory_pool().release_unused()
        return rejects, staged

    def _current(self, plan: DatasetPlan) -> Edition | None:
        record = self._ledger.current_edition(plan.dataset, plan.epoch)
        return None if record is None else self.folders.read(plan.dataset, plan.epoch, record.edition)

    def _next_number(self, plan: DatasetPlan) -> int:
        recorded = self._ledger.list_editions(plan.dataset, plan.epoch)
        return 1 + max((record.edition for record in recorded), default=0)

    def _clean(self, plan: DatasetPlan) -> None:
        recorded = {record.edition for record in self._ledger.list_editions(plan.dataset, plan.epoch)}
        self.folders.clean(plan.dataset, plan.epoch, recorded)

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

    def _compare(self, plan: DatasetPlan, staged: Staged, current: Edition | None, observer: Observer) -> Comparison:
        observer.step("compare", len(staged.rows))
        if current is not None and current.manifest.label != plan.label:
            raise InputError("the label's layout is fixed for the life of an epoch", dataset=plan.dataset)
        state = empty_state() if current is None else current.read_state()
        return compare(state, staged.rows, self._encoding_keys(plan, staged.rows), plan.label)

    def _guard(self, plan: DatasetPlan, comparison: Comparison, accept_shrink: bool) -> None:
        before = comparison.kept + comparison.changed + comparison.removed
        share = comparison.removed / before if before else 0.0
        if share > plan.shrink_limit and not accept_shrink:
            raise ListShrunk(
                "the list lost too many rows",
                rows=len(comparison.unchanged),
                removed=comparison.removed,
                removed_share=round(share, 4),
                limit=plan.shrink_limit,
            )

    def _build(
        self, plan: DatasetPlan, staged: Staged, current: Edition | None, comparison: Comparison, observer: Observer
    ) -> Edition:
        state = empty_state() if current is None else current.read_state()
        observer.step("encode", comparison.added + comparison.changed)
        keys = self._encoding_keys(plan, staged.rows)
        new_tags, new_sealed = encode_changed(
            comparison,
            staged.rows,
            keys,
            plan.label,
            dataset=plan.dataset,
            epoch=plan.epoch,
            threads=self._threads,
            progress=observer.progress,
        )
        tags = all_tags(state, comparison, new_tags)
        slices = build_slices(
            state,
            comparison,
            staged.rows,
            tags,
            new_sealed,
            {} if current is None else current.open_slices(),
            plan.label,
            bucket=plan.bucket,
            random_bytes=self._random_bytes,
        )
        draft = self._draft(plan, staged, current, next_state(state, comparison, staged.rows, tags))
        return self.folders.write(draft, slices, self._identity, observer.step)

    def _draft(self, plan: DatasetPlan, staged: Staged, current: Edition | None, state: pa.Table) -> Draft:
        epoch = self._keys.get_epoch(plan.dataset, plan.epoch)
        return Draft(
            dataset=plan.dataset,
            epoch=plan.epoch,
            edition=self._next_number(plan),
            public_key=epoch.public_key,
            created_at=format_time(self._clock.now()),
            not_before=format_time(epoch.not_before),
            not_after=format_time(epoch.not_after),
            label=plan.label,
            bucket=plan.bucket,
            divisions=staged.divisions,
            previous=None if current is None else current.manifest_sha256,
            state=state,
            source=staged.source,
        )

    def _record(
        self, plan: DatasetPlan, edition: Edition, rows: int, counts: dict[str, int], observer: Observer
    ) -> None:
        observer.step("record")
        self._ledger.record_edition(
            dataset=plan.dataset,
            epoch=plan.epoch,
            edition=edition.manifest.edition,
            manifest_sha256=file_sha256(edition.manifest_path),
            folder=str(edition.folder.relative_to(self._home)),
            rows=rows,
            counts=counts,
        )
        observer.step("done")

    def _same_file(self, plan: DatasetPlan, current: Edition) -> Outcome:
        source = current.source
        number = current.manifest.edition
        return Outcome(
            "unchanged",
            plan.dataset,
            plan.epoch,
            number,
            source.rows,
            unchanged=source.rows,
            rejected=source.rejected,
            source_sha256=source.sha256,
        )

    def _outcome(
        self, outcome: str, plan: DatasetPlan, edition: int | None, staged: Staged, comparison: Comparison | None = None
    ) -> Outcome:
        changes = (
            {}
            if comparison is None
            else {
                "added": comparison.added,
                "changed": comparison.changed,
                "removed": comparison.removed,
                "unchanged": comparison.kept,
            }
        )
        return Outcome(
            outcome,
            plan.dataset,
            plan.epoch,
            edition,
            len(staged.rows),
            rejected=staged.source.rejected,
            source_sha256=staged.source.sha256,
            **changes,
        )

    # The imported list, sealed on disk between import and encode

    def _staging_path(self, plan: DatasetPlan) -> Path:
        return make_folder(self._home / "staging") / f"{plan.dataset}.sealed"

    def _staging_context(self, plan: DatasetPlan) -> bytes:
        return f"mingce/1 staging {plan.dataset}".encode()

    def _write_staging(self, plan: DatasetPlan, staged: Staged) -> None:
        width = plan.label.width
        about = {"divisions": staged.divisions, "source": asdict(staged.source), "label_width": width}
        table = pa.table(
            [fixed(staged.rows.items, ITEM_BYTES), fixed(staged.rows.labels, width), staged.rows.slices],
            names=["item", "label", "slice"],
        ).replace_schema_metadata({"about": json.dumps(about, ensure_ascii=False)})

        def chunks() -> Iterator[bytes]:
            buffer = io.BytesIO()
            with pa.ipc.new_stream(buffer, table.schema) as writer:
                for batch in table.to_batches(max_chunksize=STAGING_BATCH_ROWS):
                    writer.write_batch(batch)
                    yield buffer.getvalue()
                    buffer.seek(0)
                    buffer.truncate()
            yield buffer.getvalue()

        key = self._keys.get_store_secret(STAGING_SECRET)
        write_sealed(self._staging_path(plan), key, chunks(), self._staging_context(plan))

    def _read_staging(self, plan: DatasetPlan) -> Staged:
        path = self._staging_path(plan)
        if not path.exists():
            raise NothingStaged("no imported list waits to be encoded", dataset=plan.dataset, epoch=plan.epoch)
        key = self._keys.get_store_secret(STAGING_SECRET)
        content = b"".join(read_sealed(path, key, self._staging_context(plan)))
        table = pa.ipc.open_stream(content).read_all().combine_chunks()
        about = json.loads(table.schema.metadata[b"about"])
        if about["label_width"] != plan.label.width:
            raise InputError("the list was imported with another label width", dataset=plan.dataset)
        rows = BaseRows(
            data_of(table["item"]).to_pybytes(), data_of(table["label"]).to_pybytes(), table["slice"].combine_chunks()
        )
        return Staged(rows, about["divisions"], Source(**about["source"]))
