"""An information form as a page shows it: section by section, by the form's own headings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.console.language import mark
from matcher.reasons import describe
from matcher.visits.form import FAMILY_TYPES, MARRIAGES, RELATIONS, SEXES, VisitForm, part_of

CHOICES: Mapping[str, Mapping[str, str]] = {
    "relation": RELATIONS,
    "sex": SEXES,
    "marriage": MARRIAGES,
    "family_type": FAMILY_TYPES,
}


@dataclass(frozen=True)
class FormSection:
    """``pairs`` of one part, or ``headings`` and ``rows`` of one that repeats."""

    title: str
    pairs: tuple[tuple[str, str], ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def form_sections(form: Mapping[str, Any], say: Callable[[str], str]) -> Iterator[FormSection]:
    """A masked form, as VisitDetails has it; ``say`` gives the form's own words in the reader's language."""
    for name, field in VisitForm.model_fields.items():
        part, value = part_of(field.annotation), form[name]
        if part is None:
            continue
        title = say(field.title or name)
        if isinstance(value, list):
            headings = tuple(say(sub.title or key) for key, sub in part.model_fields.items())
            rows = tuple(tuple(_written(key, row[key], say) for key in part.model_fields) for row in value)
            yield FormSection(title, headings=headings, rows=rows)
        else:
            pairs = ((say(sub.title or key), _written(key, value[key], say)) for key, sub in part.model_fields.items())
            yield FormSection(title, pairs=tuple(pairs))


def form_words() -> Iterator[str]:
    """Every word of the form that a page says in the reader's language: headings and choices."""
    for field in VisitForm.model_fields.values():
        part = part_of(field.annotation)
        if part is not None:
            yield field.title or ""
            yield from (sub.title or "" for sub in part.model_fields.values())
    for words in CHOICES.values():
        yield from words.values()


def _written(name: str, value: Any, say: Callable[[str], str]) -> str:
    """A cell in words; amounts are texts with two places and get their thousands."""
    if isinstance(value, bool):
        return say(mark("是")) if value else say(mark("否"))
    if isinstance(value, Mapping):
        if "signed_on" in value:
            return f"{value['name']} {value['signed_on']}"
        amount = _written("value", value["value"], say)
        return f"{value['count']} · {amount}" if value["count"] else say(mark("无"))
    if isinstance(value, list):
        return describe(value)
    if name in CHOICES:
        return say(CHOICES[name][value])
    whole, point, cents = str(value).rpartition(".")
    if point and len(cents) == 2 and whole.lstrip("-").isdecimal() and cents.isdecimal():
        return f"{int(whole):,}.{cents}"
    return str(value)
