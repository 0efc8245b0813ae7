"""Department checks: a household's members against a department's dataset, by matching or on paper.

One dataset's results as they come out of a match are in ``results``, what of them stands in the case work in
``service``, and what a policy asks for and a household lacks in ``coverage``.
"""

from matcher.checks.service import DepartmentChecks

__all__ = ["DepartmentChecks"]
