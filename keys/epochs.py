"""What an epoch is, its states, and what is derived from its secret. No storage here.

An epoch is the span of one OPRF key of one dataset, about a year:

    pending --activate--> active --expire--> expired --destroy--> destroyed

Pending: the key exists and an edition may be built. Active: it is served and answers
evaluations. Expired: nothing is evaluated any more; receipts can still be checked. Destroyed:
the key and the secret are gone. Several epochs of a dataset may be active at once, so that
a new year's list can be matched while last year's is still in use.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from psi.errors import InputError, MingceError

EpochState = Literal["pending", "active", "expired", "destroyed"]

SECRET_BYTES = 32
NEXT_STATE: dict[EpochState, EpochState] = {"pending": "active", "active": "expired", "expired": "destroyed"}
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_PURPOSE = re.compile(r"[a-z][a-z0-9 -]{0,62}")
_DIVISION = re.compile(r"[0-9]{6}")


class EpochStateError(MingceError):
    """The epoch is not in a state that allows this; params: ``dataset``, ``epoch``, ``state``, ``wanted``."""

    code = "epoch_state"


@dataclass(frozen=True)
class EpochRecord:
    """The public facts about one epoch. Times are UTC; those of moves not yet made are None."""

    dataset: str
    epoch: str
    state: EpochState
    public_key: bytes
    created_at: datetime
    not_before: datetime
    not_after: datetime
    activated_at: datetime | None = None
    expired_at: datetime | None = None
    destroyed_at: datetime | None = None
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fingerprint", hashlib.sha256(self.public_key).hexdigest())


def check_name(name: str, what: str) -> str:
    """``name`` itself, if it can name a dataset or an epoch (protocol.md section 2). Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{what} is 1 to 63 of a-z 0-9 . _ - and starts with a letter or digit", what=what)
    return name


def context(dataset: str, epoch: str) -> bytes:
    """``context`` of protocol.md section 2: both names with their lengths in front."""
    return b"".join(bytes([len(name)]) + name.encode("ascii") for name in (dataset, epoch))


def derive_secret(epoch_secret: bytes, dataset: str, epoch: str, purpose: str) -> bytes:
    """32 bytes for one purpose from an epoch's secret, by HKDF-SHA-512 (RFC 5869)."""
    if not _PURPOSE.fullmatch(purpose):
        raise InputError("a purpose is up to 63 of a-z 0-9 - and space")
    info = b"mingce/1 epoch secret\x00" + context(dataset, epoch) + purpose.encode("ascii")
    return _hkdf(epoch_secret, info)


def derive_receipt_key(receipt_secret: bytes, dataset: str, epoch: str, division: str) -> bytes:
    """The receipt key of one division (protocol.md section 2, Receipts): 32 bytes."""
    if not _DIVISION.fullmatch(division):
        raise InputError("a division of receipts is 6 digits", what="division")
    info = b"mingce/1 receipt key\x00" + context(dataset, epoch) + division.encode("ascii")
    return _hkdf(receipt_secret, info)


def _hkdf(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA512(), length=SECRET_BYTES, salt=b"", info=info).derive(secret)
