"""The purge: what is kept no longer is deleted, in one transaction, with a signed record of what it was."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from sqlite_utils import Database

from keys.clock import parse_time
from keys.database import erase_traces
from keys.identity import Identity
from matcher.attachments import Attachments
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import Person
from matcher.bureau.office import Office
from matcher.personal.erasing import (
    DUE,
    EMPTIED,
    ERASE,
    HELD,
    LET_GO,
    REFERENCES,
    ROWS,
    STILL_NAMED,
    SUBJECTS,
)
from matcher.personal.purge_record import PurgedKind, PurgeRecord, digest_references, open_purge, sign_purge
from matcher.personal.retention import KINDS, Kind, Retention
from matcher.rows import fetch_all
from psi.blindindex import REFERENCE_BYTES


class _DryRun(Exception):
    """Out of the transaction again."""


@dataclass(frozen=True)
class Purged:
    """``purge_id`` and ``envelope``, the signed record, are None for a dry run and where nothing was due.
    ``is_cleared``: False as long as another process keeps traces in the database's files; run the purge again then.
    """

    record: PurgeRecord
    purge_id: int | None
    envelope: bytes | None
    is_cleared: bool


@dataclass(frozen=True)
class KeptRecord:
    """A purge's signed record, verified. ``cleared_at``: when its traces were gone from the files, or None."""

    number: int
    record: PurgeRecord
    envelope: bytes
    cleared_at: str | None


class Purge:
    """Deletes by an office's clocks. ``identity``: the home's, which signs the records."""

    def __init__(self, office: Office, retention: Retention, identity: Identity) -> None:
        self._office = office
        self._retention = retention
        self._identity = identity
        self._attachments = Attachments(office)

    def run(self, actor: Actor, *, dry_run: bool = False) -> Purged:
        """Delete what is due, and finish what a killed purge left undone. Again it finds nothing.

        Raises NotAllowed.
        """
        actor.require(Permission.PURGE)
        purge_id, envelope = None, None
        with suppress(_DryRun), self._office.writing() as database:
            record = self._purge_within(actor, database)
            if dry_run:
                raise _DryRun
            if record.rows:
                envelope = sign_purge(self._identity, record)
                purge_id = self._record_within(actor, database, record, envelope)
        is_cleared = True if dry_run else self._clear()
        return Purged(record, purge_id, envelope, is_cleared)

    def list_records(self, actor: Actor) -> list[KeptRecord]:
        """Of every purge. Raises NotAllowed, VerificationError."""
        actor.require(Permission.SEE_AUDIT)
        rows = fetch_all(self._office.database, "SELECT purge_id, envelope, cleared_at FROM purge ORDER BY purge_id")
        return [
            KeptRecord(number, open_purge(envelope, self._identity.public), bytes(envelope), cleared_at)
            for number, envelope, cleared_at in rows
        ]

    def _purge_within(self, actor: Actor, database: Database) -> PurgeRecord:
        """Everything but the record. The files of attachments follow once it is committed."""
        now = self._office.now()
        before = {kind: self._retention.before(kind, parse_time(now)) for kind in KINDS}
        found: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        kept = self._find_households(database, before)
        for kind, reference in database.execute(REFERENCES):
            found[kind].append(reference)
        for household_id, kind in database.execute("SELECT household_id, kind FROM due").fetchall():
            self._office.record_within(actor, "household.purge", f"household/{household_id}", kind=kind)
        self._erase_households(database, now)
        for rows in ROWS:
            found[rows.kind] += [reference for (reference,) in database.execute(rows.select, [before[rows.kind]])]
            database.execute(rows.erase, [before[rows.kind]])
        database.execute("DROP TABLE due")
        kinds = tuple(
            PurgedKind(
                kind, getattr(self._retention, kind), before[kind], len(references), digest_references(references)
            )
            for kind, references in found.items()
        )
        return PurgeRecord(self._identity.public.fingerprint, actor.name, parse_time(now), kinds, kept)

    def _find_households(self, database: Database, before: dict[Kind, str]) -> dict[str, int]:
        """Fill the table ``due``; how many were taken out of it again, by why."""
        database.execute("CREATE TEMP TABLE due (household_id INTEGER PRIMARY KEY, kind TEXT NOT NULL)")
        for kind, statement in DUE.items():
            database.execute(statement, [before[kind]])
        kept = {}
        for reason, statement in HELD.items():
            kept[reason] = database.execute(
                f"DELETE FROM due WHERE household_id IN ({statement})"  # noqa: S608
            ).rowcount
        return {reason: households for reason, households in kept.items() if households}

    def _erase_households(self, database: Database, now: str) -> None:
        database.execute(LET_GO)
        self._attachments.remove_within([subject for (subject,) in database.execute(SUBJECTS).fetchall()])
        for statement in ERASE:
            database.execute(statement, [now] if "?1" in statement else [])
        for (member_id,) in database.execute(STILL_NAMED).fetchall():
            nobody = self._office.personal.seal(vars(Person("", "")), "member", "sealed", member_id)
            references = [self._office.random_bytes(REFERENCE_BYTES) for _ in range(2)]
            database.execute(EMPTIED, [nobody, *references, now, now, member_id])

    def _record_within(self, actor: Actor, database: Database, record: PurgeRecord, envelope: bytes) -> int:
        (purge_id,) = database.execute("SELECT coalesce(MAX(purge_id), 0) + 1 FROM purge").fetchone()
        seq = self._office.record_within(
            actor, "purge.run", f"purge/{purge_id}", rows={one.kind: one.rows for one in record.kinds}
        )
        database.execute(
            "INSERT INTO purge (purge_id, at, account, envelope, audit_seq) VALUES (?, ?, ?, ?, ?)",
            [purge_id, self._office.now(), actor.name, envelope, seq],
        )
        return int(purge_id)

    def _clear(self) -> bool:
        """Remove the files of purged attachments, then every trace in the database's own. False: not all yet."""
        waiting = fetch_all(self._office.database, "SELECT purge_id FROM purge WHERE cleared_at IS NULL")
        if not waiting:
            return True
        self._attachments.remove_orphans()
        if not erase_traces(self._office.database):
            return False
        with self._office.writing() as database:
            database.conn.executemany(
                "UPDATE purge SET cleared_at = ? WHERE purge_id = ?", [(self._office.now(), one) for (one,) in waiting]
            )
        return True
