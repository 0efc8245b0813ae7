"""Every English remark that a Chinese sentence shows has its Chinese, and no remark has one that nobody makes."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.remarks import PARTS, REMARKS, in_chinese
from api.words import MESSAGES, explain_code
from keys.database import DatabaseUnavailable, connect
from keys.wrap import FileKek, KekUnavailable
from psi.errors import MingceError
from psi.exchange import PEER_REASONS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("psi", "keys", "matcher", "api", "scripts")
KERNEL = ROOT / "psi" / "native" / "src"
_RUST = re.compile(r'(?:Error::input|Error::Backend|refused)\(\s*(?:format!\(\s*)?"([^"]+)"')
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def shown_classes() -> dict[str, type[MingceError]]:
    """By name, the errors whose Chinese sentence shows the remark."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    shown = {code for code, message in MESSAGES.items() if "{detail}" in message.zh + message.next_zh}
    found, queue = {}, [MingceError]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        if kind.code in shown and kind.__module__.split(".")[0] in PACKAGES:
            found[kind.__name__] = kind
    return found


def template_of(node: ast.expr) -> str:
    """A string of the source with ``{}`` for each value in it; empty if it is none, or has no words of its own."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        text = "".join(str(part) for part in parts)
        return text if re.search("[a-z]{2}", text) else ""
    return ""


def remarks_of_classes() -> Iterator[str]:
    kinds = shown_classes()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if name in kinds:
                        yield from remark_of_call(node, kinds[name])
                elif isinstance(node, ast.ClassDef) and node.name in kinds:
                    yield from fixed_remarks(node)


def remark_of_call(call: ast.Call, kind: type[MingceError]) -> Iterator[str]:
    names = list(inspect.signature(kind).parameters)
    if "detail" in names and names.index("detail") < len(call.args):
        yield template_of(call.args[names.index("detail")])


def fixed_remarks(kind: ast.ClassDef) -> Iterator[str]:
    """What a class's own ``__init__`` says for all of its kind."""
    for node in ast.walk(kind):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "__init__" and node.args:
            yield template_of(node.args[0])


def remarks_made_from_names() -> Iterator[str]:
    """Those that are not written where they are raised."""
    yield from PEER_REASONS.values()
    for node in ast.walk(ast.parse((ROOT / "api" / "exchange_message.py").read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_invalid":
            yield template_of(node.args[0]).replace("_", " ")
    for node in ast.walk(ast.parse((ROOT / "matcher" / "tables" / "xlsx_worker.py").read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "fault":
            yield template_of(node.value)


def remarks_of_kernel() -> Iterator[str]:
    for path in KERNEL.rglob("*.rs"):
        yield from (re.sub(r"\{\w+\}", "{}", found) for found in _RUST.findall(path.read_text("utf-8")))


@pytest.fixture(scope="module")
def remarks() -> set[str]:
    return {*remarks_of_classes(), *remarks_made_from_names(), *remarks_of_kernel()} - {""}


def test_every_remark_has_its_chinese(remarks: set[str]) -> None:
    assert len(remarks) > 300
    assert remarks - REMARKS.keys() == set()


def test_no_entry_is_unused(remarks: set[str]) -> None:
    assert REMARKS.keys() - remarks == set()
    assert sum(len(part) for part in PARTS) == len(REMARKS)


@pytest.mark.parametrize("remark", sorted(REMARKS))
def test_the_chinese_is_chinese_and_shows_every_value(remark: str) -> None:
    chinese = REMARKS[remark]
    assert _CHINESE.search(chinese)
    assert chinese[-1] not in "。；，！"
    shown = [name for _, name, _, _ in string.Formatter().parse(chinese) if name is not None]
    assert sorted(shown) == [str(place) for place in range(remark.count("{}"))]


@pytest.mark.parametrize(
    ("code", "remark", "sentence"),
    [
        ("nothing_staged", "no imported list waits to be encoded", "没有可继续的名单：没有导入后待编码的名单"),
        (
            "province_unavailable",
            "no answer after 3 attempts: [Errno 111] Connection refused",
            "连不上名单提供方的服务：试了 3 次都没有应答（连接被拒绝）",
        ),
        ("bad_input", "row 7, column 1: longer than 255 bytes", "输入不可用：第 7 行第 1 列：超过 255 字节"),
        ("backup_invalid", "the file {0} broke", "备份文件损坏或不是备份：系统信息“the file {0} broke”"),
        ("device_key_reused", "", "设备编号不可用："),
        ("internal", "已经是中文", "内部错误：已经是中文"),
    ],
)
def test_a_sentence_with_its_remark(code: str, remark: str, sentence: str) -> None:
    assert explain_code(code, remark, {}, "zh")[0] == sentence
    assert explain_code(code, remark, {}, "en")[0].endswith(remark)


def test_what_the_system_says_is_chinese_too(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as database:
        connect(tmp_path / "no folder" / "x.db")
    with pytest.raises(KekUnavailable) as key:
        FileKek(tmp_path / "kek").wrap(b"seed", b"context")
    found = [in_chinese(error.value.detail) for error in (database, key)]
    assert found == ["数据库文件打不开", "密钥文件打不开（没有这个文件或目录）"]
