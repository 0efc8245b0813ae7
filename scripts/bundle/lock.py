"""What of requirements.lock an installation needs: the packages of the program, without those of its development."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REQUIREMENT = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ \\;]+)(?: *; *(?P<marker>[^\\]+))?"
)
_OURS = "mingce (pyproject.toml)"


@dataclass(frozen=True)
class Locked:
    """One package of the lock. ``text`` is its requirement with marker and hashes; ``via`` who needs it."""

    name: str
    version: str
    text: str
    via: frozenset[str]


def read_lock(text: str) -> list[Locked]:
    """The lock's packages, in order. Raises ValueError for a line that is none of the form that uv writes."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            blocks.append([])
        if blocks and line:
            blocks[-1].append(line)
    return [_read_block(block) for block in blocks]


def needed(packages: list[Locked]) -> list[Locked]:
    """Those that the program needs, directly or through others."""
    kept = {package.name for package in packages if _OURS in package.via}
    while more := {package.name for package in packages if package.via & kept} - kept:
        kept |= more
    return [package for package in packages if package.name in kept]


def _read_block(lines: list[str]) -> Locked:
    found = _REQUIREMENT.match(lines[0])
    if found is None:
        raise ValueError(f"not a locked requirement: {lines[0]}")
    comments = [line.strip().removeprefix("#").strip() for line in lines if line.strip().startswith("#")]
    via = {comment.removeprefix("via").strip() for comment in comments} - {""}
    requirement = "\n".join(line for line in lines if not line.strip().startswith("#"))
    return Locked(found["name"], found["version"], requirement, frozenset(via))
