"""The states that things go through, and the only moves between them (docs/reference/states.md).

A machine guards twice: :meth:`Machine.check` in the code, and :meth:`Machine.trigger` in the database,
so that no statement from anywhere can make an illegal move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psi.errors import MingceError


class MoveInvalid(MingceError):
    """Something cannot go from its present state to the one asked for; params: ``what``, ``present``, ``wanted``."""

    code = "move_invalid"


@dataclass(frozen=True)
class Machine:
    """``words`` gives each state's Chinese name, in order; ``moves`` the states that each may go to."""

    name: str
    words: Mapping[str, str]
    moves: Mapping[str, tuple[str, ...]]
    start: str

    def __post_init__(self) -> None:
        named = set(self.words)
        used = {self.start, *self.moves, *(state for targets in self.moves.values() for state in targets)}
        if used - named:
            raise ValueError(f"{self.name}: states without words: {sorted(used - named)}")

    @property
    def final(self) -> frozenset[str]:
        """States that nothing leaves."""
        return frozenset(state for state in self.words if not self.moves.get(state))

    def allows(self, present: str, wanted: str) -> bool:
        return wanted in self.moves.get(present, ())

    def check(self, present: str, wanted: str) -> None:
        """Raises MoveInvalid."""
        if not self.allows(present, wanted):
            raise MoveInvalid(f"a {self.name} cannot go there", what=self.name, present=present, wanted=wanted)

    def trigger(self, table: str, column: str = "state") -> str:
        """SQL that makes every other change of ``table``'s column fail, and every other first state."""
        pairs = ", ".join(f"('{a}', '{b}')" for a, targets in self.moves.items() for b in targets)
        return f"""
CREATE TRIGGER {table}_{column}_moves BEFORE UPDATE OF {column} ON {table}
WHEN OLD.{column} <> NEW.{column} AND (OLD.{column}, NEW.{column}) NOT IN (VALUES {pairs})
BEGIN SELECT RAISE(ABORT, '{self.name}: no such move'); END;

CREATE TRIGGER {table}_{column}_start BEFORE INSERT ON {table}
WHEN NEW.{column} <> '{self.start}'
BEGIN SELECT RAISE(ABORT, '{self.name}: begins as {self.start}'); END;
"""


HOUSEHOLD = Machine(
    "household",
    {
        "IMPORTED": "已导入",
        "MATCHED": "已匹配",
        "REFINED_IN": "细化纳入",
        "REFINED_OUT": "细化排除",
        "SUPPLEMENTED": "补充纳入",
        "TO_VISIT": "待入户调查",
        "VISITED": "已走访",
        "PENDING_REVIEW": "待审核",
        "IN_REVIEW": "审核中",
        "APPROVED": "审核通过",
        "REJECTED": "审核不通过",
        "RETURNED": "退回",
        "CONFIRMING": "确认中",
        "FINAL": "最终名单",
        "GRADUATED": "已跃迁",
        "REMOVED": "已移出",
        "SUSPENDED": "已暂停",
    },
    {
        "IMPORTED": ("MATCHED",),
        "MATCHED": ("REFINED_IN", "REFINED_OUT", "SUPPLEMENTED"),
        "REFINED_IN": ("TO_VISIT",),
        "REFINED_OUT": ("SUPPLEMENTED",),
        "SUPPLEMENTED": ("TO_VISIT",),
        "TO_VISIT": ("VISITED", "REFINED_OUT"),  # the second: nobody was met there, and two persons give it up
        "VISITED": ("PENDING_REVIEW",),
        "PENDING_REVIEW": ("IN_REVIEW",),
        "IN_REVIEW": ("APPROVED", "REJECTED", "RETURNED"),
        "APPROVED": ("CONFIRMING",),
        "REJECTED": ("IN_REVIEW",),  # an appeal, once
        "RETURNED": ("VISITED", "REFINED_OUT"),
        "CONFIRMING": ("FINAL", "IN_REVIEW"),  # back after an objection
        "FINAL": ("GRADUATED", "REMOVED", "SUSPENDED"),
        "SUSPENDED": ("FINAL", "REMOVED"),
    },
    "IMPORTED",
)

VISIT = Machine(
    "visit",
    {
        "PLANNED": "已计划",
        "ASSIGNED": "已分派",
        "STARTED": "已到户",
        "COLLECTED": "已采集",
        "SUBMITTED": "已提交",
        "ACCEPTED": "已采纳",
        "RETURNED": "退回",
        "FAILED": "未成功",
        "CANCELLED": "已取消",
    },
    {
        "PLANNED": ("ASSIGNED", "CANCELLED"),
        "ASSIGNED": ("STARTED", "PLANNED"),
        "STARTED": ("COLLECTED", "FAILED"),
        "COLLECTED": ("SUBMITTED",),
        "SUBMITTED": ("ACCEPTED", "RETURNED"),
        "RETURNED": ("COLLECTED",),
        "FAILED": ("PLANNED",),  # at most as often as the policy says
        "CANCELLED": ("PLANNED",),  # nobody went: it counts as no attempt
    },
    "PLANNED",
)

LOAN = Machine(
    "loan",
    {
        "APPLIED": "已申请",
        "COMMITMENT_SIGNED": "已签承诺书",
        "CREDIT_APPROVED": "已授信",
        "CONTRACTED": "已签合同",
        "ACTIVE": "正常",
        "OVERDUE": "逾期",
        "SETTLED": "已结清",
        "EARLY_SETTLED": "提前结清",
        "EXTENDED": "已展期",
        "WRITTEN_OFF": "已核销",
    },
    {
        "APPLIED": ("COMMITMENT_SIGNED",),
        "COMMITMENT_SIGNED": ("CREDIT_APPROVED",),
        "CREDIT_APPROVED": ("CONTRACTED",),
        "CONTRACTED": ("ACTIVE",),
        "ACTIVE": ("OVERDUE", "SETTLED", "EARLY_SETTLED", "EXTENDED"),
        "OVERDUE": ("ACTIVE", "SETTLED", "EXTENDED", "WRITTEN_OFF"),
        "EXTENDED": ("OVERDUE", "SETTLED", "WRITTEN_OFF"),
    },
    "APPLIED",
)

SUBSIDY = Machine(
    "subsidy",
    {"ELIGIBLE": "享受中", "SUSPENDED": "已暂停", "STOPPED": "已停止", "COMPLETED": "已完成"},
    {"ELIGIBLE": ("SUSPENDED", "STOPPED", "COMPLETED"), "SUSPENDED": ("ELIGIBLE", "STOPPED")},
    "ELIGIBLE",
)

CLAIM = Machine(
    "claim",
    {
        "ACCRUING": "计提中",
        "CALCULATED": "已核算",
        "BANK_CHECKED": "银行已核对",
        "AUDITED": "已审计",
        "SUBMITTED": "已申报",
        "COUNTY_REVIEW": "县级审核",
        "RETURNED": "退回",
        "COUNTY_APPROVED": "县级通过",
        "PROVINCE_REVIEW": "省级审核",
        "APPROVED": "已批准",
        "PAID": "已拨付",
        "CLOSED": "已办结",
    },
    {
        "ACCRUING": ("CALCULATED",),
        "CALCULATED": ("BANK_CHECKED",),
        "BANK_CHECKED": ("AUDITED",),
        "AUDITED": ("SUBMITTED",),
        "SUBMITTED": ("COUNTY_REVIEW",),
        "COUNTY_REVIEW": ("RETURNED", "COUNTY_APPROVED"),
        "RETURNED": ("SUBMITTED",),
        "COUNTY_APPROVED": ("PROVINCE_REVIEW",),
        "PROVINCE_REVIEW": ("APPROVED",),
        "APPROVED": ("PAID",),
        "PAID": ("CLOSED",),
    },
    "ACCRUING",
)

MACHINES = (HOUSEHOLD, VISIT, LOAN, SUBSIDY, CLAIM)
