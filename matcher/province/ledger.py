"""The province's ledger: who may ask what, what was asked, and which edition is served.

One SQLite file. Every change is one durable transaction together with its audit row.
docs/reference/province-store.md explains the tables. The ledger is built up in three layers:
who is who (parties.py), what they may ask and did ask (budgets.py), and the rest, here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from keys.clock import Clock, format_time
from keys.vault import KeyEvent
from matcher.alarms import Alarm
from matcher.audit import AuditHead, verify_chain
from matcher.province.budgets import Budgets
from matcher.province.certificates import ClientCertificates
from matcher.province.exchange_records import ExchangeRecords
from matcher.province.records import EditionNotRising, EditionRecord, Replayed, UnknownRecord
from matcher.province.store import ProvinceStore
from psi.errors import MingceError

NONCE_MARGIN = timedelta(days=3)  # so long a nonce outlives its window: a clock set back by two days replays nothing
KEY_ACTION = "epoch_key"
KEY_EVENTS = frozenset(f"epoch {change}" for change in ("create", "active", "expired", "destroyed"))


class Ledger(Budgets):
    """A party is named by its fingerprint. ``actor`` goes into the audit row: who did it.

    Threads may share a ledger. Every method may raise DatabaseBusy (the write lock stayed
    taken) or DatabaseUnavailable (the disk is full or fails); nothing was changed then.
    """

    @classmethod
    def open(cls, home: Path, clock: Clock) -> Ledger:
        """Open or create ``<home>/province.sqlite``. Raises what keys.database.open_database raises."""
        return cls(ProvinceStore(home, clock))

    def close(self) -> None:
        self._store.close()

    @cached_property
    def certificates(self) -> ClientCertificates:
        """Which TLS client keys are bound to which party."""
        return ClientCertificates(self._store)

    @cached_property
    def exchange_records(self) -> ExchangeRecords:
        """What banks and province both signed after each run."""
        return ExchangeRecords(self._store)

    # Nonces

    def use_nonce(self, keyid: str, nonce: str, *, expires_at: datetime) -> None:
        """Raises Replayed if this key has used this nonce before."""
        with self._store.writing() as db:
            row = (keyid, nonce, format_time(expires_at))
            if db.execute("INSERT OR IGNORE INTO nonce VALUES (?, ?, ?)", row).rowcount != 1:
                raise Replayed("the nonce was used before")

    def prune(self, now: datetime) -> int:
        """Forget the nonces whose window closed three days ago; returns how many. For a nightly job."""
        with self._store.writing() as db:
            return db.execute("DELETE FROM nonce WHERE expires_at < ?", (format_time(now - NONCE_MARGIN),)).rowcount

    # Editions

    def record_edition(
        self,
        *,
        dataset: str,
        epoch: str,
        edition: int,
        manifest_sha256: str,
        folder: str,
        rows: int,
        counts: Mapping[str, int],
        base: int | None = None,
        restored: int | None = None,
        reason: str = "",
        actor: str = "province",
    ) -> EditionRecord:
        """Make a finished folder the current edition of its epoch, in one transaction.

        ``manifest_sha256`` is over the file manifest.json, ``folder`` relative to the home, ``base`` the
        edition that a delta changes, ``restored`` the one whose content was rolled back to, and why.
        Raises UnknownRecord, EditionNotRising.
        """
        with self._store.writing() as db:
            self._get_dataset(dataset)
            (last,) = db.execute(
                "SELECT COALESCE(MAX(edition), 0) FROM edition WHERE dataset = ? AND epoch = ?", (dataset, epoch)
            ).fetchone()
            if edition <= last:
                raise EditionNotRising("edition numbers only rise", edition=edition, last=last)
            db.execute(
                "UPDATE edition SET state = 'superseded' WHERE dataset = ? AND epoch = ? AND state = 'current'",
                (dataset, epoch),
            )
            db.execute(
                "INSERT INTO edition (dataset, epoch, edition, manifest_sha256, folder, state, published_at, rows,"
                " counts, base, restored) VALUES (?, ?, ?, ?, ?, 'current', ?, ?, ?, ?, ?)",
                (
                    *(dataset, epoch, edition, manifest_sha256, folder, self._store.now(), rows),
                    *(json.dumps(dict(counts)), base, restored),
                ),
            )
            detail = {"edition": edition, "rows": rows, "counts": dict(counts), "manifest_sha256": manifest_sha256}
            if restored is None:
                self._store.audit(actor, "publish_edition", dataset, epoch=epoch, base=base, **detail)
            else:
                why = {"restored": restored, "reason": reason}
                self._store.audit(actor, "roll_back_edition", dataset, epoch=epoch, base=base, **why, **detail)
            return self._get_edition(dataset, epoch, edition)

    def mark_pruned(self, dataset: str, epoch: str, editions: Sequence[int], *, actor: str = "province") -> None:
        """Say that the folders of superseded editions are removed; done before it is so. The rows stay."""
        with self._store.writing() as db:
            for edition in editions:
                db.execute(
                    "UPDATE edition SET pruned_at = ? WHERE dataset = ? AND epoch = ? AND edition = ?"
                    " AND state = 'superseded' AND pruned_at IS NULL",
                    (self._store.now(), dataset, epoch, edition),
                )
            self._store.audit(actor, "prune_editions", dataset, epoch=epoch, editions=list(editions))

    def current_edition(self, dataset: str, epoch: str) -> EditionRecord | None:
        """The edition served, or None before the first publication."""
        with self._store.reading():
            row = self._store.find_row(
                "SELECT * FROM edition WHERE dataset = ? AND epoch = ? AND state = 'current'", dataset, epoch
            )
        return EditionRecord.from_row(row) if row else None

    def get_edition(self, dataset: str, epoch: str, edition: int) -> EditionRecord:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_edition(dataset, epoch, edition)

    def list_editions(self, dataset: str, epoch: str) -> list[EditionRecord]:
        with self._store.reading() as db:
            rows = db.query("SELECT * FROM edition WHERE dataset = ? AND epoch = ? ORDER BY edition", (dataset, epoch))
            return [EditionRecord.from_row(row) for row in rows]

    # Alarms and audit

    def list_alarms(self, *, waiting_only: bool = False) -> list[Alarm]:
        """What a person has to see, the oldest first; or what nobody has acknowledged yet."""
        alarms = self._store.alarms
        return alarms.list_waiting() if waiting_only else alarms.list_all()

    def sound_alarm(self, error: MingceError, subject: str) -> None:
        """Once for each code and subject."""
        with self._store.writing():
            self._store.alarms.sound_once_within(error, subject)

    def acknowledge_alarm(self, alarm_id: int, *, actor: str) -> None:
        """A person has seen it; again it changes nothing. Raises AlarmNotFound."""
        with self._store.writing():
            if self._store.alarms.acknowledge_within(alarm_id, actor):
                self._store.audit(actor, "acknowledge_alarm", str(alarm_id))

    def record_act(self, actor: str, action: str, subject: str, **detail: object) -> None:
        """One audit row for an act that changes other files than the ledger. ``detail`` holds no personal data."""
        with self._store.writing():
            self._store.audit(actor, action, subject, **detail)

    def record_refusal(self, *, actor: str, subject: str, code: str, **detail: object) -> None:
        """One audit row for one refused act. Neither ``subject`` nor ``detail`` may repeat what the caller sent."""
        with self._store.writing():
            self._store.audit(actor, "refused", subject, code=code, **detail)

    def record_key_events(self, events: Iterable[KeyEvent]) -> int:
        """Copy what became of epochs' keys from the key store's record into the audit, each once; returns how many.

        The two databases have no common transaction: a kill between them is made good by the next call.
        """
        copied = 0
        with self._store.writing() as db:
            known = "SELECT json_extract(detail, '$.event'), json_extract(detail, '$.at') FROM audit WHERE action = ?"
            recorded = set(db.execute(known, (KEY_ACTION,)).fetchall())
            for event in events:
                what, at = event.action.removeprefix("epoch "), format_time(event.at)
                if event.action in KEY_EVENTS and (event.number, at) not in recorded:
                    detail = {"event": event.number, "at": at, "change": what, "reason": event.detail}
                    self._store.audit(event.actor, KEY_ACTION, event.subject, **detail)
                    copied += 1
        return copied

    def verify_audit(self) -> AuditHead:
        """Recompute the audit chain; returns its head. Raises AuditBroken naming the first bad row."""
        with self._store.reading() as db:
            return verify_chain(db)

    def _get_edition(self, dataset: str, epoch: str, edition: int) -> EditionRecord:
        row = self._store.find_row(
            "SELECT * FROM edition WHERE dataset = ? AND epoch = ? AND edition = ?", dataset, epoch, edition
        )
        if row is None:
            raise UnknownRecord("no such edition")
        return EditionRecord.from_row(row)
