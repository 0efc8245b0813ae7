"""The information form as a tablet asks it: one step a screen, made from matcher.visits.form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from api.console.form_view import CHOICES
from api.console.language import mark
from matcher.reasons import REASONS
from matcher.visits.form import VisitForm, part_of

Kind = Literal[
    "text", "amount", "count", "day", "choice", "yes_no", "id_number", "phone", "reasons", "product", "total"
]

STEPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "door": (mark("到户"), ("consent_no", "head")),
    "members": (mark("成员"), ("members",)),
    "income": (mark("收入"), ("income",)),
    "spending": (mark("支出"), ("spending",)),
    "assets": (mark("资产"), ("assets",)),
    "debts": (mark("负债"), ("debts",)),
    "needs": (mark("需求"), ("needs",)),
    "conclusion": (mark("结论"), ("conclusion",)),
    "signatures": (mark("签字"), ("signatures",)),
}
"""Each step's title and the parts of the form that it asks."""
_BY_NAME: Mapping[str, Kind] = {
    "id_number": "id_number", "phone": "phone", "reasons": "reasons", "product": "product", "total": "total",
}  # fmt: skip
_BY_TYPE: Mapping[str, Kind] = {"boolean": "yes_no", "integer": "count"}


@dataclass(frozen=True)
class FormField:
    """``path``: within the form, or within an entry of a list. ``labels``: Chinese, the outer heading first."""

    path: str
    labels: tuple[str, ...]
    kind: Kind
    needed: bool
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FormPart:
    """``repeats``: the fields are of one entry of a list named ``name``, which holds ``most`` entries at most."""

    name: str
    title: str
    fields: tuple[FormField, ...]
    repeats: bool = False
    most: int = 0


@dataclass(frozen=True)
class FormStep:
    name: str
    title: str
    parts: tuple[FormPart, ...]


def form_steps() -> tuple[FormStep, ...]:
    """The steps in the order in which they are asked; place, photos and signatures' images are the page's own."""
    return tuple(FormStep(name, title, tuple(map(_part, parts))) for name, (title, parts) in STEPS.items())


def _part(name: str) -> FormPart:
    field = VisitForm.model_fields[name]
    model, title = part_of(field.annotation), field.title or name
    if model is None:
        return FormPart(name, title, (FormField(name, (title,), "text", field.is_required()),))
    repeats = model is not field.annotation
    fields = tuple(_fields(model, "" if repeats else f"{name}."))
    most = next((one.max_length for one in field.metadata if hasattr(one, "max_length")), 0)
    return FormPart(name, title, fields, repeats, most)


def _fields(model: type[BaseModel], prefix: str, heading: str = "") -> Iterator[FormField]:
    schema = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        part, title = part_of(field.annotation), field.title or name
        if part is not None:
            yield from _fields(part, f"{prefix}{name}.", title)
            continue
        labels = (heading, title) if heading else (title,)
        yield FormField(f"{prefix}{name}", labels, _kind(name, schema[name]), field.is_required(), _choices(name))


def _kind(name: str, schema: Mapping[str, Any]) -> Kind:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in CHOICES:
        return "choice"
    if schema.get("format") == "date":
        return "day"
    if schema.get("description") == "元":
        return "amount"
    return _BY_TYPE.get(schema.get("type", ""), "text")


def _choices(name: str) -> tuple[tuple[str, str], ...]:
    if name == "reasons":  # as a bank may see them: no status of PIPL article 28 is written on a form
        return tuple((code, reason.zh) for code, reason in REASONS.items() if reason.for_bank == code)
    return tuple(CHOICES.get(name, {}).items())
