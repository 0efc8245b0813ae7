"""A sender's datasets: which one a command is about, what its rows hold, and adding another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from keys.epochs import check_name
from keys.files import write_atomic
from matcher.schemas import ListSchema, load_schema
from scripts import templates
from scripts.home import ConfigOption, Home, JsonOption, open_home
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result
from scripts.sending.ledgers import open_ledger
from scripts.settings import CONFIG_NAME

DatasetOption = Annotated[str | None, typer.Option(help="which dataset of mingce.toml; else the only one, or base")]
LabelOption = Annotated[str, typer.Option(help="what a row holds: a built-in label schema, or a .toml file of one")]
TitleOption = Annotated[str | None, typer.Option(help="for people; else the schema's title")]
OneDivisionOption = Annotated[
    str | None, typer.Option("--division", help="the county of all rows, for a list that does not say; six digits")
]

MAIN_DATASET = "base"


def chosen_dataset(home: Home, given: str | None) -> str:
    """The dataset that a command is about. Raises Refused."""
    names = list(home.settings.dataset)
    if given is None and (len(names) == 1 or MAIN_DATASET not in names):
        if len(names) != 1:
            raise Refused(
                f"有 {len(names)} 个名单，用 --dataset 指定一个：{_listed(names)}",
                f"There are {len(names)} datasets; name one with --dataset: {_listed(names)}",
            )
        return names[0]
    given = given or MAIN_DATASET
    if given not in names:
        raise Refused(
            f"mingce.toml 里没有名单 {given}；有：{_listed(names)}",
            f"No dataset {given} in mingce.toml; there are: {_listed(names)}",
        )
    return given


def schema_of(home: Home, dataset: str) -> ListSchema:
    """What the rows of a dataset hold. Raises SchemaUnknown, SchemaInvalid."""
    return load_schema(home.settings.dataset[dataset].label, home.path)


def register_dataset(home: Home, dataset: str) -> None:
    """Enter a dataset of mingce.toml into the ledger. Raises InputError if it is there already."""
    settings, schema = home.settings.dataset[dataset], schema_of(home, dataset)
    open_ledger(home).register_dataset(
        dataset,
        title=settings.title,
        label_schema=schema.label(settings.label_width).model_dump(mode="json", by_alias=True),
        receivers=schema.receivers,
    )


def add_dataset(
    dataset: Annotated[str, typer.Argument(help="its name: lower-case letters, digits, - . _")],
    label: LabelOption,
    title: TitleOption = None,
    division: OneDivisionOption = None,
    source: Annotated[str, typer.Option(help="the list that the nightly refresh reads")] = "",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Hold one more list: with its own rows, key, budgets and receivers. Its section is added to mingce.toml.

    Example: mingce province add-dataset minzheng --label minzheng/1 --division 330922
    """
    home = open_home(config, "province")
    check_name(dataset, "dataset")
    if dataset in home.settings.dataset:
        raise Refused(f"mingce.toml 里已有名单 {dataset}", f"There is a dataset {dataset} in mingce.toml already")
    schema, label = adopt_schema(label, home.path)
    section = templates.dataset(dataset, schema.title if title is None else title, label, division, source)
    with added_section(home.path, section):
        register_dataset(open_home(config, "province"), dataset)
    print_dataset(dataset, schema, as_json=json_)


def adopt_schema(given: str, home: Path) -> tuple[ListSchema, str]:
    """A schema as a command names it, and how mingce.toml names it: a file is copied into the home.

    Raises SchemaUnknown, SchemaInvalid, Refused.
    """
    schema = load_schema(given, Path())
    if not given.endswith(".toml"):
        return schema, given
    content, target = Path(given).read_bytes(), home / Path(given).name
    if target.exists() and target.read_bytes() != content:
        raise Refused(f"{target} 已存在且内容不同", f"{target} exists and differs")
    write_atomic(target, content)
    return schema, target.name


@contextmanager
def added_section(home: Path, section: str) -> Iterator[None]:
    """mingce.toml with one more section; as it was before if the block fails."""
    path = home / CONFIG_NAME
    before = path.read_bytes()
    write_atomic(path, before.rstrip(b"\n") + b"\n\n" + section.encode())
    try:
        yield
    except BaseException:
        write_atomic(path, before)
        raise


def print_dataset(dataset: str, schema: ListSchema, *, as_json: bool, **more: object) -> None:
    """What a new dataset holds, for whom it is, and what comes next."""
    headings = "、".join(field.headings[0] for field in schema.fields)
    receivers = sorted(schema.receivers)
    print_result(
        {"dataset": dataset, "label": schema.name, "fields": schema.field_names, "receivers": receivers, **more},
        [
            say(
                f"名单 {dataset}（{schema.title}）：证件号码、{headings}；可授权给：{'、'.join(map(_kind, receivers))}",
                f"Dataset {dataset} ({schema.title}): 证件号码, {headings}; may be granted to: {', '.join(receivers)}",
            ),
            say("下一步：建立密钥期", "Next: create an epoch:")
            + f"  mingce keys create-epoch {dataset} 2026 --activate",
        ],
        as_json=as_json,
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "-"


def _kind(receiver: str) -> str:
    return {"bank": "银行", "bureau": "财政局", "department": "部门"}[receiver]
