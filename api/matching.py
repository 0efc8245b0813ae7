"""One match, from the province's manifest to stored screening records.

Every step can be killed and begun again: what must not be lost is on disk before the next
step, and what is asked twice is charged once. docs/reference/bank-store.md tells the states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from api.client import Evaluated, ProvinceClient
from api.wire import AnswerInvalid, EvaluateRequest
from keys.files import fsync_file, fsync_folder
from keys.identity import PublicIdentity
from matcher.bank.batches import PendingBatch
from matcher.bank.editions import KnownEdition
from matcher.bank.plan import batch_sizes, new_items
from matcher.bank.runs import SEED_BYTES, Run, Warrant
from matcher.bank.screening import screen
from matcher.bank.store import BankStore
from matcher.slices import check_slice_file, open_slice
from matcher.tables import CustomerList
from psi.columns import fixed
from psi.edition import Manifest, SliceEntry, SliceInvalid
from psi.errors import BadElement, InputError, MingceError, VerificationError
from psi.identifiers import ITEM_BYTES
from psi.oprf import MODE_VOPRF, BlindedBatch

IN_FLIGHT = 2
RUN_ID_BYTES = 16


class StorageFailed(MingceError):
    """A slice cannot be written or read: the disk is full or failing. The last good edition stays."""

    code = "storage_failed"


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total``, in the step's own unit: slices, elements or customers."""

    step: str  # manifest, slices, plan, evaluate, look_up, completed
    done: int
    total: int


Observer = Callable[[Progress], object]


@dataclass(frozen=True)
class MatchJob:
    """What to match against what, and why. ``epoch`` None means the province's current one."""

    dataset: str
    divisions: tuple[str, ...]
    warrant: Warrant
    list_name: str
    epoch: str | None = None

    def __post_init__(self) -> None:
        if not self.divisions:
            raise InputError("no division is named to look in")


def run_match(
    job: MatchJob,
    customers: CustomerList,
    *,
    store: BankStore,
    client: ProvinceClient,
    province: PublicIdentity,
    observe: Observer = lambda progress: None,
) -> Run:
    """Match a customer list and store its screening records; returns the completed run.

    ``observe`` is called in this thread. After any error or kill the call can simply be made again.
    Raises Locked (another match is at work), InputError kinds, the errors of api.client, and
    VerificationError kinds: those also leave an alarm in the store.
    """
    with store.lock():
        store.runs.abort_unfinished(job.warrant.operator)
        match = _Match(job, customers, store, client, observe)
        with match.alarming(None):
            edition = match.refresh_edition(province)
        run = match.begin_run(edition)
        with match.alarming(run):
            match.plan(run)
            asked, charged = match.evaluate_pending(edition.manifest)
            matched = match.look_up(run, edition.manifest)
            store.runs.complete(run.run_id, run.operator, asked=asked, charged=charged, matched=matched)
        observe(Progress("completed", len(customers), len(customers)))
        return store.runs.get(run.run_id)


def preview_match(
    job: MatchJob, customers: CustomerList, *, store: BankStore, client: ProvinceClient, province: PublicIdentity
) -> dict[str, object]:
    """What :func:`run_match` would do, without doing it: epoch, edition, customers, how many of them are new,
    the elements that would be charged (padding and pending batches included), and what the budget has left.

    Raises like run_match, but leaves no alarm.
    """
    epoch = job.epoch or client.get_current_epoch(job.dataset)
    edition = store.editions.verify(client.get_manifest(job.dataset, epoch), province, job.dataset, epoch)
    new = len(_new_items(customers, store, job.dataset, epoch))
    pending = store.batches.list_pending(job.dataset, epoch)
    return {
        "epoch": epoch,
        "edition": edition.manifest.edition,
        "customers": len(customers),
        "new": new,
        "elements": sum(size.padded for size in batch_sizes(new)) + sum(batch.padded for batch in pending),
        "remaining": client.get_budget(job.dataset, epoch)["remaining"],
    }


class _Match:
    """The steps of :func:`run_match`, in order."""

    def __init__(
        self, job: MatchJob, customers: CustomerList, store: BankStore, client: ProvinceClient, observe: Observer
    ) -> None:
        self._job = job
        self._customers = customers
        self._store = store
        self._client = client
        self._observe = observe

    @contextmanager
    def alarming(self, run: Run | None) -> Iterator[None]:
        """Record what goes wrong: an aborted run, and an alarm if something was not authentic."""
        try:
            yield
        except MingceError as error:
            if run is not None:
                self._store.runs.change_state(run.run_id, "ABORTED", run.operator, error.code)
            if isinstance(error, VerificationError):
                self._store.alarms.sound(error, run.run_id if run else "")
            raise

    def refresh_edition(self, province: PublicIdentity) -> KnownEdition:
        """Fetch the current manifest and the slices it names; adopt the edition once all are sound."""
        self._observe(Progress("manifest", 0, 1))
        dataset = self._job.dataset
        epoch = self._job.epoch or self._client.get_current_epoch(dataset)
        envelope = self._client.get_manifest(dataset, epoch)
        edition = self._store.editions.accept(envelope, province, dataset, epoch)
        self._observe(Progress("manifest", 1, 1))
        entries = self._entries(edition.manifest)
        for number, entry in enumerate(entries):
            self._observe(Progress("slices", number, len(entries)))
            self._fetch_slice(edition.manifest, entry)
        self._observe(Progress("slices", len(entries), len(entries)))
        self._store.editions.adopt(edition, entries)
        self._store.remove_unused_slices()
        return edition

    def begin_run(self, edition: KnownEdition) -> Run:
        """Record the run. Two persons will have to authorise it; until then the operator does."""
        job, runs = self._job, self._store.runs
        run = runs.propose(
            self._store.random_bytes(RUN_ID_BYTES).hex(),
            self._store.random_bytes(SEED_BYTES),
            edition,
            job.divisions,
            job.warrant,
            list_name=job.list_name,
            customers=len(self._customers),
        )
        runs.change_state(run.run_id, "AUTHORISED", job.warrant.operator)
        runs.change_state(run.run_id, "RUNNING", job.warrant.operator)
        return run

    def plan(self, run: Run) -> None:
        """Store batches for the customers that no batch of this epoch holds yet."""
        self._observe(Progress("plan", 0, len(self._customers)))
        new = _new_items(self._customers, self._store, run.dataset, run.epoch)
        self._store.batches.add(run, new, batch_sizes(len(new)))

    def evaluate_pending(self, manifest: Manifest) -> tuple[int, int]:
        """Bring home every pending batch of the epoch; returns (items, elements with padding).

        The first error ends it, but answers that were under way are still stored.
        """
        pending = self._store.batches.list_pending(manifest.dataset, manifest.epoch)
        total, charged, asked = sum(batch.padded for batch in pending), 0, 0
        self._observe(Progress("evaluate", 0, total))
        queue = iter(pending)
        under_way: dict[Future[tuple[bytes, Evaluated]], PendingBatch] = {}
        failure: MingceError | None = None
        with ThreadPoolExecutor(IN_FLIGHT) as pool:
            try:
                while True:
                    while failure is None and len(under_way) < IN_FLIGHT and (batch := next(queue, None)):
                        under_way[self._submit(pool, batch, manifest)] = batch
                    if not under_way:
                        break
                    finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in finished:
                        batch = under_way.pop(future)
                        try:
                            outputs, evaluated = future.result()
                        except MingceError as error:
                            failure = failure or error
                            continue
                        self._store.batches.complete(batch, outputs, evaluated.digests)
                        asked, charged = asked + batch.n, charged + batch.padded
                        self._observe(Progress("evaluate", charged, total))
            except BaseException:
                self._client.stop()
                raise
        if failure is not None:
            raise failure
        return asked, charged

    def look_up(self, run: Run, manifest: Manifest) -> int:
        """Find every customer in the slices, open the labels, store the records; returns how many matched."""
        total, done, matched = len(self._customers), 0, 0
        self._observe(Progress("look_up", 0, total))
        answers = self._store.batches.load_answers(manifest.dataset, manifest.epoch)
        slices = [
            open_slice(self._store.slice_path(entry), entry, manifest.label.width) for entry in self._entries(manifest)
        ]
        for block, records in enumerate(screen(self._customers, answers, slices, manifest)):
            matched += self._store.screenings.add_block(run.run_id, block, records)
            done += records.num_rows
            self._observe(Progress("look_up", done, total))
        return matched

    def _entries(self, manifest: Manifest) -> list[SliceEntry]:
        return [manifest.get_slice(division) for division in self._job.divisions]

    def _fetch_slice(self, manifest: Manifest, entry: SliceEntry) -> None:
        """Have the slice's file, whole and checked. What a break left of it is gone on with. Raises StorageFailed."""
        try:
            self._fetch_slice_file(manifest, entry)
        except OSError as error:
            raise StorageFailed(f"a slice cannot be stored: {error.strerror}", division=entry.division) from error

    def _fetch_slice_file(self, manifest: Manifest, entry: SliceEntry) -> None:
        target = self._store.slice_path(entry)
        if target.exists():
            try:
                check_slice_file(target, entry)
                return
            except SliceInvalid:
                target.unlink()  # damaged on our own disk: fetched anew
        part = target.with_name(f"{target.name}.part")
        path = (
            f"/v1/datasets/{manifest.dataset}/epochs/{manifest.epoch}/editions/{manifest.edition}"
            f"/slices/{entry.division}"
        )
        resumed = part.exists()
        try:
            self._client.fetch_rest(path, entry.sha256, part, entry.bytes)
            check_slice_file(part, entry)
        except (AnswerInvalid, SliceInvalid):
            part.unlink(missing_ok=True)
            if not resumed:
                raise
            self._fetch_slice_file(manifest, entry)  # the beginning may be what a crash spoiled: once more from zero
            return
        fsync_file(part)
        part.rename(target)
        fsync_folder(target.parent)

    def _submit(
        self, pool: ThreadPoolExecutor, batch: PendingBatch, manifest: Manifest
    ) -> Future[tuple[bytes, Evaluated]]:
        """Read here what the batch needs (the store belongs to this thread), and ask in another."""
        items = self._store.batches.get_items(batch)
        seed = self._store.runs.get_seed(batch.run_id)
        return pool.submit(_ask, self._client, manifest, batch, items, seed)


def _new_items(customers: CustomerList, store: BankStore, dataset: str, epoch: str) -> pa.FixedSizeBinaryArray:
    """The distinct items of a list that stand in no batch of the epoch yet."""
    distinct = fixed(customers.items, ITEM_BYTES).unique()
    return new_items(distinct, store.batches.load_items(dataset, epoch))


def _ask(
    client: ProvinceClient, manifest: Manifest, batch: PendingBatch, items: bytes, seed: bytes
) -> tuple[bytes, Evaluated]:
    """Blind, send, verify, unblind: n*64 bytes of PRF outputs, and the exchange's digests.

    The blinds come from (seed, request id), so that the same batch is the same bytes every time.
    """
    request_id = bytes.fromhex(batch.request_id)
    blinded = BlindedBatch(MODE_VOPRF, items, ITEM_BYTES, seed=seed, context=request_id, pad_to=batch.padded)
    request = EvaluateRequest(bytes.fromhex(manifest.fingerprint), request_id, blinded.blinded_elements)
    evaluated = client.evaluate(manifest.dataset, manifest.epoch, request)
    answer = evaluated.answer
    try:
        outputs = blinded.finalize(answer.evaluated_elements, answer.proof, bytes.fromhex(manifest.public_key))
    except BadElement as error:
        raise AnswerInvalid("the answer holds a bad element", **error.params) from None
    return outputs, evaluated
