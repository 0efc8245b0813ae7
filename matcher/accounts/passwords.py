"""Passwords: what a person may choose, and argon2id (RFC 9106) for keeping them."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from nacl.exceptions import InvalidkeyError
from nacl.pwhash import argon2id

from psi.errors import InputError

LEAST_CHARACTERS = 12
MOST_BYTES = 1_024
_LEAST_BESIDE_THE_NAME = 10
_ONE_TIME_BYTES = 15  # 24 characters in base 32


class PasswordWeak(InputError):
    """A password is too short, too long, or too easy to guess; params ``reason``."""

    code = "password_weak"


@dataclass(frozen=True)
class PasswordCost:
    """argon2id's cost: passes, and memory in bytes. It is stored with each hash."""

    passes: int = argon2id.OPSLIMIT_INTERACTIVE
    memory: int = argon2id.MEMLIMIT_INTERACTIVE

    def hash(self, password: str) -> str:
        return argon2id.str(_encode(password), self.passes, self.memory).decode("ascii")


def is_right(password: str, hashed: str) -> bool:
    """Whether ``password`` is the one behind ``hashed``."""
    encoded = _encode(password)
    if len(encoded) > MOST_BYTES:
        return False
    try:
        return bool(argon2id.verify(hashed.encode("ascii"), encoded))
    except InvalidkeyError:
        return False


def check_new(password: str, *, name: str, present: str) -> None:
    """Length counts, not the kinds of characters (NIST SP 800-63B section 3.1.1.2). Raises PasswordWeak."""
    if len(password) < LEAST_CHARACTERS:
        raise PasswordWeak("fewer than 12 characters", reason="short")
    if len(_encode(password)) > MOST_BYTES:
        raise PasswordWeak("more than 1,024 bytes", reason="long")
    of_its_own = password.lower().replace(name, "")
    if len(of_its_own) < _LEAST_BESIDE_THE_NAME or len(set(of_its_own)) < 5 or is_same(password, present):
        raise PasswordWeak("it repeats itself, the account's name or the present password", reason="guessable")


def is_same(one: str, other: str) -> bool:
    return _encode(one) == _encode(other)


def one_time_password(random_bytes: Callable[[int], bytes]) -> str:
    """120 random bits as four groups of six characters, to be read out or written down."""
    code = base64.b32encode(random_bytes(_ONE_TIME_BYTES)).decode("ascii").lower()
    return "-".join(code[place : place + 6] for place in range(0, len(code), 6))


def _encode(password: str) -> bytes:
    """One password from every keyboard: NFC, as RFC 8265 section 4.2 prescribes."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
