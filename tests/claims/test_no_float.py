"""No binary fraction anywhere near money: neither a literal, nor a conversion, nor a division that makes one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("subsidy", "loans", "claims", "figures", "reports")
LAYOUT = ("workbook.py",)  # margins of a page are inches; a conversion or a division is a fault there too
EXACT = ("Decimal", "Fraction", "Path")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / "matcher" / name).rglob("*.py"))


def faults(source: str, *, is_layout: bool = False) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and not is_layout:
            yield f"line {node.lineno}: {node.value}"
        elif isinstance(node, ast.Name) and node.id == "float":
            yield f"line {node.lineno}: float"
        elif isinstance(node, ast.Attribute) and node.attr in ("fsum", "sqrt", "total_seconds"):
            yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not is_exact(node):
            yield f"line {node.lineno}: a division"


def is_exact(node: ast.BinOp | ast.AugAssign) -> bool:
    """``a / b`` of decimals or fractions that are made on the spot, or of paths."""
    sides = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        or (isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id in EXACT)
        for side in sides
    )  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_float_in_money_code(path: Path) -> None:
    assert list(faults(path.read_text("utf-8"), is_layout=path.name in LAYOUT)) == []


@pytest.mark.parametrize(
    "source", ["x = 0.5", "x = float(y)", "x = a / b", "x /= 3", "x = sum(y) / 2", "def f(x: float) -> None: ..."]
)
def test_the_test_can_fail(source: str) -> None:
    assert list(faults(source)) != []


@pytest.mark.parametrize("source", ["x = home / 'a'", "x = Decimal(a) / 3", "x = a // b", "x = '0.5'"])
def test_what_is_exact_passes(source: str) -> None:
    assert list(faults(source)) == []
