"""The province's work on its lists: import, encode, publish, refresh (all three, for cron) and rollback.

Whatever breaks, the edition that is served stays whole: a new one is built beside it and counts only
once the ledger's one transaction names it. Run again after a break, each step starts clean.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from keys.clock import Clock, parse_time
from keys.keystore import KeyStore
from matcher.province.canaries import Canaries
from matcher.province.editions import Edition, EditionFolders
from matcher.province.intake import ChangeIntake, refuse_old
from matcher.province.ledger import Ledger
from matcher.province.making import EditionMaker, Kind, Tally
from matcher.province.outcomes import outcome_of, same_file
from matcher.province.plan import SILENT, DatasetPlan, NothingStaged, Observer, Outcome
from matcher.province.staged import Staged
from matcher.province.staging import STAGING_SECRET, StagedList, Staging, find_list, list_key, stage_list
from matcher.province.standing import Standing
from matcher.rejects import Reject
from matcher.slices import file_sha256
from psi.errors import InputError


class EditionGone(InputError):
    """The edition to go back to is not there: it never was, it is the current one, or it was pruned."""

    code = "edition_gone"


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
        self._ledger = ledger
        self._clock = clock
        self._staging = Staging(home, lambda: keystore.get_store_secret(STAGING_SECRET))
        self._canaries = Canaries(home, keystore, ledger, clock, random_bytes)
        self.folders = EditionFolders(home, keystore.get_identity().public)
        self._standing = Standing(home, ledger, self.folders)
        self._maker = EditionMaker(keystore, self.folders, clock, threads=threads)
        self._intake = ChangeIntake(ledger, self._canaries, self._maker.reference_key)

    def import_list(
        self, plan: DatasetPlan, source: Path, observer: Observer = SILENT, *, dry_run: bool = False
    ) -> tuple[Outcome, list[Reject]]:
        """Read and check a list and keep it, sealed, for :meth:`encode`.

        Raises InputError kinds, ListShrunk if no row can be used.
        """
        with self._standing.exclusive():
            self._standing.require_label(plan)
            folder, key = self._staging.importing(plan), self._maker.reference_key(plan)
            try:
                staged = stage_list(plan, source, folder, self._staging.sealer(plan), key, observer)
                staged = self._canaries.join(plan, staged, key, dry_run=dry_run)
                if dry_run:
                    return outcome_of("checked", plan, None, staged), staged.about.rejects
                staged.save()
                self._staging.take_imported(plan)
            finally:
                self._staging.remove(folder)
            return outcome_of("imported", plan, None, staged), staged.about.rejects

    def encode(
        self,
        plan: DatasetPlan,
        *,
        accept_shrink: bool = False,
        full: bool = False,
        dry_run: bool = False,
        observer: Observer = SILENT,
    ) -> Outcome:
        """Build the next edition from the imported list, without publishing it.

        Raises NothingStaged, ListShrunk, ListWithdrawn, ListSuperseded.
        """
        with self._standing.exclusive():
            self._standing.require_label(plan)
            staged = self._staging.open_imported(plan, self._maker.reference_key(plan))
            current = self._standing.current(plan)
            refuse_old(current, staged.about.source.sha256)
            tally = self._maker.compare(plan, staged, current, observer)
            kind = self._maker.choose_kind(plan, staged, current, tally, accept_shrink=accept_shrink, full=full)
            number = self._standing.next_number(plan)
            if dry_run:
                return outcome_of("would_encode", plan, number, staged, tally, kind)
            self._clean(plan)
            self._build(plan, number, current, staged, tally, kind, observer)
            self._staging.remove(self._staging.imported(plan))
            self._staging.remove(self._staging.job(plan))
            return outcome_of("encoded", plan, number, staged, tally, kind)

    def publish(self, plan: DatasetPlan, observer: Observer = SILENT, *, dry_run: bool = False) -> Outcome:
        """Check the encoded edition from disk once more and make it the one served. Raises NothingStaged."""
        with self._standing.exclusive():
            number = self._standing.next_number(plan)
            if not self.folders.path(plan.dataset, plan.epoch, number).is_dir():
                raise NothingStaged("no encoded edition waits to be published", dataset=plan.dataset, epoch=plan.epoch)
            observer.step("check")
            edition = self.folders.read(plan.dataset, plan.epoch, number)
            edition.check_files()
            rows = edition.count_live()
            outcome = "would_publish" if dry_run else "published"
            if not dry_run:
                self._record(plan, edition, rows, {}, observer)
                self._prune(plan, observer)
            kind = edition.manifest.kind
            return Outcome(outcome, plan.dataset, plan.epoch, number, rows, kind, source_sha256=edition.source.sha256)

    def refresh(
        self,
        plan: DatasetPlan,
        source: Path,
        *,
        changes: bool = False,
        since: int | None = None,
        accept_shrink: bool = False,
        full: bool = False,
        dry_run: bool = False,
        observer: Observer = SILENT,
    ) -> tuple[Outcome, list[Reject]]:
        """What cron calls: publish a new edition if the list changed or the last one is ``renew_days`` old.

        ``changes``: ``source`` is no whole list but a change list, made to follow on edition ``since`` if that is said.
        ``full`` makes a full edition of it, and of an unchanged list whose edition is a delta.
        Raises Locked if another refresh is at work, InputError kinds for a list that cannot be read, ListShrunk for
        a suspicious one, ListWithdrawn, ListSuperseded, of a change list also WholeListNeeded, ChangesMisfit. The
        served edition is untouched unless this returns "published".
        """
        with self._standing.exclusive():
            observer.step("look")
            if not dry_run:
                self._clean(plan)
            current = self._standing.current(plan)
            wanted = current is None or self._is_due(plan, current) or (full and current.base is not None)
            digest = file_sha256(source)
            if current is not None and not wanted and current.source.sha256 == digest:
                if not dry_run:
                    self._staging.remove(self._staging.job(plan))
                return same_file(plan, current), []
            refuse_old(current, digest)
            self._standing.require_label(plan)
            folder = self._staging.importing(plan) if dry_run else self._staging.job(plan) / "list"
            try:
                staged: Staged
                if changes:
                    staged = self._intake.take(plan, source, digest, current, observer, since=since, dry_run=dry_run)
                else:
                    staged = self._read_or_resume(plan, source, digest, folder, observer, dry_run=dry_run)
                return self._refresh_from(
                    plan, staged, current, observer, wanted=wanted, full=full, accept=accept_shrink, dry_run=dry_run
                )
            finally:
                if dry_run:
                    self._staging.remove(folder)

    def _read_or_resume(
        self, plan: DatasetPlan, source: Path, digest: str, folder: Path, observer: Observer, *, dry_run: bool
    ) -> StagedList:
        """The list with its canaries; one that a broken refresh had read already is not read again."""
        sealer, key = self._staging.sealer(plan), self._maker.reference_key(plan)
        staged = find_list(folder, sealer, key, list_key(plan, digest))
        if staged is None:
            staged = stage_list(plan, source, folder, sealer, key, observer)
            staged.save()
        return self._canaries.join(plan, staged, key, dry_run=dry_run)

    def _refresh_from(
        self,
        plan: DatasetPlan,
        staged: Staged,
        current: Edition | None,
        observer: Observer,
        *,
        wanted: bool,
        full: bool,
        accept: bool,
        dry_run: bool,
    ) -> tuple[Outcome, list[Reject]]:
        rejects = staged.about.rejects
        tally = self._maker.compare(plan, staged, current, observer)
        if current is not None and not wanted and not tally.changes:
            if not dry_run:
                self._staging.remove(self._staging.job(plan))
            return outcome_of("unchanged", plan, current.manifest.edition, staged, tally), rejects
        kind = self._maker.choose_kind(plan, staged, current, tally, accept_shrink=accept, full=full)
        number = self._standing.next_number(plan)
        if dry_run:
            return outcome_of("would_publish", plan, number, staged, tally, kind), rejects
        outcome = outcome_of("published", plan, number, staged, tally, kind)
        edition = self._build(plan, number, current, staged, tally, kind, observer)
        counts = {name: getattr(outcome, name) for name in ("added", "changed", "removed", "unchanged", "rejected")}
        self._record(plan, edition, outcome.rows, counts, observer)
        self._staging.remove(self._staging.job(plan))
        self._prune(plan, observer)
        return outcome, rejects

    def _build(
        self,
        plan: DatasetPlan,
        number: int,
        current: Edition | None,
        staged: Staged,
        tally: Tally,
        kind: Kind,
        observer: Observer,
    ) -> Edition:
        folder = self._staging.job(plan) / "batches"
        batches = self._maker.encode(plan, staged, current, tally, kind, folder, observer)
        return self._maker.make(plan, number, current, staged, batches, kind, observer)

    def rollback(
        self,
        plan: DatasetPlan,
        to: int,
        *,
        reason: str,
        actor: str,
        dry_run: bool = False,
        observer: Observer = SILENT,
    ) -> Outcome:
        """Publish what edition ``to`` said again, under a new number; the list rolled back from is held back.

        Raises EditionGone, InputError without a reason.
        """
        if not reason.strip():
            raise InputError("a rollback needs a reason")
        with self._standing.exclusive():
            observer.step("look")
            if not dry_run:
                self._clean(plan)
            current = self._standing.current(plan)
            earlier = self._standing.find_earlier(plan, to, current)
            if current is None or earlier is None:
                raise EditionGone("no such edition to go back to", dataset=plan.dataset, edition=to)
            earlier.check_files()
            number, rows, kind = self._standing.next_number(plan), earlier.count_live(), earlier.manifest.kind
            outcome = Outcome(
                "would_roll_back" if dry_run else "rolled_back",
                plan.dataset,
                plan.epoch,
                number,
                rows,
                kind,
                source_sha256=earlier.source.sha256,
            )
            if not dry_run:
                edition = self._maker.restore(plan, number, current, earlier, observer)
                self._record(plan, edition, rows, {}, observer, restored=to, reason=reason, actor=actor)
                self._prune(plan, observer)
            return outcome

    # Steps

    def _is_due(self, plan: DatasetPlan, current: Edition) -> bool:
        age = self._clock.now() - parse_time(current.manifest.created_at)
        planted = self._canaries.digest(plan.dataset) != current.source.canaries
        is_old = not current.source.divisions  # an older version made it, and no change list can follow on it
        return planted or is_old or age >= timedelta(days=plan.renew_days)

    def _clean(self, plan: DatasetPlan) -> None:
        kept = {record.edition for record in self._standing.recorded(plan) if record.pruned_at is None}
        self.folders.clean(plan.dataset, plan.epoch, kept)

    def _record(
        self,
        plan: DatasetPlan,
        edition: Edition,
        rows: int,
        counts: dict[str, int],
        observer: Observer,
        *,
        restored: int | None = None,
        reason: str = "",
        actor: str = "province",
    ) -> None:
        observer.step("record")
        manifest = edition.manifest
        self._ledger.record_edition(
            dataset=plan.dataset,
            epoch=plan.epoch,
            edition=manifest.edition,
            manifest_sha256=file_sha256(edition.manifest_path),
            folder=str(edition.folder.relative_to(self._home)),
            rows=rows,
            counts=counts,
            base=None if manifest.base is None else manifest.base.edition,
            restored=restored,
            reason=reason,
            actor=actor,
        )

    def _prune(self, plan: DatasetPlan, observer: Observer) -> None:
        """Remove editions beyond the newest ``keep_editions``, but never the current one nor a base of one kept."""
        observer.step("prune")
        there = [record for record in self._standing.recorded(plan) if record.pruned_at is None]
        kept = {record.edition: record for record in there[-max(plan.keep_editions, 1) :]}
        kept_bases = {record.base for record in kept.values()}
        old = [record.edition for record in there if record.edition not in kept and record.edition not in kept_bases]
        if old:
            self._ledger.mark_pruned(plan.dataset, plan.epoch, old)
            observer.step("remove")
            self._clean(plan)
        observer.step("done")
