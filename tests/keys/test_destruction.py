"""A destroyed key leaves every file of the home, and a signed record stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pysqlite3
import pytest
from keys_home import SPAN, raw, reopened

import keys.keystore
from keys.clock import SettableClock
from keys.database import DatabaseUnavailable
from keys.destruction import PAYLOAD_TYPE, DestructionInvalid, open_destruction, sign_destruction
from keys.envelope import EnvelopeInvalid, UntrustedSigner, open_envelope, sign_envelope
from keys.epochs import EpochStateError
from keys.identity import Identity, SignatureInvalid
from keys.keystore import IdentityMissing, KeyStore
from keys.wrap import FileKek
from psi.errors import InputError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def expired(store: KeyStore) -> KeyStore:
    """Two expired epochs ``old`` and ``kept``."""
    store.create_identity("演示省", "province")
    for epoch in ("old", "kept"):
        store.create_epoch("d", epoch, **SPAN)
        store.activate_epoch("d", epoch)
        store.expire_epoch("d", epoch)
    return store


def wrapped_of(tmp_path: Path, epoch: str) -> tuple[bytes, bytes]:
    connection = raw(tmp_path)
    row = connection.execute("SELECT wrapped_key, wrapped_secret FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
    connection.close()
    return row


def found(tmp_path: Path, blobs: tuple[bytes, bytes]) -> bool:
    """Whether a wrapped value, or its ciphertext alone, stands in any file of the home: database, log, leftovers."""
    contents = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    return any(blob[offset:] in content for blob in blobs for content in contents for offset in (0, 18))


def test_a_destroyed_key_is_in_no_file_of_the_home(expired: KeyStore, tmp_path: Path) -> None:
    gone, kept = wrapped_of(tmp_path, "old"), wrapped_of(tmp_path, "kept")
    assert found(tmp_path, gone)
    expired.destroy_epoch("d", "old", reason="over")
    assert not found(tmp_path, gone)
    assert found(tmp_path, kept), "only the one key goes"
    assert expired.derive_epoch_secret("d", "kept", "receipts")
    assert [path.name for path in (tmp_path / "home").iterdir() if path.name.startswith(".building")] == []


def test_the_record_says_who_what_when_and_why(expired: KeyStore, clock: SettableClock) -> None:
    clock.advance(3600)
    epoch = expired.get_epoch("d", "old")
    expired.destroy_epoch("d", "old", reason="年度归档", removed=["editions/d/old/1/private"])
    (record,) = expired.list_destructions()
    assert (record.dataset, record.epoch, record.actor, record.reason) == ("d", "old", "test", "年度归档")
    assert (record.fingerprint, record.public_key) == (epoch.fingerprint, epoch.public_key.hex())
    assert record.destroyed_at == record.shredded_at == clock.now()
    assert record.removed == ("editions/d/old/1/private",)
    signer = expired.get_public_identity()
    assert json.loads(open_envelope(record.envelope, PAYLOAD_TYPE, signer))["format"] == "mingce-destruction/1"
    assert expired.get_epoch("d", "old").destroyed_at == record.destroyed_at


def test_a_record_is_never_deleted(expired: KeyStore, tmp_path: Path) -> None:
    expired.destroy_epoch("d", "old", reason="over")
    with pytest.raises(pysqlite3.IntegrityError):
        raw(tmp_path).execute("DELETE FROM destruction")


def test_without_an_identity_nothing_is_destroyed(store: KeyStore, tmp_path: Path) -> None:
    store.create_epoch("d", "e", **SPAN)
    store.activate_epoch("d", "e")
    store.expire_epoch("d", "e")
    with pytest.raises(IdentityMissing):
        store.destroy_epoch("d", "e", reason="over")
    assert store.get_epoch("d", "e").state == "expired"
    assert all(wrapped_of(tmp_path, "e"))


def test_only_an_expired_key_and_only_once(expired: KeyStore) -> None:
    expired.create_epoch("d", "new", **SPAN)
    for epoch in ("new", "old"):
        if epoch == "old":
            expired.destroy_epoch("d", "old", reason="over")
        with pytest.raises(EpochStateError):
            expired.destroy_epoch("d", epoch, reason="over")
    with pytest.raises(InputError):
        expired.destroy_epoch("d", "kept", reason=" ")
    assert len(expired.list_destructions()) == 1


def test_a_reader_delays_the_shredding_and_it_is_finished_later(expired: KeyStore, tmp_path: Path) -> None:
    gone = wrapped_of(tmp_path, "old")
    reader = raw(tmp_path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM epoch").fetchall()
    expired._database.conn.execute("PRAGMA busy_timeout = 50")
    expired.destroy_epoch("d", "old", reason="over")
    (record,) = expired.list_destructions()
    assert record.shredded_at is None
    assert expired.finish_destructions() is False
    reader.close()
    assert expired.finish_destructions() is True
    assert expired.list_destructions()[0].shredded_at is not None
    assert not found(tmp_path, gone)


CHILD = """
import os, signal, sys
from pathlib import Path
import keys.keystore
from keys.clock import SettableClock
from keys.wrap import FileKek
keys.keystore.erase_traces = lambda database: os.kill(os.getpid(), signal.SIGKILL)
store = keys.keystore.KeyStore(Path(sys.argv[1]), FileKek(Path(sys.argv[2])), clock=SettableClock(), actor="child")
store.destroy_epoch("d", "old", reason="over")
"""


def test_killed_before_the_file_is_cleared(expired: KeyStore, tmp_path: Path, kek: FileKek) -> None:
    gone = wrapped_of(tmp_path, "old")
    expired.close()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "home"), str(kek.path)], cwd=REPOSITORY, check=False
    )
    assert done.returncode == -signal.SIGKILL
    again = reopened(expired, tmp_path, kek)
    assert again.list_destructions()[0].shredded_at is None
    assert again.finish_destructions() is True
    assert again.list_destructions()[0].shredded_at is not None
    assert not found(tmp_path, gone)


def test_a_disk_that_fails_leaves_the_destruction_unfinished(
    expired: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> bool:
        raise DatabaseUnavailable("database or disk is full")

    monkeypatch.setattr(keys.keystore, "erase_traces", full)
    with pytest.raises(DatabaseUnavailable):
        expired.destroy_epoch("d", "old", reason="over")
    assert expired.get_epoch("d", "old").state == "destroyed"
    assert expired.list_destructions()[0].shredded_at is None
    monkeypatch.undo()
    assert expired.finish_destructions() is True


def test_a_forged_record_does_not_pass(expired: KeyStore, tmp_path: Path, province: Identity) -> None:
    at, epoch = SettableClock().now(), expired.get_epoch("d", "old")
    made = sign_destruction(province, epoch, actor="a", reason="r", at=at, removed=[])
    assert open_destruction(made, province.public).reason == "r"
    with pytest.raises(UntrustedSigner):
        open_destruction(made, expired.get_public_identity())
    with pytest.raises(EnvelopeInvalid):
        open_destruction(sign_envelope(province, "text/plain", b"{}"), province.public)
    for payload in (b"{}", b"[]", b'{"format":"mingce-destruction/1"}'):
        with pytest.raises(DestructionInvalid):
            open_destruction(sign_envelope(province, PAYLOAD_TYPE, payload), province.public)
    expired.destroy_epoch("d", "old", reason="over")
    altered = made.replace(province.public.fingerprint.encode(), expired.get_public_identity().fingerprint.encode())
    raw(tmp_path).execute("UPDATE destruction SET envelope = ?", (altered,))
    with pytest.raises(SignatureInvalid):
        expired.list_destructions()


@pytest.mark.parametrize("change", [{"format": "x"}, {"removed": "a"}, {"removed": [1]}, {"destroyed_at": "now"}])
def test_a_signed_record_of_another_shape_is_refused(
    expired: KeyStore, province: Identity, change: dict[str, object]
) -> None:
    epoch = replace(expired.get_epoch("d", "old"))
    made = sign_destruction(province, epoch, actor="a", reason="r", at=SettableClock().now(), removed=[])
    payload = {**json.loads(open_envelope(made, PAYLOAD_TYPE, province.public)), **change}
    with pytest.raises(DestructionInvalid):
        open_destruction(sign_envelope(province, PAYLOAD_TYPE, json.dumps(payload).encode()), province.public)
