"""Why a whole file is refused. Each error's ``params`` name the file and, where there is one, the place."""

from __future__ import annotations

from psi.errors import InputError


class FormatUnknown(InputError):
    """The file is neither CSV, XLSX nor Parquet; ``params``: file, format."""

    code = "format_unknown"


class EncodingUnknown(InputError):
    """The bytes are neither UTF-8, UTF-16 with a mark, nor GB18030; ``params``: file, line of the first bad byte."""

    code = "encoding_unknown"


class TableDamaged(InputError):
    """The file's structure is broken; ``params``: file, and line, row or sheet."""

    code = "table_damaged"


class TableTooLarge(InputError):
    """The file, a row or a cell is larger than any real one; ``params``: file, limit."""

    code = "table_too_large"


class TableEmpty(InputError):
    """The file has no row of data; ``params``: file."""

    code = "table_empty"


class NoRows(TableEmpty):
    """The file has its headers and nothing below them."""


class ColumnType(InputError):
    """A column's type cannot hold its field: an ID number kept as an integer; ``params``: file, field, type."""

    code = "column_type"
