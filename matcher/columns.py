"""Which header of a file means which of our fields.

A mapping knows the Chinese headers of the official forms and common English ones; a
config file may name others: ``{number = "客户证件", name = ["户名", "姓名"]}``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matcher.schemas import ListSchema
from psi.errors import InputError

_SHOWN_HEADERS = 30
_LONG_NUMBER = re.compile(r"\d{8}")


class ColumnMissing(InputError):
    """A file lacks a column that is needed; ``params``: field, expected, found."""

    code = "column_missing"


class ColumnAmbiguous(InputError):
    """A header that is needed stands twice in a file; ``params``: field, header."""

    code = "column_ambiguous"


class HeaderMissing(InputError):
    """The first row holds data, not headers."""

    code = "header_missing"


class FieldUnknown(InputError):
    """A config file maps a field that this kind of table does not have; ``params``: field, known."""

    code = "field_unknown"


@dataclass(frozen=True)
class Field:
    """The headers a field goes by, the preferred one first."""

    headers: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class ColumnMapping:
    """The fields of one kind of table. The field ``number`` holds the ID number in every kind."""

    fields: Mapping[str, Field]

    def override(self, config: Mapping[str, str | Sequence[str]]) -> ColumnMapping:
        """The same mapping with other headers for some fields. Raises FieldUnknown."""
        fields = dict(self.fields)
        for name, headers in config.items():
            if name not in fields:
                raise FieldUnknown("no such field", field=name, known=sorted(fields))
            listed = (headers,) if isinstance(headers, str) else tuple(headers)
            fields[name] = replace(fields[name], headers=listed)
        return ColumnMapping(fields)

    def locate(self, headers: Sequence[str]) -> dict[str, int]:
        """The position of each field in a file's header row.

        Optional fields that are absent are left out. Raises HeaderMissing, ColumnMissing, ColumnAmbiguous.
        """
        if any(_LONG_NUMBER.search(header) for header in headers):
            raise HeaderMissing("the first row holds numbers: it is not a header row")
        places: dict[str, list[int]] = {}
        for place, header in enumerate(headers):
            places.setdefault(_fold(header), []).append(place)
        located = {}
        for name, field in self.fields.items():
            known = [header for header in field.headers if _fold(header) in places]
            if known:
                found = places[_fold(known[0])]
                if len(found) > 1:
                    raise ColumnAmbiguous("a header stands twice", field=name, header=known[0])
                located[name] = found[0]
            elif field.required:
                shown = [header[:20] for header in headers[:_SHOWN_HEADERS]]
                raise ColumnMissing("a column is missing", field=name, expected=list(field.headers), found=shown)
        return located


def _fold(header: str) -> str:
    """Headers are compared without regard to width, case and blanks."""
    return "".join(unicodedata.normalize("NFKC", header).casefold().split()).strip("\ufeff'")


_NUMBER = Field(("证件号码", "身份证号码", "公民身份号码", "身份证号", "身份证", "证件号", "id_number"))

CUSTOMER_COLUMNS = ColumnMapping(
    {
        "number": _NUMBER,
        "name": Field(("客户姓名", "姓名", "客户名称", "name")),
    }
)

PEOPLE_COLUMNS = ColumnMapping({"number": _NUMBER, "name": replace(CUSTOMER_COLUMNS.fields["name"], required=False)})

_DIVISION = Field(("行政区划", "行政区划代码", "division"))
_DIVISION_NAME = Field(("行政区划名称", "division_name"), required=False)


def list_columns(schema: ListSchema, *, one_division: bool = False) -> ColumnMapping:
    """The columns of a sender's list; with ``one_division`` the file need not say where a row belongs."""
    fields = {"number": _NUMBER}
    fields |= {field.name: Field(field.headings, required=not field.optional) for field in schema.fields}
    if not one_division:
        fields = {"division": _DIVISION, "division_name": _DIVISION_NAME} | fields
    return ColumnMapping(fields)
