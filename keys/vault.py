"""Wrapped values in a database, under one key-encryption key at a time, and the record of their use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from keys.clock import Clock, format_time, parse_time
from keys.database import erase_traces, reading, write_transaction
from keys.wrap import KekProvider

_CHECK_VALUE = b"the key-encryption key in force"


@dataclass(frozen=True)
class Wrapped:
    """A column that holds wrapped bytes, and the columns of its row that they are bound to."""

    table: str
    column: str
    kind: str
    bound_to: tuple[str, ...]

    def context(self, *values: str) -> bytes:
        """The associated data: what kind of secret this is, and whose; no two values share one."""
        parts = [value.encode() for value in (self.kind, *values)]
        return b"mingce/1 wrapped\x00" + b"".join(len(part).to_bytes(2, "big") + part for part in parts)


@dataclass(frozen=True)
class KeyEvent:
    """One line of the record, its number last. ``subject`` is ``dataset/epoch`` or a name."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    number: int


_CHECK = Wrapped("kek_check", "wrapped", "kek check", ())


class Vault:
    """Wraps and unwraps the columns named in ``wrapped``, and keeps the table ``event``."""

    def __init__(
        self, database: Database, provider: KekProvider, wrapped: tuple[Wrapped, ...], *, clock: Clock, actor: str
    ) -> None:
        self.database = database
        self.provider = provider
        self._wrapped = wrapped
        self._clock = clock
        self.actor = actor

    def now(self) -> str:
        return format_time(self._clock.now())

    def find_row(self, sql: str, *parameters: object) -> dict[str, Any] | None:
        rows = self.list_rows(sql, *parameters)
        return rows[0] if rows else None

    def list_rows(self, sql: str, *parameters: object) -> list[dict[str, Any]]:
        with reading(self.database):
            return list(self.database.query(sql, parameters))

    def wrap(self, plaintext: bytes, kind: Wrapped, *bound_to: str) -> bytes:
        """Only inside :meth:`wrapping`."""
        return self.provider.wrap(plaintext, kind.context(*bound_to))

    def unwrap(self, row: dict[str, Any], kind: Wrapped) -> bytes:
        """The secret in a row of ``kind.table``. Raises KeyUnwrapFailed."""
        return self.provider.unwrap(row[kind.column], kind.context(*(row[name] for name in kind.bound_to)))

    @contextmanager
    def wrapping(self) -> Iterator[None]:
        """A write transaction in which the provider is known to hold the key-encryption key in force.

        Without that check, a process that missed a rotation would wrap new keys under the old one.
        """
        self._check_kek()  # may ask a person, so it comes once before the write lock is taken
        with write_transaction(self.database):
            if not self._check_kek():
                self.database.table("kek_check").insert(
                    {"id": 1, "wrapped": self._wrapped_check(self.provider), "provider": self.provider.describe()}
                )
            yield

    def record(self, action: str, subject: str, detail: str = "") -> None:
        """Add a line to the record, inside the caller's transaction."""
        self.database.table("event").insert(
            {"at": self.now(), "actor": self.actor, "action": action, "subject": subject, "detail": detail}
        )

    def list_events(self) -> list[KeyEvent]:
        """The whole record, oldest first."""
        return [
            KeyEvent(parse_time(row["at"]), row["actor"], row["action"], row["subject"], row["detail"], row["id"])
            for row in self.list_rows("SELECT * FROM event ORDER BY id")
        ]

    def rewrap(self, provider: KekProvider) -> int:
        """Wrap everything anew under ``provider``, or nothing. Returns how many values there were."""
        check = self._wrapped_check(provider)
        with self.wrapping():
            count = sum(self._rewrap_column(kind, provider) for kind in self._wrapped)
            self.database.table("kek_check").update(1, {"wrapped": check, "provider": provider.describe()})
            self.record("kek rotate", provider.describe(), f"{count} wrapped values")
        self.provider = provider
        erase_traces(self.database)  # of what stood under the old key; a busy reader delays it to the last close
        return count

    def _rewrap_column(self, kind: Wrapped, provider: KekProvider) -> int:
        table = self.database.table(kind.table)
        rows = [row for row in table.rows if row[kind.column] is not None]
        for row in rows:
            context = kind.context(*(row[name] for name in kind.bound_to))
            wrapped = provider.wrap(self.unwrap(row, kind), context)
            table.update(tuple(row[name] for name in table.pks), {kind.column: wrapped})
        return len(rows)

    def require_kek(self) -> None:
        """Raise KeyUnwrapFailed if the provider holds another key-encryption key than the one in force."""
        self._check_kek()

    def _check_kek(self) -> bool:
        """Whether a key-encryption key is in force yet. Raises KeyUnwrapFailed if it is another one."""
        row = self.find_row("SELECT * FROM kek_check")
        if row is None:
            self._wrapped_check(self.provider)
            return False
        self.unwrap(row, _CHECK)
        return True

    @staticmethod
    def _wrapped_check(provider: KekProvider) -> bytes:
        return provider.wrap(_CHECK_VALUE, _CHECK.context())
