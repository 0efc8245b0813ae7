"""Upgrades and the way back: a database of a newer version is refused, and the backup from before opens again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pysqlite3
import pytest
from homes import mingce, settle_without_loss

from keys.files import make_folder


@pytest.mark.parametrize(("home", "store"), [("province", "province"), ("province", "keys"), ("bank", "bank")])
def test_a_newer_database_is_refused_and_the_backup_from_before_opens(place: Path, home: str, store: str) -> None:
    mingce(place, "backup", "create", "--out", "b.mcbk", "--recipient", "backup.key.pub", "--config", home)
    with pysqlite3.connect(str(place / home / f"{store}.sqlite")) as connection:
        connection.execute("INSERT INTO _sqlite_migrations VALUES (99, ?, 'm099_later', '')", [store])
    connection.close()
    refused = mingce(place, home, "status", "--config", home, code=1)["error"]
    assert (refused["code"], refused["found"], refused["file"]) == ("schema_newer", "m099_later", f"{store}.sqlite")
    mingce(place, "backup", "restore", "b.mcbk", "again", "--key", "backup.key", "--passphrase-file", "pass")
    shutil.copytree(place / home / "secrets", place / "again" / "secrets")
    settle_without_loss(place, "again", "退回旧版本")
    mingce(place, home, "status", "--config", "again", code=6)  # the alarm of the restore


def test_new_folders_are_closed_with_their_parents(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made = make_folder(tmp_path / "a" / "b")
    assert [path.stat().st_mode & 0o777 for path in (made, made.parent, tmp_path)] == [0o700, 0o700, 0o755]
    assert make_folder(made) == made
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
