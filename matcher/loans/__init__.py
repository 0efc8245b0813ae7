"""Facilities, commitments, contracts and what moves on them (docs/reference/loans.md).

A bank reports what happened as events (:mod:`matcher.loans.events`), one by one or by its daily file; the guards
of the programme stand between an event and the tables.
"""

from matcher.loans.service import Loans

__all__ = ["Loans"]
