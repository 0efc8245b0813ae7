"""``mingce department``: a department publishes lists that a finance bureau checks households against.

A department is a sender like the province, and has the province's commands; only its home begins otherwise.
"""

from __future__ import annotations

import inspect
from copy import copy
from pathlib import Path
from typing import Annotated

import typer

from keys.clock import SystemClock
from keys.epochs import check_name
from matcher.schemas import load_schema
from scripts import templates
from scripts.home import JsonOption, create_home
from scripts.language import say
from scripts.sending import province
from scripts.sending.datasets import LabelOption, OneDivisionOption, adopt_schema, print_dataset, register_dataset

app = typer.Typer(
    no_args_is_help=True,
    help="部门：发布核验名单（民政、公安、不动产、公积金等）。 Publish lists that a bureau checks against.",
)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="the new home")],
    label: LabelOption,
    name: Annotated[str, typer.Option(help="who this is")] = "部门",
    dataset: Annotated[str | None, typer.Option(help="the name of its first dataset; else the schema's")] = None,
    division: OneDivisionOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a department's home: configuration, keys, an empty ledger, and a first dataset.

    Example: mingce department init minzheng --name 嵊泗县民政局 --label minzheng/1
    """
    schema = load_schema(label, Path())
    dataset = check_name(dataset or schema.name.partition("/")[0], "dataset")
    named = Path(label).name if label.endswith(".toml") else label
    section = templates.dataset(dataset, schema.title, named, division, "")
    home = create_home(folder, "department", name, templates.department(name, section), SystemClock())
    adopt_schema(label, home.path)
    register_dataset(home, dataset)
    fingerprint = home.open_keys().get_public_identity().fingerprint
    if not json_:
        typer.echo(say(f"已建立：{home.path}", f"Created: {home.path}"))
        typer.echo(say(f"本机身份指纹：{fingerprint}", f"Identity fingerprint: {fingerprint}"))
    print_dataset(dataset, schema, as_json=json_, home=str(home.path), fingerprint=fingerprint)


def _share_commands(sender: typer.Typer) -> None:
    """The sender's other commands under this name, with their examples."""
    for info in sender.registered_commands:
        name = info.name or (info.callback.__name__ if info.callback else "")
        if name != "init":
            shared = copy(info)
            shared.help = (inspect.getdoc(info.callback) or "").replace("mingce province", "mingce department")
            app.registered_commands.append(shared)
    for group in sender.registered_groups:
        part = group.typer_instance
        if part is not None and not isinstance(group.name, str):
            _share_commands(part)
        else:
            app.registered_groups.append(group)


_share_commands(province.app)
