"""JSON documents from strangers, read strictly: one reading or none.

A signed document that two parsers can read in two ways is worth nothing, so anything
ambiguous is refused: two members of one name, numbers outside the integers, lone
surrogates, bytes that are not UTF-8, members nobody asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

from psi.errors import InputError

_LEAST, _MOST = -(2**63), 2**63 - 1


class JsonInvalid(InputError):
    """Bytes are not the one JSON object expected here. The detail never repeats them."""

    code = "json_invalid"


def parse_object(document: bytes, members: Iterable[str], *, max_bytes: int) -> dict[str, object]:
    """The JSON object in ``document``, with exactly the named members.

    Raises JsonInvalid: longer than ``max_bytes``, not UTF-8, not one object, a member
    twice (at any depth), missing or unknown, a float, NaN or huge number, a lone surrogate.
    """
    if len(document) > max_bytes:
        raise JsonInvalid("document is too long", limit=max_bytes)
    return require_members(_read(document), members)


def parse_json(document: bytes, *, max_bytes: int) -> object:
    """The JSON value in ``document``; its strings can be carried by UTF-8 and its integers held by 64 bits.

    Raises JsonInvalid for what :func:`parse_object` refuses, members aside.
    """
    if len(document) > max_bytes:
        raise JsonInvalid("document is too long", limit=max_bytes)
    value = _read(document)
    _require_storable(value)
    return value


def _read(document: bytes) -> object:
    try:
        return json.loads(
            document.decode("utf-8"),
            object_pairs_hook=_unique_members,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_small_integer,
        )
    except JsonInvalid:
        raise
    except (ValueError, RecursionError):
        raise JsonInvalid("not a JSON document in UTF-8") from None


def _require_storable(value: object) -> None:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            require_text(found)
        elif isinstance(found, int) and not _LEAST <= found <= _MOST:
            raise JsonInvalid("a number is too large")
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]


def require_members(value: object, members: Iterable[str]) -> dict[str, object]:
    """``value`` itself, if it is an object with exactly these members. Raises JsonInvalid."""
    if not isinstance(value, dict):
        raise JsonInvalid("not a JSON object")
    if set(value) != set(members):
        raise JsonInvalid("members are missing or unknown", expected=sorted(members))
    return value


def require_text(value: object) -> str:
    """``value`` itself, if it is a string that UTF-8 can carry. Raises JsonInvalid."""
    if not isinstance(value, str):
        raise JsonInvalid("a member is not a string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonInvalid("a string holds a lone surrogate") from None
    return value


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonInvalid("a member stands twice")
    return members


def _refuse_number(_: str) -> NoReturn:
    raise JsonInvalid("a number is not an integer")


def _small_integer(digits: str) -> int:
    if len(digits) > 19:
        raise JsonInvalid("a number is too long")
    return int(digits)
