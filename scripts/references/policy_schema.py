"""docs/reference/policy.schema.json, by which an editor checks a policy."""

from __future__ import annotations

import json

from matcher.policy import Policy


def reference() -> str:
    """JSON Schema 2020-12 of a policy file. What holds between settings it cannot say: `mingce policy check` does."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema()}
    return json.dumps({**schema, "title": "mingce-policy/1"}, ensure_ascii=False, indent=1) + "\n"
