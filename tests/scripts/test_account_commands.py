"""``mingce account`` and ``mingce bureau serve`` as their users meet them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pysqlite3
import pytest
import typed

ROOT = Path(__file__).resolve().parents[2]


def mingce(*words: str, folder: Path, **environment: str) -> tuple[int, Any]:
    """(exit code, the JSON document)."""
    done = typed.mingce(*words, "--json", folder=folder, **environment)
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr


def password_file(folder: Path, name: str, password: str) -> str:
    path = folder / f"{name}.password"
    path.write_text(password + "\n", "utf-8")
    return str(path)


def choose(home: Path, name: str, one_time: str) -> str:
    """The person's own password in a file."""
    own = password_file(home, name, f"我自己的口令，够长的：{name[::-1]}")
    first = password_file(home, f"{name}.first", one_time)
    code, _ = mingce("account", "set-password", name, "--password-file", first, "--new-password-file", own, folder=home)
    assert code == 0
    return own


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bureau with two administrators, guanli1 and guanli2."""
    folder = tmp_path_factory.mktemp("account")
    code, _ = mingce("bureau", "init", "b", "--division", "330922", folder=folder)
    assert code == 0
    for name in ("guanli1", "guanli2"):
        code, made = mingce("account", "found", name, "--display-name", "管理员", folder=folder / "b")
        assert code == 0
        choose(folder / "b", name, made["one_time_password"])
    return folder / "b"


def as_(home: Path, name: str) -> dict[str, str]:
    return {"MINGCE_AS": name, "MINGCE_PASSWORD_FILE": str(home / f"{name}.password")}


def test_an_account_from_proposal_to_sign_in_and_end(home: Path) -> None:
    wanted = ("account", "create", "jingban", "--display-name", "李四", "--role", "handler")
    assert mingce(*wanted, folder=home, **as_(home, "guanli1"))[0] == 0
    code, refused = mingce("account", "approve", "jingban", folder=home, **as_(home, "guanli1"))
    assert (code, refused["error"]["code"]) == (4, "same_person")
    code, approved = mingce("account", "approve", "jingban", folder=home, **as_(home, "guanli2"))
    assert code == 0
    choose(home, "jingban", approved["one_time_password"])
    code, refused = mingce("account", "list", folder=home, **as_(home, "jingban"))
    assert (code, refused["error"]["code"]) == (4, "not_allowed")
    code, listed = mingce("account", "list", folder=home, **as_(home, "guanli1"))
    assert [(one["name"], one["state"], one["password"]) for one in listed["accounts"]] == [
        ("guanli1", "active", "own"),
        ("guanli2", "active", "own"),
        ("jingban", "active", "own"),
    ]
    assert mingce("account", "close", "jingban", folder=home, **as_(home, "guanli1"))[0] == 0
    code, refused = mingce("account", "list", folder=home, **as_(home, "jingban"))
    assert (code, refused["error"]["code"]) == (6, "sign_in_failed")


def test_who_says_no_name_is_asked_for_one(home: Path) -> None:
    code, refused = mingce("account", "list", folder=home)
    assert (code, refused["error"]["code"]) == (3, "refused")


def test_a_third_administrator_is_not_founded(home: Path) -> None:
    code, refused = mingce("account", "found", "guanli3", "--display-name", "x", folder=home)
    assert (code, refused["error"]["code"]) == (4, "founders_complete")


def test_a_sentence_says_what_is_wrong_with_an_account(home: Path) -> None:
    wanted = ("account", "create", "zhenjie", "--display-name", "镇街", "--role", "township")
    code, refused = mingce(*wanted, folder=home, **as_(home, "guanli1"))
    assert (code, refused["error"]["code"]) == (3, "account_invalid")
    assert "--township" in refused["error"]["message"]


@pytest.mark.parametrize("second_factor", [True, False], ids=["as it is by default", "told not to"])
def test_serve_answers_accounts_until_it_is_told_to_stop(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second_factor: bool
) -> None:
    if not second_factor:
        monkeypatch.setenv("MINGCE_SIGN_IN__SECOND_FACTOR", "false")
    address, log = tmp_path / "address", tmp_path / "log"
    command = [sys.executable, "-m", "scripts.cli", "bureau", "serve", "--port", "0", "--address-file", str(address)]
    with log.open("wb") as stream, subprocess.Popen(command, cwd=home, stderr=stream) as server:
        try:
            while not address.exists():
                assert server.poll() is None, log.read_text("utf-8")
                time.sleep(0.05)
            with httpx.Client(base_url=address.read_text(), timeout=20, trust_env=False) as client:
                password = (home / "guanli1.password").read_text("utf-8").strip()
                answer = client.post("/v1/sessions", json={"name": "guanli1", "password": password})
                assert answer.status_code == 201
                headers = {"Authorization": f"Bearer {answer.json()['token']}"}
                account = client.get("/v1/sessions/current", headers=headers).json()
                if second_factor:
                    assert account["code"] == "second_factor_missing"
                else:
                    assert account["roles"] == ["admin"]
                assert "登录" in client.get("/sign-in").text
        finally:
            server.terminate()
            assert server.wait(timeout=20) == -signal.SIGTERM
    assert second_factor or "guanli1" in log.read_text("utf-8")
    assert password not in log.read_text("utf-8")


def test_an_act_that_was_refused_is_in_the_audit_chain(home: Path) -> None:
    wanted = ("account", "create", "fuhe", "--display-name", "孙八", "--role", "checker")
    assert mingce(*wanted, folder=home, **as_(home, "guanli1"))[0] == 0
    assert mingce("account", "approve", "fuhe", folder=home, **as_(home, "guanli1"))[0] == 4
    rows = pysqlite3.connect(str(home / "bureau.sqlite")).execute(
        "SELECT actor, subject, json_extract(detail, '$.code') FROM audit ORDER BY seq DESC LIMIT 1"
    )
    assert rows.fetchall() == [("guanli1", "command line", "same_person")]
