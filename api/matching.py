"""One match, from the province's manifest to stored screening records.

Every step can be killed and begun again: what must not be lost is on disk before the next
step, and what is asked twice is charged once. docs/reference/bank-store.md tells the states.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc

from api.client import Evaluated, ProvinceClient
from api.fetching import fetch_edition
from api.progress import Observer, Progress
from api.recording import hand_in_records, make_request, sign_records
from api.retry import ProvinceUnavailable
from api.wire import AnswerInvalid
from keys.identity import PublicIdentity
from matcher.bank.batches import Batches, PendingBatch
from matcher.bank.editions import KnownEdition
from matcher.bank.hitrate import HitRate, history_of
from matcher.bank.plan import batch_sizes, new_items
from matcher.bank.runs import SEED_BYTES, Run
from matcher.bank.screening import screen
from matcher.bank.store import BankStore
from matcher.bank.warrants import Warrant
from matcher.tables import CustomerList
from psi.columns import fixed
from psi.edition import Manifest
from psi.errors import BadElement, InputError, MingceError, VerificationError
from psi.identifiers import ITEM_BYTES

IN_FLIGHT = 2
RUN_ID_BYTES = 16


@dataclass(frozen=True)
class MatchJob:
    """What to match against what, under which warrant. ``epoch`` None means the province's current one.

    ``operator`` is who starts it; ``list_sha256`` is of the customer file, where there is one. An edition older
    than ``max_age`` is refused; screening records are kept of the newest ``keep_runs`` runs, or of all.
    """

    dataset: str
    divisions: tuple[str, ...]
    warrant: Warrant
    list_name: str
    epoch: str | None = None
    operator: str = field(kw_only=True)
    list_sha256: str | None = field(default=None, kw_only=True)
    max_age: timedelta | None = field(default=None, kw_only=True)
    keep_runs: int | None = field(default=None, kw_only=True)

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

    However it ends, what was sent stands in an exchange record. ``observe`` is called in this thread.
    After any error or kill the call can simply be made again.
    Raises Locked (another match is at work), WarrantNotInForce, WarrantExceeded, InputError kinds, the
    errors of api.client, and VerificationError kinds: those also leave an alarm in the store. RecordDisputed
    comes after the run was completed: its records are good, but the province charged something else.
    """
    with store.lock():
        job.warrant.require_covers(job.dataset, job.divisions, store.now())
        store.runs.abort_unfinished(job.operator)
        sign_records(store, client)  # for what a killed run left
        match = _Match(job, customers, store, client, province, observe)
        with match.alarming(None):
            edition = match.refresh_edition()
        new = match.new_customers(edition.manifest)
        run = match.begin_run(edition)
        with match.alarming(run):
            match.plan(run, new)
            asked, charged = match.evaluate_pending(run, edition.manifest)
            hit_rate = HitRate(history_of(store.runs.list_all(), run.dataset, run.divisions), new)
            matched = match.look_up(run, edition, hit_rate)
            for alarm in hit_rate.find_low():
                store.alarms.sound(alarm, run.run_id)
            store.runs.complete(run.run_id, run.operator, asked=asked, charged=charged, matched=matched)
        if job.keep_runs is not None:
            store.archive_old_runs(job.keep_runs, job.operator)
        match.account()
        observe(Progress("completed", len(customers), len(customers)))
        return store.runs.get(run.run_id)


def preview_match(
    dataset: str,
    customers: CustomerList,
    *,
    warrant: Warrant | None,
    epoch: str | None = None,
    max_age: timedelta | None = None,
    store: BankStore,
    client: ProvinceClient,
    province: PublicIdentity,
) -> dict[str, object]:
    """What :func:`run_match` would do, without doing it: epoch, edition, customers, how many of them are new,
    the elements that would be charged (padding and pending batches included), what the budget has left, and
    how many customers the warrant would then have been used for (None without a warrant).

    Raises like run_match, but leaves no alarm.
    """
    epoch = epoch or client.get_current_epoch(dataset)
    edition = store.editions.verify(client.get_manifest(dataset, epoch), province, dataset, epoch, max_age)
    new = len(_new_items(customers, store, dataset, epoch))
    pending = store.batches.list_pending(dataset, epoch)
    return {
        "epoch": epoch,
        "edition": edition.manifest.edition,
        "customers": len(customers),
        "new": new,
        "elements": sum(size.padded for size in batch_sizes(new)) + sum(batch.padded for batch in pending),
        "remaining": client.get_budget(dataset, epoch)["remaining"],
        "under_warrant": None if warrant is None else _customers_under(warrant, store.batches, dataset, epoch, new),
    }


class _Match:
    """The steps of :func:`run_match`, in order."""

    def __init__(
        self,
        job: MatchJob,
        customers: CustomerList,
        store: BankStore,
        client: ProvinceClient,
        province: PublicIdentity,
        observe: Observer,
    ) -> None:
        self._job = job
        self._customers = customers
        self._store = store
        self._client = client
        self._province = province
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
            with suppress(MingceError):  # the run's own error is the one to tell; the next run makes up for this
                self.account(hand_in=not isinstance(error, ProvinceUnavailable))
            raise

    def account(self, *, hand_in: bool = True) -> None:
        """Sign exchange records for all that was sent, and have them countersigned. Raises RecordDisputed."""
        self._observe(Progress("record", 0, 1))
        sign_records(self._store, self._client)
        if hand_in:
            hand_in_records(self._store, self._client, self._province)
        self._observe(Progress("record", 1, 1))

    def refresh_edition(self) -> KnownEdition:
        """Fetch the current edition; adopt it once all that it needs here is sound."""
        job = self._job
        epoch = job.epoch or self._client.get_current_epoch(job.dataset)
        return fetch_edition(
            self._store,
            self._client,
            self._province,
            job.dataset,
            epoch,
            job.divisions,
            max_age=job.max_age,
            observe=self._observe,
        )

    def begin_run(self, edition: KnownEdition) -> Run:
        """Record the run. Two persons authorised it when they signed its warrant."""
        job, runs = self._job, self._store.runs
        run = runs.propose(
            self._store.random_bytes(RUN_ID_BYTES).hex(),
            self._store.random_bytes(SEED_BYTES),
            edition,
            job.divisions,
            job.warrant,
            operator=job.operator,
            list_name=job.list_name,
            customers=len(self._customers),
            list_sha256=job.list_sha256,
        )
        runs.change_state(run.run_id, "AUTHORISED", job.operator, job.warrant.sha256)
        runs.change_state(run.run_id, "RUNNING", job.operator)
        return run

    def new_customers(self, manifest: Manifest) -> pa.FixedSizeBinaryArray:
        """The items that no batch of this epoch holds yet. Raises WarrantExceeded if they are too many to ask."""
        job, batches = self._job, self._store.batches
        self._observe(Progress("plan", 0, len(self._customers)))
        new = _new_items(self._customers, self._store, manifest.dataset, manifest.epoch)
        job.warrant.require_customers(
            _customers_under(job.warrant, batches, manifest.dataset, manifest.epoch, len(new))
        )
        return new

    def plan(self, run: Run, new: pa.FixedSizeBinaryArray) -> None:
        """Store batches for the new customers."""
        places = pc.index_in(new, value_set=fixed(self._customers.items, ITEM_BYTES))
        self._store.batches.add(run, new, self._customers.rows.take(places), batch_sizes(len(new)))

    def evaluate_pending(self, run: Run, manifest: Manifest) -> tuple[int, int]:
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
                        self._store.batches.mark_sent(batch, run.run_id)
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

    def look_up(self, run: Run, edition: KnownEdition, hit_rate: HitRate) -> int:
        """Find every customer in the slices, open the labels, store the records; returns how many matched."""
        manifest, total, done, matched = edition.manifest, len(self._customers), 0, 0
        self._observe(Progress("look_up", 0, total))
        answers = self._store.batches.load_answers(manifest.dataset, manifest.epoch)
        divisions = self._store.open_divisions(edition, self._job.divisions)
        for block, records in enumerate(screen(self._customers, answers, divisions, manifest)):
            matched += self._store.screenings.add_block(run.run_id, block, records)
            hit_rate.look(records)
            done += records.num_rows
            self._observe(Progress("look_up", done, total))
        return matched

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


def _customers_under(warrant: Warrant, batches: Batches, dataset: str, epoch: str, new: int) -> int:
    """How many customers all runs under the warrant will have asked about, with what earlier warrants left over."""
    left_over = [batch for batch in batches.list_pending(dataset, epoch) if batch.warrant_sha256 != warrant.sha256]
    return batches.count_customers(warrant.sha256) + sum(batch.n for batch in left_over) + new


def _ask(
    client: ProvinceClient, manifest: Manifest, batch: PendingBatch, items: bytes, seed: bytes
) -> tuple[bytes, Evaluated]:
    """Blind, send, verify, unblind: n*64 bytes of PRF outputs, and the exchange's digests."""
    blinded, request = make_request(batch, items, seed, manifest.fingerprint)
    evaluated = client.evaluate(manifest.dataset, manifest.epoch, request)
    answer = evaluated.answer
    try:
        outputs = blinded.finalize(answer.evaluated_elements, answer.proof, bytes.fromhex(manifest.public_key))
    except BadElement as error:
        raise AnswerInvalid("the answer holds a bad element", **error.params) from None
    return outputs, evaluated
