"""The documents in docs/reference that are made from the program: ``make reference`` writes them anew.

tests/scripts/test_references.py fails while one is not what the program says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from scripts.references import (
    bureau_api,
    command_line,
    configuration,
    errors,
    figures,
    policy_schema,
    roles,
    visit_form,
)

DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "bureau-api.md": bureau_api.reference,
    "command-line.md": command_line.reference,
    "configuration.md": configuration.reference,
    "errors.md": errors.reference,
    "figures.md": figures.reference,
    "policy.schema.json": policy_schema.reference,
    "roles.md": roles.reference,
    "visit-form.md": visit_form.reference,
}
"""By file name, what makes it."""
