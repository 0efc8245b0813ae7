"""The sections of the console: their first path segment, their title, and who may open them."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from matcher.bureau.actors import Actor, Permission

_P = Permission


@dataclass(frozen=True)
class Section:
    """``any_of``: one of these permissions opens it."""

    path: str
    title: str  # Chinese; the catalogue of messages has the English
    any_of: tuple[Permission, ...]

    def is_open_to(self, actor: Actor) -> bool:
        return any(actor.may(permission) for permission in self.any_of)


SECTIONS = (
    Section("queue", "工作台", (_P.REVIEW, _P.DECIDE)),
    Section("households", "名单", (_P.SEE_HOUSEHOLDS,)),
    Section("visits", "走访", (_P.VISIT, _P.PLAN_VISITS, _P.ACCEPT_VISIT)),
    Section("checks", "部门校验", (_P.CHECK_DEPARTMENT, _P.ENTER_CHECK)),
    Section("loans", "贷款贴息", (_P.SEE_LOANS,)),
    Section("claims", "申报", (_P.PREPARE_CLAIM, _P.AUDIT_CLAIM, _P.REVIEW_CLAIM, _P.APPROVE_CLAIM, _P.PAY_CLAIM)),
    Section("dashboard", "看板", (_P.SEE_FIGURES,)),
    Section("downloads", "下载", (_P.EXPORT,)),
    Section("policies", "政策", (_P.PROPOSE_POLICY, _P.ADOPT_POLICY, _P.SEE_AUDIT)),
    Section("runs", "匹配与密钥", (_P.REFINE, _P.SEE_AUDIT)),
    Section("audit", "审计", (_P.SEE_AUDIT,)),
    Section("accounts", "账号", (_P.MANAGE_ACCOUNTS, _P.SEE_AUDIT)),
)
"""In the order of the bar at the top. Whoever may open none but the account's own page sees just that."""

BY_PATH = {section.path: section for section in SECTIONS}


def sections_of(connection: HTTPConnection) -> list[Section]:
    """What the bar shows to whoever is signed in: the sections that have a page and are open to the account."""
    return [section for section in connection.app.state.sections if section.is_open_to(connection.state.actor)]
