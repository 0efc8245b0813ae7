"""That a restored home lost nothing is two operators' word, of the same restore and for the same reason."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from homes import CHEAP, PASSPHRASE, ask, mingce
from test_backup import back_up, restore

from keys.operators import create_operator_key, read_operator_key
from matcher.keeping.restored import MARK

WORDS = ("backup", "settle", "--nothing-lost", "--passphrase-file", "pass", "--config", "again")


@pytest.fixture
def again(place: Path) -> Path:
    back_up(place, "bank")
    restore(place, "bank")
    return place


def refusal(place: Path, *words: object, code: int = 3) -> str:
    return str(mingce(place, *WORDS, *words, code=code)["error"]["code"])


def test_the_second_signs_what_the_first_said(again: Path) -> None:
    first = mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    assert first["waits"]
    assert mingce(again, "bank", "status", "--config", "again", code=4)["error"]["code"] == "restore_unsettled"
    done = mingce(again, *WORDS, "--operator", "乙.operator")
    assert (done["waits"], done["reason"], done["nothing_lost"]) == (False, "迁移", True)
    ((detail,),) = ask(again / "again" / "keys.sqlite", "SELECT detail FROM event WHERE action = 'restore settle'")
    assert len(json.loads(json.loads(detail)["signed"])["signatures"]) == 2
    assert not (again / "again" / MARK).exists()


def test_one_person_is_not_two(again: Path) -> None:
    assert refusal(again, "--reason", "迁移") == "refused"  # without a key
    mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    assert refusal(again, "--operator", "甲.operator") == "already_signed"
    assert (again / "again" / MARK).exists()


def test_another_reason_is_not_signed_unseen(again: Path) -> None:
    assert refusal(again, "--operator", "甲.operator") == "bad_input"  # the first says why
    mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    assert refusal(again, "--operator", "乙.operator", "--reason", "换盘") == "settlement_differs"
    assert (again / "again" / MARK).exists()


def test_whoever_has_the_restored_home_registers_nobody_for_it(again: Path) -> None:
    for name in ("丙", "丁"):
        key = create_operator_key(name, PASSPHRASE, os.urandom, cost=CHEAP)
        (again / f"{name}.operator").write_bytes(key)
        (again / f"{name}.identity.json").write_bytes(read_operator_key(key).to_json())
        register = ("operator", "register", f"{name}.identity.json", "--passphrase-file", "pass", "--config", "again")
        for signer in ("甲", "乙"):
            mingce(again, *register, "--operator", f"{signer}.operator")
    refused = mingce(again, *WORDS, "--operator", "丙.operator", "--reason", "迁移", code=4)
    assert refused["error"]["code"] == "operator_not_allowed"
    mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    assert refusal(again, "--operator", "丁.operator", code=4) == "operator_not_allowed"
    assert (again / "again" / MARK).exists()


def test_a_word_about_another_restore_counts_for_nothing(again: Path) -> None:
    mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    mark = again / "again" / MARK
    told = json.loads(mark.read_bytes())
    mark.write_text(json.dumps({**told, "restored_at": "2020-01-01T00:00:00Z"}), "utf-8")
    assert refusal(again, "--operator", "乙.operator") == "settlement_differs"


def test_that_something_may_be_lost_needs_nobody_else(again: Path) -> None:
    mingce(again, *WORDS, "--operator", "甲.operator", "--reason", "迁移", code=4)
    mingce(again, "backup", "settle", "--something-lost", "--reason", "不能确定", "--config", "again")
    assert not (again / "again" / MARK).exists()
