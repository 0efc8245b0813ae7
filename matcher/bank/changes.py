"""What a run found otherwise than an earlier one: who is newly on the list, who was dropped, whose label changed.

Both runs' records are in the store, so this asks the province nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matcher.bank.runs import Run
from matcher.bank.screening import SCREENING_SCHEMA
from matcher.bank.screening_list import ID_COLUMN, label_in_words
from matcher.bank.store import BankStore
from matcher.schemas import KUOZHONG
from psi.columns import Column, pc
from psi.errors import InputError

KINDS = {"newly_on": "新进名单", "dropped": "退出名单", "label_changed": "标签变化"}


class NothingToCompare(InputError):
    """There are no two completed runs over the dataset whose records are kept."""

    code = "nothing_to_compare"


@dataclass(frozen=True, repr=False)
class Changes:
    """Row by row: ``kinds`` (keys of KINDS), the customer's record in ``run`` and in ``since``.

    Both tables have SCREENING_SCHEMA but for nulls; one who was not on the list then, or no customer, has
    nothing but nulls in ``before``.
    """

    run: Run
    since: Run
    kinds: Column
    now: pa.Table
    before: pa.Table

    @property
    def counts(self) -> dict[str, int]:
        found = {pair["values"]: pair["counts"] for pair in pc.value_counts(self.kinds).to_pylist()}
        return {kind: found.get(kind, 0) for kind in KINDS}


def choose_runs(store: BankStore, dataset: str, run: str | None, since: str | None) -> tuple[Run, Run]:
    """The run and the one to compare it with: those named, else the last completed one and the one before it.

    Raises NothingToCompare, RunNotFound, RunStateInvalid.
    """
    finished = store.runs.list_finished(dataset) if run is None else [store.runs.require_finished(run)]
    if not finished:
        raise NothingToCompare("no run is completed", dataset=dataset)
    later = finished[0]
    if since is not None:
        return later, store.runs.require_finished(since)
    order = [known.run_id for known in store.runs.list_all()]
    earlier = [
        known
        for known in store.runs.list_finished(later.dataset)
        if order.index(known.run_id) > order.index(later.run_id)
    ]
    if not earlier:
        raise NothingToCompare("no earlier run is completed, or its records were removed", dataset=later.dataset)
    return later, earlier[0]


def compare_runs(store: BankStore, run: Run, since: Run) -> Changes:
    """Among the customers of ``run``: who is no customer any more is not a change of the list.

    Raises SealedDataDamaged.
    """
    before = pa.Table.from_batches(
        store.screenings.iterate(since.run_id, matched_only=True), SCREENING_SCHEMA
    ).combine_chunks()
    known = before["item"].combine_chunks()
    kinds: list[Column] = [pa.array([], pa.string())]
    now_rows, places = [SCREENING_SCHEMA.empty_table()], [pa.array([], pa.int32())]
    for batch in store.screenings.iterate(run.run_id):
        place = pc.index_in(batch["item"], value_set=known)
        kind = _kinds(batch, before.take(place), pc.is_valid(place))
        changed = pc.is_valid(kind)
        kinds.append(kind.filter(changed))
        places.append(place.filter(changed))
        now_rows.append(pa.Table.from_batches([batch.filter(changed)]))
    return Changes(
        run, since, pa.concat_arrays(kinds), pa.concat_tables(now_rows), before.take(pa.concat_arrays(places))
    )


def _kinds(now: pa.RecordBatch, before: pa.Table, was_on: Column) -> Column:
    """For each record its kind of change, or null."""
    is_on = now["matched"]
    same = pa.repeat(True, len(now))
    for name in KUOZHONG.field_names:
        same = pc.and_(same, pc.fill_null(pc.equal(now[name], before[name].combine_chunks()), False))
    kind: Column = pc.case_when(
        pc.make_struct(
            pc.and_(is_on, pc.invert(was_on)),
            pc.and_(was_on, pc.invert(is_on)),
            pc.and_(pc.and_(is_on, was_on), pc.invert(same)),
        ),
        *KINDS,
    )
    return kind


def changes_columns(store: BankStore, changes: Changes) -> dict[str, Column | pa.ChunkedArray[Any]]:
    """The list for people, all text: what changed, the customer, the label now, and the label before."""

    def words(run: Run, records: pa.Table) -> dict[str, Column | pa.ChunkedArray[Any]]:
        return label_in_words(records, store.editions.get_manifest(run.dataset, run.epoch, run.edition).divisions)

    rows = len(changes.kinds)
    kinds = pa.array(list(KINDS), pa.string())
    return {
        "变化": pa.array(list(KINDS.values()), pa.string()).take(pc.index_in(changes.kinds, value_set=kinds)),
        "客户姓名": changes.now["name"],
        ID_COLUMN: changes.now["item"],
        **words(changes.run, changes.now),
        **{f"原{name}": column for name, column in words(changes.since, changes.before).items()},
        "版本": pa.repeat(_edition(changes.run), rows),
        "原版本": pa.repeat(_edition(changes.since), rows),
        "匹配编号": pa.repeat(changes.run.run_id, rows),
    }


def _edition(run: Run) -> str:
    return f"{run.dataset}/{run.epoch}/{run.edition}"
