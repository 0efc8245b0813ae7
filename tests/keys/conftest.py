"""Fixtures of the tests of keys/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keys.clock import SettableClock
from keys.identity import Identity
from keys.keystore import KeyStore
from keys.wrap import FileKek, create_kek_file


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(scope="session")
def bank() -> Identity:
    return Identity("演示银行", "bank", bytes(range(32)))


@pytest.fixture(scope="session")
def province() -> Identity:
    return Identity("演示省", "province", bytes(range(32, 64)))


@pytest.fixture
def kek(tmp_path: Path) -> FileKek:
    path = tmp_path / "kek"
    create_kek_file(path)
    return FileKek(path)


@pytest.fixture
def store(tmp_path: Path, kek: FileKek, clock: SettableClock) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "home", kek, clock=clock, actor="test")
    yield store
    store.close()
