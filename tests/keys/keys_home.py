"""What the tests of the key store share: a home to look into from outside, and a store with one of everything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pysqlite3

from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import KekProvider, PassphraseCost

CHEAP = PassphraseCost(passes=1, memory_kib=8)  # the lowest cost that libsodium allows
SPAN = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2027, 1, 1, tzinfo=UTC),
}


def reopened(store: KeyStore, tmp_path: Path, kek: KekProvider) -> KeyStore:
    """The same home as another process opens it."""
    store.close()
    return KeyStore(tmp_path / "home", kek, clock=SettableClock(), actor="test")


def raw(tmp_path: Path) -> pysqlite3.Connection:
    return pysqlite3.connect(str(tmp_path / "home" / "keys.sqlite"), isolation_level=None)


def fill(store: KeyStore) -> dict[str, bytes]:
    """One destroyed and one pending epoch, an identity, a store secret. Returns the secrets."""
    store.create_identity("演示省", "province")
    for epoch in ("old", "new"):
        store.create_epoch("d", epoch, **SPAN)
    store.activate_epoch("d", "old")
    store.expire_epoch("d", "old")
    store.destroy_epoch("d", "old", reason="over")
    store.get_store_secret("results")
    return everything(store)


def everything(store: KeyStore) -> dict[str, bytes]:
    return {
        "key": store.open_epoch_key("d", "new").expose_bytes(),
        "secret": store.derive_epoch_secret("d", "new", "receipts"),
        "seed": store.get_identity().expose_seed(),
        "store": store.get_store_secret("results"),
    }
