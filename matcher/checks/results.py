"""Department checks: households' numbers against a department's dataset, by matching.

Each dataset that the bureau checks against has a folder of its own with a receiver's store in it
(docs/reference/bank-store.md), under a secret of its own: nothing of one department's answers can be
looked up in another's list. What comes back is the agreed label, or that the person is not on the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from keys.clock import Clock
from keys.epochs import check_name
from keys.files import make_folder
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.masking import mask_name
from matcher.schemas import ListSchema, SchemaField
from psi.columns import Column
from psi.identifiers import mask

ID_COLUMN = "证件号码"


@dataclass(frozen=True)
class CheckResult:
    """What a department's dataset says of one person. ``label`` is empty for one who is not on the list.

    ``row_no`` is the row of the list that was checked, or the member's number where households were.
    ``as_of`` is the day of the record itself: the label's own, else that of the edition. ``checked_on`` is the day of
    the edition: so fresh is the answer, also that somebody is not on the list.
    """

    row_no: int
    item: str = field(repr=False)
    name: str = field(repr=False)
    listed: bool
    label: dict[str, str]
    as_of: str
    checked_on: str
    dataset: str
    epoch: str
    edition: int
    run_id: str


def check_secret(name: str) -> str:
    """The name under which keys.KeyStore keeps the secret of a check's store."""
    return f"check-{name}"


def open_check_store(home: Path, name: str, secret: bytes, clock: Clock, schema: ListSchema) -> BankStore:
    """The store of the checks against the dataset that the bureau's configuration calls ``name``."""
    folder = make_folder(home / "checks" / check_name(name, "department"))
    return BankStore(folder, secret, clock, name="check", schema=schema)


def iterate_results(store: BankStore, run: Run) -> Iterator[CheckResult]:
    """The results of a finished run in the order of its list. Raises RunNotFound, RunStateInvalid."""
    manifest = store.editions.get_manifest(run.dataset, run.epoch, run.edition)
    published = manifest.created_at[:10]
    fields = manifest.label.fields
    for batch in store.iterate_records(run.run_id):
        for row in batch.to_pylist():
            label = {name: row[name] for name in fields} if row["matched"] else {}
            yield CheckResult(
                row_no=row["row_no"],
                item=row["item"],
                name=row["name"] or "",
                listed=row["matched"],
                label=label,
                as_of=label.get("as_of") or published,
                checked_on=published,
                dataset=run.dataset,
                epoch=run.epoch,
                edition=run.edition,
                run_id=run.run_id,
            )


def result_columns(
    store: BankStore, run: Run, schema: ListSchema, *, masked: bool, listed_only: bool
) -> dict[str, Column]:
    """The results as columns for a table, all text and in words; ``masked`` hides numbers and names."""
    results = [result for result in iterate_results(store, run) if result.listed or not listed_only]

    def column(cell: Callable[[CheckResult], str]) -> Column:
        return pa.array([cell(result) for result in results], pa.string())

    def label_column(one: SchemaField) -> Column:
        return column(lambda result: one.describe(result.label.get(one.name, "")))

    return {
        "行号": column(lambda result: str(result.row_no)),
        "姓名": column(lambda result: mask_name(result.name) if masked and result.name else result.name),
        ID_COLUMN: column(lambda result: mask(result.item) if masked else result.item),
        "是否在名单": column(lambda result: "是" if result.listed else "否"),
        **{one.headings[0]: label_column(one) for one in schema.fields},
        "数据截至": column(lambda result: result.as_of),
        "版本": column(lambda result: f"{result.dataset}/{result.epoch}/{result.edition}"),
        "核验编号": column(lambda result: result.run_id),
    }


def count_results(store: BankStore, run: Run, schema: ListSchema) -> dict[str, dict[str, int]]:
    """For each field that has few values, how many of the people found have which; in words."""
    counted = [one for one in schema.fields if one.type in ("choice", "yes_no", "band", "count")]
    counts: dict[str, dict[str, int]] = {one.headings[0]: {} for one in counted}
    for result in iterate_results(store, run):
        for one in counted:
            if result.listed:
                value = one.describe(result.label[one.name])
                counts[one.headings[0]][value] = counts[one.headings[0]].get(value, 0) + 1
    return counts
