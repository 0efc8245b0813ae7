"""What the documents say that a machine can check: the commands in them, and the blocks that are run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("README*.md"), ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```", re.M | re.S)
_COMMAND = re.compile(r"(?<![\w=-])mingce (?!mingce\b)(?=[a-z]|--)(.*)")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_ENDS = re.compile(r" \|\|? | && |; | >>? | 2>| +#|\)$|\s*&$")
ANYTHING = "…"


@dataclass(frozen=True)
class Block:
    """A fenced block: ``info`` is what stands behind the fence, ``lines`` are without the block's indent."""

    document: Path
    number: int
    info: str
    lines: tuple[str, ...]

    @property
    def is_run(self) -> bool:
        """``console`` blocks are run, unless they say why not."""
        return self.info.split()[:1] == ["console"] and self.not_run is None

    @property
    def not_run(self) -> str | None:
        """Why it is not run: ``console not-run: needs systemd``."""
        _, found, reason = self.info.partition("not-run:")
        return reason.strip() if found else None

    @property
    def goes_on(self) -> bool:
        """It serves until the reader stops it: ``console background``."""
        return "background" in self.info.split()

    @property
    def comes_after_stop(self) -> bool:
        """The reader was told to stop what serves: ``console stopped``."""
        return "stopped" in self.info.split()


@dataclass(frozen=True)
class Step:
    """One command of a block with the lines that the reader is told to see."""

    command: str
    seen: tuple[str, ...]


def blocks(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start()) + 1,
            found["info"].strip(),
            tuple(line.removeprefix(found["indent"]) for line in found["body"].splitlines()),
        )
        for found in _FENCE.finditer(text)
    ]


def steps(block: Block) -> list[Step]:
    """The commands behind ``$``; one may go on over lines that end with a backslash."""
    found: list[tuple[str, list[str]]] = []
    for line in block.lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (found[-1][0][:-1] + line.strip(), [])
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"{block.document.name}:{block.number}: output before the first command")
    return [Step(command, tuple(seen)) for command, seen in found]


def is_seen(expected: str, output: str) -> bool:
    """Whether a line of ``output`` is the expected one; ``…`` stands for anything."""
    pattern = re.compile(".*".join(map(re.escape, expected.strip().split(ANYTHING))))
    return any(pattern.fullmatch(line.strip()) for line in output.splitlines())


def commands(document: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, words after ``mingce``) of every command line in a fenced block."""
    for block in blocks(document):
        joined = "\n".join(block.lines).replace("\\\n", " ")
        for line in joined.splitlines():
            found = _COMMAND.search(line)
            if found:
                yield block.number, _words(found[1])


def mentioned(document: Path) -> Iterator[list[str]]:
    """The words of every command that the running text names, as far as it names them; ``a|b`` is two commands."""
    for code in _CODE.findall(_FENCE.sub("", document.read_text("utf-8"))):
        found = _COMMAND.search(code)
        if found:
            known = itertools.takewhile(lambda word: word != ANYTHING, _words(found[1]))
            yield from map(list, itertools.product(*(word.split("|") for word in known)))


def _words(text: str) -> list[str]:
    return shlex.split(_ENDS.split(text)[0].strip())
