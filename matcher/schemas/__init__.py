"""Label schemas: what a list must hold, and what of it a receiver gets to see (docs/reference/datasets.md).

A schema is a TOML file. Those in this folder are built in; a sender and a receiver who agree on another
one name its file in their mingce.toml.
"""

from matcher.schemas.schema import (
    KUOZHONG,
    ListSchema,
    SchemaField,
    SchemaInvalid,
    SchemaUnknown,
    get_schema,
    list_schemas,
    load_schema,
)

__all__ = [
    "KUOZHONG",
    "ListSchema",
    "SchemaField",
    "SchemaInvalid",
    "SchemaUnknown",
    "get_schema",
    "list_schemas",
    "load_schema",
]
