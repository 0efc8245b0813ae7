"""What every part of the bureau's work shares: one database, one clock, personal data, alarms and the audit chain.

A part is a class that takes an Office. Its public methods open one transaction each; methods that end in
``_within`` run inside the caller's, so that a change of several parts is one commit with its audit rows.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from keys.clock import BEIJING, Clock, format_time
from keys.database import open_database, reading, write_transaction
from matcher.alarms import Alarms
from matcher.audit import AuditHead, append_row, verify_chain
from matcher.bureau.actors import Actor
from matcher.bureau.personal import PersonalData
from matcher.bureau.schema import BUREAU_MIGRATIONS
from matcher.sealing import derive_store_key

FILE_NAME = "bureau.sqlite"
STORE_SECRET = "bureau-store"  # noqa: S105 (the name under which keys.KeyStore keeps it)


class Office:
    """``home``: the bureau's folder; ``divisions``: its own counties, six digits each."""

    def __init__(
        self,
        home: Path,
        secret: bytes,
        clock: Clock,
        divisions: Sequence[str],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.home = home
        self.clock = clock
        self.divisions = frozenset(divisions)
        self.random_bytes = random_bytes
        self.database: Database = open_database(home / FILE_NAME, BUREAU_MIGRATIONS)
        self.personal = PersonalData(secret, random_bytes)
        self.alarms = Alarms(self.database, clock)
        self._digest_key = derive_store_key(secret, "bureau digests")

    def close(self) -> None:
        self.database.close()

    def now(self) -> str:
        """The present moment as it is stored: RFC 3339, UTC."""
        return format_time(self.clock.now())

    def today(self) -> date:
        """The calendar day in China."""
        return self.clock.now().astimezone(BEIJING).date()

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One durable transaction; they do not nest."""
        with write_transaction(self.database) as database:
            yield database

    def digest(self, values: Mapping[str, Any]) -> str:
        """HMAC-SHA-256 of a JSON object in canonical form: what it was, without saying it."""
        return hmac.new(self._digest_key, _canonical(values), hashlib.sha256).hexdigest()

    def record_within(
        self,
        actor: Actor,
        action: str,
        subject: str,
        *,
        purpose: str = "",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        **detail: object,
    ) -> int:
        """Add the audit row of a change to the transaction that makes it; returns its number.

        ``before`` and ``after`` enter as digests only. ``detail`` may hold no personal data.
        """
        content: dict[str, object] = {"role": ",".join(sorted(actor.roles)), **detail}
        if purpose:
            content["purpose"] = purpose
        for name, values in (("before", before), ("after", after)):
            if values is not None:
                content[name] = self.digest(values)
        return append_row(
            self.database, at=self.clock.now(), actor=actor.name, action=action, subject=subject, detail=content
        )

    def verify_audit(self) -> AuditHead:
        """Recompute the whole chain. Raises AuditBroken naming the first bad row."""
        with reading(self.database) as database:
            return verify_chain(database)


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
