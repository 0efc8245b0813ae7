"""Tables in: customer lists and base lists from CSV, XLSX and Parquet (docs/reference/tables.md)."""

from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch
from matcher.tables.lists import BaseList, CustomerList, read_base_list, read_customers
from matcher.tables.reader import read_table

__all__ = [
    "DEFAULT_BATCH_ROWS",
    "BaseList",
    "CustomerList",
    "TableBatch",
    "read_base_list",
    "read_customers",
    "read_table",
]
