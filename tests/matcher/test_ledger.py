"""The province's ledger: parties, budgets, nonces, editions, and the audit chain over all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pysqlite3
import pytest

from keys.clock import SettableClock
from keys.database import DatabaseBusy, DatabaseDamaged, DatabaseUnavailable
from keys.identity import Identity, PublicIdentity
from matcher.audit import AuditBroken
from matcher.province import store
from matcher.province.ledger import Ledger
from matcher.province.records import (
    AnswerDiffers,
    Budget,
    BudgetExhausted,
    EditionNotRising,
    IdempotencyMismatch,
    NotGranted,
    PartyConflict,
    Replayed,
    UnknownRecord,
)
from psi.errors import InputError

DATASET, EPOCH = "base", "2026"
BODY, OTHER_BODY = b"\x01" * 32, b"\x02" * 32


def bank(name: str = "演示银行", seed: int = 1) -> PublicIdentity:
    return Identity(name, "bank", bytes([seed]) * 32).public


def key(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: SettableClock) -> Iterator[Ledger]:
    ledger = Ledger.open(tmp_path, clock)
    ledger.register_dataset(DATASET, title="基础名单库", label_schema={"schema": "kuozhong/1"})
    yield ledger
    ledger.close()


@pytest.fixture
def party(ledger: Ledger) -> str:
    fingerprint = ledger.register_party(bank()).fingerprint
    ledger.grant(fingerprint, DATASET, divisions=None)
    ledger.set_budget(fingerprint, DATASET, EPOCH, 100)
    return fingerprint


def charge(ledger: Ledger, party: str, number: int, n: int, body: bytes = BODY, epoch: str = EPOCH) -> bool:
    return ledger.charge(party=party, dataset=DATASET, epoch=epoch, idempotency_key=key(number), body_sha256=body, n=n)


def audit_rows(folder: Path) -> list[tuple[str, str, str]]:
    connection = pysqlite3.connect(str(folder / store.FILE_NAME))
    try:
        return list(connection.execute("SELECT actor, action, detail FROM audit ORDER BY seq"))
    finally:
        connection.close()


def tamper(folder: Path, *statements: str) -> None:
    """What an intruder with the file can do; a plain connection, the triggers still stand."""
    connection = pysqlite3.connect(str(folder / store.FILE_NAME), isolation_level=None)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()


# Parties, datasets, grants


def test_a_party_is_found_by_its_fingerprint_with_its_key(ledger: Ledger) -> None:
    registered = ledger.register_party(bank())
    assert registered.identity == bank()
    assert ledger.find_party_by_fingerprint(bank().fingerprint) == registered
    assert ledger.get_party("演示银行") == registered
    assert ledger.find_party_by_fingerprint("0" * 64) is None


def test_registering_again_changes_nothing_and_leaves_no_audit_row(ledger: Ledger, clock: SettableClock) -> None:
    first = ledger.register_party(bank())
    head = ledger.verify_audit()
    clock.advance(60)
    assert ledger.register_party(bank()) == first
    assert ledger.verify_audit() == head


@pytest.mark.parametrize("intruder", [bank(seed=2), bank(name="别的银行")], ids=["other key", "other name"])
def test_a_name_and_its_key_stay_together(ledger: Ledger, intruder: PublicIdentity) -> None:
    ledger.register_party(bank())
    with pytest.raises(PartyConflict):
        ledger.register_party(intruder)
    assert [party.identity for party in ledger.list_parties()] == [bank()]


def test_a_suspended_party_is_still_known(ledger: Ledger, party: str) -> None:
    ledger.set_party_state(party, "suspended")
    found = ledger.find_party_by_fingerprint(party)
    assert found is not None
    assert found.state == "suspended"


def test_a_grant_covers_the_divisions_it_lists(ledger: Ledger, party: str) -> None:
    ledger.grant(party, DATASET, divisions=["330922", "330921"])
    grant = ledger.find_grant(party, DATASET)
    assert grant is not None
    assert (grant.covers("330922"), grant.covers("330903")) == (True, False)
    ledger.grant(party, DATASET, divisions=None)
    grant = ledger.find_grant(party, DATASET)
    assert grant is not None
    assert grant.covers("330903")


def test_a_revoked_grant_is_gone(ledger: Ledger, party: str) -> None:
    assert [dataset.name for dataset in ledger.list_datasets(granted_to=party)] == [DATASET]
    ledger.revoke(party, DATASET)
    assert ledger.find_grant(party, DATASET) is None
    assert ledger.list_datasets(granted_to=party) == []
    with pytest.raises(UnknownRecord):
        ledger.revoke(party, DATASET)


@pytest.mark.parametrize("division", ["", "33092", "3309220", "33092a", "３３０９２２"])
def test_a_division_is_six_digits(ledger: Ledger, party: str, division: str) -> None:
    with pytest.raises(InputError):
        ledger.grant(party, DATASET, divisions=[division])


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "Base", "a" * 64, "基础", "a b"])
def test_a_dataset_name_can_never_leave_its_folder(ledger: Ledger, name: str) -> None:
    with pytest.raises(InputError):
        ledger.register_dataset(name, title="", label_schema={})


def test_unknown_records_are_named(ledger: Ledger, party: str) -> None:
    for act in (
        lambda: ledger.get_party("无"),
        lambda: ledger.get_dataset("none"),
        lambda: ledger.grant("0" * 64, DATASET, divisions=None),
        lambda: ledger.grant(party, "none", divisions=None),
        lambda: ledger.set_budget(party, "none", EPOCH, 1),
        lambda: ledger.set_current_epoch("none", EPOCH),
        lambda: ledger.get_edition(DATASET, EPOCH, 1),
    ):
        with pytest.raises(UnknownRecord):
            act()


# Budgets


def test_a_charge_is_taken_once_and_a_replay_is_free(ledger: Ledger, party: str) -> None:
    assert charge(ledger, party, 1, 60) is True
    assert [charge(ledger, party, 1, 60) for _ in range(5)] == [False] * 5
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=100, used=60)


def test_a_budget_holds_to_the_last_element(ledger: Ledger, party: str) -> None:
    charge(ledger, party, 1, 60)
    with pytest.raises(BudgetExhausted):
        charge(ledger, party, 2, 41)
    assert charge(ledger, party, 3, 40) is True
    with pytest.raises(BudgetExhausted):
        charge(ledger, party, 4, 1)
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=100, used=100)


def test_a_refused_charge_leaves_its_key_free(ledger: Ledger, party: str) -> None:
    with pytest.raises(BudgetExhausted):
        charge(ledger, party, 1, 101)
    assert charge(ledger, party, 1, 10, body=OTHER_BODY) is True


@pytest.mark.parametrize("again", [{"body": OTHER_BODY}, {"n": 9}, {"epoch": "2027"}])
def test_a_key_serves_one_request_only(ledger: Ledger, party: str, again: dict[str, object]) -> None:
    ledger.set_budget(party, DATASET, "2027", 100)
    charge(ledger, party, 1, 10)
    with pytest.raises(IdempotencyMismatch):
        charge(ledger, party, 1, **{"n": 10, **again})  # type: ignore[arg-type]
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=100, used=10)


def test_two_parties_may_use_the_same_key(ledger: Ledger, party: str) -> None:
    other = ledger.register_party(bank("别的银行", seed=2)).fingerprint
    ledger.set_budget(other, DATASET, EPOCH, 10)
    assert charge(ledger, party, 1, 10)
    assert charge(ledger, other, 1, 10, body=OTHER_BODY)


def test_without_a_budget_nothing_is_evaluated(ledger: Ledger, party: str) -> None:
    with pytest.raises(NotGranted):
        charge(ledger, party, 1, 1, epoch="2027")


def test_a_limit_below_what_is_used_leaves_nothing(ledger: Ledger, party: str) -> None:
    charge(ledger, party, 1, 60)
    ledger.set_budget(party, DATASET, EPOCH, 50)
    budget = ledger.find_budget(party, DATASET, EPOCH)
    assert budget == Budget(limit=50, used=60)
    assert budget is not None
    assert budget.remaining == 0
    assert charge(ledger, party, 1, 60) is False, "what was paid for stays paid"


@pytest.mark.parametrize("limit", [-1, 2**32 + 1])
def test_a_budget_never_exceeds_what_one_key_is_good_for(ledger: Ledger, party: str, limit: int) -> None:
    with pytest.raises(InputError):
        ledger.set_budget(party, DATASET, EPOCH, limit)


def test_two_ledgers_on_one_file_never_overspend(ledger: Ledger, party: str, tmp_path: Path) -> None:
    """Two processes are two connections: 2 x 4 threads ask for 10 of 100, forty times each."""
    other = Ledger.open(tmp_path, SettableClock())
    granted: list[int] = []

    def spend(place: Ledger, first: int) -> None:
        for number in range(first, first + 40):
            try:
                if charge(place, party, number, 10):
                    granted.append(10)
            except BudgetExhausted:
                pass

    threads = [
        threading.Thread(target=spend, args=(place, 1000 * index + 100_000 * (place is other)))
        for index in range(4)
        for place in (ledger, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sum(granted) == 100
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=100, used=100)
    ledger.verify_audit()


def test_one_request_has_one_answer(ledger: Ledger, party: str) -> None:
    charge(ledger, party, 1, 1)
    for _ in range(2):
        ledger.record_answer(party=party, idempotency_key=key(1), answer_sha256=BODY)
    with pytest.raises(AnswerDiffers):
        ledger.record_answer(party=party, idempotency_key=key(1), answer_sha256=OTHER_BODY)
    with pytest.raises(AnswerDiffers):
        ledger.record_answer(party=party, idempotency_key=key(2), answer_sha256=BODY)


# Nonces


def test_a_nonce_is_used_once_by_each_key(ledger: Ledger, clock: SettableClock) -> None:
    expires_at = clock.now() + timedelta(seconds=300)
    ledger.use_nonce("a" * 64, "n" * 22, expires_at=expires_at)
    ledger.use_nonce("b" * 64, "n" * 22, expires_at=expires_at)
    with pytest.raises(Replayed):
        ledger.use_nonce("a" * 64, "n" * 22, expires_at=expires_at)


def test_pruning_keeps_a_nonce_past_any_likely_clock_error(ledger: Ledger, clock: SettableClock) -> None:
    ledger.use_nonce("a" * 64, "n" * 22, expires_at=clock.now())
    assert ledger.prune(clock.now() + timedelta(days=2)) == 0
    with pytest.raises(Replayed):
        ledger.use_nonce("a" * 64, "n" * 22, expires_at=clock.now())
    assert ledger.prune(clock.now() + timedelta(days=3, seconds=1)) == 1


# Editions


def record(ledger: Ledger, edition: int, epoch: str = EPOCH) -> None:
    ledger.record_edition(
        dataset=DATASET,
        epoch=epoch,
        edition=edition,
        manifest_sha256=f"{edition:064x}",
        folder=f"editions/{DATASET}/{epoch}/{edition}",
        rows=10,
        counts={"added": 10, "changed": 0, "removed": 0, "unchanged": 0},
    )


def test_the_last_recorded_edition_is_current(ledger: Ledger) -> None:
    assert ledger.current_edition(DATASET, EPOCH) is None
    record(ledger, 1)
    record(ledger, 2)
    record(ledger, 1, epoch="2027")
    current = ledger.current_edition(DATASET, EPOCH)
    assert current is not None
    assert (current.edition, current.state, current.counts["added"]) == (2, "current", 10)
    assert [(e.edition, e.state) for e in ledger.list_editions(DATASET, EPOCH)] == [(1, "superseded"), (2, "current")]
    assert ledger.get_edition(DATASET, EPOCH, 1).manifest_sha256 == f"{1:064x}"


@pytest.mark.parametrize("edition", [1, 2])
def test_edition_numbers_only_rise(ledger: Ledger, edition: int) -> None:
    record(ledger, 2)
    with pytest.raises(EditionNotRising):
        record(ledger, edition)
    current = ledger.current_edition(DATASET, EPOCH)
    assert current is not None
    assert current.edition == 2


# The audit chain


def test_every_change_leaves_one_audit_row(ledger: Ledger, party: str, tmp_path: Path) -> None:
    charge(ledger, party, 1, 10)
    charge(ledger, party, 1, 10)
    with pytest.raises(BudgetExhausted):
        charge(ledger, party, 2, 1000)
    ledger.record_refusal(actor=party, subject="/v1/x", code="budget_exhausted")
    record(ledger, 1)
    actions = [action for _, action, _ in audit_rows(tmp_path)]
    assert actions == [
        "register_dataset",
        "register_party",
        "grant",
        "set_budget",
        "charge",
        "refused",
        "publish_edition",
    ]
    assert ledger.verify_audit().seq == len(actions)


def test_an_empty_chain_is_whole(tmp_path: Path, clock: SettableClock) -> None:
    ledger = Ledger.open(tmp_path, clock)
    assert ledger.verify_audit().seq == 0
    ledger.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'x' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 2, at, actor, action, subject, detail, previous, hash FROM audit WHERE seq = 3",
        "INSERT INTO audit SELECT 99, at, actor, action, subject, detail, previous, hash FROM audit WHERE seq = 3",
    ],
)
def test_the_chain_only_grows_at_its_end(ledger: Ledger, party: str, tmp_path: Path, statement: str) -> None:
    with pytest.raises(pysqlite3.IntegrityError, match="audit rows"):
        tamper(tmp_path, statement)
    assert ledger.verify_audit().seq == 4


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit SET detail = json_set(detail, '$.limit', 9999) WHERE seq = 4", 4),
        ("UPDATE audit SET at = '2026-01-05T09:00:01Z' WHERE seq = 2", 2),
        ("UPDATE audit SET previous = hash WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("UPDATE audit SET seq = 5 WHERE seq = 4", 4),
    ],
)
def test_whoever_goes_round_the_triggers_breaks_the_chain(
    ledger: Ledger, party: str, tmp_path: Path, change: str, first_bad: int
) -> None:
    tamper(tmp_path, "DROP TRIGGER audit_never_updated", "DROP TRIGGER audit_never_deleted", change)
    with pytest.raises(AuditBroken) as caught:
        ledger.verify_audit()
    assert caught.value.params["seq"] == first_bad


# Faults


def test_a_taken_write_lock_is_reported_as_busy_and_nothing_changes(
    ledger: Ledger, party: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger._store._db.conn.execute("PRAGMA busy_timeout = 50")
    blocker = pysqlite3.connect(str(tmp_path / store.FILE_NAME), isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseBusy):
        charge(ledger, party, 1, 1)
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=100, used=0), "reading goes on"
    blocker.execute("ROLLBACK")
    blocker.close()
    assert charge(ledger, party, 1, 1)


def test_d30_a_full_disk_is_reported_and_nothing_changes(ledger: Ledger, party: str) -> None:
    ledger.set_budget(party, DATASET, EPOCH, 100_000)
    connection = ledger._store._db.conn
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DatabaseUnavailable, match="full"):
        [charge(ledger, party, 1000 + number, 1) for number in range(1000)]
    budget = ledger.find_budget(party, DATASET, EPOCH)
    assert budget is not None
    (charged,) = connection.execute("SELECT SUM(n) FROM charge").fetchone()
    assert budget.used == charged
    connection.execute("PRAGMA max_page_count = 100000")
    assert charge(ledger, party, 1, 1)
    ledger.verify_audit()


def test_d37_a_damaged_file_is_refused_at_the_start(ledger: Ledger, party: str, tmp_path: Path) -> None:
    for number in range(50):
        charge(ledger, party, number, 1)
    ledger.close()
    path = tmp_path / store.FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged):
        Ledger.open(tmp_path, SettableClock())


def test_d38_every_acknowledged_charge_survives_a_kill(ledger: Ledger, party: str, tmp_path: Path) -> None:
    """SIGKILL in the middle of charging, five times: what was said to be charged is there, once, and adds up."""
    ledger.set_budget(party, DATASET, EPOCH, 1_000_000)
    script = (
        "import sys; from pathlib import Path; from keys.clock import SettableClock;"
        "from matcher.province.ledger import Ledger;"
        "ledger = Ledger.open(Path(sys.argv[1]), SettableClock())\n"
        "for number in range(int(sys.argv[3]), 10**9):\n"
        "    ledger.charge(party=sys.argv[2], dataset='base', epoch='2026', idempotency_key=f'{number:032x}',"
        " body_sha256=bytes(32), n=3)\n"
        "    print(number, flush=True)\n"
    )
    acknowledged: set[str] = set()
    for attempt in range(5):
        arguments = [sys.executable, "-c", script, str(tmp_path), party, str(attempt * 1_000_000)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(7 + 11 * attempt):
                acknowledged.add(key(int(process.stdout.readline())))
            os.kill(process.pid, signal.SIGKILL)
            acknowledged.update(key(int(line)) for line in process.stdout.read().split())
    rows = ledger._store._db.conn.execute("SELECT idempotency_key, n FROM charge").fetchall()
    stored = [idempotency_key for idempotency_key, _ in rows]
    assert acknowledged <= set(stored)
    assert len(stored) - len(acknowledged) <= 5, "at most the one that was being acknowledged, each time"
    assert ledger.find_budget(party, DATASET, EPOCH) == Budget(limit=1_000_000, used=3 * len(stored))
    assert ledger._store._db.conn.execute("SELECT SUM(n) FROM budget_day").fetchone() == (3 * len(stored),)
    assert ledger._store._db.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    ledger.verify_audit()


def test_every_column_is_explained_in_the_reference(ledger: Ledger) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "province-store.md").read_text(encoding="utf-8")
    connection = ledger._store._db.conn
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    explained = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    assert set(explained) == {name for name in tables if not name.startswith(("_", "sqlite_"))}
    for table, part in explained.items():
        cells = "\n".join(line.split("|")[1] for line in part.splitlines() if line.startswith("|"))
        for _, column, *_ in connection.execute(f"PRAGMA table_info({table})"):
            assert f"`{column}`" in cells, f"{table}.{column}"
