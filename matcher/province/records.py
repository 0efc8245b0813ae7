"""What the province's ledger hands out, and the errors it raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from keys.identity import IdentityKind, PublicIdentity
from psi.errors import InputError, MingceError

PartyState = Literal["active", "suspended"]


class UnknownRecord(InputError):
    """No such party, dataset, epoch, edition or grant."""

    code = "not_found"


class PartyConflict(InputError):
    """A name or a key is registered already for someone else."""

    code = "party_conflict"


class ReceiverRefused(InputError):
    """The dataset is not for parties of this kind; ``params``: dataset, kind, receivers."""

    code = "receiver_refused"


class LabelSchemaChanged(InputError):
    """A dataset keeps its label schema and the kinds of party it is for; ``params``: dataset, registered, wanted."""

    code = "label_schema_changed"


class NotGranted(MingceError):
    """The party is known but may not do this."""

    code = "not_granted"


class BudgetExhausted(MingceError):
    """The batch holds more elements than the budget has left; nothing was charged.

    ``params["next_at"]`` says when the batch will fit, or is None if no night's allowance will ever hold it.
    """

    code = "budget_exhausted"


class BudgetRefused(MingceError):
    """An entity asked for more than it may. Only ever an alarm, once a day."""

    code = "budget_refused"


class IdempotencyMismatch(MingceError):
    """The idempotency key was used before, with another request."""

    code = "idempotency_mismatch"


class Replayed(MingceError):
    """A signed request was sent a second time."""

    code = "replayed"


class AnswerDiffers(MingceError):
    """One request got two different answers: the evaluation is not deterministic, or its key was replaced."""

    code = "answer_differs"


class EditionNotRising(MingceError):
    """An edition's number is not above the last one of its epoch."""

    code = "edition_not_rising"


@dataclass(frozen=True)
class Party:
    """A registered bank or bureau; ``fingerprint`` is the SHA-256 of its Ed25519 public key, in hex.

    ``entity`` is the legal entity it acts for, whose budgets it uses.
    """

    fingerprint: str
    name: str
    kind: IdentityKind
    verify_key: bytes
    state: PartyState
    registered_at: str
    entity: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Party:
        return cls(**row)

    @property
    def identity(self) -> PublicIdentity:
        return PublicIdentity(self.name, self.kind, self.verify_key)


@dataclass(frozen=True)
class Dataset:
    """``current_epoch`` is None until the first epoch is served; ``receivers`` are the kinds of party it is for."""

    name: str
    title: str
    label_schema: Mapping[str, object]
    current_epoch: str | None
    created_at: str
    receivers: frozenset[str]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Dataset:
        receivers = frozenset(json.loads(row["receivers"]))
        return cls(**{**row, "label_schema": json.loads(row["label_schema"]), "receivers": receivers})


@dataclass(frozen=True)
class Grant:
    """``divisions`` is None when all are granted."""

    party: str
    dataset: str
    divisions: frozenset[str] | None
    granted_at: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Grant:
        listed = row["divisions"]
        return cls(**{**row, "divisions": None if listed is None else frozenset(json.loads(listed))})

    def covers(self, division: str) -> bool:
        return self.divisions is None or division in self.divisions


@dataclass(frozen=True)
class Budget:
    """In elements. ``limit`` and ``used`` are of the full pass; ``nightly`` is the allowance of each calendar day,
    ``used_today`` what is used of today's, ``used_nightly`` of all of them; ``next_at`` is when the next day begins.

    A limit lowered below what is used leaves nothing, not less.
    """

    limit: int
    used: int
    nightly: int = 0
    used_today: int = 0
    used_nightly: int = 0
    next_at: str | None = None

    @property
    def remaining(self) -> int:
        """What can be asked now."""
        return max(0, self.limit - self.used) + max(0, self.nightly - self.used_today)


@dataclass(frozen=True)
class BudgetRecord:
    """A legal entity's budget in one epoch of a dataset."""

    entity: str
    dataset: str
    epoch: str
    budget: Budget


@dataclass(frozen=True)
class EditionRecord:
    """A published edition; ``folder`` is relative to the home, ``rows`` are without dummies.

    ``base`` is the edition that a delta changes, ``restored`` the one whose content a roll-back published
    again; the folder is gone since ``pruned_at``.
    """

    dataset: str
    epoch: str
    edition: int
    manifest_sha256: str
    folder: str
    state: str
    published_at: str
    rows: int
    counts: Mapping[str, int]
    base: int | None
    restored: int | None
    pruned_at: str | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EditionRecord:
        return cls(**{**row, "counts": json.loads(row["counts"])})
