"""The published schema of a policy file is the program's own, and the example policies keep to it."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from matcher.policy import list_examples

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "reference" / "policy.schema.json"


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "") -> list[str]:
    """Where ``value`` does not keep to ``schema``: as much of JSON Schema as the published one uses."""
    if "$ref" in schema:
        return faults(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
    if "anyOf" in schema:
        found = [faults(value, one, root, path) for one in schema["anyOf"]]
        return [] if [] in found else found[0]
    if "const" in schema or "enum" in schema:
        return [] if value in schema.get("enum", [schema.get("const")]) else [path]
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "integer": int, "boolean": bool, "string": (str, date), "null": type(None)
    }  # fmt: skip
    if not isinstance(value, kinds[schema["type"]]):
        return [path]
    if isinstance(value, str) and not re.fullmatch(schema.get("pattern", ".*"), value, re.DOTALL):
        return [path]
    if isinstance(value, list):
        return [fault for one in value for fault in faults(one, schema["items"], root, f"{path}[]")]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        missing = [f"{path}.{name} missing" for name in schema.get("required", ()) if name not in value]
        patterns = schema.get("patternProperties", {})
        for name, part in value.items():
            inner = known.get(name) or next((s for p, s in patterns.items() if re.search(p, name)), None)
            missing += [f"{path}.{name} unknown"] if inner is None else faults(part, inner, root, f"{path}.{name}")
        return missing
    return []


def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
    return found


@pytest.mark.parametrize("path", list_examples(), ids=lambda path: path.name)
def test_the_examples_keep_to_it(path: Path) -> None:
    schema = published()
    assert faults(tomllib.loads(path.read_text("utf-8")), schema, schema) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (('limit = "100000.00"', "limit = 100000.00"), ".income.limit"),
        (('limit = "100000.00"', 'limit = "100,000"'), ".income.limit"),
        (("lowest = 18", 'lowest = "18"'), ".age.lowest"),
        (('reading = "scaled"', 'reading = "both"'), ".income.reading"),
        (('"N10", "N11"', '"N10", "N77"'), ".groups.flag[]"),
        (("[residence]", "[residences]"), ". missing"),
        (('fiscal_share = "0.5"', 'fiscal_share = "1.5"'), ".subsidy.fiscal_share"),
    ],
)
def test_an_editor_sees_what_is_wrong(change: tuple[str, str], fault: str) -> None:
    (path,) = [path for path in list_examples() if path.name.startswith("330922")]
    text = path.read_text("utf-8")
    assert change[0] in text
    schema = published()
    found = faults(tomllib.loads(text.replace(*change)), schema, schema)
    assert found
    assert all(one.startswith(fault.split(" ")[0]) for one in found)
