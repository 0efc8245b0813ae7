"""What a restored home owes before it works again.

A backup knows nothing of what the home did after it: budgets charged, rows sealed under their next version, editions
published, sessions ended, keys destroyed, claims paid. A restored home must reuse none of it. So it is marked, every
command of the party's work refuses (RestoreUnsettled), and somebody says one of two things:

nothing was lost
    The old home did nothing after this backup: it was stopped first, as in a planned move. The work goes on.
something may be lost
    A sender's epochs end at once, as their budgets, row versions and edition numbers cannot be known: a label key must
    never seal a second label, and no element may be evaluated for free. The next epoch begins with new declarations.
    The other parties compare with those who have the lost part: docs/how-to/back-up-and-restore.md.

Right away, and whatever is said later, sessions end and no second factor's code of the past is good again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import open_database, write_transaction
from keys.files import fsync_folder, write_atomic
from keys.keystore import FILE_NAME as KEYS_FILE
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek
from matcher.accounts.second_factor import PERIOD_S
from matcher.alarms import Alarms
from matcher.audit import append_row
from matcher.bank.migrations import BANK_MIGRATIONS
from matcher.bureau.schema import BUREAU_MIGRATIONS
from matcher.keeping.packing import BackupList
from matcher.province.ledger import Ledger
from matcher.province.migrations import PROVINCE_MIGRATIONS
from psi.errors import InputError, MingceError, VerificationError

MARK = "restored.json"
STORES = {"province.sqlite": PROVINCE_MIGRATIONS, "bank.sqlite": BANK_MIGRATIONS, "bureau.sqlite": BUREAU_MIGRATIONS}


class HomeRestored(MingceError):
    """The alarm of a restored home; params ``made_at`` of the backup and ``restored_at``."""

    code = "home_restored"


class RestoreUnsettled(MingceError):
    """A restored home does no work before somebody says what may be lost; ``params["made_at"]`` of the backup."""

    code = "restore_unsettled"


class RestoreSettled(InputError):
    """This home waits for nothing of the kind."""

    code = "restore_settled"


class RestoredKeysDiffer(VerificationError):
    """The keys in a backup are not those of the identity that signed it; params ``expected`` and ``found``."""

    code = "restored_keys_differ"


@dataclass(frozen=True)
class Mark:
    """``made_at``: the moment of the backup; ``restored_by``: who restored it."""

    made_at: str
    restored_at: str
    restored_by: str


@dataclass(frozen=True)
class Settled:
    """What settling did: the epochs that it ended, as ``dataset/epoch``."""

    nothing_lost: bool
    ended_epochs: tuple[str, ...]


def mark_restored(folder: Path, listed: BackupList, clock: Clock, actor: str) -> None:
    """Part of a restore, before the folder gets its name. Raises RestoredKeysDiffer."""
    keys = _open_keys(folder, clock, actor)
    try:
        found = keys.get_public_identity()
    finally:
        keys.close()
    if found != listed.identity:
        raise RestoredKeysDiffer(
            "the keys are another party's", expected=listed.identity.fingerprint, found=found.fingerprint
        )
    mark = Mark(listed.made_at, format_time(clock.now()), actor)
    for name, migrations in STORES.items():
        if (folder / name).exists():
            database = open_database(folder / name, migrations)
            try:
                with write_transaction(database):
                    _note_within(database, mark, clock)
            finally:
                database.close()
    write_atomic(folder / MARK, json.dumps(vars(mark), ensure_ascii=False).encode())


def find_mark(home: Path) -> Mark | None:
    """The mark of a restored home that nobody has settled. One that cannot be read counts as one."""
    try:
        return Mark(**json.loads((home / MARK).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        return Mark("", "", "")


def require_settled(home: Path) -> None:
    """Raise RestoreUnsettled if the home is marked."""
    mark = find_mark(home)
    if mark is not None:
        raise RestoreUnsettled("the home was restored from a backup", made_at=mark.made_at)


def settle(home: Path, clock: Clock, *, actor: str, reason: str, nothing_lost: bool) -> Settled:
    """Say what may be lost, do what follows from it, and let the work go on.

    A kill leaves the mark: call it again. Raises RestoreSettled, InputError without a reason, DatabaseBusy.
    """
    if find_mark(home) is None:
        raise RestoreSettled("this home was not restored, or it is settled")
    if not reason.strip():
        raise InputError("settling a restore needs a reason")
    ended = [] if nothing_lost else _end_epochs(home, clock, actor)
    detail = {"reason": reason, "nothing_lost": nothing_lost, "ended_epochs": ended}
    for name, migrations in STORES.items():
        if (home / name).exists():
            database = open_database(home / name, migrations)
            try:
                if database["audit"].exists():
                    with write_transaction(database):
                        append_row(
                            database,
                            at=clock.now(),
                            actor=actor,
                            action="restore.settle",
                            subject="home",
                            detail=detail,
                        )
            finally:
                database.close()
    (home / MARK).unlink()
    fsync_folder(home)
    return Settled(nothing_lost, tuple(ended))


def _end_epochs(home: Path, clock: Clock, actor: str) -> list[str]:
    """Of a sender: every epoch that was or could have been served. Nothing at other parties."""
    if not (home / "province.sqlite").exists():
        return []
    keys, ledger = _open_keys(home, clock, actor), Ledger.open(home, clock)
    ended = []
    try:
        for epoch in keys.list_epochs():
            if epoch.state == "pending":  # it may have been served after the backup
                keys.activate_epoch(epoch.dataset, epoch.epoch)
            if epoch.state in ("pending", "active"):
                keys.expire_epoch(epoch.dataset, epoch.epoch)
                ended.append(f"{epoch.dataset}/{epoch.epoch}")
        ledger.record_key_events(keys.list_events())
    finally:
        ledger.close()
        keys.close()
    return ended


def _note_within(database: Database, mark: Mark, clock: Clock) -> None:
    """A row of the audit chain, an alarm, no session and no code of a second factor that was used before."""
    detail = {"backup_made_at": mark.made_at}
    if database["audit"].exists():
        append_row(database, at=clock.now(), actor=mark.restored_by, action="restore", subject="home", detail=detail)
    error = HomeRestored("restored from a backup", made_at=mark.made_at, restored_at=mark.restored_at)
    Alarms(database, clock).sound_within(error, "")
    if database["session"].exists():
        database.execute("UPDATE session SET ended_at = ? WHERE ended_at IS NULL", [mark.restored_at])
        step = int(clock.now().timestamp()) // PERIOD_S
        database.execute("UPDATE second_factor SET last_step = max(last_step, ?)", [step])


def _open_keys(home: Path, clock: Clock, actor: str) -> KeyStore:
    """The key store, for what needs no key: a restored home has no key-encryption key yet."""
    if not (home / KEYS_FILE).exists():
        raise RestoredKeysDiffer("there is no key store", expected="", found="")
    return KeyStore(home, EnvironmentKek(environment={}), clock=clock, actor=actor)
