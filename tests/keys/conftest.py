"""Shared parts of the tests of keys/. Passphrases are derived at the lowest cost libsodium allows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keys.clock import SettableClock
from keys.identity import Identity
from keys.wrap import FileKek, PassphraseCost, PassphraseKek, create_kek_file

CHEAP = PassphraseCost(passes=1, memory_kib=8)


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
def passphrase_kek() -> Callable[[str], PassphraseKek]:
    return lambda passphrase: PassphraseKek(lambda: passphrase, CHEAP)


@pytest.fixture(autouse=True)
def no_handle_left_open() -> Iterator[None]:
    yield
    gc.collect()
