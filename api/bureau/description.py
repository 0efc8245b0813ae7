"""The interface in OpenAPI 3.1, with what FastAPI cannot know: the gate's sessions, and problems as errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `faults` names places in a body of another shape, never values.",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:mingce:not_allowed"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "detail": {"type": "string"},
        "params": {"type": "object"},
        "faults": {
            "type": "array",
            "items": {"type": "object", "properties": {"place": {"type": "string"}, "fault": {"type": "string"}}},
        },
    },
}
_REFUSED = {
    "description": "A problem document",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def complete(document: dict[str, Any], is_open: Callable[[str, str], bool]) -> dict[str, Any]:
    """``document`` as FastAPI made it, put right in place; ``is_open(method, path)``: without a session."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    components["securitySchemes"] = {"session": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"session": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _REFUSED
            if is_open(method.upper(), path):
                operation["security"] = []
    return document
