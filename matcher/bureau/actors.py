"""Who acts in the bureau's work: roles, and the least that each may do.

Two-person rules compare account names, so an actor is one account, whatever roles it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from psi.errors import MingceError


class NotAllowed(MingceError):
    """The account's roles do not include this, or the household is not in its care; params ``permission``."""

    code = "not_allowed"


class SamePerson(MingceError):
    """A second person has to do this; params ``first``: who did the first part."""

    code = "same_person"


class Role(StrEnum):
    PROVINCE = "province"
    HANDLER = "handler"
    CHECKER = "checker"
    TOWNSHIP = "township"
    DEPARTMENT = "department"
    BANK_MANAGER = "bank_manager"
    BANK_ADMIN = "bank_admin"
    AUDITOR = "auditor"
    ADMIN = "admin"


ROLE_WORDS: Mapping[Role, str] = {
    Role.PROVINCE: "省财政",
    Role.HANDLER: "县财政经办",
    Role.CHECKER: "县财政复核",
    Role.TOWNSHIP: "镇街",
    Role.DEPARTMENT: "部门",
    Role.BANK_MANAGER: "农商行客户经理",
    Role.BANK_ADMIN: "农商行管理",
    Role.AUDITOR: "审计",
    Role.ADMIN: "管理员",
}


class Permission(StrEnum):
    """``part.verb``. What each means stands in docs/reference/roles.md."""

    SEE_HOUSEHOLDS = "household.see"
    REFINE = "household.refine"
    SUPPLEMENT = "household.supplement"
    SETTLE_CONFLICT = "household.settle"
    REVEAL = "person.reveal"
    SEE_SENSITIVE = "person.sensitive"  # N10-N12 and the departments' answers
    PLAN_VISITS = "visit.plan"
    VISIT = "visit.make"
    ACCEPT_VISIT = "visit.accept"
    CHECK_DEPARTMENT = "check.run"
    ENTER_CHECK = "check.enter"
    REVIEW = "review.propose"
    DECIDE = "review.decide"
    OBJECT = "review.object"
    LIST_END = "listing.end"
    SEE_LOANS = "loan.see"
    ENTER_LOANS = "loan.enter"
    PREPARE_CLAIM = "claim.prepare"
    AUDIT_CLAIM = "claim.audit"
    REVIEW_CLAIM = "claim.review"
    APPROVE_CLAIM = "claim.approve"
    PAY_CLAIM = "claim.pay"
    SEE_FIGURES = "figures.see"
    EXPORT = "export"
    PROPOSE_POLICY = "policy.propose"
    ADOPT_POLICY = "policy.adopt"
    SEE_AUDIT = "audit.see"
    MANAGE_ACCOUNTS = "account.manage"
    PURGE = "purge"


_P = Permission
PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.PROVINCE: frozenset({_P.SEE_FIGURES, _P.APPROVE_CLAIM}),
    Role.HANDLER: frozenset(
        {
            _P.SEE_HOUSEHOLDS, _P.REFINE, _P.SUPPLEMENT, _P.SETTLE_CONFLICT, _P.REVEAL, _P.SEE_SENSITIVE,
            _P.PLAN_VISITS, _P.CHECK_DEPARTMENT, _P.ENTER_CHECK, _P.REVIEW, _P.OBJECT, _P.SEE_LOANS,
            _P.SEE_FIGURES, _P.EXPORT, _P.PROPOSE_POLICY, _P.REVIEW_CLAIM, _P.LIST_END,
        }
    ),
    Role.CHECKER: frozenset(
        {
            _P.SEE_HOUSEHOLDS, _P.REVEAL, _P.SEE_SENSITIVE, _P.ACCEPT_VISIT, _P.DECIDE, _P.SEE_LOANS, _P.SEE_FIGURES,
            _P.EXPORT, _P.ADOPT_POLICY, _P.REVIEW_CLAIM, _P.PAY_CLAIM, _P.LIST_END, _P.SEE_AUDIT, _P.PURGE,
        }
    ),
    Role.TOWNSHIP: frozenset({_P.SEE_HOUSEHOLDS, _P.VISIT, _P.OBJECT, _P.SEE_FIGURES}),
    Role.DEPARTMENT: frozenset({_P.ENTER_CHECK}),
    Role.BANK_MANAGER: frozenset({_P.SEE_HOUSEHOLDS, _P.VISIT}),
    Role.BANK_ADMIN: frozenset(
        {_P.SEE_HOUSEHOLDS, _P.PLAN_VISITS, _P.SEE_LOANS, _P.ENTER_LOANS, _P.PREPARE_CLAIM, _P.SEE_FIGURES, _P.EXPORT}
    ),
    Role.AUDITOR: frozenset(
        {_P.SEE_HOUSEHOLDS, _P.SEE_LOANS, _P.SEE_FIGURES, _P.SEE_AUDIT, _P.AUDIT_CLAIM, _P.REVEAL}
    ),
    Role.ADMIN: frozenset({_P.MANAGE_ACCOUNTS, _P.SEE_AUDIT}),
}  # fmt: skip


@dataclass(frozen=True)
class Actor:
    """One account at work. ``townships``: division prefixes in its care, empty for all; ``bank``: of a bank's own."""

    name: str
    roles: frozenset[Role]
    townships: tuple[str, ...] = ()
    bank: str | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset().union(*(PERMISSIONS[role] for role in self.roles))

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission, *, division: str | None = None, bank: str | None = None) -> None:
        """Raises NotAllowed: no role has it, or ``division`` or ``bank`` is not in this account's care."""
        if not self.may(permission) or (division is not None and not self.cares_for(division)):
            raise NotAllowed("the account may not do this", permission=permission.value)
        if bank is not None and self.bank is not None and bank != self.bank:
            raise NotAllowed("another bank's", permission=permission.value)

    def cares_for(self, division: str) -> bool:
        return not self.townships or division.startswith(self.townships)

    def require_other(self, first: str | None) -> None:
        """Raises SamePerson if this account did the first part itself."""
        if first == self.name:
            raise SamePerson("a second person has to do this", first=first)


SYSTEM = Actor("system", frozenset())
"""The nightly job: it computes and decides nothing."""
