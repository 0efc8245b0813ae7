"""Import rules that import-linter cannot see: the kernel is an extension module."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def imports_kernel(source: Path) -> bool:
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import) and any(name.name == "psi._native" for name in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and (
            node.module == "psi._native" or (node.module == "psi" and any(n.name == "_native" for n in node.names))
        ):
            return True
    return False


def test_only_psi_imports_the_kernel() -> None:
    others = [path for room in ("keys", "matcher", "api", "scripts") for path in (ROOT / room).rglob("*.py")]
    assert [path.name for path in others if imports_kernel(path)] == []
    assert any(imports_kernel(path) for path in (ROOT / "psi").glob("*.py"))
