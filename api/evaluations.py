"""The work of ``evaluate``: check, charge, evaluate, record, in bounded worker threads.

The order is the protocol's promise (docs/reference/protocol.md section 5): elements are
checked before anything is charged, and charged before anything is multiplied by the key.
The same request gives the same bytes, so an answer that got lost is made again, not kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from api.limits import Limits
from api.metrics import Metrics
from api.problems import Busy, InFlight
from api.wire import EvaluateRequest, body_digest, encode_answer
from keys.epochs import EpochRecord
from keys.keystore import KeyStore
from matcher.province.ledger import Ledger
from matcher.province.records import Party
from psi import oprf


class EpochKeys:
    """The key store for many threads; an OPRF key is opened once and kept while its epoch is active."""

    def __init__(self, keystore: KeyStore) -> None:
        self._keystore = keystore
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, str], oprf.SecretKey] = {}

    def get_epoch(self, dataset: str, epoch: str) -> EpochRecord:
        """Raises EpochUnknown."""
        with self._lock:
            record = self._keystore.get_epoch(dataset, epoch)
            if record.state != "active":
                self._opened.pop((dataset, epoch), None)
            return record

    def list_epochs(self, dataset: str) -> list[EpochRecord]:
        with self._lock:
            return self._keystore.list_epochs(dataset)

    def let_go(self) -> None:
        """Forget the keys of epochs that are no longer active, though nobody asks for them any more.

        The key store is read anew for every request; this is for the keys in memory. Raises what reading
        the store raises: then they go the next time.
        """
        for place in list(self._opened):
            self.get_epoch(*place)

    def open_active(self, datasets: Iterable[str]) -> None:
        """Open what is served now, so that a missing passphrase shows at the start. Raises KeyUnwrapFailed."""
        for dataset in datasets:
            for epoch in self.list_epochs(dataset):
                if epoch.state == "active":
                    self.open(epoch)

    def open(self, epoch: EpochRecord) -> oprf.SecretKey:
        """Raises EpochStateError, KeyUnwrapFailed."""
        place = (epoch.dataset, epoch.epoch)
        with self._lock:
            if place not in self._opened:
                self._opened[place] = self._keystore.open_epoch_key(*place)
            return self._opened[place]


class Evaluations:
    def __init__(self, ledger: Ledger, keys: EpochKeys, metrics: Metrics, limits: Limits) -> None:
        self._ledger = ledger
        self._keys = keys
        self._metrics = metrics
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.evaluation_threads, thread_name_prefix="evaluate")
        self._taken: set[tuple[str, str]] = set()

    @property
    def full(self) -> bool:
        """No place for another batch."""
        return len(self._taken) >= self._limits.evaluations

    async def answer(
        self, party: Party, body_sha256: bytes, request: EvaluateRequest, admit: Callable[[], EpochRecord]
    ) -> bytes:
        """The answer's bytes, once they are on record.

        ``admit`` is called in the worker's thread, which saves a batch two changes of thread: it says
        which epoch is asked, or raises. Raises InFlight, Busy; what ``admit`` raises; BadElement (nothing
        charged), NotGranted, BudgetExhausted, IdempotencyMismatch.
        """
        place = (party.fingerprint, request.idempotency_key)
        if place in self._taken:
            raise InFlight("the same idempotency key is being worked on")
        held = sum(1 for holder, _ in self._taken if holder == party.fingerprint)
        if self.full or held >= self._limits.evaluations_per_party:
            raise Busy("too many evaluations")
        self._taken.add(place)
        self._metrics.in_flight.inc()
        work = self._pool.submit(self._work, party.fingerprint, body_sha256, request, admit)
        # Given back when the work ends, even if nobody waits for it any more.
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give_back, place))
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Wait for what was taken on."""
        self._pool.shutdown(wait=True)

    def _give_back(self, place: tuple[str, str]) -> None:
        self._taken.discard(place)
        self._metrics.in_flight.dec()

    def _work(
        self, party: str, body_sha256: bytes, request: EvaluateRequest, admit: Callable[[], EpochRecord]
    ) -> bytes:
        epoch = admit()
        elements = oprf.DecodedElements(request.elements)
        key = self._keys.open(epoch)
        is_new = self._ledger.charge(
            party=party,
            dataset=epoch.dataset,
            epoch=epoch.epoch,
            idempotency_key=request.idempotency_key,
            body_sha256=body_sha256,
            n=request.n,
        )
        self._metrics.charged.inc(request.n if is_new else 0)
        with self._metrics.evaluation_seconds.time():
            evaluated_elements, proof = oprf.blind_evaluate(oprf.MODE_VOPRF, key, elements)
        answer = encode_answer(request, evaluated_elements, proof)
        self._ledger.record_answer(
            party=party, idempotency_key=request.idempotency_key, answer_sha256=body_digest(answer)
        )
        self._metrics.elements.inc(request.n)
        return answer
