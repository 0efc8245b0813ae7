"""The party's own store: whole, its audit chain, its alarms, and whether its regular work was done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from sqlite_utils import Database, Migrations

from keys.clock import BEIJING, format_time, parse_time
from keys.database import DatabaseDamaged, SchemaNewer, require_known_schema
from keys.identity import PublicIdentity
from keys.keystore_schema import MIGRATIONS as KEY_MIGRATIONS
from matcher.audit import AuditBroken, verify_chain
from matcher.keeping.findings import KEYS_FILE, Finding, Subject, databases_in, looking, rows
from matcher.keeping.refreshed import read_failed_refreshes, read_last_refreshes
from matcher.keeping.restored import STORES
from matcher.province.editions import EditionFolders
from psi.errors import MingceError

NEARLY = 0.9  # of a budget
BANK_NIGHTS = timedelta(days=3)
REFRESH_NIGHTS = timedelta(days=2, hours=2)
LEAST_ADMINISTRATORS = 2


def check_databases(subject: Subject) -> Iterator[Finding]:
    """Every database of the home; the caller goes on to the other checks only if nothing is found."""
    schemas: dict[Path, Migrations] = {
        subject.home / KEYS_FILE: KEY_MIGRATIONS,
        subject.store: STORES[subject.store.name],
    }
    for path in schemas:
        if not path.exists():
            yield Finding("error", "database_missing", {"file": path.name})
    for path in databases_in(subject.home):
        try:
            with looking(path) as database:
                _check_one(database, path, schemas.get(path))
        except (DatabaseDamaged, SchemaNewer) as error:
            yield Finding("error", error.code, error.params)
        except AuditBroken as error:
            yield Finding("error", error.code, error.params)
        except MingceError as error:
            yield Finding("error", error.code, {**error.params, "detail": error.detail})


def check_alarms(subject: Subject) -> Iterator[Finding]:
    ((waiting,),) = rows(subject.store, "SELECT COUNT(*) FROM alarm WHERE acknowledged_at IS NULL") or [(0,)]
    if waiting:
        yield Finding("warning", "alarms_waiting", {"count": waiting})


def check_sender(subject: Subject, *, deep: bool) -> Iterator[Finding]:
    refreshed, failed = read_last_refreshes(subject.home), read_failed_refreshes(subject.home)
    for dataset, plan in subject.lists.items():
        if plan.source is not None and not plan.source.exists():
            yield Finding("error", "source_missing", {"dataset": dataset, "file": str(plan.source)})
        if dataset in refreshed and subject.now - refreshed[dataset] > REFRESH_NIGHTS:
            yield Finding("warning", "refresh_stopped", {"dataset": dataset, "at": format_time(refreshed[dataset])})
        if dataset in failed:  # at once: the next night may fail for the same cause
            last = failed[dataset]
            about = {"dataset": dataset, "at": format_time(last.at)}
            if last.file:
                yield Finding("warning", "refresh_without_file", {**about, "file": last.file})
            else:
                yield Finding("warning", "refresh_failed", {**about, "error": last.error})
        found = rows(
            subject.store,
            "SELECT edition.epoch, edition, published_at FROM edition JOIN dataset"
            " ON dataset.name = edition.dataset AND dataset.current_epoch = edition.epoch"
            " WHERE edition.dataset = ? AND edition.state = 'current'",
            dataset,
        )
        if not found:
            yield Finding("warning", "edition_none", {"dataset": dataset})
            continue
        epoch, edition, published = found[0]
        if subject.now - parse_time(published) > timedelta(days=plan.renew_days + 2):
            yield Finding("error", "refresh_late", {"dataset": dataset, "edition": edition, "at": published})
        yield from _check_edition(subject, dataset, epoch, edition, deep=deep)
    today = subject.now.astimezone(BEIJING).date().isoformat()
    for entity, dataset, epoch, used, limit in rows(
        subject.store,
        # one with an allowance for every night has done what it is for when the first match has used it
        "SELECT entity, dataset, epoch, used, lim FROM budget WHERE lim > 0 AND nightly = 0 ORDER BY 1, 2, 3",
    ):
        if used >= NEARLY * limit:
            about = {"entity": entity, "epoch": f"{dataset}/{epoch}", "used": used, "limit": limit}
            yield Finding("warning", "budget_low", about)
    for entity, day in rows(subject.store, "SELECT entity, MAX(day) FROM budget GROUP BY entity"):
        if day > today:
            yield Finding("error", "budget_day_ahead", {"entity": entity, "day": day})


def check_bank(subject: Subject) -> Iterator[Finding]:
    for dataset, published in rows(
        subject.store, "SELECT dataset, MAX(adopted_at) FROM edition WHERE adopted_at IS NOT NULL GROUP BY dataset"
    ):
        if subject.now - parse_time(published) > timedelta(days=subject.edition_max_age_days):
            yield Finding("error", "edition_too_old", {"dataset": dataset, "at": published})
    for (last,) in rows(subject.store, "SELECT MAX(created_at) FROM run WHERE state NOT IN ('PROPOSED', 'ABORTED')"):
        if last is not None and subject.now - parse_time(last) > BANK_NIGHTS:
            yield Finding("warning", "match_late", {"at": last})
    for number, at in rows(subject.store, "SELECT run_id, created_at FROM run WHERE state = 'RUNNING'"):
        if subject.now - parse_time(at) > timedelta(days=1):
            yield Finding("warning", "run_broken_off", {"run": number, "at": at})


def check_bureau(subject: Subject) -> Iterator[Finding]:
    yesterday = subject.now.astimezone(BEIJING).date() - timedelta(days=1)
    for (last,) in rows(subject.store, "SELECT MAX(day) FROM figure_day"):
        if last is not None and date.fromisoformat(last) < yesterday - timedelta(days=1):
            yield Finding("warning", "nightly_late", {"day": last})
    missing = [
        name
        for (name,) in rows(subject.store, "SELECT file FROM attachment")
        if not (subject.home / "attachments" / name).is_file()
    ]
    if missing:
        yield Finding("error", "attachments_missing", {"count": len(missing), "file": missing[0]})
    administrators = rows(
        subject.store,
        "SELECT COUNT(*) FROM account WHERE state = 'active'"
        " AND EXISTS (SELECT 1 FROM json_each(account.roles) WHERE json_each.value = 'admin')",
    )
    if administrators and administrators[0][0] < LEAST_ADMINISTRATORS:
        about: dict[str, object] = {"found": administrators[0][0], "needed": LEAST_ADMINISTRATORS}
        yield Finding("warning", "administrators_few", about)


def _check_one(database: Database, path: Path, migrations: Migrations | None) -> None:
    """Raises DatabaseDamaged, SchemaNewer, AuditBroken."""
    (verdict,) = database.conn.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DatabaseDamaged("quick_check failed", file=path.name)
    if migrations is not None:
        require_known_schema(database, migrations, path.name)
    if database["audit"].exists():
        verify_chain(database)


def _check_edition(subject: Subject, dataset: str, epoch: str, edition: int, *, deep: bool) -> Iterator[Finding]:
    """The served edition's manifest, state and, ``deep``, every byte of its slices."""
    about = {"dataset": dataset, "epoch": epoch, "edition": edition}
    try:
        identity = PublicIdentity.from_json((subject.home / "identity.json").read_bytes())
        found = EditionFolders(subject.home, identity).read(dataset, epoch, edition)
        for part in (found, found.base):
            for entry in part.manifest.slices if part is not None else ():
                if part is not None and part.slice_path(entry.division).stat().st_size != entry.bytes:
                    raise OSError
        if deep:
            found.check_files()
    except (MingceError, OSError):
        yield Finding("error", "edition_damaged", about)
