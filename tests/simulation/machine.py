"""Everything that may happen to a province and its banks, in any order, and what must hold after each step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import ClassVar

import expected
from expected import Edition, Person, Published, intersection
from hosts import BANKS, COUNTIES, RENEW_AFTER, SHRINK_LIMIT, id_number
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from invariants import BANK_ALARMS, check_cheap, check_dear, check_edition
from mortal import Killed
from network import ATTACKS, FAULTS, Network
from world import World, make_template, write_source

from matcher.bank.runs import Run
from matcher.province.plan import Outcome
from psi.errors import MingceError, VerificationError

PEOPLE = 90
DEAR_EVERY = 8
BATCH_SIZES = (8, 32)

BANK = st.sampled_from(sorted(BANKS))
PERSON = st.integers(0, PEOPLE - 1).map(id_number)
REASONS = st.lists(st.sampled_from(["N01", "N05", "N10", "N12"]), unique=True, max_size=2).map(sorted).map(tuple)
ROW = st.builds(
    Person,
    household_no=st.integers(1, 5).map(lambda number: f"H{number:04d}"),
    household_size=st.integers(1, 4),
    division=st.sampled_from([f"{county}100" for county in COUNTIES]),
    reasons=REASONS,
)
CHANGES = st.dictionaries(PERSON, st.none() | ROW, max_size=10)
NEWCOMERS = st.lists(PERSON, max_size=14, unique=True)
LINE = st.dictionaries(st.integers(1, 9), st.sampled_from(FAULTS), max_size=3)
STEP = st.integers(1, 30)
OFFSET = st.sampled_from([0, 200, -200, 600, -172_800, 172_800]).map(lambda seconds: timedelta(seconds=seconds))

# What the bank's client makes of the province's final word.
TOLD = {
    "clock_skew": {"clock_refused"},
    "not_granted": {"access_refused"},
    "not_found": {"access_refused"},
    "key_epoch": {"epoch_refused"},
    "budget_exhausted": {"budget_exhausted", "budget_waits"},
}

Changes = dict[str, Person | None]


@cache
def template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    make_template(folder)
    return folder


class Simulation(RuleBasedStateMachine):
    """``steps`` counts over all examples, so that a test can say how many there were."""

    steps: ClassVar[int] = 0

    @initialize(seed=st.integers(0, 2**32 - 1), people=st.dictionaries(PERSON, ROW, min_size=20, max_size=40))
    def begin(self, seed: int, people: dict[str, Person]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="world-"))
        self.world = World(self.folder / "world", template(), seed)
        self.model = self.world.model
        self.listed = dict(people)
        self.results: dict[str, tuple[str, list[expected.Label | None]]] = {}  # by run: bank and what it found
        self.sealed: dict[tuple[str, bytes, int], bytes] = {}
        self.create_epoch()
        self._refresh(accept_shrink=False)
        self.activate_epoch()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            check_dear(self.world, self.results, self.sealed)
            self.world.end()
            shutil.rmtree(self.folder)

    # The province's list

    @rule(changes=CHANGES, accept_shrink=st.booleans())
    def refresh(self, changes: Changes, accept_shrink: bool) -> None:
        self._change_list(changes)
        self._refresh(accept_shrink=accept_shrink)

    @rule(changes=CHANGES, step=st.integers(1, 45))
    def refresh_killed(self, changes: Changes, step: int) -> None:
        self._change_list(changes)
        self._refresh(accept_shrink=True, kill_at=step)

    @precondition(lambda self: len(self._newest.editions) > 1)
    @rule(back=st.integers(1, 3), step=st.sampled_from([0, 0, 4, 10, 16, 22]))
    def roll_back(self, back: int, step: int) -> None:
        self._roll_back(max(1, len(self._newest.editions) - back), kill_at=step)

    # Its epochs

    @precondition(lambda self: len(self.model.epochs) < 4)
    @rule()
    def create_epoch(self) -> None:
        name = str(2026 + len(self.model.epochs))
        self.world.create_epoch(name)
        self.model.epochs[name] = expected.Epoch()
        for bank in BANKS:
            self._set_budget(bank, name, 200, 64)

    @precondition(lambda self: self._newest.state == "pending" and self._newest.editions)
    @rule()
    def activate_epoch(self) -> None:
        name = max(self.model.epochs)
        self.world.activate_epoch(name)
        self._newest.state, self.model.current_epoch = "active", name

    @precondition(lambda self: self._others("active"))
    @rule()
    def expire_epoch(self) -> None:
        name = self._others("active")[0]
        self.world.expire_epoch(name)
        self.model.epochs[name].state = "expired"

    @precondition(lambda self: self._others("expired"))
    @rule()
    def destroy_epoch(self) -> None:
        name = self._others("expired")[0]
        self.world.destroy_epoch(name)
        self.model.epochs[name].state = "destroyed"

    # Its banks

    @rule(bank=BANK, limit=st.sampled_from([0, 40, 120, 400, 1_000]), nightly=st.sampled_from([0, 8, 64]))
    def set_budget(self, bank: str, limit: int, nightly: int) -> None:
        self._set_budget(bank, self.model.current_epoch, limit, nightly)

    @rule(bank=BANK, new=NEWCOMERS)
    def match_while_suspended(self, bank: str, new: list[str]) -> None:
        self.world.set_party_state(bank, "suspended")
        self.model.suspended.add(bank)
        self._match(bank, new)
        self.world.set_party_state(bank, "active")
        self.model.suspended.clear()

    # Time, and what the network still holds

    @rule(hours=st.sampled_from([1, 9, 24]))
    def time_goes_on(self, hours: int) -> None:
        """And every clock is put right."""
        self.world.clocks.go_on(timedelta(hours=hours))

    @rule(party=st.sampled_from(["province", *BANKS]), offset=OFFSET)
    def clock_steps(self, party: str, offset: timedelta) -> None:
        self.world.clocks.put(party, offset)

    @precondition(lambda self: self.world.held)
    @rule()
    def late_requests_arrive(self) -> None:
        held, self.world.held = self.world.held, []
        for sent, scope in held:
            self.world.deliver(sent, scope)

    @rule()
    def restart_the_province(self) -> None:
        self.world.province.stop()
        self.world.province.start()

    # The banks' customers and matches

    @rule(bank=BANK, count=st.integers(1, 6))
    def customers_leave(self, bank: str, count: int) -> None:
        del self.world.banks[bank].customers[:count]

    @rule(bank=BANK, new=NEWCOMERS)
    def match(self, bank: str, new: list[str]) -> None:
        self._match(bank, new)

    @rule(bank=BANK, new=NEWCOMERS, line=LINE)
    def match_over_a_bad_line(self, bank: str, new: list[str], line: dict[int, str]) -> None:
        self._match(bank, new, line=line)

    @rule(bank=BANK, new=NEWCOMERS, step=STEP, line=LINE)
    def match_killed(self, bank: str, new: list[str], step: int, line: dict[int, str]) -> None:
        self._match(bank, new, line=line, kill_bank_at=step)

    @rule(bank=BANK, new=NEWCOMERS, step=STEP)
    def match_while_the_province_dies(self, bank: str, new: list[str], step: int) -> None:
        self._match(bank, new, kill_province_at=step)

    @rule(bank=BANK, new=NEWCOMERS, attack=st.sampled_from(ATTACKS))
    def match_under_attack(self, bank: str, new: list[str], attack: str) -> None:
        self._match(bank, new, attack=attack)

    @precondition(lambda self: self._others("active", "expired"))
    @rule(bank=BANK, new=NEWCOMERS)
    def match_in_an_earlier_epoch(self, bank: str, new: list[str]) -> None:
        self._match(bank, new, epoch=self._others("active", "expired")[-1])

    # What must hold

    @invariant()
    def nothing_is_lost_or_counted_twice(self) -> None:
        type(self).steps += 1
        if hasattr(self, "world"):
            check_cheap(self.world)
            if self.steps % DEAR_EVERY == 0:
                check_dear(self.world, self.results, self.sealed)

    # Inside

    @property
    def _newest(self) -> expected.Epoch:
        return self.model.epochs[max(self.model.epochs)]

    def _others(self, *states: str) -> list[str]:
        """Epochs that are not the current one, the oldest first."""
        return [
            name
            for name, epoch in sorted(self.model.epochs.items())
            if epoch.state in states and name != self.model.current_epoch
        ]

    def _set_budget(self, bank: str, epoch: str, limit: int, nightly: int) -> None:
        self.world.set_budget(bank, epoch, limit, nightly)
        self.model.set_budget(bank, epoch, limit, nightly, self.world.province_time)

    def _change_list(self, changes: Changes) -> None:
        for item, person in changes.items():
            if person is None:
                self.listed.pop(item, None)
            else:
                self.listed[item] = person

    def _refresh(self, *, accept_shrink: bool, kill_at: int = 0) -> None:
        """Of the newest epoch. The outcome is known beforehand; after a death it is that one or nothing."""
        epoch, name, now = self._newest, max(self.model.epochs), self.world.province_time
        source = write_source(self.folder / "list.csv", self.listed.items())
        new = Edition(self._rows_listed(), source.read_text("utf-8"), now)
        due, old = _due_refresh(epoch, new, accept_shrink), epoch.current
        outcome = self._publish(
            lambda: self.world.province.refresh(name, source, accept_shrink=accept_shrink),
            new,
            due,
            "published",
            kill_at,
        )
        if outcome is not None:
            added, removed = new.rows.keys() - old.keys(), old.keys() - new.rows.keys()
            changed = {item for item in new.rows.keys() & old.keys() if new.rows[item] != old[item]}
            assert (outcome.added, outcome.changed, outcome.removed) == (len(added), len(changed), len(removed))

    def _roll_back(self, to: int, *, kill_at: int) -> None:
        epoch, name = self._newest, max(self.model.epochs)
        current, earlier = epoch.editions[-1], epoch.editions[to - 1]
        withdrawn = (current.withdrawn | {current.source}) - {earlier.source}
        again = Edition(earlier.rows, earlier.source, self.world.province_time, withdrawn)
        due = "rolled_back" if to in self.world.province.kept_editions(name) else "edition_gone"
        self._publish(lambda: self.world.province.roll_back(name, to), again, due, "rolled_back", kill_at)

    def _publish(
        self, work: Callable[[], Outcome], new: Edition, due: str, success: str, kill_at: int
    ) -> Outcome | None:
        """Do ``work``, whose end must be ``due``: an outcome or an error's code. After a death, that or nothing."""
        province, epoch, name = self.world.province, self._newest, max(self.model.epochs)
        province.arm(kill_at)
        try:
            outcome = work()
        except Killed:
            self.world.raise_province()
            if due == success and province.count_editions(name) > len(epoch.editions):
                epoch.editions.append(new)
            return None
        except MingceError as error:
            if error.code != due:
                raise
            return None
        finally:
            province.arm(0)
        assert outcome.outcome == due
        assert not list(province.home.glob(f"editions/*/{name}/.building-*"))
        if due == success:
            epoch.editions.append(new)
            assert outcome.edition == len(epoch.editions)
            check_edition(self.world, name, len(epoch.editions), self.sealed)
        return outcome

    def _rows_listed(self) -> Published:
        return {item: person.as_label() for item, person in self.listed.items()}

    def _match(
        self,
        name: str,
        newcomers: list[str],
        *,
        line: dict[int, str] | None = None,
        attack: str = "",
        epoch: str | None = None,
        kill_bank_at: int = 0,
        kill_province_at: int = 0,
    ) -> None:
        bank, network = self.world.banks[name], Network(self.world, name, line or {}, attack)
        bank.customers += [item for item in newcomers if item not in bank.customers]
        bank.arm(kill_bank_at)
        self.world.province.arm(kill_province_at)
        try:
            run = bank.match(network, self.world.province, epoch)
        except Killed:
            bank.rise()
        except MingceError as error:
            self._check_failure(name, network, error, epoch or self.model.current_epoch)
        else:
            assert not network.forged, f"{attack}: a forged answer was taken for an honest one"
            assert not network.refusals
            self._check_run(name, run, epoch or self.model.current_epoch)
        finally:
            bank.arm(0)
            self.world.province.arm(0)
            if self.world.province.died_at:
                self.world.raise_province()

    def _check_failure(self, name: str, network: Network, error: MingceError, epoch: str) -> None:
        """A match may fail for what the province said, a forged answer, a county without people, and nothing else."""
        bank = self.world.banks[name]
        if network.forged:
            assert isinstance(error, VerificationError), error.code
            assert set(bank.acknowledge_alarms()) - BANK_ALARMS == {error.code}
            return
        due = {code for told in network.refusals for code in TOLD[told]}
        if set(bank.divisions) - {label[2][:6] for label in self.model.epochs[epoch].current.values()}:
            due.add("bad_input")
        assert error.code in due, (error.code, error.detail, error.params)

    def _check_run(self, name: str, run: Run, epoch: str) -> None:
        bank, published = self.world.banks[name], self.model.epochs[epoch]
        due = intersection(bank.customers, published.current, bank.divisions)
        assert bank.read_labels(run.run_id) == due
        assert (run.state, run.epoch, run.edition) == ("COMPLETED", epoch, len(published.editions))
        assert (run.customers, run.matched) == (len(due), sum(label is not None for label in due))
        self.results[run.run_id] = (name, due)


def _due_refresh(epoch: expected.Epoch, new: Edition, accept_shrink: bool) -> str:
    old = epoch.editions[-1] if epoch.editions else None
    renew = old is None or new.made_at - old.made_at >= RENEW_AFTER
    if old is not None and not renew and new.source == old.source:
        return "unchanged"
    if old is not None and new.source in old.withdrawn:
        return "list_withdrawn"
    if not new.rows:
        return "list_shrunk"
    if old is not None and not renew and new.rows == old.rows:
        return "unchanged"
    if old is not None and not accept_shrink and len(old.rows.keys() - new.rows.keys()) > SHRINK_LIMIT * len(old.rows):
        return "list_shrunk"
    return "published"
