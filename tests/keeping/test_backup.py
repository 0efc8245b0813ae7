"""Backups of every kind of home by the command line, and what a restored home owes before it works again."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pysqlite3
import pytest
from homes import PASSPHRASE, ask, mingce, settle_without_loss, write_list

from keys.backupfile import open_backup_key, read_backup
from keys.files import exclusive_lock
from matcher.keeping.restored import MARK

KEY_OPTIONS = ("--key", "backup.key", "--passphrase-file", "pass")
HOMES = ("province", "department", "bank", "bureau")


def back_up(place: Path, home: str, name: str = "backup.mcbk") -> dict[str, object]:
    return mingce(place, "backup", "create", "--out", name, "--recipient", "backup.key.pub", "--config", home)


def restore(place: Path, home: str, name: str = "backup.mcbk", folder: str = "again") -> dict[str, object]:
    done = mingce(place, "backup", "restore", name, folder, *KEY_OPTIONS, "--identity", f"{home}/identity.json")
    shutil.copytree(place / home / "secrets", place / folder / "secrets")
    return done


def contents(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("home", HOMES)
def test_every_kind_of_home_comes_back(place: Path, home: str) -> None:
    made = back_up(place, home)
    assert (place / "backup.mcbk").stat().st_mode & 0o777 == 0o600
    verified = mingce(place, "backup", "verify", "backup.mcbk", *KEY_OPTIONS, "--identity", f"{home}/identity.json")
    assert (verified["files"], verified["bytes"]) == (made["files"], made["bytes"])
    before = contents(place / home)
    restore(place, home)
    after = contents(place / "again")
    kept = {name for name in before if not name.endswith((".sqlite", "-wal", "-shm", "lock", "last-backup.json"))}
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert {name for name in after if name.endswith(".sqlite")} == {name for name in before if name.endswith(".sqlite")}
    assert (place / "again").stat().st_mode & 0o777 == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (place / "again").glob("*.*"))
    refused = mingce(place, home, "status", "--config", "again", code=4)
    assert refused["error"]["code"] == "restore_unsettled"
    settle_without_loss(place, "again", "演练")
    mingce(place, home, "status", "--config", "again", code=6)  # the alarm that says so
    mingce(place, "backup", "settle", "--something-lost", "--reason", "演练", "--config", "again", code=3)


def test_the_key_encryption_key_is_in_no_backup(place: Path) -> None:
    made = back_up(place, "province")
    assert "secrets" in made["left_out"]
    kek = (place / "province" / "secrets" / "kek").read_bytes()
    (place / "province" / "elsewhere").write_bytes(kek)
    (place / "province" / "elsewhere").chmod(0o600)
    config = place / "province" / "mingce.toml"
    config.write_text(config.read_text("utf-8").replace("secrets/kek", "elsewhere"), "utf-8")
    assert "elsewhere" in back_up(place, "province", "second.mcbk")["left_out"]
    key = open_backup_key((place / "backup.key").read_bytes(), PASSPHRASE)
    for name in ("backup.mcbk", "second.mcbk"):
        assert kek.strip() not in b"".join(read_backup(place / name, key))


def test_a_backup_goes_outside_the_home_and_never_over_another(place: Path) -> None:
    inside = mingce(place, "backup", "create", "--out", "province/x.mcbk", "--recipient", "backup.key.pub", "--config",
                    "province", code=3)  # fmt: skip
    assert inside["error"]["code"] == "refused"
    back_up(place, "province")
    again = mingce(place, "backup", "create", "--out", "backup.mcbk", "--recipient", "backup.key.pub", "--config",
                   "province", code=3)  # fmt: skip
    assert again["error"]["code"] == "backup_exists"
    assert mingce(place, "backup", "create", "--config", "province", code=3)["error"]["code"] == "refused"


def test_dry_runs_write_nothing(place: Path) -> None:
    before = contents(place)
    planned = mingce(place, "backup", "create", "--out", "b.mcbk", "--recipient", "backup.key.pub", "--config",
                     "province", "--dry-run")  # fmt: skip
    assert contents(place) == before
    assert planned["files"] == back_up(place, "province", "b.mcbk")["files"]
    before = contents(place)
    mingce(place, "backup", "restore", "b.mcbk", "again", *KEY_OPTIONS, "--dry-run")
    assert contents(place) == before


def test_a_backup_waits_for_nobody_and_says_so(place: Path) -> None:
    with exclusive_lock(place / "province" / "editions" / "lock"):
        busy = mingce(place, "backup", "create", "--out", "b.mcbk", "--recipient", "backup.key.pub", "--config",
                      "province", code=7)  # fmt: skip
        assert busy["error"]["code"] == "locked"
    assert not (place / "b.mcbk").exists()
    back_up(place, "province", "b.mcbk")


def test_nothing_is_written_from_a_home_that_is_not_sound(place: Path) -> None:
    database = place / "province" / "province.sqlite"
    with pysqlite3.connect(str(database)) as connection:
        connection.execute("DROP TRIGGER audit_never_updated")
        connection.execute("UPDATE audit SET detail = '{}' WHERE seq = 2")
    connection.close()
    refused = mingce(place, "backup", "create", "--out", "b.mcbk", "--recipient", "backup.key.pub", "--config",
                     "province", code=6)  # fmt: skip
    assert refused["error"]["code"] == "audit_broken"
    assert not (place / "b.mcbk").exists()
    assert not list(place.rglob(".building-*"))


def test_only_an_empty_folder_is_restored_into(place: Path) -> None:
    back_up(place, "bank")
    full = mingce(place, "backup", "restore", "backup.mcbk", "bank", *KEY_OPTIONS, code=3)
    assert full["error"]["code"] == "folder_not_empty"
    (place / "empty").mkdir()
    mingce(place, "backup", "restore", "backup.mcbk", "empty", *KEY_OPTIONS)
    other = mingce(place, "backup", "restore", "backup.mcbk", "third", *KEY_OPTIONS, "--identity",
                   "bureau/identity.json", code=6)  # fmt: skip
    assert other["error"]["code"] == "backup_of_other"
    assert not (place / "third").exists()
    assert not list(place.rglob(".building-*"))


def test_the_chain_goes_on_and_everything_old_is_refused(place: Path) -> None:
    """A backup older than the last edition: the epoch that may have used more is over, a new one begins."""
    back_up(place, "province")
    head = ask(place / "province" / "province.sqlite", "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")[0]
    write_list(place / "changed.csv", {**dict.fromkeys(range(2, 50), 3), 60: 4, 5: 2})
    lost = mingce(place, "province", "refresh", "--source", "changed.csv", "--config", "province")
    mingce(place, "keys", "create-epoch", "base", "2027", "--config", "province")
    assert lost["edition"] == 2
    restore(place, "province")
    settled = mingce(place, "backup", "settle", "--something-lost", "--reason", "磁盘损坏", "--config", "again")
    assert settled["ended_epochs"] == ["base/2026"]
    (restored,) = ask(place / "again" / "province.sqlite", "SELECT seq, previous FROM audit WHERE action = 'restore'")
    assert restored == (head[0] + 1, head[1])
    actions = [action for (action,) in ask(place / "again" / "province.sqlite", "SELECT action FROM audit")]
    assert "restore.settle" in actions
    for more in ((), ("--full",)):  # number 2 and version 2 of a row were used: never again
        refused = mingce(place, "province", "refresh", "--source", "changed.csv", *more, "--config", "again", code=1)
        assert refused["error"]["code"] == "epoch_state"
    assert [path.name for path in (place / "again" / "editions" / "base" / "2026").glob("[0-9]*")] == ["1"]
    mingce(place, "keys", "create-epoch", "base", "2026-r1", "--activate", "--config", "again")
    published = mingce(place, "province", "refresh", "--source", "changed.csv", "--config", "again")
    assert (published["outcome"], published["epoch"], published["edition"]) == ("published", "2026-r1", 1)
    with_chain = back_up(place, "again", "after.mcbk")["audit"]  # verifies the chain
    assert with_chain["province.sqlite"]["seq"] > head[0] + 1


def test_a_planned_move_loses_nothing_and_goes_on(place: Path) -> None:
    back_up(place, "province")
    restore(place, "province")
    settle_without_loss(place, "again", "迁移")
    write_list(place / "changed.csv", {**dict.fromkeys(range(50), 3), 5: 2})
    assert mingce(place, "province", "refresh", "--source", "changed.csv", "--config", "again")["edition"] == 2


def test_a_pending_epoch_may_have_been_served_and_ends_too(place: Path) -> None:
    mingce(place, "keys", "create-epoch", "base", "2027", "--config", "province")
    back_up(place, "province")
    restore(place, "province")
    settled = mingce(place, "backup", "settle", "--something-lost", "--reason", "磁盘损坏", "--config", "again")
    assert settled["ended_epochs"] == ["base/2026", "base/2027"]
    assert ask(place / "again" / "keys.sqlite", "SELECT DISTINCT state FROM epoch") == [("expired",)]


def test_settling_needs_a_word_and_a_reason(place: Path) -> None:
    back_up(place, "bank")
    restore(place, "bank")
    mingce(place, "backup", "settle", "--reason", "演练", "--config", "again", code=3)
    mingce(place, "backup", "settle", "--reason", " ", "--something-lost", "--config", "again", code=3)
    assert (place / "again" / MARK).exists()
    mingce(place, "backup", "settle", "--reason", "演练", "--something-lost", "--config", "again")
    assert not (place / "again" / MARK).exists()
