"""Every error that can reach a person has words in both languages, and an exit code that means something."""

from __future__ import annotations

import importlib
import pkgutil
import string

import pytest

from api.words import MESSAGES
from matcher.bank.warrants import WarrantNotInForce
from psi.errors import InputError, MingceError, VerificationError
from scripts.language import set_language
from scripts.messages import Refused, exit_code, explain

PACKAGES = ("psi", "keys", "matcher", "api", "scripts")
WIRE_ONLY = "api.problems"  # what the endpoint answers to machines; a bank's client turns it into its own errors


def error_classes() -> list[type[MingceError]]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    found, queue = [], [MingceError]
    while queue:
        current = queue.pop()
        found.append(current)
        queue += current.__subclasses__()
    return found


def is_for_people(error: type[MingceError]) -> bool:
    return error.__module__.split(".")[0] in PACKAGES and error.__module__ != WIRE_ONLY and error is not Refused


def test_every_code_has_words() -> None:
    missing = {error.code for error in error_classes() if is_for_people(error)} - MESSAGES.keys()
    assert missing == set()


def test_every_message_belongs_to_a_code() -> None:
    codes = {error.code for error in error_classes()}
    assert MESSAGES.keys() - codes == set()


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_both_languages_say_the_same_params(code: str) -> None:
    message = MESSAGES[code]
    fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in message[:2]]
    assert fields[0] == fields[1]
    assert bool(message.next_zh) == bool(message.next_en)


@pytest.mark.parametrize(("language", "word"), [("zh", "已过期"), ("en", "over")])
def test_reasons_come_in_the_users_language(language: str, word: str) -> None:
    set_language(language)
    assert word in explain(WarrantNotInForce("x", warrant="3fa9", reason="over"))[0]
    assert "unheard of" in explain(WarrantNotInForce("x", warrant="3fa9", reason="unheard of"))[0]
    set_language("zh")


def test_exit_codes() -> None:
    assert exit_code(InputError()) == 3
    assert exit_code(VerificationError()) == 6
    assert exit_code(MingceError()) == 1


def test_missing_params_do_not_hide_the_message() -> None:
    set_language("en")
    error = type("E", (MingceError,), {"code": "edition_rollback"})("x")
    assert explain(error)[0].startswith("An older edition")
    set_language("zh")
