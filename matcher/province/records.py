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


class NotGranted(MingceError):
    """The party is known but may not do this."""

    code = "not_granted"


class BudgetExhausted(MingceError):
    """The batch holds more elements than the party's budget has left; nothing was charged."""

    code = "budget_exhausted"


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
    """A registered bank or bureau; ``fingerprint`` is the SHA-256 of its Ed25519 public key, in hex."""

    fingerprint: str
    name: str
    kind: IdentityKind
    verify_key: bytes
    state: PartyState
    registered_at: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Party:
        return cls(**row)

    @property
    def identity(self) -> PublicIdentity:
        return PublicIdentity(self.name, self.kind, self.verify_key)


@dataclass(frozen=True)
class Dataset:
    """``current_epoch`` is None until the first epoch is served."""

    name: str
    title: str
    label_schema: Mapping[str, object]
    current_epoch: str | None
    created_at: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Dataset:
        return cls(**{**row, "label_schema": json.loads(row["label_schema"])})


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
    """In elements. A limit lowered below what is used leaves nothing, not less."""

    limit: int
    used: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class EditionRecord:
    """A published edition; ``folder`` is relative to the home, ``rows`` are without dummies."""

    dataset: str
    epoch: str
    edition: int
    manifest_sha256: str
    folder: str
    state: str
    published_at: str
    rows: int
    counts: Mapping[str, int]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> EditionRecord:
        return cls(**{**row, "counts": json.loads(row["counts"])})
