from __future__ import annotations

import hashlib
import hmac
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from keys_home import SPAN, raw, reopened

from keys.clock import SettableClock
from keys.epochs import EpochStateError
from keys.identity import IdentityInvalid
from keys.keystore import EpochExists, EpochUnknown, IdentityExists, IdentityMissing, KeyStore
from keys.wrap import FileKek, KeyUnwrapFailed
from psi.errors import InputError

REPOSITORY = Path(__file__).parents[2]

# Epochs


def test_the_life_of_an_epoch(store: KeyStore, clock: SettableClock) -> None:
    store.create_identity("演示省", "province")
    created = store.create_epoch("kuozhong", "2026", **SPAN)
    key = store.open_epoch_key("kuozhong", "2026")
    assert created.state == "pending"
    assert created.public_key == key.public_key
    assert created.fingerprint == hashlib.sha256(key.public_key).hexdigest()
    assert (created.created_at, created.not_before, created.not_after) == (clock.now(), *SPAN.values())
    moments = []
    for move in (store.activate_epoch, store.expire_epoch):
        clock.advance(60)
        moments.append(clock.now())
        record = move("kuozhong", "2026")
    clock.advance(60)
    moments.append(clock.now())
    record = store.destroy_epoch("kuozhong", "2026", reason="archived by decision 7")
    assert record.state == "destroyed"
    assert [record.activated_at, record.expired_at, record.destroyed_at] == moments
    assert record.public_key == created.public_key
    assert store.list_epochs() == [record]


def test_a_key_survives_the_process(store: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    store.create_epoch("kuozhong", "2026", **SPAN)
    key = store.open_epoch_key("kuozhong", "2026").expose_bytes()
    secret = store.derive_epoch_secret("kuozhong", "2026", "row references")
    again = reopened(store, tmp_path, kek)
    assert again.open_epoch_key("kuozhong", "2026").expose_bytes() == key
    assert again.derive_epoch_secret("kuozhong", "2026", "row references") == secret


def test_what_may_be_opened_in_which_state(store: KeyStore) -> None:
    store.create_identity("演示省", "province")
    store.create_epoch("d", "e", **SPAN)

    def openable() -> tuple[bool, bool]:
        answers = []
        for attempt in (
            lambda: store.open_epoch_key("d", "e"),
            lambda: store.derive_epoch_secret("d", "e", "receipts"),
        ):
            try:
                attempt()
                answers.append(True)
            except EpochStateError:
                answers.append(False)
        return answers[0], answers[1]

    assert openable() == (True, True)
    store.activate_epoch("d", "e")
    assert openable() == (True, True)
    store.expire_epoch("d", "e")
    assert openable() == (False, True)
    store.destroy_epoch("d", "e", reason="over")
    assert openable() == (False, False)


def test_receipt_keys_follow_the_protocol(store: KeyStore) -> None:
    store.create_epoch("kuozhong", "2026", **SPAN)
    receipts = store.derive_epoch_secret("kuozhong", "2026", "receipts")
    prk = hmac.digest(bytes(64), receipts, "sha512")
    info = b"mingce/1 receipt key\x00\x08kuozhong\x042026339900"
    assert store.receipt_key("kuozhong", "2026", "339900") == hmac.digest(prk, info + b"\x01", "sha512")[:32]


def test_epochs_have_independent_keys(store: KeyStore) -> None:
    names = [("a", "1"), ("a", "2"), ("b", "1")]
    for dataset, epoch in names:
        store.create_epoch(dataset, epoch, **SPAN)
    assert len({store.open_epoch_key(*name).expose_bytes() for name in names}) == 3
    assert len({store.derive_epoch_secret(*name, "receipts") for name in names}) == 3
    assert [(r.dataset, r.epoch) for r in store.list_epochs()] == names
    assert [r.epoch for r in store.list_epochs("a")] == ["1", "2"]
    assert store.list_epochs("none") == []


def test_an_epoch_is_never_created_twice(store: KeyStore) -> None:
    key = store.create_epoch("d", "e", **SPAN).public_key
    with pytest.raises(EpochExists):
        store.create_epoch("d", "e", **SPAN)
    assert store.get_epoch("d", "e").public_key == key


@pytest.mark.parametrize(("dataset", "epoch"), [("..", "e"), ("d", ".."), ("", "e"), ("d", "a/b"), ("D", "e")])
def test_bad_names_are_refused(store: KeyStore, dataset: str, epoch: str) -> None:
    with pytest.raises(InputError):
        store.create_epoch(dataset, epoch, **SPAN)


def test_a_span_must_be_one(store: KeyStore) -> None:
    with pytest.raises(InputError):
        store.create_epoch("d", "e", not_before=SPAN["not_after"], not_after=SPAN["not_before"])
    with pytest.raises(InputError):
        store.create_epoch("d", "e", not_before=SPAN["not_before"], not_after=SPAN["not_before"])
    assert store.list_epochs() == []


def test_an_unknown_epoch_says_so(store: KeyStore) -> None:
    for attempt in (store.get_epoch, store.activate_epoch, store.open_epoch_key):
        with pytest.raises(EpochUnknown) as caught:
            attempt("d", "e")
        assert caught.value.params == {"dataset": "d", "epoch": "e"}


def test_an_illegal_move_says_from_where_to_where(store: KeyStore) -> None:
    store.create_epoch("d", "e", **SPAN)
    with pytest.raises(EpochStateError) as caught:
        store.destroy_epoch("d", "e", reason="too early")
    assert caught.value.params == {"dataset": "d", "epoch": "e", "state": "pending", "wanted": "destroyed"}
    with pytest.raises(InputError):
        store.destroy_epoch("d", "e", reason=" ")


# Bound to its place


@pytest.mark.parametrize("column", ["wrapped_key", "wrapped_secret"])
def test_a_wrapped_key_moved_to_another_epoch_does_not_open(store: KeyStore, tmp_path: Path, column: str) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.create_epoch("d", "f", **SPAN)
    raw(tmp_path).execute(
        f"UPDATE epoch SET {column} = (SELECT {column} FROM epoch WHERE epoch = 'f') WHERE epoch = 'e'"  # noqa: S608
    )
    with pytest.raises(KeyUnwrapFailed):
        store.open_epoch_key("d", "e") if column == "wrapped_key" else store.derive_epoch_secret("d", "e", "x")


def test_a_wrapped_secret_does_not_pass_for_a_key(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    raw(tmp_path).execute("UPDATE epoch SET wrapped_key = wrapped_secret")
    with pytest.raises(KeyUnwrapFailed):
        store.open_epoch_key("d", "e")


def test_a_replaced_public_key_is_noticed(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.create_identity("演示省", "province")
    raw(tmp_path).execute("UPDATE epoch SET public_key = zeroblob(32)")
    with pytest.raises(KeyUnwrapFailed):
        store.open_epoch_key("d", "e")
    other = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")  # RFC 8032, TEST 1
    raw(tmp_path).execute("UPDATE identity SET verify_key = ?", (other,))
    with pytest.raises(KeyUnwrapFailed):
        store.get_identity()


# Identity and store secrets


def test_one_identity_a_home(store: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    with pytest.raises(IdentityMissing):
        store.get_identity()
    with pytest.raises(IdentityMissing):
        store.get_public_identity()
    with pytest.raises(IdentityInvalid):
        store.create_identity("a\nb", "bank")
    identity = store.create_identity("演示银行", "bank")
    with pytest.raises(IdentityExists) as caught:
        store.create_identity("另一银行", "bank")
    assert caught.value.params == {"fingerprint": identity.public.fingerprint}
    again = reopened(store, tmp_path, kek)
    assert again.get_public_identity() == identity.public
    assert again.get_identity().sign(b"message") == identity.sign(b"message")


def test_a_renamed_identity_does_not_open(store: KeyStore, tmp_path: Path) -> None:
    store.create_identity("演示银行", "bank")
    raw(tmp_path).execute("UPDATE identity SET kind = 'province'")
    with pytest.raises(KeyUnwrapFailed):
        store.get_identity()


def test_store_secrets_stay_and_differ(store: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    first, second = store.get_store_secret("results"), store.get_store_secret("customers")
    assert (len(first), len(second), first == second) == (32, 32, False)
    assert store.get_store_secret("results") == first
    assert reopened(store, tmp_path, kek).get_store_secret("results") == first
    with pytest.raises(InputError):
        store.get_store_secret("../results")


def test_threads_that_need_a_secret_first_get_the_same(store: KeyStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: store.get_store_secret("results"), range(40)))
    assert len(secrets) == 1


def test_threads_share_a_store(store: KeyStore) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.create_identity("演示省", "province")

    def use(number: int) -> str:
        store.create_epoch("d", f"{number}", **SPAN)
        store.get_identity()
        store.list_epochs()
        store.list_events()
        return store.open_epoch_key("d", "e").public_key.hex()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(use, range(40)))) == 1
    assert len(store.list_epochs()) == 41


# Killed at any point

CHILD = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
home, kek = Path(sys.argv[1]), FileKek(Path(sys.argv[2]))
store = KeyStore(home, kek, clock=SettableClock(), actor="child")
span = dict(not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2027, 1, 1, tzinfo=UTC))
if not store.list_epochs():
    store.create_identity("演示省", "province")
number = len(store.list_epochs())
while True:
    name = f"{number}"
    record = store.create_epoch("d", name, **span)
    print(name, record.fingerprint, flush=True)
    store.activate_epoch("d", name)
    store.expire_epoch("d", name)
    store.destroy_epoch("d", name, reason="test")
    print(name, "destroyed", flush=True)
    number += 1
"""


def test_a_killed_process_loses_nothing_it_reported(tmp_path: Path, kek: FileKek) -> None:
    reported: dict[str, str] = {}
    for run in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "home"), str(kek.path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            time.sleep(0.013 * run)
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        for line in lines:
            if line.endswith("\n"):
                name, value = line.split()
                reported[name] = value
        store = KeyStore(tmp_path / "home", kek, clock=SettableClock(), actor="test")
        stored = {record.epoch: record for record in store.list_epochs()}
        assert set(reported) <= set(stored)
        for name, value in reported.items():
            if value == "destroyed":
                assert stored[name].state == "destroyed"
            else:
                assert stored[name].fingerprint == value
        for record in stored.values():
            if record.state in ("pending", "active"):
                assert store.open_epoch_key("d", record.epoch).public_key == record.public_key
        store.close()
    assert len(reported) >= 8
