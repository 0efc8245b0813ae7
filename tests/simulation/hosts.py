"""A province and a bank as hosts that may die: today's interfaces, driven as the command line drives them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import expected
import pyarrow as pa
import pysqlite3
from expected import Sent
from mortal import Mortal
from network import Answer, Network

from api.client import Connection, ProvinceClient
from api.matching import MatchJob, run_match
from api.progress import Progress
from api.province import create_province_app
from api.retry import RetryPolicy
from keys.clock import SettableClock
from keys.identity import Identity
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from matcher.province.editions import EditionFolders
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan, Observer, Outcome
from matcher.province.publisher import Publisher
from matcher.province.rotation import Rotation
from matcher.slices import file_sha256
from matcher.tables import CustomerList
from psi.identifiers import check_character

DATASET = "base"
COUNTIES = ("330921", "330922")
BEGIN = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
BUCKET = 16
SHRINK_LIMIT = 0.4
RENEW_AFTER = timedelta(days=7)
KEPT_EDITIONS = 6
KEK = EnvironmentKek(environment={"MINGCE_KEK": "0a" * 32})
PROVINCE_NAME = "演示省"
BANKS = {"甲": ("330922",), "乙": COUNTIES}  # by name the divisions that the bank is granted
IDENTITIES = {name: Identity(f"演示银行{name}", "bank", bytes([place]) * 32) for place, name in enumerate(BANKS, 1)}
STORE_SECRET = bytes([5]) * 32
TERMS = Terms(
    purpose="扩中家庭名单匹配",
    legal_basis="客户单独同意",
    agreement_no="演示-2026-01",
    dataset=DATASET,
    divisions=COUNTIES,
    max_new_customers=10_000_000,
    not_before=datetime(2000, 1, 1, tzinfo=UTC),
    not_after=datetime(2100, 1, 1, tzinfo=UTC),
)
WARRANT = Warrant(TERMS, "ab" * 32, ("张三", "李四"))
IMPATIENT = RetryPolicy(attempts=8, first_wait_s=0.0002, longest_wait_s=0.001)
LABEL_FIELDS = ("household_no", "household_size", "division", "expanding", "reasons")
HEADINGS = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"


def id_number(person: int) -> str:
    """A valid number that nobody has: 990000 was never assigned."""
    body = f"990000{1960 + person % 40}{person % 12 + 1:02d}{person % 28 + 1:02d}{person:03d}"
    return body + check_character(body)


def customer_list(people: list[str]) -> CustomerList:
    items = "".join(people).encode()
    rows, names = pa.array(range(2, len(people) + 2), pa.int64()), pa.array([""] * len(people), pa.string())
    return CustomerList(rows, pa.py_buffer(items), pa.py_buffer(bytes(len(people))), [], names=names)


class Province(Mortal):
    """The province's host: the endpoint all the time, a refresh now and then."""

    def __init__(self, root: Path, clock: SettableClock) -> None:
        super().__init__(root)
        self._clock = clock
        self._loop = asyncio.new_event_loop()

    def start(self) -> None:
        self.keystore = KeyStore(self.home, KEK, clock=self._clock, actor="simulation")
        self.ledger = Ledger.open(self.home, self._clock)
        self.app = create_province_app(self.home, self.keystore, self.ledger, self._clock)
        self.rotation = Rotation(self.home, self.keystore, self.ledger, self._clock, {})
        self.identity = self.keystore.get_public_identity()

    def stop(self) -> None:
        self.app.state.services.evaluations.close()
        self.ledger.close()
        self.keystore.close()

    def end(self) -> None:
        self.stop()
        self._loop.close()

    def answer(self, scope: dict[str, Any], body: bytes) -> Answer:
        """What the application answers. Raises Killed."""
        return self._loop.run_until_complete(_call(self.app, scope, body))

    def refresh(self, epoch: str, source: Path, *, accept_shrink: bool) -> Outcome:
        """What cron does, with connections of its own. Raises Killed, and what a refresh raises."""
        with self._publisher() as publisher:
            outcome, rejects = publisher.refresh(
                _plan(epoch), source, accept_shrink=accept_shrink, observer=_Steps(self, "refresh")
            )
            assert not rejects
            return outcome

    def roll_back(self, epoch: str, to: int) -> Outcome:
        """What an operator does. Raises Killed, EditionGone."""
        with self._publisher() as publisher:
            return publisher.rollback(
                _plan(epoch), to, reason="演练", actor="演示员", observer=_Steps(self, "roll back")
            )

    @contextmanager
    def _publisher(self) -> Iterator[Publisher]:
        keystore = KeyStore(self.home, KEK, clock=self._clock, actor="cron")
        ledger = Ledger.open(self.home, self._clock)
        try:
            yield Publisher(self.home, keystore, ledger, self._clock)
            ledger.prune(self._clock.now())
        finally:
            ledger.close()
            keystore.close()

    def has_charge(self, sent: Sent) -> bool:
        party = IDENTITIES[sent.bank].public.fingerprint
        return bool(self.query("SELECT 1 FROM charge WHERE party = ? AND idempotency_key = ?", party, sent.request_id))

    def kept_editions(self, epoch: str) -> list[int]:
        return [record.edition for record in self.ledger.list_editions(DATASET, epoch) if record.pruned_at is None]

    def count_editions(self, epoch: str) -> int:
        return len(self.ledger.list_editions(DATASET, epoch))

    def read_edition(self, epoch: str, number: int) -> Iterator[tuple[bytes, int, bytes]]:
        """Every row (tag, version, sealed label) of an edition found whole: signature, hashes, the ledger's record."""
        edition = EditionFolders(self.home, self.identity).read(DATASET, epoch, number)
        edition.check_files()
        record = self.ledger.get_edition(DATASET, epoch, number)
        assert record.manifest_sha256 == file_sha256(edition.manifest_path)
        for entry in edition.manifest.slices:
            table = pa.ipc.open_file(edition.slice_path(entry.division)).read_all()
            assert table.num_rows == entry.rows
            yield from zip(*(table[name].to_pylist() for name in ("tag", "version", "sealed_label")), strict=True)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return query(self.home / "province.sqlite", sql, *values)


def _plan(epoch: str) -> DatasetPlan:
    return DatasetPlan(
        DATASET,
        epoch,
        bucket=BUCKET,
        shrink_limit=SHRINK_LIMIT,
        delta_limit=0.4,
        renew_days=RENEW_AFTER.days,
        keep_editions=KEPT_EDITIONS,
    )


class _Steps(Observer):
    """Where the work on a list may die."""

    def __init__(self, province: Province, work: str) -> None:
        self._province = province
        self._work = work

    def step(self, name: str, total: int | None = None) -> None:
        self._province.step(f"{self._work}: {name}")


class Bank(Mortal):
    """A bank's host: nothing runs between two matches."""

    def __init__(self, root: Path, name: str, clock: SettableClock, seed: int) -> None:
        super().__init__(root)
        self.name = name
        self.divisions = BANKS[name]
        self.clock = clock
        self._random_bytes = random.Random(f"{name} {seed}").randbytes
        self.customers: list[str] = []

    def open_store(self) -> BankStore:
        return BankStore(self.home, STORE_SECRET, self.clock, self._random_bytes)

    def match(self, network: Network, province: Province, epoch: str | None) -> Run:
        """``mingce bank match``. Raises Killed, and what a match raises."""
        job = MatchJob(DATASET, self.divisions, WARRANT, "customers.csv", epoch, operator="演示员")
        with closing(self.open_store()) as store, connect(self.name, self.clock, network) as client:
            return run_match(
                job,
                customer_list(self.customers),
                store=store,
                client=client,
                province=province.identity,
                observe=self._observe,
            )

    def _observe(self, progress: Progress) -> None:
        self.step(f"match: {progress.step} {progress.done}")

    def read_labels(self, run_id: str) -> list[expected.Label | None]:
        """What a finished run found for each customer, in the list's order."""
        with closing(self.open_store()) as store:
            rows = [row for batch in store.iterate_records(run_id) for row in batch.to_pylist()]
        return [tuple(row[name] for name in LABEL_FIELDS) if row["matched"] else None for row in rows]

    def list_asked(self, epoch: str) -> list[bytes]:
        with closing(self.open_store()) as store:
            return store.batches.load_items(DATASET, epoch).to_pylist()

    def acknowledge_alarms(self) -> list[str]:
        """The codes of those that waited."""
        with closing(self.open_store()) as store:
            waiting = store.alarms.list_waiting()
            for alarm in waiting:
                store.alarms.acknowledge(alarm.alarm_id, "演示员")
        return [alarm.code for alarm in waiting]

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return query(self.home / "bank.sqlite", sql, *values)


def connect(bank: str, clock: SettableClock, network: Network) -> ProvinceClient:
    """The real client; only its connections end in the simulated network."""
    client = ProvinceClient(Connection("http://127.0.0.1:1", timeout_s=5), IDENTITIES[bank], clock, IMPATIENT)
    client._http._transport = network
    return client


@contextmanager
def reading(database: Path) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Read a file by a connection of one's own, as an auditor would."""
    connection = pysqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)
    try:
        yield lambda sql, *values: list(connection.execute(sql, values).fetchall())
    finally:
        connection.close()


def query(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with reading(database) as ask:
        return ask(sql, *values)


async def _call(app: Any, scope: dict[str, Any], body: bytes) -> Answer:
    """One request to an ASGI application, as a server would make it."""
    unread = [{"type": "http.request", "body": body, "more_body": False}]
    head: dict[str, Any] = {}
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if unread:
            return unread.pop()
        await asyncio.Event().wait()  # the caller stays connected
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            parts.append(message.get("body", b""))

    await app({**scope, "state": {}}, receive, send)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
    return head["status"], headers, b"".join(parts)
