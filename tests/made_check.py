"""A finished run of a department check, with the results that a test wants: what `bureau check` leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from bureau_office import spring
from handed_over import COUNTY

from keys.clock import Clock, format_time
from keys.envelope import sign_envelope
from keys.identity import Identity
from matcher.bank.editions import KnownEdition
from matcher.bank.runs import Run
from matcher.bank.screening import screening_schema
from matcher.bank.store import BankStore
from matcher.bank.warrants import Terms, Warrant
from matcher.checks.results import open_check_store
from matcher.schemas import get_schema
from psi.edition import PAYLOAD_TYPE, Manifest
from psi.suites import RISTRETTO255_SHA512

MINZHENG = get_schema("minzheng/1")
DEPARTMENT = Identity("演示民政局", "department", bytes([6]) * 32)
_PUBLIC_KEY = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
_TERMS = Terms(
    purpose="核验",
    legal_basis="授权",
    agreement_no="01",
    dataset="minzheng",
    divisions=(COUNTY,),
    max_new_customers=100_000,
    not_before=datetime(2025, 1, 1, tzinfo=UTC),
    not_after=datetime(2027, 1, 1, tzinfo=UTC),
)


def open_minzheng(home: Path, clock: Clock | None = None) -> BankStore:
    return open_check_store(home, "minzheng", bytes([8]) * 32, clock or spring(), MINZHENG)


def checked(
    store: BankStore, results: Sequence[tuple[str, Mapping[str, str] | None]], *, edition: int = 1, finish: bool = True
) -> Run:
    """``results``: (ID number, label or None for somebody who is not on the list), of an edition made today."""
    now = format_time(store.now())
    manifest = Manifest(
        dataset="minzheng",
        epoch="2025",
        edition=edition,
        public_key=_PUBLIC_KEY.hex(),
        fingerprint=RISTRETTO255_SHA512.key_fingerprint(_PUBLIC_KEY),
        created_at=now,
        not_before=now,
        not_after="2030-01-01T00:00:00Z",
        label=MINZHENG.label(),
        divisions={},
        slices=(),
        previous=None,
    )
    envelope = sign_envelope(DEPARTMENT, PAYLOAD_TYPE, manifest.encode())
    known = store.editions.accept(envelope, DEPARTMENT.public, "minzheng", "2025")
    assert isinstance(known, KnownEdition)
    run = store.runs.propose(
        f"{edition:032x}",
        bytes(32),
        known,
        [COUNTY],
        Warrant(_TERMS, "ab" * 32, ("张三", "李四")),
        operator="经办员",
        list_name="households",
        customers=len(results),
    )
    found = {"matched": True, "row_version": 1, "receipt": bytes(16)}
    rows = [
        {"row_no": place, "name": "演示", "item": item, "input_state": "ok", "matched": False}
        | ({} if label is None else {**label, **found})
        for place, (item, label) in enumerate(results)
    ]
    store.screenings.add_block(run.run_id, 0, pa.RecordBatch.from_pylist(rows, screening_schema(MINZHENG.field_names)))
    if finish:
        for state in ("AUTHORISED", "RUNNING"):
            store.runs.change_state(run.run_id, state, "经办员")
        matched = sum(label is not None for _, label in results)
        store.runs.complete(run.run_id, "经办员", asked=len(results), charged=len(results), matched=matched)
    return store.runs.get(run.run_id)
