from __future__ import annotations

import hashlib
import hmac
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysqlite3
import pytest
from conftest import CHEAP

from keys.clock import SettableClock
from keys.epochs import EpochStateError
from keys.identity import IdentityInvalid
from keys.keystore import EpochExists, EpochUnknown, IdentityExists, IdentityMissing, KeyStore
from keys.wrap import EnvironmentKek, FileKek, KekUnavailable, KeyUnwrapFailed, PassphraseKek
from psi.errors import InputError

SPAN = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2027, 1, 1, tzinfo=UTC),
}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path, kek: FileKek, clock: SettableClock) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "home", kek, clock=clock, actor="test")
    yield store
    store.close()


def reopened(store: KeyStore, tmp_path: Path, kek: FileKek | PassphraseKek | EnvironmentKek) -> KeyStore:
    store.close()
    return KeyStore(tmp_path / "home", kek, clock=SettableClock(), actor="test")


def raw(path: Path) -> pysqlite3.Connection:
    return pysqlite3.connect(str(path / "home" / "keys.sqlite"), isolation_level=None)


# Epochs


def test_the_life_of_an_epoch(store: KeyStore, clock: SettableClock) -> None:
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


@pytest.mark.parametrize("dataset, epoch", [("..", "e"), ("d", ".."), ("", "e"), ("d", "a/b"), ("D", "e")])
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


def test_a_destroyed_key_is_in_no_file_of_the_home(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.create_epoch("d", "other", **SPAN)
    connection = raw(tmp_path)
    wrapped = connection.execute("SELECT wrapped_key, wrapped_secret FROM epoch WHERE epoch = 'e'").fetchone()
    connection.close()

    def found() -> bool:
        contents = [path.read_bytes() for path in (tmp_path / "home").iterdir()]
        return any(blob in content for blob in wrapped for content in contents)

    assert found()
    store.activate_epoch("d", "e")
    store.expire_epoch("d", "e")
    store.destroy_epoch("d", "e", reason="over")
    assert not found()
    assert store.open_epoch_key("d", "other")


# Bound to its place


@pytest.mark.parametrize("column", ["wrapped_key", "wrapped_secret"])
def test_a_wrapped_key_moved_to_another_epoch_does_not_open(store: KeyStore, tmp_path: Path, column: str) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.create_epoch("d", "f", **SPAN)
    raw(tmp_path).execute(
        f"UPDATE epoch SET {column} = (SELECT {column} FROM epoch WHERE epoch = 'f') WHERE epoch = 'e'"
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


# The key-encryption key


def test_public_facts_need_no_key_encryption_key(store: KeyStore, tmp_path: Path) -> None:
    record = store.create_epoch("d", "e", **SPAN)
    public = store.create_identity("演示省", "province").public
    blind = reopened(store, tmp_path, EnvironmentKek(environment={}))
    assert blind.list_epochs() == [record]
    assert blind.get_epoch("d", "e") == record
    assert blind.get_public_identity() == public
    assert blind.activate_epoch("d", "e").state == "active"
    assert len(blind.list_events()) == 3
    with pytest.raises(KekUnavailable):
        blind.open_epoch_key("d", "e")
    with pytest.raises(KekUnavailable):
        blind.create_epoch("d", "f", **SPAN)
    assert blind.list_epochs()[-1].epoch == "e"


def test_nothing_is_wrapped_under_another_key_encryption_key(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    stranger = reopened(store, tmp_path, EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    for attempt in (
        lambda: stranger.create_epoch("d", "f", **SPAN),
        lambda: stranger.create_identity("演示省", "province"),
        lambda: stranger.get_store_secret("results"),
        lambda: stranger.open_epoch_key("d", "e"),
        lambda: stranger.rewrap(EnvironmentKek(environment={"MINGCE_KEK": "0e" * 32})),
    ):
        with pytest.raises(KeyUnwrapFailed):
            attempt()
    assert [record.epoch for record in stranger.list_epochs()] == ["e"]


def test_a_passphrase_store_is_opened_by_one_derivation(tmp_path: Path, clock: SettableClock) -> None:
    asked: list[None] = []

    def ask() -> str:
        asked.append(None)
        return "correct horse battery"

    for run in range(3):
        provider = PassphraseKek(ask, CHEAP)
        store = KeyStore(tmp_path / "home", provider, clock=clock, actor="test")
        store.create_epoch("d", f"{run}", **SPAN)
        for earlier in range(run + 1):
            store.open_epoch_key("d", f"{earlier}")
        assert len(provider._derived) == 1
        store.close()
    assert len(asked) == 3
    wrong = KeyStore(tmp_path / "home", PassphraseKek(lambda: "wrong horse battery", CHEAP), clock=clock, actor="t")
    with pytest.raises(KeyUnwrapFailed):
        wrong.open_epoch_key("d", "0")


def fill(store: KeyStore) -> dict[str, bytes]:
    for epoch in ("old", "new"):
        store.create_epoch("d", epoch, **SPAN)
    store.activate_epoch("d", "old")
    store.expire_epoch("d", "old")
    store.destroy_epoch("d", "old", reason="over")
    store.create_identity("演示省", "province")
    store.get_store_secret("results")
    return everything(store)


def everything(store: KeyStore) -> dict[str, bytes]:
    return {
        "key": store.open_epoch_key("d", "new").expose_bytes(),
        "secret": store.derive_epoch_secret("d", "new", "receipts"),
        "seed": store.get_identity().expose_seed(),
        "store": store.get_store_secret("results"),
    }


def test_rewrapping_changes_the_key_of_everything(store: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    before = fill(store)
    old_blobs = wrapped_blobs(tmp_path)
    fresh = EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32})
    assert store.rewrap(fresh) == 4
    assert everything(store) == before
    contents = [path.read_bytes() for path in (tmp_path / "home").iterdir()]
    assert not any(blob in content for blob in old_blobs for content in contents)
    again = reopened(store, tmp_path, EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    assert everything(again) == before
    with pytest.raises(KeyUnwrapFailed):
        everything(reopened(again, tmp_path, kek))


def wrapped_blobs(tmp_path: Path) -> list[bytes]:
    connection = raw(tmp_path)
    rows = connection.execute(
        "SELECT wrapped_key FROM epoch UNION ALL SELECT wrapped_secret FROM epoch"
        " UNION ALL SELECT wrapped_seed FROM identity UNION ALL SELECT wrapped FROM store_secret"
        " UNION ALL SELECT wrapped FROM kek_check"
    ).fetchall()
    connection.close()
    return [blob for (blob,) in rows if blob is not None]


class FailingKek(EnvironmentKek):
    """Fails at its n-th wrapping, as an HSM that goes away would."""

    def __init__(self, failing_call: int) -> None:
        super().__init__(environment={"MINGCE_KEK": "0e" * 32})
        self.remaining = failing_call

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        self.remaining -= 1
        if self.remaining == 0:
            raise KekUnavailable("the module went away")
        return super().wrap(plaintext, context)


def test_rewrapping_is_whole_or_nothing(store: KeyStore, tmp_path: Path) -> None:
    before = fill(store)
    blobs = wrapped_blobs(tmp_path)
    call = 0
    while True:
        call += 1
        try:
            store.rewrap(FailingKek(call))
            break
        except KekUnavailable:
            assert wrapped_blobs(tmp_path) == blobs
            assert everything(store) == before
    assert call == 6  # the check and four values failed once each
    assert everything(store) == before


def test_a_value_that_does_not_open_stops_rewrapping(store: KeyStore, tmp_path: Path) -> None:
    fill(store)
    raw(tmp_path).execute("UPDATE store_secret SET wrapped = zeroblob(length(wrapped))")
    blobs = wrapped_blobs(tmp_path)
    with pytest.raises(KeyUnwrapFailed):
        store.rewrap(EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    assert wrapped_blobs(tmp_path) == blobs


def test_a_process_that_missed_a_rotation_wraps_nothing(
    store: KeyStore, tmp_path: Path, kek: FileKek, clock: SettableClock
) -> None:
    store.create_epoch("d", "e", **SPAN)
    other = KeyStore(tmp_path / "home", kek, clock=clock, actor="other")
    other.open_epoch_key("d", "e")
    store.rewrap(EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    with pytest.raises(KeyUnwrapFailed):
        other.create_epoch("d", "f", **SPAN)
    with pytest.raises(KeyUnwrapFailed):
        other.open_epoch_key("d", "e")
    assert store.open_epoch_key("d", "e")
    other.close()


# The record


def test_every_change_and_opening_is_on_record(store: KeyStore, clock: SettableClock) -> None:
    fill(store)
    clock.advance(5)
    store.receipt_key("d", "new", "339900")
    store.rewrap(EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    events = store.list_events()
    assert [(event.action, event.subject, event.detail) for event in events] == [
        ("epoch create", "d/old", ""),
        ("epoch create", "d/new", ""),
        ("epoch active", "d/old", ""),
        ("epoch expired", "d/old", ""),
        ("epoch destroyed", "d/old", "over"),
        ("identity create", "演示省", store.get_public_identity().fingerprint),
        ("secret create", "results", ""),
        ("secret open", "results", ""),
        ("epoch open key", "d/new", ""),
        ("epoch derive secret", "d/new", "receipts"),
        ("identity open", "演示省", ""),
        ("secret open", "results", ""),
        ("epoch derive secret", "d/new", "receipts"),
        ("kek rotate", "env:MINGCE_KEK", "4 wrapped values"),
    ]
    assert {event.actor for event in events} == {"test"}
    assert events[-1].at == clock.now() == events[0].at + timedelta(seconds=5)


def test_the_record_can_only_grow(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    for statement in ("DELETE FROM event", "UPDATE event SET actor = 'nobody'"):
        with pytest.raises(pysqlite3.IntegrityError):
            raw(tmp_path).execute(statement)


def test_what_is_not_recorded_is_not_opened(store: KeyStore, tmp_path: Path) -> None:
    """An opening that cannot be written down (here: a full disk stands in as a refusing trigger) gives no key."""
    store.create_epoch("d", "e", **SPAN)
    raw(tmp_path).execute("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(pysqlite3.IntegrityError):
        store.open_epoch_key("d", "e")
    with pytest.raises(pysqlite3.IntegrityError):
        store.activate_epoch("d", "e")
    assert store.get_epoch("d", "e").state == "pending"


def test_no_secret_in_prints_errors_events_or_files(
    store: KeyStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = fill(store)
    key = store.open_epoch_key("d", "new")
    texts = [repr(store), str(store), repr(key), repr(store.get_identity()), repr(store.list_epochs())]
    texts += [repr(event) for event in store.list_events()]
    raw(tmp_path).execute("UPDATE epoch SET public_key = zeroblob(32) WHERE epoch = 'new'")
    for attempt in (lambda: store.open_epoch_key("d", "new"), lambda: store.expire_epoch("d", "new")):
        with pytest.raises(Exception) as caught:  # noqa: B017, PT011
            attempt()
        texts += [repr(caught.value), str(caught.value), repr(getattr(caught.value, "params", ""))]
    texts += capsys.readouterr()
    for name, secret in secrets.items():
        for text in texts:
            assert secret.hex() not in text, name
            assert repr(secret)[2:-1] not in text, name
        for path in (tmp_path / "home").iterdir():
            assert secret not in path.read_bytes(), name
            assert secret.hex().encode() not in path.read_bytes(), name


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
        with subprocess.Popen(  # noqa: S603
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
