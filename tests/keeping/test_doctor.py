"""The doctor finds each planted fault and says what to do about it; in a sound home it finds nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pysqlite3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from homes import HEADINGS, mingce

from keys.clock import format_time
from keys.files import exclusive_lock
from matcher.keeping import host_checks
from matcher.keeping.backup import WORK
from matcher.keeping.findings import everything_in
from matcher.keeping.refreshed import FAILED_REFRESH, note_refresh
from scripts.keeping.advice import ADVICE, advise
from scripts.language import LANGUAGES, set_language

ROOT = Path(__file__).resolve().parents[2]


def codes(place: Path, home: str, *options: str, **environment: str) -> set[str]:
    return {finding["code"] for finding in examine(place, home, *options, **environment)["findings"]}


def examine(place: Path, home: str, *options: str, **environment: str) -> dict[str, object]:
    return mingce(place, "doctor", *options, "--config", home, code=(0, 1, 4), **environment)


def sql(home: Path, store: str, *statements: str) -> None:
    with pysqlite3.connect(str(home / store)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def age(path: Path, hours: float) -> None:
    then = time.time() - hours * 3_600
    os.utime(path, (then, then))


def later(days: float) -> dict[str, str]:
    """The clock of a demonstration, so many days from now."""
    return {"MINGCE_DEMO": "true", "MINGCE_DEMO_CLOCK": format_time(datetime.now(UTC) + timedelta(days=days))}


def write_certificate(home: Path, *, begin: int, end: int, own_key: bool = True) -> None:
    """cert.pem and key.pem in the home, valid from ``begin`` to ``end`` days from now, and named in the settings."""
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=begin))
        .not_valid_after(now + timedelta(days=end))
        .sign(key, hashes.SHA256())
    )
    (home / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = (key if own_key else other).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "key.pem").write_bytes(pem)
    (home / "key.pem").chmod(0o600)


def changes_of(home: Path) -> Path:
    return home / "changes.csv"


def night(place: Path, *, code: int = 0) -> None:
    """What mingce-changes.service runs."""
    mingce(place, "province", "refresh", "--changes", changes_of(place / "province"), "--config", "province", code=code)


TLS = {"MINGCE_SERVE__TLS_CERT": "cert.pem", "MINGCE_SERVE__TLS_KEY": "key.pem"}


class Fault(NamedTuple):
    code: str
    home: str
    plant: Callable[[Path], object] = lambda home: None
    environment: dict[str, str] = {}  # noqa: RUF012  read only
    options: tuple[str, ...] = ()


def _damage(home: Path) -> None:
    path = home / "province.sqlite"
    for log in home.glob("province.sqlite-*"):
        log.unlink()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(4096) + content[8192:])


def _slices(home: Path) -> Path:
    return next((home / "editions").rglob("330922.arrow"))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _with_log(home: Path) -> None:
    with (home / "province.sqlite-wal").open("wb") as log:
        log.truncate(300 * 1024**2)


def _leave(path: Path, hours: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    age(path, hours)


_BUDGET = (
    "INSERT INTO entity VALUES ('演示行', '2026-01-01T00:00:00Z')",
    "INSERT INTO budget (entity, dataset, epoch, lim, used, nightly, used_nightly, day, expected)"
    " VALUES ('演示行', 'base', '2026', 1000, 950, {nightly}, 0, '{day}', 1000)",
)
_RUN = (
    "INSERT INTO run (run_id, state, dataset, epoch, edition, manifest_sha256, label_width, divisions, purpose,"
    " legal_basis, operator, list_name, sealed_seed, customers, created_at) VALUES ('r', '{state}', 'base', '2026', 1,"
    " 'x', 64, '[]', 'p', 'l', 'o', 'n', x'00', 1, '2026-01-01T00:00:00Z')"
)
_ATTACHMENT = (
    "INSERT INTO attachment (subject, kind, file, sha256, bytes, width, height, taken_at, added_by, added_at)"
    " VALUES ('visit/1', 'photo', 'gone.sealed', 'x', 1, 1, 1, NULL, 'a', '2026-01-01T00:00:00Z')"
)
_ALARM = "INSERT INTO alarm (at, code, detail, params, subject) VALUES ('2026-01-01T00:00:00Z', 'busy', '', '{}', '')"

FAULTS = [
    # the folder
    Fault("file_exposed", "province", lambda home: home.chmod(0o755)),
    Fault("file_exposed", "bank", lambda home: (home / "bank.sqlite").chmod(0o640)),
    Fault("file_missing", "bank", lambda home: (home / "province.identity.json").unlink()),
    Fault("leftovers", "province", lambda home: _leave(home / "editions" / ".building-2", 30)),
    Fault("staged_list_waits", "province", lambda home: _leave(home / "staging" / "base" / "imported", 24 * 9)),
    Fault("log_large", "province", _with_log),
    Fault("restore_unsettled", "bank", lambda home: (home / "restored.json").write_text("{}")),
    # backups
    Fault("backup_none", "province", lambda home: (home / "last-backup.json").unlink()),
    Fault("backup_old", "province", environment=later(2)),
    # keys
    Fault("kek_unavailable", "province", lambda home: (home / "secrets/kek").unlink()),
    Fault("kek_exposed", "province", lambda home: (home / "secrets/kek").chmod(0o604)),
    Fault("key_unwrap_failed", "province", lambda home: (home / "secrets/kek").write_text("0d" * 32)),
    Fault("identity_differs", "bank", lambda home: shutil.copy(home.parent / "bureau/identity.json", home)),
    Fault("epoch_none", "province", lambda home: sql(home, "keys.sqlite", "UPDATE epoch SET state = 'expired'")),
    Fault("epoch_over", "province", environment=later(405)),
    Fault("epoch_without_successor", "province", environment=later(385)),
    Fault(
        "epoch_not_destroyed",
        "province",
        lambda home: sql(
            home, "keys.sqlite", "UPDATE epoch SET state = 'expired', expired_at = '2025-01-01T00:00:00Z'"
        ),
    ),
    Fault(
        "operators_few",
        "bank",
        lambda home: sql(home, "keys.sqlite", "UPDATE operator SET state = 'revoked', revoked_at = registered_at"),
    ),
    # certificates
    Fault("certificate_unreadable", "province", environment=TLS),
    Fault("certificate_over", "province", lambda home: write_certificate(home, begin=-9, end=-1), TLS),
    Fault("certificate_ending", "province", lambda home: write_certificate(home, begin=-9, end=9), TLS),
    Fault("certificate_not_yet", "province", lambda home: write_certificate(home, begin=9, end=99), TLS),
    Fault(
        "certificate_key_differs",
        "province",
        lambda home: write_certificate(home, begin=-9, end=99, own_key=False),
        TLS,
    ),
    Fault(
        "certificate_key_unreadable",
        "province",
        lambda home: (write_certificate(home, begin=-9, end=99), (home / "key.pem").unlink()),
        TLS,
    ),
    # the store
    Fault("database_missing", "province", lambda home: (home / "province.sqlite").rename(home / "elsewhere")),
    Fault("database_damaged", "province", _damage),
    Fault(
        "schema_newer",
        "province",
        lambda home: sql(home, "province.sqlite", "INSERT INTO _sqlite_migrations VALUES (99, 'province', 'm099', '')"),
    ),
    Fault(
        "audit_broken",
        "province",
        lambda home: sql(
            home, "province.sqlite", "DROP TRIGGER audit_never_updated", "UPDATE audit SET actor = 'x' WHERE seq = 2"
        ),
    ),
    Fault("alarms_waiting", "bank", lambda home: sql(home, "bank.sqlite", _ALARM)),
    Fault("clock_behind", "province", environment=later(-30)),
    # a sender's work
    Fault("source_missing", "province", lambda home: (home / "基础名单.csv").unlink()),
    Fault("edition_none", "department"),
    Fault("refresh_late", "province", environment=later(10)),
    Fault(
        "refresh_stopped",
        "province",
        lambda home: note_refresh(home, "base", datetime.now(UTC) - timedelta(hours=51)),
    ),
    Fault("refresh_without_file", "province", lambda home: night(home.parent, code=3)),
    Fault("refresh_failed", "province", lambda home: (changes_of(home).write_text("x"), night(home.parent, code=3))),
    Fault("edition_damaged", "province", lambda home: _slices(home).unlink()),
    Fault("edition_damaged", "province", lambda home: _flip(_slices(home)), options=("--deep",)),
    Fault(
        "budget_low",
        "province",
        lambda home: sql(home, "province.sqlite", *(s.format(day="2026-01-01", nightly=0) for s in _BUDGET)),
    ),
    Fault(
        "budget_day_ahead",
        "province",
        lambda home: sql(home, "province.sqlite", *(s.format(day="2999-01-01", nightly=0) for s in _BUDGET)),
    ),
    # a bank's and a bureau's
    Fault("match_late", "bank", lambda home: sql(home, "bank.sqlite", _RUN.format(state="COMPLETED"))),
    Fault("run_broken_off", "bank", lambda home: sql(home, "bank.sqlite", _RUN.format(state="RUNNING"))),
    Fault(
        "edition_too_old",
        "bank",
        lambda home: sql(
            home,
            "bank.sqlite",
            "INSERT INTO edition VALUES ('base', '2026', 1, 'x', x'00', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z',"
            " '[]')",
        ),
    ),
    Fault(
        "nightly_late",
        "bureau",
        lambda home: sql(home, "bureau.sqlite", "INSERT INTO figure_day VALUES ('2026-01-01', '', '1', 'x')"),
    ),
    Fault("attachments_missing", "bureau", lambda home: sql(home, "bureau.sqlite", _ATTACHMENT)),
    Fault("administrators_few", "bureau"),
]


@pytest.fixture(scope="module")
def sound(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Homes with nothing to find but what the faults say: two operators, a list, a backup, the peer's identity."""
    place = tmp_path_factory.mktemp("sound") / "homes"
    shutil.copytree(made, place)
    for home in ("province", "bank", "department", "bureau"):
        (place / home).chmod(0o700)
        mingce(place, "backup", "create", "--out", f"{home}.mcbk", "--recipient", "backup.key.pub", "--config", home)
    shutil.copy(place / "base.csv", place / "province/基础名单.csv")  # where the configuration says
    shutil.copy(place / "province/identity.json", place / "bank/province.identity.json")
    return place


@pytest.fixture
def homes(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "homes", copy_function=shutil.copy2)
    return tmp_path / "homes"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.code} {fault.home}")
def test_a_planted_fault_is_found(fault: Fault, homes: Path) -> None:
    fault.plant(homes / fault.home)
    found = examine(homes, fault.home, *fault.options, **fault.environment)
    (finding, *_) = [each for each in found["findings"] if each["code"] == fault.code]  # type: ignore[attr-defined]
    assert finding["message"]
    assert finding["next"]
    assert found["state"] in ("warning", "error")


def test_a_sound_home_is_sound(homes: Path) -> None:
    for home in ("province", "bank"):
        assert mingce(homes, "doctor", "--deep", "--config", home)["findings"] == []


def test_a_night_without_its_change_list_is_told_until_one_succeeds(homes: Path) -> None:
    """With the file's name and what to do, in both languages; a rehearsal or a busy home is no failure."""
    changes = changes_of(homes / "province")
    mingce(homes, "province", "refresh", "--changes", changes, "--config", "province", "--dry-run", code=3)
    with exclusive_lock(homes / "province/editions/lock"):
        changes.write_text(f"操作,{HEADINGS}\n", "utf-8")
        night(homes, code=7)
    assert codes(homes, "province") == set()

    changes.unlink()
    night(homes, code=3)
    for language, word, step in (("zh", "没有文件", "查明"), ("en", "there was no file", "Find out")):
        (finding,) = examine(homes, "province", MINGCE_LANG=language)["findings"]  # type: ignore[misc]
        assert (finding["code"], finding["level"], finding["file"]) == (
            "refresh_without_file", "warning", str(changes)
        )  # fmt: skip
        assert word in finding["message"]
        assert str(changes) in finding["message"]
        assert finding["next"].startswith(step)
        assert "systemctl start --no-block mingce-changes" in finding["next"]

    changes.write_text(f"操作,{HEADINGS}\n", "utf-8")
    night(homes)
    assert codes(homes, "province") == set()


def test_a_note_that_cannot_be_read_hides_nothing_else(homes: Path) -> None:
    (homes / "province" / FAILED_REFRESH).write_text('{"base": 3}', "utf-8")
    assert codes(homes, "province") == set()
    night(homes, code=3)
    assert codes(homes, "province") == {"refresh_without_file"}


def test_it_runs_beside_a_backup_and_other_jobs(homes: Path) -> None:
    """A backup's half-made copies are none of the home's databases; what goes while it is looked at is passed over."""
    home = homes / "province"
    (home / WORK).mkdir()
    (home / WORK / "keys.sqlite").write_bytes(b"half a copy")
    (home / WORK / "keys.sqlite").chmod(0o600)
    assert codes(homes, "province") == set()
    looked_at = everything_in(home)
    next(looked_at)
    shutil.rmtree(home / WORK)
    assert home / "keys.sqlite" in [path for path, _ in looked_at]


def test_a_budget_that_is_used_up_is_sound_with_an_allowance_for_every_night(homes: Path) -> None:
    sql(homes / "province", "province.sqlite", *(s.format(day="2026-01-01", nightly=256) for s in _BUDGET))
    assert codes(homes, "province") == set()


def test_a_full_disk_is_named_though_no_database_opens(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _damage(homes / "province")
    monkeypatch.setattr(host_checks, "LEAST_FREE_BYTES", 10**18)
    assert {"disk_low", "database_damaged"} <= codes(homes, "province")


def test_the_proxys_certificate_is_watched_without_its_key(homes: Path) -> None:
    watched = {"MINGCE_SERVE__PROXY_CERT": "cert.pem"}
    write_certificate(homes / "province", begin=-2, end=10, own_key=False)
    assert codes(homes, "province", **watched) == {"certificate_ending"}
    write_certificate(homes / "province", begin=-2, end=-1, own_key=False)
    assert codes(homes, "province", **watched) == {"certificate_over"}


def test_it_changes_nothing(homes: Path) -> None:
    def everything() -> dict[str, bytes]:
        return {
            path.relative_to(homes).as_posix(): path.read_bytes()
            for path in homes.rglob("*")
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))
        }

    before = everything()
    for home in ("province", "bank", "department", "bureau"):
        examine(homes, home)
    assert everything() == before


def test_a_full_disk_a_slow_kernel_and_a_held_lock(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be planted in a folder: the limits are moved instead, and the kernel is made slow for real."""
    assert codes(homes, "province") == set()
    with monkeypatch.context() as patch:
        patch.setattr(host_checks, "LEAST_FREE_BYTES", 10**18)
        assert codes(homes, "province") == {"disk_low"}
    with monkeypatch.context() as patch, exclusive_lock(homes / "province/editions/lock"):
        patch.setattr(host_checks, "STUCK_AFTER_S", -1)
        assert codes(homes, "province") == {"lock_stuck"}
    if host_checks._has_vectors():
        done = subprocess.run(
            [sys.executable, "-m", "scripts.cli", "doctor", "--config", homes / "province", "--json"],
            capture_output=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "MINGCE_BACKEND": "portable"},
        )
        assert done.returncode == 4
        assert [finding["code"] for finding in json.loads(done.stdout)["findings"]] == ["backend_slow"]


def test_files_of_another_user(homes: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(homes / "province/mingce.toml", 12_345, -1)
    assert codes(homes, "province") == {"file_foreign"}


def test_every_finding_has_words(sound: Path) -> None:
    """Each code that the checks can say is advised about, and nothing else is."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "matcher/keeping").glob("*_checks.py"))
    source += (ROOT / "matcher/keeping/doctor.py").read_text("utf-8")
    for code, advice in ADVICE.items():
        assert f'"{code}"' in source, code
        assert all(vars(advice).values())
    planted = {fault.code for fault in FAULTS}
    alone = {"backend_slow", "disk_low", "lock_stuck", "file_foreign", "file_unreadable", "destruction_unfinished"}
    assert set(ADVICE) - planted == alone
    assert len(planted) >= 20
    for language in LANGUAGES:
        set_language(language)
        assert advise("backup_old", {"at": "2026-01-05", "file": "x"})[0].find("2026-01-05") > 0
        assert all(advise("kek_exposed", {"detail": "x"}))
    set_language("zh")
