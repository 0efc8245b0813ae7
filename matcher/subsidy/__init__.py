"""The subsidy of a loan's interest: dates, balances and money, and nothing stored.

Money is whole 分 (int), rates are percent a year (Decimal), periods are half-open: the first day counts, the
last does not (算头不算尾). Nothing here knows of a database, a file or the present time.
"""
