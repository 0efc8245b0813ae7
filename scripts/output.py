"""What a command prints: one summary for a person or one JSON document, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, get_args

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from matcher.bureau.bulk import Outcome, summarise
from scripts.language import say
from scripts.messages import Refused, explain_code

_MOST_SHOWN = 20

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_result(result: Mapping[str, object], lines: Sequence[str], *, as_json: bool) -> None:
    """The command's one result: ``result`` as JSON, or ``lines`` for a person."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
        return
    for line in lines:
        out.print(line, markup=False)


def print_outcomes(
    outcomes: Sequence[Outcome],
    *,
    as_json: bool,
    more: Mapping[str, object] | None = None,
    lines: Sequence[str] = (),
) -> None:
    """What became of each of many, ``more`` and ``lines`` behind it; raises Exit(3) if one was refused."""
    result = summarise(outcomes)
    done, refused = result["done"], [one for one in outcomes if one.outcome == "refused"]
    summary = say(f"完成 {done:,}，未办 {len(refused):,}", f"{done:,} done, {len(refused):,} refused")
    why = [f"  {one.id}: {one.code} {explain_code(one.code or '', '', one.params)[0]}" for one in refused[:_MOST_SHOWN]]
    if len(refused) > _MOST_SHOWN:
        left = len(refused) - _MOST_SHOWN
        why.append(say(f"  另有 {left:,} 项，加 --json 全部列出", f"  and {left:,} more: --json lists them all"))
    print_result({**result, **(more or {})}, [summary, *why, *lines], as_json=as_json)
    if refused:
        raise typer.Exit(3)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # Never cut a figure: a table wider than the terminal, or than a pipe's 80 columns, stays whole.
    wanted = Measurement.get(out, out.options.update(max_width=10_000), table).maximum
    Console(width=max(out.width, wanted), highlight=False).print(table)


def format_of(path: Path, formats: object) -> Any:
    """The format that a file's name asks for, one of a Literal's values. Raises Refused."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in get_args(formats):
        known = " ".join(f".{name}" for name in get_args(formats))
        raise Refused(f"{path.name} 须以这些结尾之一：{known}", f"{path.name} must end in one of: {known}")
    return suffix


def notice(line: str) -> None:
    """A remark beside the result, on standard error."""
    err.print(line, markup=False)


class Steps(Protocol):
    """What long work tells its watcher: the step it begins, and how far it is."""

    def begin(self, title: str, total: int | None = None) -> None: ...
    def advance_to(self, done: int) -> None: ...


class _Silent:
    def begin(self, title: str, total: int | None = None) -> None:
        pass

    def advance_to(self, done: int) -> None:
        pass


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, title: str, total: int | None = None) -> None:
        if self._task is not None:
            self._progress.update(self._task, visible=False)
        self._task = self._progress.add_task(title, total=total)

    def advance_to(self, done: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done)


@contextmanager
def progress_bars(*, quiet: bool, console: Console = err) -> Iterator[Steps]:
    """Bars with the time left on a terminal; nothing where nobody watches (cron, --json, a pipe).

    What is printed meanwhile by the same console stands above them.
    """
    if quiet or not console.is_terminal:
        yield _Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(say("剩余", "left")),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bars(progress)
