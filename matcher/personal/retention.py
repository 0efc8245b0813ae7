"""How long what is kept: kinds of records, what starts the clock of each, and how many days it runs.

No source of the programme states a period, so every one is a setting (``[retention]`` of mingce.toml) whose default is
assumed. The audit log and the records of what was purged hold no personal data and always stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from keys.clock import format_time
from psi.errors import InputError

Kind = Literal["not_admitted", "ended", "answers", "places", "refused_rows", "sign_ins"]


@dataclass(frozen=True)
class Retention:
    """Days; what each kind holds and what starts its clock is in KINDS."""

    not_admitted: int = 365
    ended: int = 3_650
    answers: int = 730
    places: int = 180
    refused_rows: int = 180
    sign_ins: int = 180

    def __post_init__(self) -> None:
        """Raises InputError naming the setting."""
        for one in fields(self):
            if not 1 <= getattr(self, one.name) <= 36_500:
                raise InputError("a period is 1 to 36,500 days", field=one.name)

    def before(self, kind: Kind, now: datetime) -> str:
        """The moment before which the clock must have started: RFC 3339, UTC."""
        return format_time(now - timedelta(days=getattr(self, kind)))


KINDS: Mapping[Kind, tuple[str, str]] = {
    "not_admitted": (
        "已匹配后未再办理、细化排除或审核不通过的家庭：成员、匹配结果、采集表、照片、部门答复、申诉",
        "households matched and not followed up, refined out or rejected: members, matches, forms, photos, "
        "departments' answers, appeals",
    ),
    "ended": (
        "已跃迁或移出且贷款、贴息均已办结的家庭：同上；贷款和贴息账目保留，不再指向个人",
        "households that graduated or were removed, their loans and claims closed: the same; the accounts of loans and "
        "subsidy stay and name nobody",
    ),
    "answers": (
        "部门核验答复（不在审核中的家庭）；审核决定中冻结的事实随家庭保留",
        "departments' answers, of households that nobody is reviewing; the facts frozen in a decision stay with it",
    ),
    "places": ("走访的位置和轨迹", "places and tracks of visits"),
    "refused_rows": ("移交和贷款文件被拒行的掩码号码", "masked numbers of refused rows of hand-overs and loan files"),
    "sign_ins": ("登录会话、失败记录和办理编号", "sessions, failed sign-ins and idempotency keys"),
}
"""What each kind holds: zh and en."""
