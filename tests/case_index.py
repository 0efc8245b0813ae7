"""Which tests show which case of the threat list. This program writes the last column of docs/reference/cases.md.

``python tests/case_index.py`` writes it anew; tests/test_cases.py fails while it is not what the tests are.
A test belongs to every case in its name: ``test_d01_d02_…`` to two of them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INDEX = ROOT / "docs" / "reference" / "cases.md"
_NAME = re.compile(r"test_((?:d\d\d_)+)")
_ROW = re.compile(r"^\| (D\d\d) \|(.*)\|([^|]*)\|$")


def list_case_tests() -> dict[str, dict[str, list[str]]]:
    """For each case (``D01``) the files below tests/ and the names of its tests in each."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match = _NAME.match(node.name) if isinstance(node, ast.FunctionDef) else None
            if match:
                for case in match[1].upper().split("_")[:-1]:
                    found[case][path.relative_to(ROOT / "tests").as_posix()].append(node.name)
    return {case: dict(files) for case, files in sorted(found.items())}


def describe_tests(files: dict[str, list[str]]) -> str:
    """One cell: each file with its tests."""
    parts = (
        f"[{file}](../../tests/{file}): " + ", ".join(f"`{name}`" for name in names) for file, names in files.items()
    )
    return "<br>".join(parts)


def with_tests(text: str) -> str:
    """The index with the last column of every case as the tests are."""
    tests = list_case_tests()
    lines = []
    for line in text.split("\n"):
        row = _ROW.match(line)
        lines.append(f"| {row[1]} |{row[2]}| {describe_tests(tests.get(row[1], {}))} |" if row else line)
    return "\n".join(lines)


def listed_cases(text: str) -> list[str]:
    return [row[1] for row in map(_ROW.match, text.split("\n")) if row]


if __name__ == "__main__":
    INDEX.write_text(with_tests(INDEX.read_text("utf-8")), "utf-8")
    sys.exit(0)
