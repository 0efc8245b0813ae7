"""Every error that can reach a person has words in both languages, and an exit code that means something."""

from __future__ import annotations

import errno
import importlib
import pkgutil
import string
from pathlib import Path

import pytest

from api.words import MESSAGES
from matcher.bank.warrants import WarrantNotInForce
from psi.errors import InputError, MingceError, VerificationError
from scripts.cli import main
from scripts.language import LANGUAGES, set_language
from scripts.messages import FileAbsent, Refused, exit_code, explain, explain_os_error, require_file

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
    assert message.next_zh
    assert message.next_en


@pytest.mark.parametrize(("language", "word"), [("zh", "已过期"), ("en", "over")])
def test_reasons_come_in_the_users_language(language: str, word: str) -> None:
    set_language(language)
    assert word in explain(WarrantNotInForce("x", warrant="3fa9", reason="over"))[0]
    assert "unheard of" in explain(WarrantNotInForce("x", warrant="3fa9", reason="unheard of"))[0]
    set_language("zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_that_is_not_there_is_named_with_what_to_do(language: str, tmp_path: Path) -> None:
    set_language(language)
    missing = tmp_path / "客户.csv"
    with pytest.raises(FileAbsent) as caught:
        require_file(missing)
    for error in (FileNotFoundError(errno.ENOENT, "No such file", str(missing)), caught.value):
        what, following = explain(error) if isinstance(error, MingceError) else explain_os_error(error)
        assert str(missing) in what
        assert following
    full = OSError(errno.ENOSPC, "No space left on device", "x")
    assert explain_os_error(full)[1] != explain_os_error(OSError(errno.EIO, "x", "x"))[1] != ""
    set_language("zh")


@pytest.mark.parametrize(
    "words",
    [
        ("bank", "match", "gone.csv"),
        ("backup", "verify", "gone.mcbk", "--key", "gone.key"),
        ("audit", "check", "gone.mao", "--draw", "d", "--record", "r", "--operator", "o", "--bank", "b", "--province",
         "p"),
    ],
)  # fmt: skip
def test_commands_name_the_missing_file_and_the_next_step(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mingce", "bank", "init", "home", "--division", "330922"])
    with pytest.raises(SystemExit):
        main()
    monkeypatch.setenv("MINGCE_CONFIG", str(tmp_path / "home"))
    monkeypatch.setattr("sys.argv", ["mingce", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert ended.value.code == 3, told
    assert "没有文件" in told or "没有身份文件" in told
    assert "下一步：" in told


def test_exit_codes() -> None:
    assert exit_code(InputError()) == 3
    assert exit_code(VerificationError()) == 6
    assert exit_code(MingceError()) == 1


def test_missing_params_do_not_hide_the_message() -> None:
    set_language("en")
    error = type("E", (MingceError,), {"code": "edition_rollback"})("x")
    assert explain(error)[0].startswith("An older edition")
    set_language("zh")
