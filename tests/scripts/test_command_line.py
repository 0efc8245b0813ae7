"""The command line as a user meets it: the whole job in a process of its own for each command."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes

from scripts.reference import reference

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS, ROWS = 400, 600


def mingce(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The demo at a small size, with a folder of its own for temporary files."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    done = mingce(
        "demo", "--folder", "work", "--customers", str(CUSTOMERS), "--rows", str(ROWS), "--json",
        folder=folder, TMPDIR=str(folder / "tmp"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, json.loads(done.stdout)


def test_demo_matches_exactly_the_people_on_both_lists(demo: tuple[Path, dict[str, object]]) -> None:
    folder, result = demo
    with (folder / "work" / "答案.csv").open(encoding="utf-8", newline="") as stream:
        listed = sum(row["listed"] == "1" for row in csv.DictReader(stream))
    assert (result["wrong"], result["asked_again"]) == (0, 0)
    assert result["matched"] == result["candidates"] == listed > 100


def test_d46_no_id_number_nor_its_hash_stays_outside_the_lists(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    work = folder / "work"
    with (work / "答案.csv").open(encoding="utf-8", newline="") as stream:
        items = {row["item"].encode() for row in csv.DictReader(stream) if row["item"]}
    kept = [path for home in ("province", "bank", "bureau") for path in (work / home).rglob("*")]
    kept += [work / "移交.mch", work / "receipt-keys.mck", *(folder / "tmp").rglob("*")]
    content = b"\n".join(path.read_bytes() for path in kept if path.is_file())
    assert len(content) > 100_000
    assert not items & set(re.findall(rb"(?=(\d{17}[\dX]))", content))
    for item in items:
        for digest in (hashlib.sha256(item).digest(), _sm3(item)):
            assert digest not in content
            assert digest.hex().encode() not in content


def test_d46_the_reject_file_shows_masked_numbers(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    rejects = folder / "work" / "退回.csv"
    if rejects.exists():
        assert not re.search(r"\d{17}[\dX]", rejects.read_text("utf-8"))


def test_importing_a_handover_twice_changes_nothing(demo: tuple[Path, dict[str, object]]) -> None:
    folder, result = demo
    again = mingce("bureau", "import", "移交.mch", "--config", "bureau", "--json", folder=folder / "work")
    assert again.returncode == 0
    assert json.loads(again.stdout)["already_imported"] is True
    listed = mingce("bureau", "list", "--config", "bureau", "--json", folder=folder / "work")
    assert json.loads(listed.stdout)["candidates"] == result["candidates"]


def test_a_tampered_handover_is_refused(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    content = bytearray((folder / "work" / "移交.mch").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "work" / "坏.mch").write_bytes(content)
    done = mingce("bureau", "import", "坏.mch", "--config", "bureau", folder=folder / "work")
    assert done.returncode == 6


def test_refresh_says_in_one_line_what_it_did(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    done = mingce("province", "refresh", "--source", "基础名单.csv", "--config", "province", folder=folder / "work")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "无变化" in done.stdout


def test_errors_come_in_the_users_language_with_what_to_do_next(tmp_path: Path) -> None:
    chinese = mingce("bank", "status", folder=tmp_path)
    english = mingce("--lang", "en", "bank", "status", folder=tmp_path)
    assert chinese.returncode == english.returncode == 3
    assert "下一步" in chinese.stderr
    assert "Next" in english.stderr
    assert "Traceback" not in chinese.stderr + english.stderr


def test_errors_as_json(tmp_path: Path) -> None:
    done = mingce("bank", "status", "--json", folder=tmp_path)
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "settings_invalid"


def test_init_never_overwrites_a_home(tmp_path: Path) -> None:
    assert mingce("province", "init", "p", folder=tmp_path).returncode == 0
    before = (tmp_path / "p" / "secrets" / "kek").read_bytes()
    assert mingce("province", "init", "p", folder=tmp_path).returncode == 3
    assert (tmp_path / "p" / "secrets" / "kek").read_bytes() == before


def test_demo_deletes_only_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "important").touch()
    assert mingce("demo", "--folder", "mine", folder=tmp_path).returncode == 3
    assert (tmp_path / "mine" / "important").exists()


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    assert mingce("bank", "match", folder=tmp_path).returncode == 2


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "reference" / "command-line.md").read_text("utf-8") == reference()


def test_every_command_has_an_example() -> None:
    for section in reference().split("\n## ")[1:]:
        name = section.splitlines()[0]
        assert "Example: " in section, name


def _sm3(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


@pytest.mark.slow
def test_demo_at_size_m(tmp_path: Path) -> None:
    """Size M of domain.md section 10, over HTTP, checked row by row against what the generator knows."""
    done = mingce("demo", "--customers", "300000", "--rows", "400000", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["wrong"], result["asked_again"]) == (0, 0)
    assert result["matched"] > 150_000
