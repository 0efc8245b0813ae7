"""The life of an edition on the command line: refresh as delta, roll back, what is held back, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A province with one published edition of 300 people, and the next night's list."""
    place = tmp_path_factory.mktemp("editions")
    mingce(place, "generate", "county", "base.csv", "--rows", "300")
    mingce(place, "province", "init", "province", "--name", "演示省")
    mingce(place, "keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
    mingce(place, "province", "refresh", "--source", "base.csv", "--config", "province")
    rows = (place / "base.csv").read_text("utf-8").splitlines(keepends=True)
    (place / "night.csv").write_text("".join(rows[:-2]), "utf-8")
    return place


def mingce(place: Path, *words: str, code: int = 0) -> str:
    done = typed.mingce(*words, folder=place)
    assert done.exit_code == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def province(place: Path, *words: str, code: int = 0) -> dict[str, object]:
    answer: dict[str, object] = json.loads(
        mingce(place, "province", *words, "--config", "province", "--json", code=code)
    )
    return answer


def test_a_night_a_roll_back_and_the_list_held_back(folder: Path) -> None:
    planned = province(folder, "refresh", "--source", "night.csv", "--dry-run")
    assert (planned["outcome"], planned["kind"], planned["edition"], planned["removed"]) == (
        "would_publish",
        "delta",
        2,
        2,
    )
    assert province(folder, "refresh", "--source", "night.csv")["kind"] == "delta"
    back = ("rollback", "--to", "1", "--reason", "演练")
    assert province(folder, *back, "--dry-run")["outcome"] == "would_roll_back"
    done = province(folder, *back)
    assert (done["outcome"], done["edition"], done["rows"], done["kind"]) == ("rolled_back", 3, 300, "full")
    refused = province(folder, "refresh", "--source", "night.csv", code=4)
    assert refused["error"]["code"] == "list_withdrawn"  # type: ignore[index]
    gone = province(folder, "rollback", "--to", "9", "--reason", "演练", code=3)
    assert gone["error"]["code"] == "edition_gone"  # type: ignore[index]
    assert "第 3 版" in mingce(folder, "province", "refresh", "--source", "base.csv", "--config", "province")


def test_a_roll_back_needs_a_number_and_a_reason(folder: Path) -> None:
    mingce(folder, "province", "rollback", "--to", "1", "--config", "province", code=2)
    mingce(folder, "province", "rollback", "--reason", "演练", "--config", "province", code=2)


def test_a_night_by_a_change_list(folder: Path) -> None:
    header, *rows = (folder / "base.csv").read_text("utf-8-sig").splitlines(keepends=True)
    (folder / "changes.csv").write_text("".join([f"操作,{header}", *(f"删除,{row}" for row in rows[:2])]), "utf-8")
    by_changes = ("refresh", "--changes", "changes.csv")
    late = province(folder, *by_changes, "--since", "9", code=4)
    assert late["error"]["code"] == "changes_out_of_order"  # type: ignore[index]
    done = province(folder, *by_changes)
    assert (done["outcome"], done["kind"], done["rows"], done["misfits"]) == ("published", "delta", 298, 0)
    assert province(folder, *by_changes)["outcome"] == "unchanged"
    both = ("refresh", "--source", "base.csv", "--changes", "changes.csv")
    assert province(folder, *both, code=3)["error"]["code"] == "refused"  # type: ignore[index]
