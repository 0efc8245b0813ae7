"""How loans and the rejects of their files look on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from matcher.exports import Format, write_export
from matcher.loans.file_import import FileImport, RowReject
from matcher.loans.listing import LoanDetail, LoanRow
from matcher.rejects import ROW_REASONS
from matcher.states import LOAN, SUBSIDY
from matcher.subsidy.lines import yuan
from scripts.language import say
from scripts.messages import explain_code
from scripts.output import format_of, print_table

SHOWN_REJECTS = 20
ENTRY_WORDS = {"drawdown": ("放款", "drawdown"), "repayment": ("还本", "repayment"), "interest": ("还息", "interest")}
SPAN_WORDS = {
    "overdue": ("逾期", "overdue"),
    "extension": ("展期", "extension"),
    "suspension": ("暂停贴息", "subsidy suspended"),
    "stop": ("停止贴息", "subsidy stopped"),
}


def print_loans(found: Sequence[LoanRow]) -> None:
    print_table(
        say("贷款（元）", "Loans (yuan)"),
        [
            say("编号", "no."),
            say("合同编号", "contract"),
            say("银行", "bank"),
            say("家庭编号", "household"),
            say("借款人", "borrower"),
            say("产品", "product"),
            say("状态", "state"),
            say("贴息", "subsidy"),
            say("合同金额", "principal"),
            say("余额", "balance"),
            say("起息日", "from"),
            say("到期日", "to"),
        ],
        [
            [
                loan.loan_id,
                loan.contract_no,
                loan.bank,
                loan.household_no,
                f"{loan.borrower} {loan.item}",
                loan.product,
                say(LOAN.words[loan.state], loan.state),
                say(SUBSIDY.words[loan.subsidy_state], loan.subsidy_state),
                yuan(loan.principal),
                yuan(loan.balance),
                loan.starts_on or "-",
                loan.ends_on or "-",
            ]
            for loan in found
        ],
    )


def describe(found: LoanDetail) -> list[str]:
    loan = found.loan
    lines = [
        f"{loan.contract_no}　{loan.bank}　{loan.household_no}　{loan.borrower} {loan.item}",
        say(
            f"{loan.product}，合同金额 {yuan(loan.principal)} 元，合同利率 {loan.contract_rate}%，"
            f"客户利率 {loan.customer_rate}%，{loan.starts_on or '-'} 至 {loan.ends_on or '-'}（不含）",
            f"{loan.product}, {yuan(loan.principal)} yuan at {loan.contract_rate} %, {loan.customer_rate} % for the "
            f"customer, {loan.starts_on or '-'} to {loan.ends_on or '-'} (not included)",
        ),
        say(
            f"{LOAN.words[loan.state]}，贴息{SUBSIDY.words[loan.subsidy_state]}，余额 {yuan(loan.balance)} 元",
            f"{loan.state}, subsidy {loan.subsidy_state}, {yuan(loan.balance)} yuan owed",
        ),
        say(
            f"名单生效日 {found.listed_from or '-'}，承诺书 {found.commitment_no or '-'}"
            f"（{found.commitment_signed_on or '-'}，模板 {found.template_version or '-'}），"
            f"授信 {found.facility_no or '-'}",
            f"listed from {found.listed_from or '-'}, commitment {found.commitment_no or '-'} "
            f"({found.commitment_signed_on or '-'}, template {found.template_version or '-'}), "
            f"facility {found.facility_no or '-'}",
        ),
        say(f"政策 {found.policy or '-'}", f"policy {found.policy or '-'}"),
    ]
    for entry in found.entries:
        taken_back = say(f"　（{entry['reversed_on']} 冲正）", f"  (reversed on {entry['reversed_on']})")
        lines.append(
            f"  {entry['on_day']}　{say(*ENTRY_WORDS[entry['kind']])}　{yuan(entry['amount'])}　{entry['reference']}"
            + (taken_back if entry["reversed_on"] else "")
        )
    for span in found.spans:
        lines.append(
            f"  {say(*SPAN_WORDS[span['kind']])}　{span['from_day']} – {span['to_day'] or '…'}　{span['reason']}"
        )
    return lines


def describe_import(name: str, done: FileImport, *, dry_run: bool) -> str:
    if done.already_imported:
        return say(f"{name}：已全部登记过，未作改动", f"{name}: entered before; nothing changed")
    word = say("演练，", "dry run, ") if dry_run else ""
    return word + say(
        f"{name}：{done.rows:,} 行，在库 {done.accepted:,}（新增 {done.new:,}），未登记 {len(done.rejects):,}",
        f"{name}: {done.rows:,} rows, {done.accepted:,} stand in the store ({done.new:,} new), "
        f"{len(done.rejects):,} rejected",
    )


_REJECT_COLUMNS = (
    ("文件", "file"),
    ("工作表", "sheet"),
    ("行号", "row"),
    ("列", "column"),
    ("原因代码", "code"),
    ("原因", "reason"),
    ("证件号码(掩码)", "ID number (masked)"),
)


def print_rejects(rejects: Sequence[tuple[str, RowReject]]) -> None:
    """``rejects``: each with its file."""
    print_table(
        say("未登记的行", "Rows that were not entered"),
        [say(*name) for name in _REJECT_COLUMNS],
        _reject_rows(rejects[:SHOWN_REJECTS]),
    )


def write_rejects(path: Path, rejects: Sequence[tuple[str, RowReject]]) -> None:
    rows = _reject_rows(rejects)
    columns: dict[str, Any] = {
        say(*name): pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(_REJECT_COLUMNS)
    }
    write_export(path, columns, format=format_of(path, Format))


def _reject_rows(rejects: Sequence[tuple[str, RowReject]]) -> list[list[str]]:
    return [[file, r.sheet, str(r.row), r.heading, r.reason, _words(r), r.number] for file, r in rejects]


def _words(reject: RowReject) -> str:
    if reject.reason in ROW_REASONS:
        return say(*ROW_REASONS[reject.reason])
    return explain_code(reject.reason, str(reject.params.get("detail", "")), reject.params)[0]
