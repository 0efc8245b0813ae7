"""The command line as a user meets it: the whole job in a process of its own for each command."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from typed import mingce

from scripts.references.command_line import reference

ROOT = Path(__file__).resolve().parents[2]
CUSTOMERS, ROWS = 400, 600


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The demo at a small size, with a folder of its own for temporary files."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    done = mingce(
        "demo", "--only-match", "--folder", "work", "--customers", str(CUSTOMERS), "--rows", str(ROWS), "--json",
        folder=folder, TMPDIR=str(folder / "tmp"),
    )  # fmt: skip
    assert done.exit_code == 0, done.stdout + done.stderr
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


def test_an_auditor_draws_the_bank_opens_and_all_positions_fit(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    work, secret = folder / "work", ("--passphrase-file", "口令.txt")

    def run(*words: str, code: int = 0) -> dict[str, object]:
        done = mingce(*words, "--json", folder=work)
        assert done.exit_code == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    (record,) = run("bank", "records", "--config", "bank")["records"]  # type: ignore[misc]
    assert record["state"] == "COUNTERSIGNED"
    run("bank", "records", "--export", record["sha256"][:8], "--out", "交换记录.json", "--config", "bank")
    run("province", "records", "--export", record["sha256"][:8], "--out", "省方.json", "--config", "province")
    assert (work / "交换记录.json").read_bytes() == (work / "省方.json").read_bytes()
    run("operator", "create", "审计员", "--out", "auditor.operator", *secret)
    parties = ("--bank", "bank/identity.json", "--province", "province/identity.json")
    auditor = ("--operator", "auditor.operator", *secret)
    drawn = run("audit", "draw", "交换记录.json", *auditor, *parties, "--openings", "40", "--out", "抽查.json")
    assert (drawn["openings"], drawn["elements"]) == (40, record["elements"])
    opening = ("audit", "open", "抽查.json", "--out", "开示.mao", "--config", "bank")
    assert run(*opening, code=4)["error"]["code"] == "opening_not_approved"  # type: ignore[index]
    for operator in ("bank-proposer.operator", "bank-approver.operator"):
        run("audit", "approve", "抽查.json", "--operator", operator, *secret, "--config", "bank")
    assert run(*opening)["openings"] == 40
    check = ("audit", "check", "开示.mao", "--draw", "抽查.json", *auditor, *parties)
    report = run(*check, "--record", "交换记录.json", "--worksheet", "核对表.csv")
    assert report["fits"] is True
    assert not re.search(r"\d{17}[\dX]", json.dumps(report["positions"]))
    with (work / "核对表.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == report["counts"]["customers"]  # type: ignore[index]
    content = bytearray((work / "开示.mao").read_bytes())
    content[-1] ^= 1
    (work / "开示.mao").write_bytes(content)
    assert run(*check, "--record", "交换记录.json", code=6)["error"]["code"] == "seal_invalid"  # type: ignore[index]


def test_importing_a_handover_twice_changes_nothing(demo: tuple[Path, dict[str, object]]) -> None:
    folder, result = demo
    again = mingce("bureau", "import", "移交.mch", "--config", "bureau", "--json", folder=folder / "work")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["already_imported"] is True
    listed = mingce("bureau", "list", "--config", "bureau", "--json", folder=folder / "work")
    assert json.loads(listed.stdout)["candidates"] == result["candidates"]


def test_a_tampered_handover_is_refused(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    content = bytearray((folder / "work" / "移交.mch").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "work" / "坏.mch").write_bytes(content)
    done = mingce("bureau", "import", "坏.mch", "--config", "bureau", folder=folder / "work")
    assert done.exit_code == 6


def test_refresh_says_in_one_line_what_it_did(demo: tuple[Path, dict[str, object]]) -> None:
    folder, _ = demo
    done = mingce("province", "refresh", "--source", "基础名单.csv", "--config", "province", folder=folder / "work")
    assert done.exit_code == 0
    assert done.stdout.count("\n") == 1
    assert "无变化" in done.stdout


def test_the_next_night_comes_out_as_a_list_of_changes(demo: tuple[Path, dict[str, object]]) -> None:
    """One person left the list and one household grew: a delta, no query, and both stand in the list of changes."""
    folder, _ = demo
    work = folder / "work"
    with (work / "答案.csv").open(encoding="utf-8", newline="") as stream:
        gone, grown, *_ = [row["item"] for row in csv.DictReader(stream) if row["listed"] == "1"]
    with (work / "基础名单.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["证件号码"] != gone]
    for row in rows:
        row["家庭人数"] = "9" if row["证件号码"] == grown else row["家庭人数"]
    with (work / "次日名单.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    refreshed = mingce("province", "refresh", "--source", "次日名单.csv", "--json", "--config", "province", folder=work)
    assert json.loads(refreshed.stdout)["kind"] == "delta", refreshed.stdout
    serve = ("province", "serve", "--port", "0", "--address-file", "address", "--config", "province")
    server = subprocess.Popen([sys.executable, "-m", "scripts.cli", *serve], cwd=work, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (work / "address").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        url = (work / "address").read_text("utf-8")
        matched = mingce(
            "bank", "match", "客户清单.xlsx", "--json", "--config", "bank", folder=work, MINGCE_PROVINCE__URL=url
        )
        assert json.loads(matched.stdout)["asked"] == 0, matched.stdout + matched.stderr
    finally:
        server.terminate()
        server.wait(60)
    changes = json.loads(mingce("bank", "changes", "变化.csv", "--json", "--config", "bank", folder=work).stdout)
    assert (changes["newly_on"], changes["dropped"], changes["label_changed"]) == (0, 1, 1)
    with (work / "变化.csv").open(encoding="utf-8-sig", newline="") as stream:
        found = {row["证件号码"].strip(): row for row in csv.DictReader(stream)}
    assert found.keys() == {gone, grown}
    assert found[gone]["变化"] == "退出名单"
    assert (found[grown]["变化"], found[grown]["家庭人数"]) == ("标签变化", "9")
    assert gone not in mingce("bank", "changes", "--config", "bank", folder=work).stdout


def test_errors_come_in_the_users_language_with_what_to_do_next(tmp_path: Path) -> None:
    chinese = mingce("bank", "status", folder=tmp_path)
    english = mingce("--lang", "en", "bank", "status", folder=tmp_path)
    assert chinese.exit_code == english.exit_code == 3
    assert "下一步" in chinese.stderr
    assert "Next" in english.stderr
    assert "Traceback" not in chinese.stderr + english.stderr


def test_errors_as_json(tmp_path: Path) -> None:
    done = mingce("bank", "status", "--json", folder=tmp_path)
    assert done.exit_code == 3
    assert json.loads(done.stdout)["error"]["code"] == "settings_invalid"


def test_init_never_overwrites_a_home(tmp_path: Path) -> None:
    assert mingce("province", "init", "p", folder=tmp_path).exit_code == 0
    before = (tmp_path / "p" / "secrets" / "kek").read_bytes()
    assert mingce("province", "init", "p", folder=tmp_path).exit_code == 3
    assert (tmp_path / "p" / "secrets" / "kek").read_bytes() == before


def test_demo_deletes_only_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "important").touch()
    assert mingce("demo", "--folder", "mine", folder=tmp_path).exit_code == 3
    assert (tmp_path / "mine" / "important").exists()


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    assert mingce("bank", "match", folder=tmp_path).exit_code == 2


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
    done = mingce("demo", "--only-match", "--customers", "300000", "--rows", "400000", "--json", folder=tmp_path)
    assert done.exit_code == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["wrong"], result["asked_again"]) == (0, 0)
    assert result["matched"] > 150_000
