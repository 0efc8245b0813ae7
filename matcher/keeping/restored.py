"""What a restored home owes before it works again.

A backup knows nothing of what the home did after it: budgets charged, rows sealed under their next version, editions
published, sessions ended, keys destroyed, claims paid. A restored home must reuse none of it. So it is marked, every
command of the party's work refuses (RestoreUnsettled), and it is said one of two things (matcher.keeping.settling):

nothing was lost
    The old home did nothing after this backup: it was stopped first, as in a planned move. Two operators say so, and
    the work goes on.
something may be lost
    A sender's epochs end at once, as their budgets, row versions and edition numbers cannot be known: a label key must
    never seal a second label, and no element may be evaluated for free. The next epoch begins with new declarations.
    The other parties compare with those who have the lost part: docs/how-to/back-up-and-restore.md.

Right away, and whatever is said later, no number of a row is given a second time (matcher.numbering), sessions end, no
second factor's code and no one-time password of the past is good again, and no file is fetched that waited to be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from keys.clock import Clock, format_time
from keys.database import open_database, write_transaction
from keys.files import write_atomic
from keys.keystore import FILE_NAME as KEYS_FILE
from keys.keystore import KeyStore
from keys.wrap import EnvironmentKek
from matcher.accounts.second_factor import PERIOD_S
from matcher.alarms import Alarms
from matcher.audit import append_row
from matcher.bank.migrations import BANK_MIGRATIONS
from matcher.bureau.schema import BUREAU_MIGRATIONS
from matcher.keeping.packing import BackupList
from matcher.numbering import skip_within
from matcher.province.migrations import PROVINCE_MIGRATIONS
from psi.errors import MingceError, VerificationError

MARK = "restored.json"
STORES = {"province.sqlite": PROVINCE_MIGRATIONS, "bank.sqlite": BANK_MIGRATIONS, "bureau.sqlite": BUREAU_MIGRATIONS}


class HomeRestored(MingceError):
    """The alarm of a restored home; params ``made_at`` of the backup and ``restored_at``."""

    code = "home_restored"


class RestoreUnsettled(MingceError):
    """A restored home does no work before somebody says what may be lost; ``params["made_at"]`` of the backup."""

    code = "restore_unsettled"


class RestoredKeysDiffer(VerificationError):
    """The keys in a backup are not those of the identity that signed it; params ``expected`` and ``found``."""

    code = "restored_keys_differ"


@dataclass(frozen=True)
class Mark:
    """``made_at``: the moment of the backup; ``restored_by``: who restored it; ``proposal``: an operator's signed word
    that nothing was lost, while it waits for a second one's (matcher.keeping.settling); ``operators``: the
    fingerprints of those who were active in the backup."""

    made_at: str
    restored_at: str
    restored_by: str
    proposal: str = ""
    operators: tuple[str, ...] = ()


def mark_restored(folder: Path, listed: BackupList, clock: Clock, actor: str) -> None:
    """Part of a restore, before the folder gets its name. Raises RestoredKeysDiffer."""
    keys = open_keys(folder, clock, actor)
    try:
        found = keys.get_public_identity()
        operators = tuple(one.fingerprint for one in keys.operators.list_active())
    finally:
        keys.close()
    if found != listed.identity:
        raise RestoredKeysDiffer(
            "the keys are another party's", expected=listed.identity.fingerprint, found=found.fingerprint
        )
    mark = Mark(listed.made_at, format_time(clock.now()), actor, operators=operators)
    for name, migrations in STORES.items():
        if (folder / name).exists():
            database = open_database(folder / name, migrations)
            try:
                with write_transaction(database):
                    _note_within(database, mark, clock)
            finally:
                database.close()
    write_mark(folder, mark)


def write_mark(home: Path, mark: Mark, proposal: str = "") -> None:
    write_atomic(home / MARK, json.dumps({**vars(mark), "proposal": proposal}, ensure_ascii=False).encode())


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


def _note_within(database: Database, mark: Mark, clock: Clock) -> None:
    """A row of the audit chain, an alarm, and nothing that may have been used already."""
    detail = {"backup_made_at": mark.made_at}
    if database["audit"].exists():
        append_row(database, at=clock.now(), actor=mark.restored_by, action="restore", subject="home", detail=detail)
    error = HomeRestored("restored from a backup", made_at=mark.made_at, restored_at=mark.restored_at)
    skip_within(database, clock.now())
    Alarms(database, clock).sound_within(error, "")
    if database["session"].exists():
        _end_what_is_good_once_within(database, mark.restored_at, clock)


def _end_what_is_good_once_within(database: Database, now: str, clock: Clock) -> None:
    """It may have been used after the backup: sessions, codes, one-time passwords, files that are fetched once."""
    step = int(clock.now().timestamp()) // PERIOD_S
    database.execute("UPDATE session SET ended_at = ? WHERE ended_at IS NULL", [now])
    database.execute("UPDATE second_factor SET last_step = max(last_step, ?)", [step])
    database.execute("UPDATE account SET password_expires_at = min(password_expires_at, ?)", [now])
    database.execute("UPDATE download SET state = 'expired', until = NULL, ended_at = ? WHERE until IS NOT NULL", [now])
    database.execute("DELETE FROM download_content")


def open_keys(home: Path, clock: Clock, actor: str) -> KeyStore:
    """The key store, for what needs no key: a restored home has no key-encryption key yet."""
    if not (home / KEYS_FILE).exists():
        raise RestoredKeysDiffer("there is no key store", expected="", found="")
    return KeyStore(home, EnvironmentKek(environment={}), clock=clock, actor=actor)
