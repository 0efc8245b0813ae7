"""Where a backup goes when nobody says where: the folder beside the home, as the settings have it from the start."""

from __future__ import annotations

from pathlib import Path

from homes import mingce


def test_the_default_folder_lies_beside_the_home(place: Path) -> None:
    (place / "backups").mkdir()
    made = mingce(place, "backup", "create", "--recipient", "backup.key.pub", "--config", "bank")
    assert [Path(str(made["file"]))] == list((place / "backups").glob("bank-*.mcbk"))


def test_a_folder_in_the_home_is_refused(place: Path) -> None:
    inside = ("--recipient", "backup.key.pub", "--out", "backups/../bank/b.mcbk", "--config", "bank")
    assert mingce(place, "backup", "create", *inside, code=3)["error"]["code"] == "refused"
