"""Operators: the persons who may decide for a party, each with an Ed25519 key of their own.

The home's identity signs for the organisation; an operator's key signs for a person, is wrapped
under that person's passphrase and is kept by that person. Decisions that one person must not take
alone are JSON payloads in an envelope with two operators' signatures (keys.envelope).

Whoever holds the home registers operators until two are active; from then on a registration, and every
revocation, takes two operators' signatures. So one who gets hold of the home alone adds nobody, and
a revoked key never comes back. Register a third operator early: with two, a lost key is a dead end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from keys.clock import parse_time
from keys.database import write_transaction
from keys.envelope import (
    AlreadySigned,
    Countersigned,
    SignaturesMissing,
    add_signature,
    claimed_signers,
    open_countersigned,
    sign_envelope,
)
from keys.identity import Identity, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_text
from keys.vault import Vault
from keys.wrap import MODERATE, PassphraseCost, PassphraseKek
from psi.errors import InputError, MingceError

Role = Literal["propose", "approve"]
ROLES: tuple[Role, ...] = get_args(Role)
Action = Literal["register", "revoke"]

KEY_FORMAT = "mingce-operator-key/1"
DECISION_FORMAT = "mingce-operator-decision/1"
DECISION_TYPE = "application/vnd.mingce.operator-decision+json"
SEED_BYTES = 32
_MAX_KEY_BYTES = 4_096


class OperatorKeyInvalid(InputError):
    """A file is not an operator's key of format mingce-operator-key/1."""

    code = "operator_key_invalid"


class OperatorUnknown(InputError):
    """No operator of this home has this name or key."""

    code = "operator_unknown"


class OperatorConflict(InputError):
    """The name or the key is registered already, or was revoked; or another decision about it is waiting."""

    code = "operator_conflict"


class OperatorNotAllowed(MingceError):
    """The person is no active operator of this home, or lacks the role; params ``role``."""

    code = "operator_not_allowed"


@dataclass(frozen=True)
class Operator:
    """A registered operator. ``state`` is ``active`` or ``revoked``; times are RFC 3339 UTC."""

    fingerprint: str
    name: str
    verify_key: bytes
    roles: tuple[Role, ...]
    state: str
    registered_at: str
    revoked_at: str | None

    @property
    def identity(self) -> PublicIdentity:
        return PublicIdentity(self.name, "operator", self.verify_key)


def create_operator_key(
    name: str, passphrase: str, random_bytes: Callable[[int], bytes], *, cost: PassphraseCost = MODERATE
) -> bytes:
    """A new operator's key file. Raises IdentityInvalid (the name), PassphraseTooShort (under 12 characters)."""
    identity = Identity(name, "operator", random_bytes(SEED_BYTES))
    kek = PassphraseKek(lambda: passphrase, cost)
    document = {
        "format": KEY_FORMAT,
        "name": name,
        "verify_key": identity.public.verify_key.hex(),
        "wrapped_seed": kek.wrap(identity.expose_seed(), _key_context(identity.public)).hex(),
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def read_operator_key(data: bytes) -> PublicIdentity:
    """Whose key a file claims to be, without the passphrase. Raises OperatorKeyInvalid, IdentityInvalid."""
    return _parse_key(data)[0]


def open_operator_key(data: bytes, passphrase: str) -> Identity:
    """The operator's identity. Raises OperatorKeyInvalid, IdentityInvalid, KeyUnwrapFailed, PassphraseTooShort."""
    public, wrapped = _parse_key(data)
    identity = Identity(
        public.name, "operator", PassphraseKek(lambda: passphrase).unwrap(wrapped, _key_context(public))
    )
    if identity.public != public:
        raise OperatorKeyInvalid("the public key is another key's")
    return identity


class Operators:
    """The tables ``operator`` and ``operator_proposal`` of a home: KeyStore.operators."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._database = vault.database

    def register(
        self, identity: PublicIdentity, roles: Sequence[Role] = ROLES, *, signer: Identity | None = None
    ) -> Operator | None:
        """Register an operator, or sign for it: None while the second signature is missing.

        ``signer`` is not needed while fewer than two operators are active. The second operator makes the
        same call with their own identity. Raises SignaturesMissing (no signer where one is needed),
        OperatorConflict, OperatorNotAllowed, AlreadySigned, InputError.
        """
        if identity.kind != "operator":
            raise InputError("only a person's key can be registered as an operator", kind=identity.kind)
        if not roles or not set(roles) <= set(ROLES):
            raise InputError("an operator's roles are propose and approve", roles=list(roles))
        ordered = [role for role in ROLES if role in roles]
        with write_transaction(self._database):
            if self._find_row("fingerprint", identity.fingerprint) or self._find_row("name", identity.name):
                raise OperatorConflict("the name or the key is registered", name=identity.name)
            if len(self.list_active()) >= 2 and not self._sign("register", identity, ordered, signer):
                return None
            row = {
                "fingerprint": identity.fingerprint,
                "name": identity.name,
                "verify_key": identity.verify_key,
                "roles": json.dumps(ordered),
                "state": "active",
                "registered_at": self._vault.now(),
            }
            self._database.table("operator").insert(row)
            self._vault.record("operator register", identity.name, identity.fingerprint)
        return self.get(identity.fingerprint)

    def revoke(self, fingerprint: str, *, signer: Identity) -> Operator | None:
        """Revoke an operator for good, or sign for it: None while the second signature is missing.

        Raises OperatorUnknown, OperatorConflict (revoked already), OperatorNotAllowed, AlreadySigned.
        """
        with write_transaction(self._database):
            operator = self.get(fingerprint)
            if operator.state != "active":
                raise OperatorConflict("the operator is revoked", name=operator.name)
            if not self._sign("revoke", operator.identity, list(operator.roles), signer):
                return None
            changes = {"state": "revoked", "revoked_at": self._vault.now()}
            self._database.table("operator").update(fingerprint, changes)
            # What the revoked one began to decide is void, as is what waits for deciding about them.
            self._database.conn.execute(
                "DELETE FROM operator_proposal WHERE proposer = ? OR fingerprint = ?", [fingerprint, fingerprint]
            )
            self._vault.record("operator revoke", operator.name, fingerprint)
        return self.get(fingerprint)

    def list_all(self) -> list[Operator]:
        """Revoked ones too, in the order of registration."""
        return [_operator(row) for row in self._vault.list_rows("SELECT * FROM operator ORDER BY rowid")]

    def list_active(self) -> list[Operator]:
        return [operator for operator in self.list_all() if operator.state == "active"]

    def get(self, fingerprint: str) -> Operator:
        """Raises OperatorUnknown."""
        row = self._find_row("fingerprint", fingerprint)
        if row is None:
            raise OperatorUnknown("no such operator", fingerprint=fingerprint)
        return _operator(row)

    def get_by_name(self, name: str) -> Operator:
        """Raises OperatorUnknown."""
        row = self._find_row("name", name)
        if row is None:
            raise OperatorUnknown("no such operator", name=name)
        return _operator(row)

    def find(self, fingerprint: str) -> PublicIdentity | None:
        """An active operator's identity: what keys.envelope.open_countersigned asks for."""
        row = self._find_row("fingerprint", fingerprint)
        return None if row is None or row["state"] != "active" else _operator(row).identity

    def require(self, fingerprint: str, role: Role) -> Operator:
        """The active operator with this key and role. Raises OperatorNotAllowed."""
        row = self._find_row("fingerprint", fingerprint)
        operator = None if row is None else _operator(row)
        if operator is None or operator.state != "active" or role not in operator.roles:
            raise OperatorNotAllowed("no active operator of this home with this role", role=role)
        return operator

    def open_proposal(self, envelope: bytes, payload_type: str) -> Countersigned:
        """What one operator proposed: signed by active operators, at least one with role ``propose``.

        Raises EnvelopeInvalid, SignerUnknown, SignatureInvalid, OperatorNotAllowed.
        """
        opened = open_countersigned(envelope, payload_type, self.find, minimum=1)
        if not any("propose" in self.get(signer.fingerprint).roles for signer in opened.signers):
            raise OperatorNotAllowed("nobody who signed may propose", role="propose")
        return opened

    def open_decision(self, envelope: bytes, payload_type: str) -> Countersigned:
        """What two active operators decided: one may propose, and another may approve.

        Raises what :meth:`open_proposal` raises, and SignaturesMissing.
        """
        opened = self.open_proposal(envelope, payload_type)
        if len(opened.signers) < 2:
            raise SignaturesMissing("a second operator has not signed", found=len(opened.signers), needed=2)
        roles = [self.get(signer.fingerprint).roles for signer in opened.signers]
        pairs = ((one, other) for one in range(len(roles)) for other in range(len(roles)) if one != other)
        if not any("propose" in roles[one] and "approve" in roles[other] for one, other in pairs):
            raise OperatorNotAllowed("nobody but the proposer who signed may approve", role="approve")
        return opened

    # Inside

    def _sign(self, action: Action, about: PublicIdentity, roles: list[Role], signer: Identity | None) -> bool:
        """Add a signature to the decision about an operator; True once it is taken. Inside a write transaction."""
        if signer is None:
            raise SignaturesMissing("two operators must sign this", found=0, needed=2)
        payload = self._decision(action, about, roles)
        key = [action, about.fingerprint]
        row = self._vault.find_row("SELECT * FROM operator_proposal WHERE action = ? AND fingerprint = ?", *key)
        if row is None:
            self.require(signer.public.fingerprint, "propose")
            envelope = sign_envelope(signer, DECISION_TYPE, payload)
            values = [*key, signer.public.fingerprint, envelope, self._vault.now()]
            self._database.conn.execute("INSERT INTO operator_proposal VALUES (?, ?, ?, ?, ?)", values)
            self._vault.record(f"operator propose {action}", about.name, signer.public.fingerprint)
            return False
        if signer.public.fingerprint in claimed_signers(row["envelope"]):
            raise AlreadySigned("signed by this key already", fingerprint=signer.public.fingerprint)
        self.require(signer.public.fingerprint, "approve")
        signed = add_signature(row["envelope"], signer)
        if self.open_decision(signed, DECISION_TYPE).payload != payload:
            raise OperatorConflict("another decision about this operator waits", name=about.name)
        self._database.conn.execute("DELETE FROM operator_proposal WHERE action = ? AND fingerprint = ?", key)
        self._vault.record(f"operator approve {action}", about.name, signed.decode())
        return True

    def _decision(self, action: Action, about: PublicIdentity, roles: list[Role]) -> bytes:
        """What is signed. It names the home, so that it decides nothing in another one."""
        home = self._vault.find_row("SELECT verify_key FROM identity")
        document = {
            "format": DECISION_FORMAT,
            "action": action,
            "home": None if home is None else home["verify_key"].hex(),
            "name": about.name,
            "verify_key": about.verify_key.hex(),
            "roles": roles,
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    def _find_row(self, column: Literal["fingerprint", "name"], value: str) -> dict[str, Any] | None:
        return self._vault.find_row(f"SELECT * FROM operator WHERE {column} = ?", value)  # noqa: S608


def _operator(row: dict[str, Any]) -> Operator:
    parse_time(row["registered_at"])
    return Operator(
        fingerprint=row["fingerprint"],
        name=row["name"],
        verify_key=row["verify_key"],
        roles=tuple(json.loads(row["roles"])),
        state=row["state"],
        registered_at=row["registered_at"],
        revoked_at=row["revoked_at"],
    )


def _key_context(public: PublicIdentity) -> bytes:
    return b"mingce/1 operator key\x00" + public.verify_key + public.name.encode()


def _parse_key(data: bytes) -> tuple[PublicIdentity, bytes]:
    members = ("format", "name", "verify_key", "wrapped_seed")
    try:
        parsed = parse_object(data, members, max_bytes=_MAX_KEY_BYTES)
        texts = {member: require_text(parsed[member]) for member in members}
    except JsonInvalid as error:
        raise OperatorKeyInvalid(f"operator key: {error.detail}") from None
    if texts["format"] != KEY_FORMAT:
        raise OperatorKeyInvalid("not a mingce-operator-key/1 document")
    if not re.fullmatch(r"[0-9a-f]{64}", texts["verify_key"]) or not re.fullmatch(
        r"([0-9a-f]{2})+", texts["wrapped_seed"]
    ):
        raise OperatorKeyInvalid("a member is not lower-case hex")
    public = PublicIdentity(texts["name"], "operator", bytes.fromhex(texts["verify_key"]))
    return public, bytes.fromhex(texts["wrapped_seed"])
