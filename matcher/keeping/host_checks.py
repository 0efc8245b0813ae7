"""The host and the folder: clock, disk, permissions, leftovers, locks, certificates, the kernel."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from keys.clock import format_time, parse_time
from keys.database import SQLiteTooOld, require_sound_sqlite
from keys.files import BUILDING
from matcher.keeping.backup import read_last_backup
from matcher.keeping.findings import KEYS_FILE, Finding, Subject, databases_in, everything_in, rows
from matcher.keeping.restored import find_mark
from psi.oprf import backend_name

LEAST_FREE_BYTES = 1024**3
LEFT_AFTER_S = 6 * 3_600
STUCK_AFTER_S = 24 * 3_600
LARGEST_LOG_BYTES = 256 * 1024**2
CERTIFICATE_WARNING = timedelta(days=30)
_NAMED = 5  # files named in one finding


def check_host(subject: Subject) -> Iterator[Finding]:
    try:
        require_sound_sqlite()
    except SQLiteTooOld as error:
        yield Finding("error", error.code, error.params)
    if backend_name() == "portable" and _has_vectors():
        yield Finding("warning", "backend_slow", {"backend": backend_name()})
    yield from _check_clock(subject)


def check_folder(subject: Subject) -> Iterator[Finding]:
    yield from _check_disk(subject)  # first: on a full disk no database opens, and this is why
    yield from _check_permissions(subject.home)
    yield from _check_leftovers(subject.home)
    for setting, path in subject.files.items():
        if not path.exists():
            yield Finding("error", "file_missing", {"setting": setting, "file": str(path)})
    mark = find_mark(subject.home)
    if mark is not None:
        yield Finding("error", "restore_unsettled", {"made_at": mark.made_at})


def check_backup(subject: Subject) -> Iterator[Finding]:
    last = read_last_backup(subject.home)
    if last is None:
        yield Finding("warning", "backup_none")
    elif subject.now - last.at > subject.backup_max_age:
        yield Finding("warning", "backup_old", {"at": format_time(last.at), "file": last.file})


def check_certificates(subject: Subject) -> Iterator[Finding]:
    for setting, (path, key) in subject.certificates.items():
        about = {"setting": setting, "file": str(path)}
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            yield Finding("error", "certificate_unreadable", about)
            continue
        end = certificate.not_valid_after_utc
        if end <= subject.now:
            yield Finding("error", "certificate_over", {**about, "end": format_time(end)})
        elif end <= subject.now + CERTIFICATE_WARNING:
            yield Finding("warning", "certificate_ending", {**about, "end": format_time(end)})
        if certificate.not_valid_before_utc > subject.now:
            yield Finding(
                "error", "certificate_not_yet", {**about, "begin": format_time(certificate.not_valid_before_utc)}
            )
        if key is not None:
            yield from _check_private_key(setting, certificate, key)


def _check_private_key(setting: str, certificate: x509.Certificate, path: Path) -> Iterator[Finding]:
    about = {"setting": setting, "file": str(path)}
    try:
        private = load_pem_private_key(path.read_bytes(), None)
        mode = path.stat().st_mode
    except (OSError, ValueError, TypeError):
        yield Finding("error", "certificate_key_unreadable", about)
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        yield Finding("error", "certificate_key_differs", about)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("error", "file_exposed", {"files": str(path), "count": 1})


def _check_clock(subject: Subject) -> Iterator[Finding]:
    """The latest moment that the stores have written down is a bound from below."""
    latest = [
        moment
        for file, table, column in (
            (subject.home / KEYS_FILE, "event", "at"),
            (subject.store, "audit", "at"),
            (subject.store, "run_event", "at"),
        )
        for (moment,) in rows(file, f"SELECT MAX({column}) FROM {table}")  # noqa: S608  the names above
        if moment is not None
    ]
    if latest and parse_time(max(latest)) > subject.now + timedelta(minutes=5):
        yield Finding("error", "clock_behind", {"recorded": max(latest), "now": format_time(subject.now)})


def _check_disk(subject: Subject) -> Iterator[Finding]:
    free = shutil.disk_usage(subject.home).free
    databases = sum(path.stat().st_size for path in databases_in(subject.home))
    needed = max(LEAST_FREE_BYTES, 2 * databases)
    if free < needed:
        yield Finding("error" if free < needed // 10 else "warning", "disk_low", {"free": free, "needed": needed})


def _check_permissions(home: Path) -> Iterator[Finding]:
    """The home is closed to others, and so, for the day it is opened by mistake, is each secret and database in it."""
    owner, exposed, foreign = home.stat().st_uid, [], []
    for path, about in ((home, home.stat()), *everything_in(home)):
        if stat.S_ISLNK(about.st_mode):
            continue
        relative = path.relative_to(home)
        is_secret = path == home or relative.parts[0] == "secrets" or ".sqlite" in path.name
        if is_secret and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            exposed.append(relative.as_posix())
        if about.st_uid != owner:
            foreign.append(relative.as_posix())
    for code, files in (("file_exposed", exposed), ("file_foreign", foreign)):
        if files:
            yield Finding("error", code, {"files": ", ".join(files[:_NAMED]), "count": len(files)})


def _check_leftovers(home: Path) -> Iterator[Finding]:
    now = time.time()  # the file system's clock, not the office's
    left = []
    for path, about in everything_in(home):
        relative = path.relative_to(home).as_posix()
        if path.name.startswith(BUILDING) and now - about.st_mtime > LEFT_AFTER_S:
            left.append(relative)
        elif path.name.endswith(".sqlite-wal") and about.st_size > LARGEST_LOG_BYTES:
            yield Finding("warning", "log_large", {"file": path.name, "bytes": about.st_size})
        elif path.name == "lock" or path.suffix == ".lock":
            held = _held_for(path)
            if held is not None and held > STUCK_AFTER_S:
                yield Finding("warning", "lock_stuck", {"lock": relative, "hours": held // 3_600})
    if left:
        yield Finding("warning", "leftovers", {"files": ", ".join(sorted(left)[:_NAMED]), "count": len(left)})
    for path in (home / "staging").glob("*/imported"):
        days = (now - path.stat().st_mtime) // 86_400
        if days >= 7:
            yield Finding("warning", "staged_list_waits", {"dataset": path.parent.name, "days": int(days)})


def _held_for(lock: Path) -> int | None:
    """For how many seconds the process that holds a lock has been running; None if nobody holds it."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:  # it has just gone
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
    inode = lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}") and Path(f"/proc/{fields[4]}").exists():
            return int(time.time() - Path(f"/proc/{fields[4]}").stat().st_mtime)
    return 0


def _has_vectors() -> bool:
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return False
