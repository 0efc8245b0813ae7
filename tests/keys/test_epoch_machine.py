"""The life of epochs as a state machine on real SQLite: every rule, in any order, with restarts and rotations."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keys.clock import SettableClock
from keys.epochs import EpochState, EpochStateError
from keys.keystore import EpochExists, EpochUnknown, KeyStore
from keys.wrap import EnvironmentKek

DATASETS = st.sampled_from(["kuozhong", "weifang"])
EPOCHS = st.sampled_from(["2025", "2026"])
KEKS = st.sampled_from(["0a" * 32, "0b" * 32])
NEXT: dict[EpochState, EpochState] = {"pending": "active", "active": "expired", "expired": "destroyed"}


class EpochMachine(RuleBasedStateMachine):
    """The model: each epoch's state, and the secrets first seen for it."""

    @initialize(kek=KEKS)
    def begin(self, kek: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="epochs-"))
        self.clock = SettableClock()
        self.kek = kek
        self.states: dict[tuple[str, str], EpochState] = {}
        self.keys: dict[tuple[str, str], bytes] = {}
        self.secrets: dict[tuple[str, str], bytes] = {}
        self.store = self.open()
        self.store.create_identity("演示省", "province")

    def open(self) -> KeyStore:
        return KeyStore(self.home, self.provider(self.kek), clock=self.clock, actor="machine")

    @staticmethod
    def provider(kek: str) -> EnvironmentKek:
        return EnvironmentKek(environment={"MINGCE_KEK": kek})

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.home)

    @rule(dataset=DATASETS, epoch=EPOCHS)
    def create(self, dataset: str, epoch: str) -> None:
        span = {"not_before": datetime(2026, 1, 1, tzinfo=UTC), "not_after": datetime(2027, 1, 1, tzinfo=UTC)}
        if (dataset, epoch) in self.states:
            with pytest.raises(EpochExists):
                self.store.create_epoch(dataset, epoch, **span)
        else:
            assert self.store.create_epoch(dataset, epoch, **span).state == "pending"
            self.states[dataset, epoch] = "pending"

    @rule(dataset=DATASETS, epoch=EPOCHS, wanted=st.sampled_from(["active", "expired", "destroyed"]))
    def move(self, dataset: str, epoch: str, wanted: EpochState) -> None:
        moves = {
            "active": lambda: self.store.activate_epoch(dataset, epoch),
            "expired": lambda: self.store.expire_epoch(dataset, epoch),
            "destroyed": lambda: self.store.destroy_epoch(dataset, epoch, reason="over"),
        }
        state = self.states.get((dataset, epoch))
        if state is None:
            with pytest.raises(EpochUnknown):
                moves[wanted]()
        elif NEXT.get(state) != wanted:
            with pytest.raises(EpochStateError):
                moves[wanted]()
        else:
            assert moves[wanted]().state == wanted
            self.states[dataset, epoch] = wanted

    @rule(dataset=DATASETS, epoch=EPOCHS)
    def open_key(self, dataset: str, epoch: str) -> None:
        name = (dataset, epoch)
        if name not in self.states:
            with pytest.raises(EpochUnknown):
                self.store.open_epoch_key(*name)
        elif self.states[name] in ("pending", "active"):
            key = self.store.open_epoch_key(*name).expose_bytes()
            assert self.keys.setdefault(name, key) == key
        else:
            with pytest.raises(EpochStateError):
                self.store.open_epoch_key(*name)

    @rule(dataset=DATASETS, epoch=EPOCHS)
    def derive(self, dataset: str, epoch: str) -> None:
        name = (dataset, epoch)
        if self.states.get(name) in ("pending", "active", "expired"):
            secret = self.store.derive_epoch_secret(*name, "receipts")
            assert self.secrets.setdefault(name, secret) == secret
        else:
            with pytest.raises((EpochUnknown, EpochStateError)):
                self.store.derive_epoch_secret(*name, "receipts")

    @rule(kek=KEKS)
    def rotate(self, kek: str) -> None:
        self.store.rewrap(self.provider(kek))
        self.kek = kek

    @rule(seconds=st.integers(-100_000, 100_000))
    def step_clock(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.open()

    @invariant()
    def states_agree(self) -> None:
        records = {(record.dataset, record.epoch): record for record in self.store.list_epochs()}
        assert {name: record.state for name, record in records.items()} == self.states
        for record in records.values():
            reached = [record.activated_at, record.expired_at, record.destroyed_at]
            assert [moment is not None for moment in reached] == [
                record.state != "pending",
                record.state in ("expired", "destroyed"),
                record.state == "destroyed",
            ]

    @invariant()
    def every_destroyed_key_has_its_record(self) -> None:
        records = {(record.dataset, record.epoch): record for record in self.store.list_destructions()}
        assert records.keys() == {name for name, state in self.states.items() if state == "destroyed"}
        for (dataset, epoch), record in records.items():
            assert record.fingerprint == self.store.get_epoch(dataset, epoch).fingerprint
            assert record.shredded_at is not None

    @invariant()
    def keys_differ(self) -> None:
        assert len(set(self.keys.values())) == len(self.keys)
        assert len(set(self.secrets.values())) == len(self.secrets)

    @invariant()
    def nothing_wrapped_is_left_of_the_destroyed(self) -> None:
        rows = self.store._database.query("SELECT state, wrapped_key, wrapped_secret FROM epoch")
        for row in rows:
            gone = (row["wrapped_key"] is None, row["wrapped_secret"] is None)
            assert gone == ((row["state"] == "destroyed"),) * 2


EpochMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestEpochMachine = EpochMachine.TestCase
