"""Tables in: customer lists and senders' lists from CSV, XLSX and Parquet (docs/reference/tables.md)."""

from matcher.tables.batch import DEFAULT_BATCH_ROWS, TableBatch
from matcher.tables.lists import CustomerList, LabelledList, read_customers, read_labelled_list
from matcher.tables.reader import read_table

__all__ = [
    "DEFAULT_BATCH_ROWS",
    "CustomerList",
    "LabelledList",
    "TableBatch",
    "read_customers",
    "read_labelled_list",
    "read_table",
]
