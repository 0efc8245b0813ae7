"""``mingce province encode-on-spark``: what `refresh` does, with the rows read and encoded by a Spark cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matcher.province.publisher import Publisher
from matcher.rejects import write_rejects
from matcher.spark.ahead import SparkAhead
from matcher.spark.session import spark_session
from psi.errors import InputError
from scripts.home import ConfigOption, JsonOption, actor, open_home
from scripts.output import print_result, progress_bars
from scripts.sending.datasets import DatasetOption
from scripts.sending.editions import (
    AcceptShrinkOption,
    BarObserver,
    FullOption,
    SourceOption,
    dataset_plan,
    list_source,
    outcome_line,
)
from scripts.sending.ledgers import open_ledger


def encode_on_spark(
    dataset: DatasetOption = None,
    source: SourceOption = None,
    epoch: Annotated[str | None, typer.Option(help="else the current epoch")] = None,
    accept_shrink: AcceptShrinkOption = False,
    full: FullOption = False,
    rejects: Annotated[Path | None, typer.Option(help="where refused rows are listed (CSV)")] = None,
    master: Annotated[str | None, typer.Option(help="the cluster; else what Spark's own settings say")] = None,
    properties: Annotated[
        Path | None, typer.Option(help="Spark's settings in a file of mode 0600, the cluster's secret among them")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="a setting of Spark's, NAME=VALUE; none that is secret")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Publish a new edition as `refresh` does, its rows read, checked and encoded by Apache Spark.

    The edition is the same, byte for byte. Needs the extra `spark`, a list and a staging folder that every executor
    sees at the same place, and Spark's encryption and authentication. One that broke is simply run again, here or as
    a `refresh`.

    Example: mingce province encode-on-spark --master spark://spark.example:7077 --properties spark.conf
    """
    home = open_home(config, "province")
    plan, source_file = dataset_plan(home, dataset, epoch), list_source(home, dataset, source).resolve()
    settings = dict(_name_and_value(each) for each in setting or ())
    keys, ledger = home.open_keys(), open_ledger(home)
    with progress_bars(quiet=json_) as steps:
        observer = BarObserver(steps)
        with spark_session(master, settings, properties) as session:
            SparkAhead(session, home.path, keys, ledger, home.clock).prepare(
                plan, source_file, observer, actor=actor(), accept_shrink=accept_shrink, full=full
            )
        outcome, refused = Publisher(home.path, keys, ledger, home.clock).refresh(
            plan, source_file, accept_shrink=accept_shrink, full=full, observer=observer
        )
    if rejects is not None:
        write_rejects(rejects, refused)
    print_result(outcome.as_dict(), [outcome_line(outcome)], as_json=json_)


def _name_and_value(setting: str) -> tuple[str, str]:
    name, separator, value = setting.partition("=")
    if not separator or not name.startswith("spark."):
        raise InputError("a setting is spark.NAME=VALUE", setting=name)
    return name, value
