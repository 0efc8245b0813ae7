"""Reading a schema file strictly, and what follows from one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from matcher.reasons import REASONS, longest_reasons
from psi.edition import LabelSchema, Name, SchemaName
from psi.errors import InputError

FieldType = Literal["text", "count", "division", "yes_no", "choice", "reasons", "date", "band"]
Receiver = Literal["bank", "bureau", "department"]

# The other columns of a list, and those of a screening record: no label field may take their names.
RESERVED = frozenset(
    {"number", "division_name", "row_no", "name", "item", "matched", "row_version", "receipt", "input_state"}
)
_SENSITIVE = {code for code, reason in REASONS.items() if reason.for_bank != code}
_FOLDER = Path(__file__).parent


class SchemaUnknown(InputError):
    """There is neither a built-in schema nor a file of this name; ``params``: schema, known."""

    code = "schema_unknown"


class SchemaInvalid(InputError):
    """A schema file cannot be used; ``params``: file, field, reason."""

    code = "schema_invalid"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SchemaField(_Part):
    """One field of a label. ``headings`` are a file's, the preferred one first; ``why`` is the rule that needs it."""

    name: Name
    headings: Annotated[tuple[str, ...], Field(min_length=1)]
    type: FieldType
    why: Annotated[str, Field(min_length=1)]
    optional: bool = False  # the column may be missing and a cell empty
    max_bytes: Annotated[int, Field(ge=1, le=255)] = 20  # of a text
    lowest: Annotated[int, Field(ge=0)] = 0  # of a count
    highest: Annotated[int, Field(le=999_999_999)] = 99
    values: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}  # of a choice: code = its words
    means: Mapping[str, str] = {}  # the reason code that a value stands for, where it is not one itself
    edges: tuple[int, ...] = ()  # of a band: the lower ends in yuan, the first is 0
    fault: str = "bad_value"  # the reason code of a cell that this field cannot have

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.name in RESERVED:
            raise ValueError("the name is taken by another column")
        if (self.type == "choice") != bool(self.values) or (self.type == "band") != bool(self.edges):
            raise ValueError("values belong to a choice, edges to a band")
        if not (set(self.means) <= set(self.values) and set(self.means.values()) <= set(REASONS)):
            raise ValueError("means gives a reason code to values of a choice")
        if self.type == "band" and (self.edges[0] != 0 or list(self.edges) != sorted(set(self.edges))):
            raise ValueError("edges rise from 0")
        words = [word.casefold() for code, names in self.values.items() for word in {code, *names}]
        if len(words) != len(set(words)):
            raise ValueError("one word stands for two values")
        if self.lowest > self.highest:
            raise ValueError("lowest is above highest")
        return self

    @property
    def longest(self) -> int:
        """Bytes of the longest value."""
        fixed = {"division": 12, "yes_no": 1, "reasons": longest_reasons(), "date": 10}
        if self.type in fixed:
            return fixed[self.type]
        if self.type == "text":
            return self.max_bytes
        values = self.values or self.edges or (self.highest,)
        return max(len(str(value).encode()) for value in values)

    def reasons_of(self, value: str) -> tuple[str, ...]:
        """The reason codes (docs/reference/reasons.md) that a label's value stands for."""
        codes = value.split(",") if self.type == "reasons" else [self.means.get(value, value)]
        return tuple(code for code in codes if self.type in ("choice", "reasons") and code in REASONS)

    def describe(self, value: str) -> str:
        """The value in words, for people; what is not in the schema stays as it is."""
        if self.type == "choice":
            return self.values[value][0] if value in self.values else value
        if self.type == "yes_no":
            return {"1": "是", "0": "否"}.get(value, value)
        if self.type == "reasons":
            return "、".join(f"{code} {REASONS[code].zh}" if code in REASONS else code for code in value.split(","))
        if self.type == "band" and value in map(str, self.edges):
            above = [edge for edge in self.edges if edge > int(value)]
            return f"{int(value):,} 元至不足 {above[0]:,} 元" if above else f"{int(value):,} 元及以上"
        return value


class Rule(_Part):
    """Where ``field`` is ``value``, ``empty`` must be empty; else the row is refused with ``fault``."""

    field: Name
    value: str
    empty: Name
    fault: str


class ListSchema(_Part):
    """What a list holds for each person, and for whom it is.

    Besides the fields a list has a column with the ID number and, unless the dataset names one division for
    all, a column 行政区划, which says in which slice a row is published.
    """

    name: SchemaName
    title: Annotated[str, Field(min_length=1, max_length=60)]
    receivers: Annotated[frozenset[Receiver], Field(min_length=1)]
    width: Annotated[int, Field(ge=8, le=4_096)]
    fields: Annotated[tuple[SchemaField, ...], Field(min_length=1, alias="field")]
    rules: tuple[Rule, ...] = Field((), alias="rule")

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = self.field_names
        headings = [heading.casefold() for field in self.fields for heading in field.headings]
        if len(set(names)) != len(names) or len(set(headings)) != len(headings):
            raise ValueError("a field or a heading stands twice")
        if any(rule.field not in names or rule.empty not in names for rule in self.rules):
            raise ValueError("a rule is about a field that there is not")
        if sum(1 + field.longest for field in self.fields) > self.width:
            raise ValueError("the longest label is longer than the width")
        if "bank" in self.receivers and any(
            _SENSITIVE & {*field.values, *field.means.values()} for field in self.fields
        ):
            raise ValueError("a bank never gets 低保, 低边 or 特困 (PIPL 28); only a field of type reasons merges them")
        return self

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def find_field(self, name: str) -> SchemaField | None:
        return next((field for field in self.fields if field.name == name), None)

    def label(self, width: int | None = None) -> LabelSchema:
        """The layout of the labels, as manifests state it; ``width`` in bytes, if it is to be wider than needed."""
        return LabelSchema(schema=self.name, width=width or self.width, fields=self.field_names)

    def fits(self, label: LabelSchema) -> bool:
        """Whether a manifest's labels are of this schema."""
        return (label.schema_name, label.fields) == (self.name, self.field_names)


def read_schema(path: Path) -> ListSchema:
    """Raises SchemaInvalid naming the first fault."""
    try:
        return ListSchema.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        field, reason = "", str(error) if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
    raise SchemaInvalid(f"{field}: {reason}", file=path.name, field=field, reason=reason)


@cache
def list_schemas() -> tuple[ListSchema, ...]:
    """The built-in ones, by name."""
    return tuple(sorted((read_schema(path) for path in _FOLDER.glob("*.toml")), key=lambda schema: schema.name))


def get_schema(name: str) -> ListSchema:
    """A built-in schema. Raises SchemaUnknown."""
    for schema in list_schemas():
        if schema.name == name:
            return schema
    raise SchemaUnknown("no such label schema", schema=name, known=[schema.name for schema in list_schemas()])


def load_schema(reference: str, folder: Path) -> ListSchema:
    """A built-in schema by its name, or one from a ``.toml`` file relative to ``folder``.

    Raises SchemaUnknown, SchemaInvalid; a file may not give a built-in name another meaning.
    """
    if not reference.endswith(".toml"):
        return get_schema(reference)
    path = folder / reference
    if not path.is_file():
        raise SchemaUnknown("no such file", schema=reference, known=[schema.name for schema in list_schemas()])
    schema = read_schema(path)
    if any(schema.name == known.name and schema != known for known in list_schemas()):
        raise SchemaInvalid("the name is a built-in schema's", file=path.name, field="name", reason="built-in name")
    return schema


KUOZHONG = get_schema("kuozhong/1")
