"""What two operators sign about a legal entity: its declared numbers. The table is in declarations.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keys.strictjson import parse_object
from matcher.province.budgets import allowance, full_pass_allowance
from psi.edition import Hex32, Name
from psi.errors import InputError, MingceError, VerificationError

DECLARATION_TYPE = "application/vnd.mingce.declaration+json"
REJECTION_TYPE = "application/vnd.mingce.declaration-rejection+json"
MAX_CUSTOMERS = 1_000_000_000
MAX_PAYLOAD_BYTES = 16 * 1024

State = Literal["proposed", "approved", "rejected"]


class DeclarationUnknown(InputError):
    """No declaration has this number."""

    code = "declaration_unknown"


class DeclarationDecided(MingceError):
    """A declaration is decided already, or is in another's way. Params: declaration, its number, and why.

    ``decided`` before; still ``waits`` for a decision; ``outdated``, as another was approved since it was proposed.
    """

    code = "declaration_decided"


class DeclarationInvalid(VerificationError):
    """A stored declaration is not what its signatures say, or a budget is not what its declaration says."""

    code = "declaration_invalid"


class Declaration(BaseModel):
    """What is signed. ``id`` is random, so that no two declarations are the same bytes; ``province`` is the
    fingerprint of the home's identity, ``replaces`` the SHA-256 of the declaration that is in force."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal["mingce-declaration/1"] = "mingce-declaration/1"
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    province: Hex32
    entity: Annotated[str, Field(min_length=1, max_length=200)]
    dataset: Name
    epoch: Name
    customers: Annotated[int, Field(ge=0, le=MAX_CUSTOMERS)]
    new_a_night: Annotated[int, Field(ge=0, le=MAX_CUSTOMERS)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    replaces: Hex32 | None

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Raises InputError."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise InputError(f"{first['loc'][0]}: {first['msg']}") from None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Raises DeclarationInvalid unless the bytes are exactly what :meth:`encode` makes."""
        try:
            declaration = cls.make(**parse_object(payload, tuple(cls.model_fields), max_bytes=MAX_PAYLOAD_BYTES))
        except InputError:
            raise DeclarationInvalid("not a declaration") from None
        if declaration.encode() != payload:
            raise DeclarationInvalid("another spelling of a declaration")
        return declaration

    def encode(self) -> bytes:
        return json.dumps(self.model_dump(), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class DeclarationRecord:
    """A row of ``declaration``. ``limit`` and ``nightly`` are the allowances it stands for, in elements."""

    declaration_id: int
    entity: str
    dataset: str
    epoch: str
    customers: int
    new_a_night: int
    reason: str
    state: State
    payload_sha256: str
    proposed_by: str
    proposed_at: str
    decided_by: str | None
    decided_at: str | None

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    @property
    def limit(self) -> int:
        return full_pass_allowance(self.customers)

    @property
    def nightly(self) -> int:
        return allowance(self.new_a_night)
