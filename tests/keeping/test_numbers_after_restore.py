"""What was handed out after a backup is never handed out again with another meaning: numbers, files, passwords."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    CHECKER,
    HANDLER,
    OTHER_ADMIN,
    SECRET,
    add_households,
    make_account,
    make_office,
    spring,
)
from homes import CHEAP, PASSPHRASE, ask
from visiting import add_accounts, adopt_policy, plan_and_assign, to_be_visited

from keys.backupfile import create_backup_key, open_backup_key
from keys.database import open_database, write_transaction
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount, SignInFailed
from matcher.accounts.sign_in import SignIn
from matcher.alarms import Alarms
from matcher.bureau.actors import Permission, Role
from matcher.bureau.office import Office
from matcher.downloads import Downloads, Wanted
from matcher.downloads.service import DownloadStateInvalid
from matcher.keeping.backup import create_backup, restore_backup
from matcher.keeping.restored import STORES
from matcher.numbering import skip_within
from matcher.rows import fetch_all
from psi.errors import InputError

KEY_FILE, RECIPIENT = create_backup_key("演示", PASSPHRASE, os.urandom, cost=CHEAP)
KEY = open_backup_key(KEY_FILE, PASSPHRASE)
TWICE = 60  # seconds between two restores


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", spring())
    keys(made).create_identity("演示局", "bureau")
    adopt_policy(made)
    add_accounts(made)
    yield made
    made.close()


def keys(office: Office) -> KeyStore:
    kek = EnvironmentKek(environment={"MINGCE_KEK": "0c" * 32})
    return KeyStore(office.home, kek, clock=office.clock, actor="test")


def back_up(office: Office, file: Path) -> Path:
    create_backup(office.home, file, RECIPIENT, keys(office).get_identity(), office.clock, software="0")
    return file


def restored(office: Office, file: Path, place: Path) -> Office:
    restore_backup(file, KEY, place, office.clock, actor="test")
    return Office(place, SECRET, office.clock, office.divisions)


def numbers(office: Office) -> dict[str, set[int]]:
    """Every number that the store has given, by table."""
    tables = fetch_all(office.database, "SELECT name FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%'")
    return {
        table: {number for (number,) in fetch_all(office.database, f"SELECT rowid FROM {table}")}  # noqa: S608
        for (table,) in tables
    }


def work(office: Office, first: int) -> None:
    """Families, visits, forms of accounts, alarms: whatever gives numbers out."""
    families = add_households(office, 2, first=first)
    to_be_visited(office, families)
    plan_and_assign(office, families)
    office.alarms.sound(InputError("演示"), f"{first}")


def test_no_number_is_given_twice_though_an_old_backup_is_restored_twice(office: Office, tmp_path: Path) -> None:
    work(office, 0)
    before = numbers(office)
    file = back_up(office, tmp_path / "old.mcbk")
    work(office, 10)
    given = [numbers(office)]
    for again in ("one", "two"):
        office.clock.advance(TWICE)  # type: ignore[attr-defined]
        second = restored(office, file, tmp_path / again)
        work(second, 20)
        given.append(numbers(second))
        assert second.verify_audit().seq > office.verify_audit().seq - 100  # the chain goes on
        second.close()
    for table, old in before.items():
        new = [one[table] - old for one in given]
        assert len(new[0] | new[1] | new[2]) == sum(map(len, new)), table
    changed = {table for table, old in before.items() if given[1][table] - old}
    assert {"household", "member", "visit", "visit_move", "handover", "alarm"} <= changed
    assert max(max(found, default=0) for found in given[2].values()) < 10**12


def test_a_clock_that_is_behind_still_leaves_a_gap(tmp_path: Path) -> None:
    for store, migrations in STORES.items():
        database = open_database(tmp_path / store, migrations)
        clock = spring()
        Alarms(database, clock).sound(InputError("演示"))
        seen = [1]
        for _ in range(3):
            clock.advance(-86_400)
            with write_transaction(database):
                skip_within(database, clock.now())
            Alarms(database, clock).sound(InputError("演示"))
            seen.append(max(alarm.alarm_id for alarm in Alarms(database, clock).list_all()))
        assert seen == sorted(set(seen))
        assert all(after - before >= 1_000_000 for before, after in pairwise(seen)), store
        assert ask(tmp_path / store, "PRAGMA integrity_check") == [("ok",)]
        database.close()


def test_an_older_store_gets_the_word_and_keeps_its_rows(tmp_path: Path) -> None:
    """Every migration before, rows, then the edit of the schema: triggers, keys and rows are as they were."""
    office = make_office(tmp_path / "bureau", spring())
    work_before = add_households(office, 2)
    schema = ask(office.home / "bureau.sqlite", "SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
    numbered = {name for name, sql in schema if sql and "AUTOINCREMENT" in sql}
    given_here = {
        name
        for name, sql in schema
        if sql
        and "INTEGER PRIMARY KEY" in sql
        and name not in ("audit", "second_factor", "reversed_movement", "_sqlite_migrations")
        and "INTEGER PRIMARY KEY REFERENCES" not in sql
    }
    assert given_here == numbered
    assert ask(office.home / "bureau.sqlite", "PRAGMA foreign_key_check") == []
    assert work_before == [1, 2]
    office.close()


def test_what_is_good_once_is_over_after_a_restore(office: Office, tmp_path: Path) -> None:
    """A file that was agreed to and a one-time password may have been used after the backup."""
    for actor in (HANDLER, CHECKER):
        make_account(office, actor)
    downloads = Downloads(office)
    wanted = Wanted("名单", "名单.csv", "household", Permission.SEE_HOUSEHOLDS, personal=True)
    number = downloads.ask(HANDLER, wanted, _write, reason="演示", key="ab" * 16)
    downloads.decide(CHECKER, number, agreed=True)
    accounts = Accounts(office)
    accounts.propose(ADMIN, NewAccount("xinren", "演示", frozenset({Role.HANDLER})))
    once = accounts.approve(OTHER_ADMIN, "xinren")
    second = restored(office, back_up(office, tmp_path / "b.mcbk"), tmp_path / "again")
    with pytest.raises(DownloadStateInvalid):
        Downloads(second).fetch(HANDLER, number)
    with pytest.raises(SignInFailed):
        SignIn(second).set_password("xinren", once, "演示口令 of the new one")
    second.close()
    assert downloads.fetch(HANDLER, number).content
    SignIn(office).set_password("xinren", once, "演示口令 of the new one")


def _write(path: Path) -> int:
    path.write_text("演示", "utf-8")
    return 1
