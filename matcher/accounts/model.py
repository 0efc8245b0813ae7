"""What an account is, which roles may go together, and what can be wrong with one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from matcher.bureau.actors import SYSTEM, Actor, Role
from psi.errors import InputError, MingceError, VerificationError

NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")  # no two look alike: the two-person rule compares names
_TOWNSHIP = re.compile(r"[0-9]{6,12}")
_DEPARTMENT = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_DISPLAY_NAME_CHARACTERS = 40

ALONE = frozenset({Role.ADMIN, Role.AUDITOR})
"""Roles that an account has alone: whoever manages accounts or audits decides nothing else."""
ALONE_ADMIN = json.dumps([Role.ADMIN.value])
"""An administrator's roles, as they are stored."""
OF_A_BANK = frozenset({Role.BANK_MANAGER, Role.BANK_ADMIN})


class AccountInvalid(InputError):
    """An account cannot be as it was asked for; params ``reason``."""

    code = "account_invalid"


class AccountConflict(InputError):
    """The name is or was another account's: records name accounts for ever, so no name is used twice."""

    code = "account_conflict"


class AccountUnknown(InputError):
    """There is no account of this name; params ``name``."""

    code = "account_unknown"


class AccountState(MingceError):
    """Not possible in the account's state; params ``name``, ``state``."""

    code = "account_state"


class FoundersComplete(MingceError):
    """Two administrators are at work: from now on one of them proposes accounts and the other approves."""

    code = "founders_complete"


class SignInFailed(VerificationError):
    """No sign-in. Whether for the name, the password, the account's state or too many failures is not said."""

    code = "sign_in_failed"


class PasswordNotChosen(VerificationError):
    """The one-time password is right, but all it is good for is choosing one's own."""

    code = "password_not_chosen"


class SecondFactorMissing(VerificationError):
    """The session began with the password alone: all it is good for is binding a device."""

    code = "second_factor_missing"


class SessionInvalid(VerificationError):
    """No session has this token, or it has ended."""

    code = "session_invalid"


@dataclass(frozen=True)
class NewAccount:
    """``townships``: division prefixes in its care, empty for all; ``bank``: fingerprint, for a bank's own people;
    ``department``: for a department's, as policies and datasets name it."""

    name: str
    display_name: str
    roles: frozenset[Role]
    townships: tuple[str, ...] = ()
    bank: str | None = None
    department: str | None = None

    def check(self, divisions: Collection[str]) -> None:
        """``divisions`` are the bureau's counties. Raises AccountInvalid."""
        for reason, found in self._faults(divisions).items():
            if found:
                raise AccountInvalid(f"the account of {self.name!r} cannot be so", reason=reason)

    def _faults(self, divisions: Collection[str]) -> dict[str, bool]:
        of_a_bank = self.roles & OF_A_BANK
        return {
            "name_form": not NAME.fullmatch(self.name) or self.name == SYSTEM.name,
            "display_name_form": not self.display_name.isprintable()
            or not 1 <= len(self.display_name.strip()) <= _DISPLAY_NAME_CHARACTERS,
            "roles_none": not self.roles,
            "roles_alone": len(self.roles) > 1 and bool(self.roles & ALONE),
            "roles_mixed": bool(of_a_bank) and of_a_bank != self.roles,
            "bank_missing": bool(of_a_bank) and self.bank is None,
            "bank_foreign": not of_a_bank and self.bank is not None,
            "department_missing": Role.DEPARTMENT in self.roles and self.department is None,
            "department_foreign": Role.DEPARTMENT not in self.roles and self.department is not None,
            "department_form": self.department is not None and not _DEPARTMENT.fullmatch(self.department),
            "township_missing": Role.TOWNSHIP in self.roles and not self.townships,
            "township_form": not all(_TOWNSHIP.fullmatch(code) and code[:6] in divisions for code in self.townships),
        }


@dataclass(frozen=True)
class Account:
    """An account as a list shows it. ``password``: "none", "one-time" or "own"; ``bank`` is the bank's name.

    ``device``: one is bound as second factor; ``reset_by`` and ``device_reset_by``: who asked for a new one-time
    password, or for the end of the device, and waits for another administrator.
    """

    name: str
    display_name: str
    roles: tuple[Role, ...]
    townships: tuple[str, ...]
    bank: str | None
    department: str | None
    state: str
    password: str
    device: bool
    created_by: str
    approved_by: str | None
    reset_by: str | None
    device_reset_by: str | None
    created_at: str
    updated_at: str


def actor_of(row: Mapping[str, Any]) -> Actor:
    """The actor that a row of ``account`` is."""
    return Actor(
        row["name"],
        frozenset(Role(role) for role in json.loads(row["roles"])),
        tuple(json.loads(row["townships"])),
        row["bank"],
        row["department"],
    )
