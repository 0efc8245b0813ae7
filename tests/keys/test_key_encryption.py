"""The key-encryption key of a whole key store, its rotation, and the record of every opening."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pysqlite3
import pytest
from keys_home import CHEAP, SPAN, everything, fill, raw, reopened

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek, FileKek, KekUnavailable, KeyUnwrapFailed, PassphraseKek
from psi.errors import MingceError

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


class InterruptedKek(EnvironmentKek):
    """Runs something else right after its first unwrapping, as another process can."""

    def __init__(self, kek: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(environment={"MINGCE_KEK": kek})
        self.meanwhile: Callable[[], object] | None = meanwhile

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        secret = super().unwrap(wrapped, context)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return secret


def test_a_rotation_in_the_middle_of_a_creation_is_noticed(tmp_path: Path, clock: SettableClock) -> None:
    home, old, new = tmp_path / "home", "0d" * 32, "0e" * 32
    other = KeyStore(home, EnvironmentKek(environment={"MINGCE_KEK": old}), clock=clock, actor="other")
    other.create_epoch("d", "e", **SPAN)
    provider = InterruptedKek(old, lambda: other.rewrap(EnvironmentKek(environment={"MINGCE_KEK": new})))
    store = KeyStore(home, provider, clock=clock, actor="test")
    with pytest.raises(KeyUnwrapFailed):
        store.create_epoch("d", "f", **SPAN)
    assert [record.epoch for record in store.list_epochs()] == ["e"]


# The record


def test_every_change_and_opening_is_on_record(store: KeyStore, clock: SettableClock) -> None:
    fill(store)
    clock.advance(5)
    store.receipt_key("d", "new", "339900")
    store.rewrap(EnvironmentKek(environment={"MINGCE_KEK": "0f" * 32}))
    events = store.list_events()
    assert [(event.action, event.subject, event.detail) for event in events] == [
        ("identity create", "演示省", store.get_public_identity().fingerprint),
        ("epoch create", "d/old", ""),
        ("epoch create", "d/new", ""),
        ("epoch active", "d/old", ""),
        ("epoch expired", "d/old", ""),
        ("identity open", "演示省", ""),
        ("epoch destroyed", "d/old", "over"),
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
        with pytest.raises(MingceError) as caught:
            attempt()
        texts += [repr(caught.value), str(caught.value), repr(caught.value.params)]
    texts += capsys.readouterr()
    for name, secret in secrets.items():
        for text in texts:
            assert secret.hex() not in text, name
            assert repr(secret)[2:-1] not in text, name
        for path in (tmp_path / "home").iterdir():
            assert secret not in path.read_bytes(), name
            assert secret.hex().encode() not in path.read_bytes(), name
