"""The county's case work at size: hand-overs taken in, households judged, queued and moved, a policy tried out.

A made-up county (matcher.generate) in a scratch store, by the same calls that the commands and the endpoint make.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from random import Random

import pyarrow as pa

from keys.clock import SettableClock, format_time
from keys.identity import Identity
from keys.receipts import ReceiptKeys
from matcher.bank.editions import LABEL_FIELDS
from matcher.bank.runs import Run
from matcher.bank.screening import SCREENING_SCHEMA
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.generate.households import CountySpec, Household, make_households
from matcher.generate.names import make_name
from matcher.handover import Handover, read_handover, write_handover
from matcher.households import Households
from matcher.policy import LoadedPolicy, list_examples, parse_policy
from matcher.reviews.queue import Queue, QueueFilter
from psi.columns import fixed
from psi.edition import pack_labels
from psi.identifiers import ITEM_BYTES
from psi.receipts import make_receipts

HANDOVER_ROWS = 50_000
COUNTY, DATASET, EPOCH, WIDTH = "330922", "base", "2025", 64
PROPOSER = Actor("jingban", frozenset({Role.HANDLER}))
ADOPTER = Actor("fuhe", frozenset({Role.CHECKER}))
QUEUE_PAGES = 60
_KEY = bytes(range(32))
BANK = Identity("演示银行", "bank", bytes([1]) * 32)
_BUREAU = Identity("演示县财政局", "bureau", bytes([3]) * 32)
DAY = datetime(2025, 3, 3, 1, 0, tzinfo=UTC)


@dataclass
class Casework:
    """Seconds, but for ``queue_page_p95_ms`` and ``writes_per_s`` (moves of households, each with its audit row).

    ``processor`` has the same by the processor's time instead of the clock's: what a busy machine does not disturb.
    """

    households: int = 0
    candidates: int = 0
    handover_rows: int = 0
    import_s: float = 0.0
    eligibility_s: float = 0.0
    what_if_s: float = 0.0
    writes_per_s: float = 0.0
    queue_waiting: int = 0
    queue_page_p95_ms: float = 0.0
    audit_rows: int = 0
    audit_verify_s: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(
        default_factory=lambda: {
            "import_s": 30.0, "eligibility_s": 5.0, "what_if_s": 10.0, "writes_per_s": 5_000.0,
            "queue_page_p95_ms": 50.0,
        }
    )  # fmt: skip


def measure_casework(households: int, tell: Callable[[str], None] = lambda step: None) -> Casework:
    """One run over ``households`` made-up households; at 100,000 about two minutes and 1 GB of scratch disk."""
    with tempfile.TemporaryDirectory() as folder, _bureau(Path(folder)) as store:
        measured = Casework()
        tell("import")
        import_households(store, Path(folder), households, measured)
        office, policy = store.office, adopt_example(store.office)
        tell("eligibility")
        ids = [row[0] for row in office.database.execute("SELECT household_id FROM household").fetchall()]
        measured.households = len(ids)
        _time(measured, "eligibility_s", lambda: _judge(office, policy, ids))
        tell("what_if")
        other = parse_policy(_example().replace(b"highest = 65", b"highest = 60"), "what-if")
        _time(
            measured,
            "what_if_s",
            lambda: Households(office).simulate(PROPOSER, other, on=DAY.date(), cost_each=280_00),
        )
        tell("writes")
        _time(measured, "writes_per_s", lambda: Households(office).refine_many(PROPOSER, ids, "in"))
        measured.writes_per_s = len(ids) / measured.writes_per_s
        measured.processor["writes_per_s"] = len(ids) / measured.processor["writes_per_s"]
        for state in ("TO_VISIT", "VISITED", "PENDING_REVIEW"):
            move_all(office, ids, state)
        tell("queue")
        _page_through(office, measured)
        tell("audit")
        _time(measured, "audit_verify_s", lambda: office.verify_audit())
        measured.audit_rows = office.verify_audit().seq
        return measured


@contextmanager
def _bureau(folder: Path) -> Iterator[BureauStore]:
    store = open_store(folder / "bureau", bytes([9]) * 32)
    try:
        yield store
    finally:
        store.close()


def open_store(home: Path, secret: bytes) -> BureauStore:
    """A county's store that trusts the made-up bank and can check its receipts."""
    store = BureauStore(home, secret, SettableClock(DAY), [COUNTY])
    store.add_bank(BANK.public)
    store.add_receipt_keys(ReceiptKeys(DATASET, EPOCH, {COUNTY: _KEY}))
    return store


def import_households(store: BureauStore, folder: Path, households: int, measured: Casework) -> None:
    """Take the county in, hand-over by hand-over; the slowest whole one counts."""
    made = make_households(CountySpec(rows=households * 5, county=COUNTY, as_of=date(2024, 12, 31)))
    rows = [row for household in islice(made, households) for row in _matches(household)]
    for start in range(0, len(rows), HANDOVER_ROWS):
        part = rows[start : start + HANDOVER_ROWS]
        handover = _hand_over(folder / f"{start}.mch", part)
        spent = _spent(lambda handed=handover: store.import_handover(handed, "made-up"))  # type: ignore[misc]
        if (len(part), spent[0]) > (measured.handover_rows, measured.import_s):
            measured.handover_rows, (measured.import_s, measured.processor["import_s"]) = len(part), spent
    measured.candidates = len(rows)


def _matches(household: Household) -> Iterator[dict[str, object]]:
    labels = dict(zip(LABEL_FIELDS, household.label, strict=True))
    random = Random(household.household_no).random  # noqa: S311 (made-up names)
    for number in household.numbers:
        yield {"item": number, "name": make_name(random), "row_version": 1, **labels}


def _hand_over(path: Path, rows: Sequence[dict[str, object]]) -> Handover:
    """As a bank writes it and the bureau reads it, with the province's true receipts."""
    labels = pack_labels([pa.array([row[name] for row in rows], pa.string()) for name in LABEL_FIELDS], WIDTH)
    items, versions = "".join(str(row["item"]) for row in rows).encode(), pa.array([1] * len(rows), pa.uint32())
    receipts = make_receipts(
        _KEY, fixed(items, ITEM_BYTES), versions, fixed(labels, WIDTH), dataset=DATASET, epoch=EPOCH
    ).to_pylist()
    records = [
        {
            **row,
            "row_no": place,
            "matched": True,
            "input_state": "ok",
            "receipt": receipts[place],
        }
        for place, row in enumerate(rows)
    ]
    batch = pa.RecordBatch.from_pylist(records, schema=SCREENING_SCHEMA)
    now = format_time(DAY)
    run = Run(
        run_id="ab" * 16, state="COMPLETED", dataset=DATASET, epoch=EPOCH, edition=1, manifest_sha256="cd" * 32,
        label_width=WIDTH, divisions=(COUNTY,), purpose="匹配", legal_basis="同意", operator="演示员",
        list_name="a.csv", customers=len(rows), asked=len(rows), charged=len(rows), matched=len(rows),
        created_at=now, agreement_no="演示", warrant_sha256="ef" * 32, list_sha256="01" * 32,
    )  # fmt: skip
    write_handover(path, identity=BANK, bureau=_BUREAU.public, run=run, created_at=now, records=[batch])
    return read_handover(path, identity=_BUREAU, trusted_banks=[BANK.public])


def adopt_example(office: Office) -> LoadedPolicy:
    policies = Households(office).policies
    record = policies.propose(PROPOSER, _example(), "example")
    policies.adopt(ADOPTER, record.sha256)
    return policies.policy_for(COUNTY, office.today())


def _example() -> bytes:
    (path,) = [path for path in list_examples() if path.name.startswith(COUNTY)]
    return path.read_bytes()


def _judge(office: Office, policy: LoadedPolicy, ids: Sequence[int]) -> None:
    for _ in Households(office).assess_each(policy, ids, office.today()):
        pass


def move_all(office: Office, ids: Sequence[int], wanted: str) -> None:
    households = Households(office)
    with office.writing():
        for household_id in ids:
            households.move_within(PROPOSER, household_id, wanted)


def _page_through(office: Office, measured: Casework) -> None:
    """Pages of the queue one after another, and the last twenty of a township, as somebody at work turns them."""
    queue, after = Queue(office), None
    spent: list[tuple[float, float]] = []
    for place in range(QUEUE_PAGES):
        if place == QUEUE_PAGES * 2 // 3:
            after = None
        wanted = QueueFilter(township=f"{COUNTY}100" if place >= QUEUE_PAGES * 2 // 3 else "")
        begun = _now()
        page = queue.page(PROPOSER, wanted, after=after)
        spent.append(_since(begun))
        measured.queue_waiting, after = max(measured.queue_waiting, page.total), page.next
    wall, processor = (sorted(times)[int(len(times) * 0.95)] * 1_000 for times in zip(*spent, strict=True))
    measured.queue_page_p95_ms, measured.processor["queue_page_p95_ms"] = wall, processor


def _time(measured: Casework, name: str, work: Callable[[], object]) -> None:
    wall, processor = _spent(work)
    setattr(measured, name, wall)
    measured.processor[name] = processor


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    begun = _now()
    work()
    return _since(begun)


def _now() -> tuple[float, float]:
    """The clock's and the processor's seconds."""
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    wall, processor = _now()
    return wall - begun[0], processor - begun[1]
