"""The keys one party holds: its epochs, its identity and the secrets of its own stores.

Everything secret is wrapped under the key-encryption key (keys.wrap) and bound to what it
is for. Public facts can be read without that key. Each opening of a key leaves an event,
written before the key is given out; whoever opens one keeps it for as long as it is needed
instead of opening it again for each use.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from keys.clock import Clock, format_time, parse_time
from keys.database import erase_traces, open_database, write_transaction
from keys.destruction import Destruction, open_destruction, sign_destruction
from keys.epochs import (
    NEXT_STATE,
    SECRET_BYTES,
    EpochRecord,
    EpochState,
    EpochStateError,
    check_name,
    derive_receipt_key,
    derive_secret,
)
from keys.identity import Identity, IdentityKind, PublicIdentity
from keys.keystore_schema import MIGRATIONS
from keys.operators import Operators
from keys.vault import KeyEvent, Vault, Wrapped
from keys.wrap import KekProvider, KeyUnwrapFailed
from psi.errors import InputError, MingceError
from psi.oprf import SecretKey

FILE_NAME = "keys.sqlite"

_EPOCH_KEY = Wrapped("epoch", "wrapped_key", "epoch key", ("dataset", "epoch"))
_EPOCH_SECRET = Wrapped("epoch", "wrapped_secret", "epoch secret", ("dataset", "epoch"))
_SEED = Wrapped("identity", "wrapped_seed", "identity", ("name", "kind"))
_STORE_SECRET = Wrapped("store_secret", "wrapped", "store secret", ("name",))
_MOVED_AT = {"active": "activated_at", "expired": "expired_at", "destroyed": "destroyed_at"}


class EpochUnknown(InputError):
    """The key store has no such epoch."""

    code = "epoch_unknown"


class EpochExists(InputError):
    """The epoch is there already; its key is never replaced."""

    code = "epoch_exists"


class IdentityMissing(MingceError):
    """This home has no identity yet."""

    code = "identity_missing"


class IdentityExists(InputError):
    """This home has its identity already; ``params["fingerprint"]`` says which."""

    code = "identity_exists"


class KeyStore:
    """``<home>/keys.sqlite``. ``actor`` is who acts, for the record: an account, a job, a command.

    Methods that open or wrap a key raise KekUnavailable, KekExposed or KeyUnwrapFailed if the
    key-encryption key is not there or not the right one. Every change raises DatabaseBusy.
    """

    def __init__(self, home: Path, provider: KekProvider, *, clock: Clock, actor: str) -> None:
        """Open the store, or create an empty one. The provider is not used yet."""
        self._database = open_database(home / FILE_NAME, MIGRATIONS)
        wrapped = (_EPOCH_KEY, _EPOCH_SECRET, _SEED, _STORE_SECRET)
        self._vault = Vault(self._database, provider, wrapped, clock=clock, actor=actor)
        self.operators = Operators(self._vault)

    def __repr__(self) -> str:
        return f"KeyStore({self._vault.provider.describe()})"

    def close(self) -> None:
        self._database.close()

    # Epochs

    def create_epoch(self, dataset: str, epoch: str, *, not_before: datetime, not_after: datetime) -> EpochRecord:
        """A pending epoch with a fresh random key. Raises InputError, EpochExists."""
        check_name(dataset, "dataset")
        check_name(epoch, "epoch")
        if not_before >= not_after:
            raise InputError("an epoch begins before it ends")
        key = SecretKey.generate()
        secret = secrets.token_bytes(SECRET_BYTES)
        with self._vault.wrapping():
            if self._find_epoch_row(dataset, epoch) is not None:
                raise EpochExists("epoch exists", dataset=dataset, epoch=epoch)
            row = {
                "dataset": dataset,
                "epoch": epoch,
                "state": "pending",
                "public_key": key.public_key,
                "wrapped_key": self._vault.wrap(key.expose_bytes(), _EPOCH_KEY, dataset, epoch),
                "wrapped_secret": self._vault.wrap(secret, _EPOCH_SECRET, dataset, epoch),
                "created_at": self._vault.now(),
                "not_before": format_time(not_before),
                "not_after": format_time(not_after),
            }
            self._database.table("epoch").insert(row)
            self._vault.record("epoch create", f"{dataset}/{epoch}")
        return self.get_epoch(dataset, epoch)

    def activate_epoch(self, dataset: str, epoch: str) -> EpochRecord:
        """pending → active. Raises EpochUnknown, EpochStateError."""
        return self._move_epoch(dataset, epoch, "active")

    def expire_epoch(self, dataset: str, epoch: str) -> EpochRecord:
        """active → expired. Raises EpochUnknown, EpochStateError."""
        return self._move_epoch(dataset, epoch, "expired")

    def destroy_epoch(self, dataset: str, epoch: str, *, reason: str, removed: Sequence[str] = ()) -> EpochRecord:
        """expired → destroyed: the wrapped key and secret leave the file, a signed record stays (keys.destruction).

        ``removed`` names what went with it. Raises EpochUnknown, EpochStateError, InputError, IdentityMissing.
        Copies in backups stay readable to whoever holds the key-encryption key of their time.
        """
        if not reason.strip():
            raise InputError("destroying a key needs a reason")
        before = self.get_epoch(dataset, epoch)
        if before.state != "expired":
            raise _state_error({"dataset": dataset, "epoch": epoch, "state": before.state}, "destroyed")
        at = parse_time(self._vault.now())
        envelope = sign_destruction(
            self.get_identity(), before, actor=self._vault.actor, reason=reason, at=at, removed=removed
        )
        row = {"dataset": dataset, "epoch": epoch, "envelope": envelope}
        with write_transaction(self._database):
            self._move(dataset, epoch, "destroyed", {"wrapped_key": None, "wrapped_secret": None}, reason)
            self._database.table("destruction").insert(row)
        self.finish_destructions()
        return self.get_epoch(dataset, epoch)

    def finish_destructions(self) -> bool:
        """Clear the file of destroyed keys whose traces may be left, after a kill for instance.

        False if another process was in the way: call it again later.
        """
        waiting = self._vault.list_rows("SELECT dataset, epoch FROM destruction WHERE shredded_at IS NULL")
        if not waiting:
            return True
        if not erase_traces(self._database):
            return False
        with write_transaction(self._database):
            for row in waiting:
                place = (row["dataset"], row["epoch"])
                self._database.table("destruction").update(place, {"shredded_at": self._vault.now()})
        return True

    def list_destructions(self) -> list[Destruction]:
        """The records of all destroyed keys, verified, oldest first. Raises VerificationError kinds.

        A key destroyed before records were kept has none.
        """
        rows = self._vault.list_rows("SELECT envelope, shredded_at FROM destruction ORDER BY rowid")
        signer = self.get_public_identity() if rows else None
        return [
            replace(
                open_destruction(row["envelope"], signer),
                shredded_at=None if row["shredded_at"] is None else parse_time(row["shredded_at"]),
            )
            for row in rows
            if signer is not None
        ]

    def record_current(self, dataset: str, epoch: str) -> None:
        """Note that callers are about to be sent to an epoch; which one that is stands in the province's ledger."""
        with write_transaction(self._database):
            self._vault.record("epoch make current", f"{dataset}/{epoch}")

    def record_settlement(self, detail: str) -> None:
        """What was said of a restore (matcher.keeping.settling), with its signatures."""
        with write_transaction(self._database):
            self._vault.record("restore settle", "home", detail)

    def get_epoch(self, dataset: str, epoch: str) -> EpochRecord:
        """Raises EpochUnknown."""
        return _epoch_record(self._get_epoch_row(dataset, epoch))

    def list_epochs(self, dataset: str | None = None) -> list[EpochRecord]:
        """All epochs (of one dataset), by dataset and then oldest first."""
        rows = self._vault.list_rows("SELECT * FROM epoch ORDER BY dataset, rowid")
        return [_epoch_record(row) for row in rows if dataset in (None, row["dataset"])]

    def open_epoch_key(self, dataset: str, epoch: str) -> SecretKey:
        """The OPRF key of a pending or active epoch. Raises EpochUnknown, EpochStateError."""
        row = self._opening(dataset, epoch, ("pending", "active"), "epoch open key")
        key = SecretKey.from_bytes(self._vault.unwrap(row, _EPOCH_KEY))
        if key.public_key != row["public_key"]:
            raise KeyUnwrapFailed("the stored public key is another key's", dataset=dataset, epoch=epoch)
        return key

    def derive_epoch_secret(self, dataset: str, epoch: str, purpose: str) -> bytes:
        """32 bytes for one purpose, as long as the epoch is not destroyed (keys.epochs.derive_secret).

        Raises EpochUnknown, EpochStateError, InputError.
        """
        row = self._opening(dataset, epoch, ("pending", "active", "expired"), "epoch derive secret", purpose)
        return derive_secret(self._vault.unwrap(row, _EPOCH_SECRET), dataset, epoch, purpose)

    def receipt_key(self, dataset: str, epoch: str, division: str) -> bytes:
        """The receipt key of one division, 32 bytes (protocol.md section 2, Receipts).

        For many divisions, derive the secret ``receipts`` once and then each division's key
        by keys.epochs.derive_receipt_key.
        """
        return derive_receipt_key(self.derive_epoch_secret(dataset, epoch, "receipts"), dataset, epoch, division)

    # Identity, and the secrets of this party's own stores

    def create_identity(self, name: str, kind: IdentityKind) -> Identity:
        """The identity this home acts as. Raises IdentityInvalid, IdentityExists."""
        identity = Identity.generate(name, kind)
        with self._vault.wrapping():
            existing = self._vault.find_row("SELECT * FROM identity")
            if existing is not None:
                raise IdentityExists("this home has an identity", fingerprint=_public_identity(existing).fingerprint)
            row = {
                "id": 1,
                "name": name,
                "kind": kind,
                "verify_key": identity.public.verify_key,
                "wrapped_seed": self._vault.wrap(identity.expose_seed(), _SEED, name, kind),
                "created_at": self._vault.now(),
            }
            self._database.table("identity").insert(row)
            self._vault.record("identity create", name, identity.public.fingerprint)
        return identity

    def get_public_identity(self) -> PublicIdentity:
        """Who this home is, without the key-encryption key. Raises IdentityMissing."""
        return _public_identity(self._get_identity_row())

    def get_identity(self) -> Identity:
        """Raises IdentityMissing."""
        with write_transaction(self._database):
            row = self._get_identity_row()
            self._vault.record("identity open", row["name"])
        identity = Identity(row["name"], row["kind"], self._vault.unwrap(row, _SEED))
        if identity.public.verify_key != row["verify_key"]:
            raise KeyUnwrapFailed("the stored public key is another key's", name=row["name"])
        return identity

    def get_store_secret(self, name: str) -> bytes:
        """32 random bytes that stay the same for this home and name; made at first use. Raises InputError."""
        check_name(name, "store secret")
        with self._vault.wrapping():
            row = self._vault.find_row("SELECT * FROM store_secret WHERE name = ?", name)
            if row is None:
                wrapped = self._vault.wrap(secrets.token_bytes(SECRET_BYTES), _STORE_SECRET, name)
                row = {"name": name, "wrapped": wrapped, "created_at": self._vault.now()}
                self._database.table("store_secret").insert(row)
                self._vault.record("secret create", name)
            self._vault.record("secret open", name)
        return self._vault.unwrap(row, _STORE_SECRET)

    # The key-encryption key, and the record

    def rewrap(self, provider: KekProvider) -> int:
        """Change the key-encryption key: everything is wrapped anew under ``provider``, or nothing is.

        Returns the number of wrapped values. Raises KeyUnwrapFailed if one of them does not open.
        """
        return self._vault.rewrap(provider)

    def require_kek(self) -> None:
        """Raise if the key-encryption key is not there or not the one in force; opens no other key."""
        self._vault.require_kek()

    def list_events(self) -> list[KeyEvent]:
        """Every change of state and every opening of a key, oldest first."""
        return self._vault.list_events()

    # Inside

    def _move_epoch(self, dataset: str, epoch: str, wanted: EpochState) -> EpochRecord:
        with write_transaction(self._database):
            self._move(dataset, epoch, wanted, {}, "")
        return self.get_epoch(dataset, epoch)

    def _move(self, dataset: str, epoch: str, wanted: EpochState, changes: dict[str, None], reason: str) -> None:
        """Inside a write transaction."""
        row = self._get_epoch_row(dataset, epoch)
        if NEXT_STATE.get(row["state"]) != wanted:
            raise _state_error(row, wanted)
        moved = {"state": wanted, _MOVED_AT[wanted]: self._vault.now(), **changes}
        self._database.table("epoch").update((dataset, epoch), moved)
        self._vault.record(f"epoch {wanted}", f"{dataset}/{epoch}", reason)

    def _opening(
        self, dataset: str, epoch: str, allowed: tuple[EpochState, ...], action: str, detail: str = ""
    ) -> dict[str, Any]:
        """The epoch's row, once its state allows the opening and the opening is on record."""
        with write_transaction(self._database):
            row = self._get_epoch_row(dataset, epoch)
            if row["state"] not in allowed:
                raise _state_error(row, " or ".join(allowed))
            self._vault.record(action, f"{dataset}/{epoch}", detail)
        return row

    def _find_epoch_row(self, dataset: str, epoch: str) -> dict[str, Any] | None:
        return self._vault.find_row("SELECT * FROM epoch WHERE dataset = ? AND epoch = ?", dataset, epoch)

    def _get_epoch_row(self, dataset: str, epoch: str) -> dict[str, Any]:
        row = self._find_epoch_row(dataset, epoch)
        if row is None:
            raise EpochUnknown("no such epoch", dataset=dataset, epoch=epoch)
        return row

    def _get_identity_row(self) -> dict[str, Any]:
        row = self._vault.find_row("SELECT * FROM identity")
        if row is None:
            raise IdentityMissing("this home has no identity")
        return row


def _state_error(row: dict[str, Any], wanted: str) -> EpochStateError:
    place = {"dataset": row["dataset"], "epoch": row["epoch"]}
    return EpochStateError(f"the epoch is {row['state']}", **place, state=row["state"], wanted=wanted)


def _epoch_record(row: dict[str, Any]) -> EpochRecord:
    def moment(column: str) -> datetime | None:
        return None if row[column] is None else parse_time(row[column])

    return EpochRecord(
        dataset=row["dataset"],
        epoch=row["epoch"],
        state=row["state"],
        public_key=row["public_key"],
        created_at=parse_time(row["created_at"]),
        not_before=parse_time(row["not_before"]),
        not_after=parse_time(row["not_after"]),
        activated_at=moment("activated_at"),
        expired_at=moment("expired_at"),
        destroyed_at=moment("destroyed_at"),
    )


def _public_identity(row: dict[str, Any]) -> PublicIdentity:
    return PublicIdentity(row["name"], row["kind"], row["verify_key"])
