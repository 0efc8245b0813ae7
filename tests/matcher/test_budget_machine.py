"""A Hypothesis state machine of one bank's budget: two keys, retries, restarts, clock steps, changed allowances.

The model is a day-by-day tally that never looks at the ledger. What must hold after every step: the ledger
says the same, no allowance was ever exceeded, no request was charged twice, and the audit chain is whole.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest
from budgeting import DATASET, EPOCH, OTHER_BODY, bank, charge, open_ledger
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keys.clock import SettableClock
from matcher.province.ledger import Ledger
from matcher.province.records import BudgetExhausted, IdempotencyMismatch

KEYS = (bank(), bank("演示银行新密钥", 2))
SIZES = st.sampled_from([1, 100, 255, 256, 257, 1_000])


class BudgetMachine(RuleBasedStateMachine):
    @initialize(limit=st.integers(0, 2_000), nightly=st.sampled_from([0, 256, 1_024]))
    def begin(self, limit: int, nightly: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.clock = SettableClock()
        self.ledger = open_ledger(self.folder, self.clock)
        self.ledger.register_party(KEYS[1], entity="演示银行")
        self.ledgers = [self.ledger, Ledger.open(self.folder, self.clock)]  # two processes
        self.requests: dict[tuple[int, int], int] = {}  # (key, number) -> n
        self.used, self.reached = 0, self.today()
        self.per_day: dict[date, int] = defaultdict(int)
        self.allow(limit, nightly)

    def today(self) -> date:
        return (self.clock.now() + timedelta(hours=8)).date()

    def allow(self, limit: int, nightly: int) -> None:
        self.ledger.set_budget(KEYS[0].fingerprint, DATASET, EPOCH, limit, nightly=nightly)
        self.limit, self.nightly = limit, nightly
        self.reached = min(self.reached, self.today())  # two persons put a day in the future back

    @rule(key=st.integers(0, 1), place=st.integers(0, 1), n=SIZES)
    def ask(self, key: int, place: int, n: int) -> None:
        day = max(self.today(), self.reached)
        full = min(n, max(self.limit - self.used, 0))
        fits = n - full <= max(self.nightly - self.per_day[day], 0)
        number = len(self.requests)
        if fits:
            assert charge(self.ledgers[place], number, n, KEYS[key])
            self.requests[key, number] = n
            self.used += full
            self.per_day[day] += n - full
            self.reached = day
        else:
            with pytest.raises(BudgetExhausted) as caught:
                charge(self.ledgers[place], number, n, KEYS[key])
            helps = n <= max(self.limit - self.used, 0) + self.nightly
            assert (caught.value.params["next_at"] is not None) == helps

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), place=st.integers(0, 1))
    def ask_again(self, data: st.DataObject, place: int) -> None:
        (key, number), n = data.draw(st.sampled_from(sorted(self.requests.items())))
        assert charge(self.ledgers[place], number, n, KEYS[key]) is False
        with pytest.raises(IdempotencyMismatch):
            charge(self.ledgers[place], number, n, KEYS[key], OTHER_BODY)

    @rule(hours=st.sampled_from([1, 7, 8, 24, 49, -1, -8, -24, -48]))
    def step_clock(self, hours: int) -> None:
        self.clock.advance(3_600 * hours)

    @rule(limit=st.integers(0, 3_000), nightly=st.sampled_from([0, 256, 1_024]))
    def change_allowances(self, limit: int, nightly: int) -> None:
        self.allow(limit, nightly)

    @rule(place=st.integers(0, 1))
    def restart(self, place: int) -> None:
        self.ledgers[place].close()
        self.ledgers[place] = Ledger.open(self.folder, self.clock)
        self.ledger = self.ledgers[0]

    @invariant()
    def ledger_says_the_same(self) -> None:
        if not hasattr(self, "ledger"):
            return
        budget = self.ledger.find_budget(KEYS[1].fingerprint, DATASET, EPOCH)
        assert budget is not None
        assert (budget.limit, budget.used, budget.nightly) == (self.limit, self.used, self.nightly)
        assert budget.used_today == self.per_day[max(self.today(), self.reached)]
        assert budget.remaining >= 0
        assert all(spent <= 1_024 for spent in self.per_day.values()), "a day has one allowance, the largest is 1,024"
        assert budget.used + budget.used_nightly == sum(self.requests.values())

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        connection = self.ledger.store.db.conn
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        by_day = "SELECT day, SUM(n), SUM(from_nightly) FROM {} GROUP BY day ORDER BY day"
        assert (
            connection.execute(by_day.format("charge")).fetchall()
            == connection.execute(by_day.format("budget_day")).fetchall()
        )
        charges = connection.execute("SELECT COUNT(*) FROM audit WHERE action = 'charge'").fetchone()
        assert charges == (len(self.requests),)
        self.ledger.verify_audit()
        for ledger in self.ledgers:
            ledger.close()
        shutil.rmtree(self.folder)


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
