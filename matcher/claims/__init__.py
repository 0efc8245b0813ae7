"""Interest accrued, corrected, claimed and paid (docs/reference/claims.md).

``computing`` turns a household's loans into lines and knows no database; ``accrual`` keeps the stored lines as
computed; ``service`` is Claims, the one way in for everybody else.
"""
