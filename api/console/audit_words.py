"""The audit log in words: what each kind of entry says, and a move from state to state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.console.language import mark
from matcher.bureau.audit_log import AuditRow
from matcher.states import MACHINES

LOOKS: Mapping[str, str] = {
    "person.reveal": mark("查看完整信息"),
    "person.reveal_refused": mark("查看完整信息，被拒绝"),
    "person.search": mark("查找人员"),
    "attachment.read": mark("查看照片或签字"),
    "visit.take_along": mark("走访任务带上平板"),
    "visit.place": mark("查看到户位置"),
    "export.visits": mark("导出走访任务"),
    "report.export": mark("导出报表"),
    "claim.export": mark("导出申报明细"),
    "download.ask": mark("申请下载"),
    "download.agree": mark("同意下载"),
    "download.fetch": mark("领取下载"),
    "download.take": mark("下载"),
    "export.sms": mark("导出确认期短信"),
    "export.refusal_sms": mark("导出不通过短信"),
    "export.deliberation": mark("导出评议表"),
    "export.final_list": mark("导出最终名单"),
    "export.review_record": mark("导出审核记录"),
    "export.audit_chain": mark("导出审计链"),
}
"""Looks at people and files carried away, in words."""
ACTIONS: Mapping[str, str] = {
    **LOOKS,
    "account.approve": mark("批准账号"),
    "account.ask_reset": mark("申请重置口令"),
    "account.ask_reset_device": mark("申请解绑验证器"),
    "account.bind_device": mark("绑定验证器"),
    "account.close": mark("关闭账号"),
    "account.found": mark("建立首批账号"),
    "account.password": mark("设置口令"),
    "account.propose": mark("提出账号"),
    "account.reset": mark("重置口令"),
    "account.reset_device": mark("解绑验证器"),
    "account.sign_in": mark("登录"),
    "account.sign_in_failed": mark("登录失败"),
    "alarm.acknowledge": mark("确认警报"),
    "attachment.add": mark("存入照片或签字"),
    "audit.head": mark("留存审计链头"),
    "check.enter": mark("录入部门答复"),
    "check.take": mark("取回部门比对结果"),
    "claim.accrue": mark("每夜计息"),
    "claim.finding": mark("登记抽查结论"),
    "claim.move": mark("申报办理"),
    "claim.open": mark("新建申报"),
    "claim.reconcile": mark("与银行数字比对"),
    "claim.sample": mark("抽取审计样本"),
    "claim.settle": mark("说明待处理事项"),
    "commitment.sign": mark("登记身份承诺书"),
    "confirmation.deliberate": mark("登记村小组评议"),
    "confirmation.tell": mark("登记已告知家庭"),
    "download.expire": mark("下载过期"),
    "download.refuse": mark("不同意下载"),
    "export.check": mark("导出部门核验"),
    "facility.grant": mark("登记授信"),
    "figures.compute": mark("计算看板数据"),
    "handover.import": mark("导入银行移交"),
    "household.add_member": mark("补充成员"),
    "household.member_left": mark("成员离户"),
    "household.move": mark("家庭状态改变"),
    "household.purge": mark("清除到期家庭数据"),
    "household.settle": mark("处理名单冲突"),
    "listing.begin": mark("列入最终名单"),
    "listing.end": mark("最终名单终止"),
    "loan.apply": mark("登记贷款申请"),
    "loan.drawdown": mark("登记放款"),
    "loan.end": mark("登记结清"),
    "loan.extension": mark("登记展期"),
    "loan.import": mark("导入贷款日报"),
    "loan.interest": mark("登记付息"),
    "loan.overdue": mark("登记逾期"),
    "loan.overdue_end": mark("登记逾期结清"),
    "loan.repayment": mark("登记还本"),
    "loan.resume": mark("恢复贴息"),
    "loan.reverse": mark("登记冲正"),
    "loan.sign": mark("登记贷款合同"),
    "loan.stop": mark("停止贴息"),
    "loan.suspend": mark("暂停贴息"),
    "policy.adopt": mark("采用政策"),
    "policy.propose": mark("提出政策"),
    "policy.trial": mark("政策试算"),
    "policy.withdraw": mark("撤回政策"),
    "purge.run": mark("清除到期数据"),
    "refusal.tell": mark("登记已告知不通过"),
    "refused": mark("被拒绝"),
    "review.claim": mark("领取"),
    "review.confirmed": mark("复核确认"),
    "review.propose": mark("提出意见"),
    "review.release": mark("退还"),
    "review.sent_back": mark("退回提出人"),
    "review.appeal": mark("登记申诉"),
    "review.objection": mark("登记异议"),
    "review.withdrawn": mark("撤回意见"),
    "visit.form": mark("保存采集表"),
    "visit.import": mark("导入走访回传"),
    "visit.move": mark("走访状态改变"),
    "visit.plan": mark("列入走访计划"),
    "visit.plan_revisits": mark("列入回访计划"),
    "visit.sheet": mark("下载离线走访表"),
    "visit.sheet_import": mark("上传离线走访表"),
}
_MACHINES = {machine.name: machine for machine in MACHINES}


def moved(row: AuditRow) -> tuple[str, str]:
    """The two states of a move in Chinese, and ('', '') of any other entry."""
    kind, _, verb = row.action.partition(".")
    machine = _MACHINES.get(kind)
    old, new = (str(row.detail.get(name) or "") for name in ("old", "new"))
    if verb != "move" or machine is None or old not in machine.words or new not in machine.words:
        return "", ""
    return machine.words[old], machine.words[new]


def details(row: AuditRow) -> dict[str, Any]:
    """What else an entry holds: without its purpose, what is empty, and what :func:`moved` says in words."""
    left = {"purpose", "before", "after", *(("old", "new") if moved(row)[0] else ())}
    return {name: value for name, value in row.detail.items() if name not in left and value not in ("", None)}
