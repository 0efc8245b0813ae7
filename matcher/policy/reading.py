"""Policy files: read strictly, identified by their bytes, chosen by county and date."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from matcher.policy.model import Policy
from psi.errors import InputError

EXAMPLES = Path(__file__).parent / "examples"
MAX_BYTES = 256 * 1024
_AT_LINE = re.compile(r"at line (\d+)")
_HEADING = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)")
_SETTING = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


class PolicyInvalid(InputError):
    """A policy file cannot be used; ``params``: file, field, reason, and line, where it can be told (else None)."""

    code = "policy_invalid"


class PolicyUnknown(InputError):
    """No policy is in force for a county on a day, or two are; ``params``: county, on."""

    code = "policy_unknown"


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy with the SHA-256 of its file: what a decision keeps, so that it can be shown to the letter."""

    policy: Policy
    sha256: str


def load_policy(path: Path) -> LoadedPolicy:
    """Read a policy file. Raises PolicyInvalid naming the first faulty field."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _invalid(path.name, "", error.strerror or "cannot be read") from None
    return parse_policy(content, path.name)


def parse_policy(content: bytes, name: str = "") -> LoadedPolicy:
    """A policy from its file's bytes; ``name`` is for the message. Raises PolicyInvalid."""
    if len(content) > MAX_BYTES:
        raise _invalid(name, "", "larger than any policy")
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = _AT_LINE.search(str(error))
        raise _invalid(name, "", str(error), int(found[1]) if found else None) from None
    try:
        policy = Policy.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _invalid(name, field, first["msg"], find_line(content.decode("utf-8"), field)) from None
    return LoadedPolicy(policy, hashlib.sha256(content).hexdigest())


def list_examples() -> list[Path]:
    """The policies that come with the software, by county: to copy, check and change, not to use unread."""
    return sorted(EXAMPLES.glob("*.toml"))


def choose_policy(policies: Iterable[LoadedPolicy], county: str, on: date) -> LoadedPolicy:
    """The policy in force. Where several cover the day, the one that began last. Raises PolicyUnknown."""
    fitting = [
        loaded
        for loaded in policies
        if loaded.policy.county == county and loaded.policy.valid_from <= on <= loaded.policy.valid_to
    ]
    latest = max((loaded.policy.valid_from for loaded in fitting), default=None)
    chosen = [loaded for loaded in fitting if loaded.policy.valid_from == latest]
    if len(chosen) != 1:
        raise PolicyUnknown(
            "no policy is in force" if not chosen else "two policies begin on one day", county=county, on=on.isoformat()
        )
    return chosen[0]


def find_line(text: str, field: str) -> int | None:
    """The line, counted from 1, on which a field of the file stands: ``income.limit``, ``targets.2.unit``; of one that
    is missing the heading of its part. None if not even that is there.
    """
    wanted, best, table, seen = field.split("."), (0, 0), list[str](), dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.match(line):
            table = [heading[2]]
            if heading[1] == "[[":
                seen[heading[2]] = seen.get(heading[2], -1) + 1
                table.append(str(seen[heading[2]]))
            place = table
        elif setting := _SETTING.match(line):
            place = [*table, setting[1]]
        else:
            continue
        if place == wanted[: len(place)] and len(place) > best[0]:
            best = (len(place), number)
    return best[1] or None


def _invalid(name: str, field: str, reason: str, line: int | None = None) -> PolicyInvalid:
    return PolicyInvalid(f"{field}: {reason}" if field else reason, file=name, field=field, reason=reason, line=line)
