"""docs/reference/errors.md, from the errors themselves, their words and where they come out."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from api import problems
from api.bureau import problems as bureau_problems
from api.words import MESSAGES, Message
from psi.errors import MingceError
from scripts.keeping.advice import ADVICE
from scripts.messages import Refused, exit_code

PACKAGES = ("psi", "keys", "matcher", "api", "scripts")
WIRE = problems.__name__

HEAD = """\
# Error codes 错误代码

Made from the program by `make reference`; a test fails when it is out of date.

Every error has a code that stays the same, a sentence in the user's language, and what to do next.
每个错误都有固定的代码、一句说明和下一步。

- **exit**: how the command ends ([command-line.md](command-line.md)). 命令的退出码。
- **HTTP**: the status of a problem document (RFC 9457) whose `code` it is: at the province's and a department's
  endpoint where the code stands in [protocol.md](protocol.md), else at the bureau's ([bureau-api.md](bureau-api.md)).
  Where a code has none, it is not told to the other side. 接口应答的状态码。
- ‹…› stands for a value. 表示具体的值。
- `refused` and `file_failed` have no sentence of their own: a command says what it cannot do, or which file it cannot
  read or write.

| code | exit | HTTP | | next 下一步 |
|---|---|---|---|---|
"""
FINDINGS = """
## What the doctor finds 体检的发现

`mingce doctor` reports these besides the errors above. Levels: [watch.md](../how-to/watch.md).

| code | | next 下一步 |
|---|---|---|
"""
WIRE_ONLY = """
## Told to programs only 只答复给程序

A client turns these into its own errors, above.

| code | HTTP | title |
|---|---|---|
"""
_BUREAU = re.compile(
    r"api\.(bureau|console|downloads)|matcher\.(bureau|accounts|personal|checks|policy|eligibility|states|subsidy"
    r"|households|visits|reviews|loans|claims|figures|reports|downloads)\b"
)


def list_errors() -> Mapping[str, list[type[MingceError]]]:
    """Every error class of the program by its code; imports every module."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    found: dict[str, list[type[MingceError]]] = defaultdict(list)
    queue = [MingceError]
    while queue:
        kind = queue.pop()
        if kind.__module__.split(".")[0] in PACKAGES and kind.code != Refused.code:
            found[kind.code].append(kind)
        queue += kind.__subclasses__()
    return found


def reference() -> str:
    errors = list_errors()
    rows = [_row(code, MESSAGES[code], errors[code]) for code in sorted(MESSAGES)]
    findings = [_words(code, Message(one.zh, one.en, one.zh_next, one.en_next)) for code, one in sorted(ADVICE.items())]
    return HEAD + _lines(rows) + FINDINGS + _lines(findings) + WIRE_ONLY + _lines(_wire_only())


def _row(code: str, message: Message, kinds: Iterable[type[MingceError]]) -> str:
    examples = [_example(kind) for kind in kinds if kind.__module__ != WIRE]
    exits = sorted({exit_code(error) for error in examples})
    statuses = sorted({status for error in examples if (status := _status(error)) is not None})
    return _words(code, message, ", ".join(map(str, exits)), ", ".join(map(str, statuses)))


def _words(code: str, message: Message, *between: str) -> str:
    what, following = (_both(message.zh, message.en), _both(message.next_zh, message.next_en))
    return "| " + " | ".join((f"`{code}`", *between, what, following)) + " |"


def _both(zh: str, en: str) -> str:
    return _plain(f"{zh}<br>{en}") if zh else ""


def _plain(text: str) -> str:
    return re.sub(r"\{(\w+)\}", r"‹\1›", text).replace("|", "\\|").replace("*", "\\*").replace("~", "\\~")


def _example(kind: type[MingceError]) -> MingceError:
    """One of its kind without its particulars: only code and ancestry are looked at."""
    error = kind.__new__(kind)
    error.detail, error.params = "", {}
    return error


def _status(error: MingceError) -> int | None:
    """The HTTP status with which it is told to the other side, if it is."""
    if error.code in problems.KINDS:
        return problems.KINDS[error.code].status
    if _BUREAU.match(type(error).__module__):
        found = bureau_problems.describe_problem(error)
        return None if found.code == "internal" else found.kind.status
    return None


def _wire_only() -> Iterator[str]:
    kinds = {**bureau_problems.KINDS, **problems.KINDS}
    for code in sorted(kinds.keys() - MESSAGES.keys()):
        yield f"| `{code}` | {kinds[code].status} | {kinds[code].title} |"


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)
