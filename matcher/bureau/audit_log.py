"""The bureau's audit log: read with filters, verified, its head signed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from keys.clock import BEIJING, format_time
from keys.database import reading
from keys.identity import Identity, PublicIdentity
from matcher.audit import AuditHead, Verified, chain_rows, last_row, verify_rows
from matcher.audit_file import write_chain
from matcher.audit_head import sign_head
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.rows import fetch_records

MOST_ROWS = 1_000  # on a page


@dataclass(frozen=True)
class AuditRow:
    """One row of the log. It holds no personal data; ``detail`` may hold digests."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class AuditLog:
    """The table ``audit``."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def list_rows(
        self,
        actor: Actor,
        *,
        account: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: date | None = None,
        until: date | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[AuditRow]:
        """The newest first. ``action`` may be a part (``household``) or the whole (``household.move``); ``since`` and
        ``until`` are days in China, both included; ``before`` is a row's number, for the next page.

        Raises NotAllowed.
        """
        actor.require(Permission.SEE_AUDIT)
        rows = fetch_records(
            self._office.database,
            "SELECT seq, at, actor, action, subject, detail FROM audit"
            " WHERE (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR action = ?2 OR action GLOB ?2 || '.*')"
            " AND (?3 IS NULL OR subject = ?3) AND (?4 IS NULL OR at >= ?4) AND (?5 IS NULL OR at < ?5)"
            " AND (?6 IS NULL OR seq < ?6) ORDER BY seq DESC LIMIT ?7",
            [
                account,
                action,
                subject,
                None if since is None else begin_of(since),
                None if until is None else begin_of(until + timedelta(days=1)),
                before,
                min(limit, MOST_ROWS),
            ],
        )
        return [AuditRow(**{**row, "detail": json.loads(row["detail"])}) for row in rows]

    def verify(self, kept: Sequence[AuditHead] = (), *, most: int = 100) -> Verified:
        """Recompute the chain and hold it against heads from outside; at most so many faults. Anybody may."""
        with reading(self._office.database) as database:
            return verify_rows(chain_rows(database), kept, most=most)

    def export(self, actor: Actor, home: PublicIdentity, path: Path, *, purpose: str) -> AuditHead:
        """Write the whole chain, sound or not, for whoever verifies it elsewhere; a row says who took it along.

        Returns its end. Raises NotAllowed, OSError.
        """
        actor.require(Permission.SEE_AUDIT)
        actor.require(Permission.EXPORT)
        with self._office.writing() as database:
            seq = last_row(database).seq
            self._office.record_within(actor, "export.audit_chain", f"audit/{seq}", purpose=purpose)
        with reading(self._office.database) as database:
            return write_chain(path, home.fingerprint, chain_rows(database))

    def sign_head(self, actor: Actor, identity: Identity) -> tuple[AuditHead, bytes]:
        """The head and its signed document. Its last row says that it was signed, so that a missing one is missed.

        Raises NotAllowed, AuditBroken: a chain that does not hold is not signed.
        """
        actor.require(Permission.SEE_AUDIT)
        self._office.verify_audit()
        with self._office.writing() as database:
            seq = last_row(database).seq
            self._office.record_within(actor, "audit.head", f"audit/{seq}")
            head = last_row(database)
        return head, sign_head(identity, head, signed_by=actor.name, at=self._office.clock.now())


def begin_of(day: date) -> str:
    """The moment at which a day begins in China, as times are stored."""
    return format_time(datetime.combine(day, time(), BEIJING).astimezone(UTC))
