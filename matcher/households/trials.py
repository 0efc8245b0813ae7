"""What-ifs that are kept: asked for by a person, computed aside, shown under a number of their own.

A trial over 10^5 households takes seconds, so asking and computing are two steps. Nothing of the case work changes by
either; the log says who tried which file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.exports import Format, write_export
from matcher.households.policies import Policies
from matcher.households.simulating import Simulation, simulate
from matcher.policy import LoadedPolicy, parse_policy
from matcher.reasons import describe
from matcher.rows import fetch_records
from psi.errors import InputError, MingceError

TrialState = Literal["running", "done", "failed"]
_COUNTS = ("comes_in", "falls_out")
_SUMMARY = "trial_id, county, version, sha256, on_day, cost_each, state, result, fault, account, asked_at, done_at"


class TrialUnknown(InputError):
    """No trial has this number; params: ``trial``."""

    code = "trial_unknown"


@dataclass(frozen=True)
class Trial:
    """``simulation`` is None until it is done; ``fault`` is the code of the error that ended it."""

    trial_id: int
    county: str
    version: str
    sha256: str
    on_day: str
    cost_each: int | None
    state: TrialState
    fault: str | None
    account: str
    asked_at: str
    done_at: str | None
    simulation: Simulation | None = field(default=None)


class Trials:
    """The table ``policy_trial``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._policies = Policies(office)

    def ask(
        self,
        actor: Actor,
        content: bytes,
        file: str = "",
        *,
        on: date | None = None,
        cost_each: int | None = None,
        key: str | None = None,
    ) -> int:
        """Put a trial down, to be computed by :meth:`compute`; returns its number.

        Raises NotAllowed, PolicyInvalid, PolicyUnknown: nothing is in force on that day to compare with.
        """
        loaded, on = parse_policy(content, file), on or self._office.today()
        actor.require(Permission.SEE_SENSITIVE, division=loaded.policy.county)
        self._policies.policy_for(loaded.policy.county, on)
        request = {"operation": "policy.trial", "sha256": loaded.sha256, "on": on.isoformat(), "cost_each": cost_each}

        def do() -> dict[str, Any]:
            return {"trial": self._add_within(actor, loaded, content, on, cost_each)}

        return int(Idempotency(self._office).run(actor, key, request, do)["trial"])

    def compute(self, trial_id: int) -> None:
        """Compute a trial and keep what came out, also that it failed. Raises TrialUnknown."""
        trial = self._find(trial_id)
        try:
            other = parse_policy(self._content(trial_id))
            on = date.fromisoformat(trial.on_day)
            present = self._policies.policy_for(trial.county, on)
            found = simulate(self._office, present, other, on, trial.cost_each)
        except MingceError as error:
            self._finish(trial_id, "failed", None, error.code)
            return
        self._finish(trial_id, "done", _to_json(found), None)

    def ask_again(self, actor: Actor, trial_id: int, *, key: str | None = None) -> int:
        """The same trial anew, of the households as they are now. Raises TrialUnknown, and what :meth:`ask` raises."""
        trial = self.show(actor, trial_id)
        on = date.fromisoformat(trial.on_day)
        return self.ask(actor, self._content(trial_id), on=on, cost_each=trial.cost_each, key=key)

    def show(self, actor: Actor, trial_id: int) -> Trial:
        """Raises TrialUnknown, NotAllowed."""
        actor.require(Permission.SEE_SENSITIVE)
        trial = self._find(trial_id)
        actor.require(Permission.SEE_SENSITIVE, division=trial.county)
        return trial

    def list_all(self, actor: Actor, limit: int = 50) -> list[Trial]:
        """The newest first. Raises NotAllowed."""
        actor.require(Permission.SEE_SENSITIVE)
        rows = fetch_records(
            self._office.database,
            f"SELECT {_SUMMARY} FROM policy_trial ORDER BY trial_id DESC LIMIT ?",  # noqa: S608
            [limit],
        )
        return [_trial(row) for row in rows if actor.cares_for(row["county"])]

    def _add_within(self, actor: Actor, loaded: LoadedPolicy, content: bytes, on: date, cost_each: int | None) -> int:
        cursor = self._office.database.execute(
            "INSERT INTO policy_trial (county, version, sha256, content, on_day, cost_each, state, account, asked_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
            [
                loaded.policy.county, loaded.policy.version, loaded.sha256, content, on.isoformat(), cost_each,
                actor.name, self._office.now(),
            ],
        )  # fmt: skip
        trial_id = int(cursor.lastrowid or 0)
        self._office.record_within(
            actor, "policy.trial", f"policy/{loaded.sha256}", trial=trial_id, county=loaded.policy.county,
            version=loaded.policy.version,
        )  # fmt: skip
        return trial_id

    def _finish(self, trial_id: int, state: TrialState, result: str | None, fault: str | None) -> None:
        with self._office.writing() as database:
            database.execute(
                "UPDATE policy_trial SET state = ?, result = ?, fault = ?, done_at = ? WHERE trial_id = ?",
                [state, result, fault, self._office.now(), trial_id],
            )

    def _find(self, trial_id: int) -> Trial:
        sql = f"SELECT {_SUMMARY} FROM policy_trial WHERE trial_id = ?"  # noqa: S608
        for row in fetch_records(self._office.database, sql, [trial_id]):
            return _trial(row)
        raise TrialUnknown("no trial has this number", trial=trial_id)

    def _content(self, trial_id: int) -> bytes:
        (row,) = fetch_records(self._office.database, "SELECT content FROM policy_trial WHERE trial_id = ?", [trial_id])
        return bytes(row["content"])


def write_trial(path: Path, trial: Trial, *, format: Format) -> int:
    """Its counts as a table; returns how many rows. Raises OSError."""
    rows = [
        (way, place, reasons, count)
        for way, counts in _ways(trial.simulation)
        for (reasons, place), count in counts.items()
    ]
    columns = {
        "变动": [way for way, *_ in rows],
        "乡镇（街道）": [place for _, place, *_ in rows],
        "原因代码": [reasons for *_, reasons, _ in rows],
        "原因": [describe(reasons.split(",")) if reasons else "" for *_, reasons, _ in rows],
        "户数": [str(count) for *_, count in rows],
    }
    arrays = {name: pa.array(cells, pa.string()) for name, cells in columns.items()}
    write_export(path, arrays, format=format, number_columns=("户数",))
    return len(rows)


def _ways(found: Simulation | None) -> list[tuple[str, Mapping[tuple[str, str], int]]]:
    return [] if found is None else [("将纳入", found.comes_in), ("将退出", found.falls_out)]


def _trial(row: dict[str, Any]) -> Trial:
    result = row.pop("result")
    return Trial(**row, simulation=None if result is None else _from_json(result))


def _to_json(found: Simulation) -> str:
    values = asdict(found)
    for name in _COUNTS:
        values[name] = [[*place, count] for place, count in getattr(found, name).items()]
    return json.dumps(values, ensure_ascii=False)


def _from_json(text: str) -> Simulation:
    values: dict[str, Any] = json.loads(text)
    for name in _COUNTS:
        counts: Mapping[tuple[str, str], int] = {(reasons, place): count for reasons, place, count in values[name]}
        values[name] = counts
    return Simulation(**values)
