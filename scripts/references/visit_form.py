"""docs/reference/visit-form.md, from the form itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, PlainSerializer

from matcher.visits.form import FAMILY_TYPES, FORM_VERSION, MARRIAGES, RELATIONS, SEXES, VisitForm, part_of
from matcher.visits.problems import FORM_PROBLEMS

HEAD = f"""\
# The information form (扩中家庭信息采集表)

Made from the program by `make reference`; a test fails when it is out of date.
`mingce visit form --schema` prints the same as JSON Schema.

A form is one JSON document, `format` `"{FORM_VERSION}"`. What is stored is always whole: what the visitors have not
asked yet stays on the device or in the offline workbook, and blank is never taken for nought.

- **Amounts** are text in yuan with at most two places (`"12000.50"`; thousands may be set apart by commas), 0 for none.
- **Choices** are given as the code or as the Chinese word; yes and no as `true` and `false` or 是 and 否.
- **Days** are `2025-03-03`; also with `/` or `.`, or in Chinese.
- **Lists** (成员, 负债, 需求) may be empty, except 成员.

"""

CHECKS = """\

## Checks across fields

- Exactly one member is the applicant (`relation` `self`, 本人), who needs an ID number and a telephone; at most one is
  the spouse, and then both are married. Other members may have no ID number (a residence permit, say): then the remark
  tells why.
- ID numbers are normalised as everywhere (identifiers.md), stand once, and agree with the sex.
- `income.total` is the sum of its parts to the 分. A value needs a count.
- Advised for admission: no reason against it. Not advised: at least one, and no subsidy.
- N10 to N12 are not written on a form, which a bank's people fill in and read: NX1 stands for them.
- Nobody signed before the visit. Visit and signatures are not in the future; a need's product is one of the county's
  policy in force (these two are checked when the form is saved).

## Problems

`form_invalid` lists every problem at once in `params.problems`: `path` (`members.0.id_number`), `code`, and `text` and
`en`, sentences that begin with the place. None repeats what was typed. `path` is that of the section where a field is
unknown.

| code | 中文 | |
|---|---|---|
"""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "relation": RELATIONS,
    "sex": SEXES,
    "marriage": MARRIAGES,
    "family_type": FAMILY_TYPES,
}
_KINDS: Mapping[Any, str] = {bool: "yes or no", int: "whole number", date: "day", tuple[str, ...]: "reason codes"}


def reference() -> str:
    lines = ["| field | 中文 | |", "|---|---|---|", *_rows(VisitForm)]
    problems = (f"| `{code}` | {zh} | {en} |" for code, (zh, en) in FORM_PROBLEMS.items())
    return HEAD + "\n".join(lines) + "\n" + CHECKS + "\n".join(problems) + "\n"


def _rows(model: type[BaseModel], path: str = "", words: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        part, title = part_of(field.annotation), field.title or name
        is_list = part is not None and part is not field.annotation
        where = f"{path}{name}{'[]' if is_list else ''}"
        if part is not None:
            yield from _rows(part, f"{where}.", f"{words}{title}·")
        else:
            needed = "" if field.is_required() else "may be left out"
            yield f"| `{where}` | {words}{title} | {_describe(name, field, needed)} |"


def _describe(name: str, field: Any, needed: str) -> str:
    if name == "format":
        kind = f"`{FORM_VERSION}`"
    elif name in _WORDS:
        kind = ", ".join(f"`{code}` {word}" for code, word in _WORDS[name].items())
    else:
        kind = _kind(field)
    return "; ".join(filter(None, (kind, needed)))


def _kind(field: Any) -> str:
    """By the type that a value has once it is read; amounts alone are written otherwise than they are kept."""
    if any(isinstance(part, PlainSerializer) for part in field.metadata):
        return "amount"
    return _KINDS.get(field.annotation, "text")
