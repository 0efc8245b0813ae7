"""``mingce bank changes``: what the newest match found otherwise than the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.bank.changes import KINDS, changes_columns, choose_runs, compare_runs
from matcher.bank.screening_list import ID_COLUMN
from matcher.exports import Format, write_export
from scripts.asking.bank_home import open_store
from scripts.home import ConfigOption, JsonOption, open_home
from scripts.language import say
from scripts.output import format_of, print_result

app = typer.Typer(add_completion=False)

ENGLISH = {"newly_on": "newly on", "dropped": "dropped", "label_changed": "label changed"}


@app.command("changes")
def changes(
    out: Annotated[Path | None, typer.Argument(help="where the list goes: .xlsx, .csv or .parquet")] = None,
    run: Annotated[str | None, typer.Option("--run", help="which run; else the last completed one")] = None,
    since: Annotated[str | None, typer.Option(help="the run to compare with; else the completed one before it")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Who is newly on the list, who was dropped, whose label changed since the run before. Asks the province nothing.

    Run `match` first: with a new edition and the same customers it asks for nobody again.

    Example: mingce bank changes 变化.xlsx
    """
    home = open_home(config, "bank")
    store = open_store(home)
    found = compare_runs(store, *choose_runs(store, home.settings.match.dataset, run, since))
    counts = found.counts
    if out is not None:
        write_export(out, changes_columns(store, found), format=format_of(out, Format), id_columns=(ID_COLUMN,))
    result = {
        "run": found.run.run_id,
        "since": found.since.run_id,
        "edition": found.run.edition,
        "since_edition": found.since.edition,
        **counts,
        "file": None if out is None else str(out),
    }
    lines = [
        say(
            f"{found.since.created_at} 第 {found.since.edition} 版 → {found.run.created_at} 第 {found.run.edition} 版",
            f"{found.since.created_at} edition {found.since.edition} → "
            f"{found.run.created_at} edition {found.run.edition}",
        ),
        "，".join(say(f"{KINDS[kind]} {count:,}", f"{ENGLISH[kind]} {count:,}") for kind, count in counts.items()),
        say(f"明细 → {out}", f"The list → {out}")
        if out is not None
        else say("明细：mingce bank changes 变化.xlsx", "The list: mingce bank changes changes.xlsx"),
    ]
    print_result(result, lines, as_json=json_)
