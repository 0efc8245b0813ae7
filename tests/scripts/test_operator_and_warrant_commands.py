"""Operators and warrants by the command line: who may let a bank ask, and what the run says without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typed

SECRET = ("--passphrase-file", "口令.txt")


class Shell:
    """Runs `mingce` in one folder and reads its JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        done = typed.mingce(*words, "--json", folder=self.folder)
        assert done.exit_code == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return dict(json.loads(done.stdout))

    def refused(self, *words: str, code: int = 4) -> str:
        return str(self.run(*words, code=code)["error"]["code"])

    def match(self, *words: str) -> tuple[str, ...]:
        return ("bank", "match", "客户.csv", "--config", "bank", *words)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A bank with two operators, and nobody at the province's address."""
    shell = Shell(tmp_path_factory.mktemp("warrants"))
    (shell.folder / "口令.txt").write_text("一个够长的演示口令，十二字以上\n", "utf-8")
    (shell.folder / "客户.csv").write_text("证件号码,姓名\n", "utf-8")
    with (shell.folder / "客户.csv").open("a", encoding="utf-8") as stream:
        stream.write("990000199001010015,演示\n990000199001010023,演示\n")
    shell.run("bank", "init", "bank", "--division", "330922", "--url", "http://127.0.0.1:9")
    (shell.folder / "bank" / "province.identity.json").write_bytes(
        (shell.folder / "bank" / "identity.json").read_bytes()
    )
    for name in ("zhang", "li", "wang"):
        shell.run("operator", "create", name, "--out", f"{name}.operator", *SECRET)
    for name in ("zhang", "li"):
        shell.run("operator", "register", f"{name}.operator.identity.json", "--config", "bank")
    return shell


def propose(shell: Shell, *terms: str) -> str:
    words = ("--agreement", "演示-1", "--max-new-customers", "100", *terms, "--operator", "zhang.operator", *SECRET)
    return str(shell.run("bank", "warrant", "propose", *words, "--config", "bank")["warrant"])


def sign(warrant: str, operator: str = "li") -> tuple[str, ...]:
    return ("bank", "warrant", "sign", warrant, "--operator", f"{operator}.operator", *SECRET, "--config", "bank")


def test_a_match_waits_for_two_signatures_and_a_revocation_ends_it(shell: Shell) -> None:
    assert shell.refused(*shell.match()) == "warrant_missing"
    warrant = propose(shell)
    assert shell.refused(*shell.match()) == "warrant_not_in_force"
    assert shell.refused(*sign(warrant, "zhang"), code=3) == "already_signed"
    assert shell.refused(*sign(warrant, "wang")) == "operator_not_allowed"
    assert shell.refused(*shell.match("--warrant", warrant[:8])) == "warrant_not_in_force"
    assert shell.run(*sign(warrant[:8]))["state"] == "SIGNED"
    (listed,) = shell.run("bank", "warrant", "list", "--config", "bank")["warrants"]
    assert (listed["warrant"], listed["used"], listed["divisions"]) == (warrant, 0, ["330922"])
    revoked = shell.run(
        "bank", "warrant", "revoke", warrant[:8], "--operator", "li.operator", *SECRET, "--config", "bank"
    )
    assert revoked["state"] == "REVOKED"
    assert shell.refused(*shell.match("--warrant", warrant)) == "warrant_not_in_force"
    assert shell.refused(*shell.match()) == "warrant_missing"


def test_a_warrant_for_another_division_does_not_help(shell: Shell) -> None:
    warrant = propose(shell, "--division", "330113")
    shell.run(*sign(warrant))
    assert shell.refused(*shell.match("--warrant", warrant)) == "warrant_exceeded"
    assert shell.refused(*shell.match("--warrant", "zz"), code=3) == "warrant_unknown"
    assert shell.refused("bank", "warrant", "propose", "--agreement", " ", "--max-new-customers", "1", "--operator",
                         "zhang.operator", *SECRET, "--config", "bank", code=3) == "warrant_invalid"  # fmt: skip


def test_later_operators_and_revocations_take_two(shell: Shell) -> None:
    register = ("operator", "register", "wang.operator.identity.json", "--config", "bank")
    assert shell.refused(*register) == "signatures_missing"
    assert shell.run(*register, "--operator", "zhang.operator", *SECRET)["state"] == "waiting"
    assert shell.run(*register, "--operator", "li.operator", *SECRET)["state"] == "active"
    revoke = ("operator", "revoke", "wang", "--config", "bank")
    assert shell.run(*revoke, "--operator", "wang.operator", *SECRET)["state"] == "waiting"
    assert shell.run(*revoke, "--operator", "li.operator", *SECRET)["state"] == "revoked"
    states = {one["name"]: one["state"] for one in shell.run("operator", "list", "--config", "bank")["operators"]}
    assert states == {"zhang": "active", "li": "active", "wang": "revoked"}
    assert shell.refused("operator", "revoke", "nobody", "--operator", "li.operator", *SECRET, "--config", "bank",
                         code=3) == "operator_unknown"  # fmt: skip


def test_a_key_file_is_never_overwritten_nor_opened_by_a_wrong_passphrase(shell: Shell) -> None:
    before = (shell.folder / "li.operator").read_bytes()
    assert shell.refused("operator", "create", "li", "--out", "li.operator", *SECRET, code=3) == "refused"
    assert (shell.folder / "li.operator").read_bytes() == before
    (shell.folder / "错.txt").write_text("另一个口令也足够长，十二字以上\n", "utf-8")
    wrong = ("bank", "warrant", "revoke", "x", "--operator", "li.operator", "--passphrase-file", "错.txt")
    assert shell.refused(*wrong, "--config", "bank", code=6) == "key_unwrap_failed"
    (shell.folder / "短.txt").write_text("短\n", "utf-8")
    short = ("operator", "create", "x", "--out", "x.operator", "--passphrase-file", "短.txt")
    assert shell.refused(*short, code=3) == "passphrase_too_short"
    assert not (shell.folder / "x.operator").exists()
