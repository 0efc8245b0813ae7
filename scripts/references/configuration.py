"""docs/reference/configuration.md, from the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scripts.settings import Settings

HEAD = """\
# Configuration

Made from the program by `make reference`; a test fails when it is out of date.

`mingce.toml` in the folder that holds a party's state: its home. Paths in it are relative to that folder. Each
setting can be overridden by an environment variable, `MINGCE_` and the setting's place with `__` between the parts:
`MINGCE_SERVE__PORT=9443`, `MINGCE_DATASET__BASE__SHRINK_LIMIT=0.3`. An unknown setting is refused
(`settings_invalid`), and so is a value out of its bounds. `init` writes a file with what a party of its kind needs.

Besides: `MINGCE_CONFIG` (the file or its folder, where `--config` is not given), `MINGCE_LANG` (`zh` or `en`),
`MINGCE_BACKEND` (the kernel's backend, for tests), `MINGCE_AS` and `MINGCE_PASSWORD_FILE` (the bureau's account),
`MINGCE_DEMO_CLOCK` (with `demo` only), `MINGCE_KEK` or another name (the key-encryption key in hexadecimal, where
`kek` is `env:MINGCE_KEK`), `MINGCE_CRYPTO_MB` (a library for `mingce bench`).
"""


def reference() -> str:
    """The whole document: a table for each section."""
    return HEAD + "".join(_sections(Settings, ""))


def _sections(model: type[BaseModel], place: str) -> Iterator[str]:
    own, deeper = [], []
    for name, field in model.model_fields.items():
        section = _section_of(field)
        if section is None:
            own.append(_row(name, field))
        else:
            deeper.append((section, f"{place}{name}" + (".NAME" if get_origin(field.annotation) is dict else "")))
    title = f"[{place.rstrip('.')}]" if place else "At the top"
    about = (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ") if place else ""
    if own:
        table = ["| setting | default | meaning |", "|---|---|---|", *own]
        yield "\n".join(["", f"## {title}", "", *([about, ""] if about else []), *table, ""])
    for section, name in deeper:
        yield from _sections(section, f"{name}.")


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _row(name: str, field: FieldInfo) -> str:
    if not field.description:
        raise ValueError(f"the setting {name} has no description")
    choices = (
        [] if get_origin(field.annotation) is dict else [one for one in get_args(field.annotation) if _is_value(one)]
    )
    among = f" ({', '.join(f'`{one}`' for one in choices)})" if choices else ""
    return f"| `{name}` | {_default(field)} | {field.description.replace('|', '/')}{among} |"


def _is_value(choice: object) -> bool:
    return isinstance(choice, str)


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None:
        return ""
    if isinstance(value, Path):
        value = str(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"
