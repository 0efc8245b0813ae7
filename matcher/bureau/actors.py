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


class NotInCare(NotAllowed):
    """There is no such household, visit, loan or claim, or it is another township's, county's or bank's: which of the
    two, nobody is told who might ask number by number."""

    code = "not_in_care"

    def __init__(self) -> None:
        super().__init__("not there, or not in this account's care")


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
    """``part.verb``. PERMISSION_WORDS says what each means."""

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
    AGREE_EXPORT = "export.agree"
    PROPOSE_POLICY = "policy.propose"
    ADOPT_POLICY = "policy.adopt"
    SEE_AUDIT = "audit.see"
    MANAGE_ACCOUNTS = "account.manage"
    PURGE = "purge"


_P = Permission
PERMISSION_WORDS: Mapping[Permission, tuple[str, str]] = {
    _P.SEE_HOUSEHOLDS: ("查看家庭（脱敏）", "see households and members in its care, masked"),
    _P.REFINE: ("名单细化", "take households in or out when the county refines admission"),
    _P.SUPPLEMENT: ("补充家庭", "supplement households that the match did not bring, with a reason"),
    _P.SETTLE_CONFLICT: ("处理名单冲突", "settle a conflict of the hand-overs, with a reason"),
    _P.REVEAL: ("查看完整个人信息", "see one person's number, name or address in full, with a reason each time"),
    _P.SEE_SENSITIVE: ("查看敏感信息", "see N10-N12 and the departments' answers, which stay on the government side"),
    _P.PLAN_VISITS: ("安排走访", "plan, assign and export visits"),
    _P.VISIT: ("入户走访", "visit: start, fill in the form, take photos, submit, or say why it failed"),
    _P.ACCEPT_VISIT: ("采纳走访结果", "accept or return what was collected, never one's own"),
    _P.CHECK_DEPARTMENT: ("部门核验", "run checks against departments' datasets and take their answers"),
    _P.ENTER_CHECK: ("录入核验结果", "enter a department's answer by hand, with the document's number"),
    _P.REVIEW: ("审核经办", "work on the queue and propose a decision"),
    _P.DECIDE: ("审核复核", "confirm or send back what another proposed, never on a form one collected"),
    _P.OBJECT: ("登记申诉与异议", "enter an appeal or an objection"),
    _P.LIST_END: ("最终名单变更", "graduate, suspend, resume, remove a listed household; hold up or end a subsidy"),
    _P.SEE_LOANS: ("查看贷款", "see loans and their interest lines; a bank its own only"),
    _P.ENTER_LOANS: ("录入贷款", "import loan files, enter commitments, contracts and movements of one's own bank"),
    _P.PREPARE_CLAIM: ("编制贴息申请", "build, freeze, check and submit one's own bank's claim"),
    _P.AUDIT_CLAIM: ("审计贴息申请", "draw the sample of a claim and enter its findings"),
    _P.REVIEW_CLAIM: ("县级审核贴息申请", "review a claim for the county; two persons where money is decided"),
    _P.APPROVE_CLAIM: ("省级审批贴息申请", "review and approve a claim for the province"),
    _P.PAY_CLAIM: ("拨付", "record the payment of a claim, and close it"),
    _P.SEE_FIGURES: ("查看数据报表", "see figures and reports"),
    _P.EXPORT: ("导出", "export lists and reports; each is an audit row"),
    _P.AGREE_EXPORT: ("同意他人导出", "agree that another takes a file with personal data away; never one's own"),
    _P.PROPOSE_POLICY: ("提出政策参数", "propose a policy file"),
    _P.ADOPT_POLICY: ("启用政策参数", "adopt a policy that another proposed"),
    _P.SEE_AUDIT: ("查看审计日志", "see the audit log and the accounts, and verify the chain"),
    _P.MANAGE_ACCOUNTS: ("管理账号", "propose, approve, reset and close accounts, two at a time"),
    _P.PURGE: ("清除到期数据", "delete what its retention time no longer allows to keep"),
}  # fmt: skip
"""Chinese and English, for people."""

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.PROVINCE: frozenset({_P.SEE_FIGURES, _P.APPROVE_CLAIM}),
    Role.HANDLER: frozenset(
        {
            _P.SEE_HOUSEHOLDS, _P.REFINE, _P.SUPPLEMENT, _P.SETTLE_CONFLICT, _P.REVEAL, _P.SEE_SENSITIVE,
            _P.PLAN_VISITS, _P.CHECK_DEPARTMENT, _P.ENTER_CHECK, _P.REVIEW, _P.OBJECT, _P.SEE_LOANS,
            _P.SEE_FIGURES, _P.EXPORT, _P.AGREE_EXPORT, _P.PROPOSE_POLICY, _P.REVIEW_CLAIM, _P.LIST_END,
        }
    ),
    Role.CHECKER: frozenset(
        {
            _P.SEE_HOUSEHOLDS, _P.REVEAL, _P.SEE_SENSITIVE, _P.ACCEPT_VISIT, _P.DECIDE, _P.SEE_LOANS, _P.SEE_FIGURES,
            _P.EXPORT, _P.AGREE_EXPORT, _P.ADOPT_POLICY, _P.REVIEW_CLAIM, _P.PAY_CLAIM, _P.LIST_END, _P.SEE_AUDIT,
            _P.PURGE,
        }
    ),
    Role.TOWNSHIP: frozenset({_P.SEE_HOUSEHOLDS, _P.VISIT, _P.OBJECT, _P.SEE_FIGURES}),
    Role.DEPARTMENT: frozenset({_P.ENTER_CHECK}),
    Role.BANK_MANAGER: frozenset({_P.SEE_HOUSEHOLDS, _P.VISIT}),
    Role.BANK_ADMIN: frozenset(
        {
            _P.SEE_HOUSEHOLDS, _P.PLAN_VISITS, _P.SEE_LOANS, _P.ENTER_LOANS, _P.PREPARE_CLAIM, _P.SEE_FIGURES,
            _P.EXPORT, _P.AGREE_EXPORT,
        }
    ),
    Role.AUDITOR: frozenset(
        {_P.SEE_HOUSEHOLDS, _P.SEE_LOANS, _P.SEE_FIGURES, _P.SEE_AUDIT, _P.AUDIT_CLAIM, _P.REVEAL, _P.EXPORT}
    ),
    Role.ADMIN: frozenset({_P.MANAGE_ACCOUNTS, _P.SEE_AUDIT}),
}  # fmt: skip


@dataclass(frozen=True)
class Actor:
    """One account at work. ``townships``: division prefixes in its care, empty for all; ``bank``: of a bank's own;
    ``department``: of a department's own, as policies name it."""

    name: str
    roles: frozenset[Role]
    townships: tuple[str, ...] = ()
    bank: str | None = None
    department: str | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        return frozenset().union(*(PERMISSIONS[role] for role in self.roles))

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission, *, division: str | None = None, bank: str | None = None) -> None:
        """Raises NotInCare: ``division`` or ``bank`` is not in this account's care; NotAllowed: no role has it."""
        is_foreign = bank is not None and self.bank not in (None, bank)
        if is_foreign or (division is not None and not self.cares_for(division)):
            raise NotInCare()
        if not self.may(permission):
            raise NotAllowed("the account may not do this", permission=permission.value)

    def cares_for(self, division: str) -> bool:
        return not self.townships or division.startswith(self.townships)

    def require_answer_of(self, department: str) -> None:
        """A department's own people answer for it alone; the county's enter what any department wrote.

        Raises NotAllowed, NotInCare.
        """
        self.require(Permission.ENTER_CHECK)
        if Role.DEPARTMENT in self.roles and self.department != department:
            raise NotInCare()

    def require_other(self, first: str | None) -> None:
        """Raises SamePerson if this account did the first part itself."""
        if first == self.name:
            raise SamePerson("a second person has to do this", first=first)


def conceal(actor: Actor, error: MingceError) -> MingceError:
    """What ``actor`` is told: with a narrower care than the whole office's, that a number is nobody's sounds as that it
    is another's."""
    is_narrow = bool(actor.townships) or actor.bank is not None
    is_own = "contract_no" in error.params  # looked for among the bank's own contracts
    return NotInCare() if is_narrow and error.code in _OF_A_NUMBER and not is_own else error


_OF_A_NUMBER = frozenset(
    {
        "household_unknown", "member_unknown", "conflict_unknown", "handover_unknown", "visit_unknown",
        "attachment_unknown", "decision_unknown", "loan_unknown", "loan_file_unknown", "commitment_unknown",
        "claim_unknown", "download_unknown",
    }
)  # fmt: skip


SYSTEM = Actor("system", frozenset())
"""The nightly job: it computes and decides nothing."""
