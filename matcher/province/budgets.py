"""The part of the ledger that counts: budgets of legal entities, and the charges against them.

A budget has two allowances: the full pass, for the whole epoch, and a nightly one, anew with each
calendar day of the province. A charge takes what it can from the full pass and the rest from the
day's. docs/reference/province-store.md says how large they are and why.
"""

from __future__ import annotations

from typing import Any

from keys.clock import format_time
from keys.epochs import check_name
from matcher.bank.plan import batch_sizes
from matcher.province.pace import Activity, find_clock_behind, find_unusual
from matcher.province.parties import Parties
from matcher.province.provinceday import day_end, day_of
from matcher.province.records import (
    AnswerDiffers,
    Budget,
    BudgetExhausted,
    BudgetRecord,
    BudgetRefused,
    IdempotencyMismatch,
    NotGranted,
)
from psi.errors import InputError, MingceError

MAX_BUDGET = 2**32  # as many evaluations as one key is good for

# What the day has taken of its nightly allowance. ``day`` only rises: a clock set back never opens a day again.
_USED_TODAY = """
    COALESCE((SELECT from_nightly FROM budget_day WHERE budget_day.entity = budget.entity
        AND budget_day.dataset = budget.dataset AND budget_day.epoch = budget.epoch
        AND budget_day.day = max(budget.day, ?1)), 0)
"""
_LIST = f"SELECT *, max(day, ?1) AS present_day, {_USED_TODAY} AS used_today FROM budget"  # noqa: S608
_FIND = f"{_LIST} WHERE entity = ?2 AND dataset = ?3 AND epoch = ?4"
# ?1 is today, ?2 to ?4 the budget's place, ?5 the elements. Right-hand sides see the row as it was.
_CHARGE = f"""
    UPDATE budget SET
        used = used + min(?5, max(lim - used, 0)),
        used_nightly = used_nightly + ?5 - min(?5, max(lim - used, 0)),
        day = max(day, ?1)
    WHERE entity = ?2 AND dataset = ?3 AND epoch = ?4
        AND ?5 - min(?5, max(lim - used, 0)) <= max(nightly - {_USED_TODAY}, 0)
"""  # noqa: S608
_COUNT_DAY = """
    INSERT INTO budget_day (entity, dataset, epoch, day, n, from_nightly) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET n = n + ?5, from_nightly = from_nightly + ?6
    RETURNING n
"""


def allowance(customers: int) -> int:
    """The elements that so many customers take when they are asked in one run: a client pads its batches."""
    return sum(size.padded for size in batch_sizes(customers))


def full_pass_allowance(customers: int) -> int:
    """1.1 times the declared customers, rounded up to whole batches; a small bank's first batch must fit."""
    return allowance(-(-customers * 11 // 10))


class Budgets(Parties):
    """A budget belongs to the legal entity behind a party, whichever of its keys asks."""

    def set_budget(
        self,
        party: str,
        dataset: str,
        epoch: str,
        limit: int,
        *,
        nightly: int = 0,
        expected: int | None = None,
        actor: str = "province",
    ) -> None:
        """Set the allowances, in elements, of the entity behind a party; what is used stays used.

        On the command line only an approved declaration does this (matcher.province.declarations).
        Raises UnknownRecord, InputError.
        """
        with self._store.writing():
            entity = self._get_party(party).entity
            self.set_allowances_within(
                entity, dataset, epoch, limit=limit, nightly=nightly, expected=limit if expected is None else expected
            )
            self._store.audit(actor, "set_budget", entity, dataset=dataset, epoch=epoch, limit=limit, nightly=nightly)

    def find_budget(self, party: str, dataset: str, epoch: str) -> Budget | None:
        """What the entity behind a party (its fingerprint) may still ask now. Raises UnknownRecord."""
        with self._store.reading():
            today, entity = day_of(self._store.clock.now()), self._get_party(party).entity
            row = self._store.find_row(_FIND, today, entity, dataset, epoch)
        return _budget(row) if row else None

    def list_budgets(self) -> list[BudgetRecord]:
        """Every budget, by entity, dataset and epoch."""
        today = day_of(self._store.clock.now())
        with self._store.reading() as db:
            rows = list(db.query(f"{_LIST} ORDER BY entity, dataset, epoch", [today]))
        return [BudgetRecord(row["entity"], row["dataset"], row["epoch"], _budget(row)) for row in rows]

    def charge(self, *, party: str, dataset: str, epoch: str, idempotency_key: str, body_sha256: bytes, n: int) -> bool:
        """Charge n elements and remember the idempotency key, in one transaction.

        True if the charge is new, False if this very request was charged before (it is then free).
        Raises IdempotencyMismatch if the key was used with another body or place, NotGranted
        without a budget in this epoch, BudgetExhausted if n is more than is left. What looks unlike
        a bank that asks its own customers sounds an alarm (matcher.province.pace).
        """
        request = {"dataset": dataset, "epoch": epoch, "body_sha256": body_sha256.hex(), "n": n}
        try:
            with self._store.writing():
                known = self._store.find_row(
                    "SELECT dataset, epoch, body_sha256, n FROM charge WHERE party = ? AND idempotency_key = ?",
                    party,
                    idempotency_key,
                )
                if known is None:
                    self._charge(party, idempotency_key, request)
                elif known != request:
                    raise IdempotencyMismatch("the idempotency key was used with another request")
                return known is None
        except BudgetExhausted as error:
            day = str(error.params["day"])
            unusual = [BudgetRefused(error.detail, **error.params), *find_clock_behind(day, self._store.clock.now())]
            with self._store.writing():
                self._sound(unusual, f"{error.params['entity']} {dataset}/{epoch} {day}")
            raise

    def record_answer(self, *, party: str, idempotency_key: str, answer_sha256: bytes) -> None:
        """Remember the digest of the answer to a charged request.

        Raises AnswerDiffers, and sounds it, if the same request was answered with other bytes before.
        """
        with self._store.writing() as db:
            recorded = db.execute(
                "UPDATE charge SET answered_at = COALESCE(answered_at, :at), answer_sha256 = :digest"
                " WHERE party = :party AND idempotency_key = :key AND COALESCE(answer_sha256, :digest) = :digest",
                {"at": self._store.now(), "digest": answer_sha256.hex(), "party": party, "key": idempotency_key},
            )
            differs = AnswerDiffers("not charged, or answered with other bytes before")
            if recorded.rowcount != 1:
                self._sound([differs], f"{party} {idempotency_key}")
        if recorded.rowcount != 1:
            raise differs

    def _charge(self, party: str, idempotency_key: str, request: dict[str, Any]) -> None:
        """A new charge, inside the transaction that is open. Raises NotGranted, BudgetExhausted."""
        db, now, n = self._store.db, self._store.clock.now(), request["n"]
        place = (self._get_party(party).entity, request["dataset"], request["epoch"])
        before = self._store.find_row(_FIND, day_of(now), *place)
        if before is None:
            raise NotGranted("no budget in this epoch", dataset=place[1], epoch=place[2])
        if db.execute(_CHARGE, (day_of(now), *place, n)).rowcount != 1:
            raise _exhausted(before, n)
        day, from_nightly = before["present_day"], n - min(n, max(before["lim"] - before["used"], 0))
        ((today,),) = db.execute(_COUNT_DAY, (*place, day, n, from_nightly)).fetchall()
        row = (party, idempotency_key, *place, request["body_sha256"], n, from_nightly, day, format_time(now))
        db.execute(
            "INSERT INTO charge (party, idempotency_key, entity, dataset, epoch, body_sha256, n, from_nightly, day,"
            " charged_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        self._store.audit(party, "charge", place[1], epoch=place[2], n=n, body_sha256=request["body_sha256"])
        activity = Activity(*place, day=day, today=today, total=before["used"] + before["used_nightly"] + n)
        unusual = find_unusual(activity, expected=before["expected"], nightly=before["nightly"])
        self._sound([*unusual, *find_clock_behind(day, now)], f"{place[0]} {place[1]}/{place[2]} {day}")

    def _sound(self, unusual: list[MingceError], subject: str) -> None:
        """Each alarm once a day, inside the transaction that is open."""
        for error in unusual:
            self._store.alarms.sound_once_within(error, subject)

    def set_allowances_within(
        self,
        entity: str,
        dataset: str,
        epoch: str,
        *,
        limit: int,
        nightly: int,
        expected: int,
        declaration_id: int | None = None,
    ) -> None:
        """What an approved declaration does, inside its transaction. Raises UnknownRecord, InputError.

        A ``day`` that a wrong clock put into the future comes back, or the nightly allowance would be gone until
        then. That opens no day anew: what each day took is in its charges.
        """
        check_name(epoch, "epoch")
        self._get_dataset(dataset)
        if min(limit, nightly, expected) < 0 or limit + nightly > MAX_BUDGET:
            raise InputError("a budget is 0 to 2**32 elements", limit=limit, nightly=nightly)
        self._store.db.execute(
            "INSERT INTO budget (entity, dataset, epoch, lim, nightly, expected, day, declaration_id)"
            " VALUES (:entity, :dataset, :epoch, :limit, :nightly, :expected, :day, :declaration_id)"
            " ON CONFLICT DO UPDATE SET lim = excluded.lim, nightly = excluded.nightly, expected = excluded.expected,"
            " day = min(day, excluded.day), declaration_id = excluded.declaration_id",
            {
                "entity": entity,
                "dataset": dataset,
                "epoch": epoch,
                "limit": limit,
                "nightly": nightly,
                "expected": expected,
                "day": day_of(self._store.clock.now()),
                "declaration_id": declaration_id,
            },
        )


def _budget(row: dict[str, Any]) -> Budget:
    return Budget(
        limit=row["lim"],
        used=row["used"],
        nightly=row["nightly"],
        used_today=row["used_today"],
        used_nightly=row["used_nightly"],
        next_at=format_time(day_end(row["present_day"])) if row["nightly"] else None,
    )


def _exhausted(row: dict[str, Any], n: int) -> BudgetExhausted:
    """``next_at`` only if the batch will fit when the next day begins."""
    budget = _budget(row)
    helps = n <= max(budget.limit - budget.used, 0) + budget.nightly
    return BudgetExhausted(
        "more elements than the budget has left",
        entity=row["entity"],
        dataset=row["dataset"],
        epoch=row["epoch"],
        n=n,
        remaining=budget.remaining,
        next_at=budget.next_at if helps else None,
        day=row["present_day"],
    )
