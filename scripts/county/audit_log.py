"""``mingce audit verify|head|export|log``: the bureau's audit chain."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from keys.clock import BEIJING, parse_time
from keys.files import write_atomic
from keys.identity import PublicIdentity, readable_fingerprint
from matcher.audit import AuditHead, Fault, FaultKind, verify_rows
from matcher.audit_file import read_chain
from matcher.audit_head import SignedHead, open_head
from matcher.bureau.audit_log import AuditLog
from scripts.county.acting import Desk, at_desk, open_office
from scripts.home import ConfigOption, JsonOption, open_home, read_identity
from scripts.keyring.signing import read_file
from scripts.language import say
from scripts.messages import Refused, require_file
from scripts.output import print_result, print_table

app = typer.Typer()

DayOption = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="a day in China")]

_WHOSE = (
    "用当面核对过指纹的那份 identity.json：文件是谁的，由它说明。",
    "Use the identity.json whose fingerprint was compared in person: it says whose chain that is.",
)
_FAULTS: dict[FaultKind, Callable[[Fault], str]] = {
    "edited": lambda one: say(f"第 {one.seq} 行被改动", f"row {one.seq} was edited"),
    "moved": lambda one: say(
        f"第 {one.seq} 行原是第 {one.other} 行，被移动", f"row {one.seq} was written as row {one.other} and moved"
    ),
    "missing": lambda one: (
        say(f"第 {one.seq} 行被删除", f"row {one.seq} was deleted")
        if one.seq == one.other
        else say(f"第 {one.seq} 至 {one.other} 行被删除", f"rows {one.seq} to {one.other} were deleted")
    ),
    "inserted": lambda one: say(f"第 {one.seq} 行是插入的", f"row {one.seq} was inserted"),
    "replaced": lambda one: say(f"第 {one.seq} 行被整行替换", f"row {one.seq} was replaced by another"),
    "cut": lambda one: say(
        f"第 {one.seq} 行起被截去，留存的链头到第 {one.other} 行",
        f"cut from row {one.seq} on; a head that was kept is row {one.other}",
    ),
}


@app.command()
def verify(
    head: Annotated[
        list[Path], typer.Option("--head", help="a signed head that was kept elsewhere; repeat for several")
    ] = [],  # noqa: B006
    identity: Annotated[
        Path | None, typer.Option(help="the bureau's identity.json, compared in person; else the one in its home")
    ] = None,
    chain: Annotated[
        Path | None, typer.Option(help="a chain that `audit export` wrote: verified anywhere, without the home")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Recompute the bureau's whole audit chain, and hold it against heads that were kept. Exit code 6 if it is broken.

    Says which rows were edited, deleted, moved, replaced or cut off. Only a kept head shows that the end is missing.

    Example: mingce audit verify --head 链头-2025-03-31.json --config bureau

    Example: mingce audit verify --chain 审计链.jsonl --head 链头-2025-03-31.json --identity bureau.identity.json
    """
    if chain is None:
        home = open_home(config, "bureau")
        signer = read_identity(identity or home.path / "identity.json")
        kept = [open_head(read_file(path), signer) for path in head]
        found = AuditLog(open_office(home)).verify([one.head for one in kept])
    else:
        if identity is None:
            raise Refused("--chain 须同时给出 --identity", "--chain goes with --identity", *_WHOSE)
        signer = read_identity(identity)
        kept = [open_head(read_file(path), signer) for path in head]
        found = verify_rows(read_chain(require_file(chain), signer.fingerprint), [one.head for one in kept])
    result = {
        "rows": found.head.seq,
        "hash": found.head.hash,
        "holds": not found.faults,
        "faults": [vars(one) for one in found.faults],
        "heads": [_document(one) for one in kept],
    }
    lines = [_FAULTS[one.kind](one) for one in found.faults]
    if not lines:
        lines = [
            say(
                f"审计链完整：{found.head.seq:,} 行，链头 {found.head.hash}",
                f"The audit chain holds: {found.head.seq:,} rows, head {found.head.hash}",
            )
        ]
        lines += [
            say(f"与 {one.signed_at:%Y-%m-%d} 签署的链头相符", f"It fits the head signed on {one.signed_at:%Y-%m-%d}")
            for one in kept
        ]
        if not kept:
            lines.append(
                say(
                    "未对照留存的链头：末尾被截去看不出来；请加 --head。",
                    "No kept head to hold it against: rows cut off the end would not show; give --head.",
                )
            )
    else:
        lines.append(say("保留现场，通知审计。", "Keep everything as it is and tell the auditor."))
    print_result(result, lines, as_json=json_)
    if found.faults:
        raise typer.Exit(6)


@app.command()
@at_desk
def export(
    desk: Desk,
    out: Annotated[Path, typer.Argument(help="a new file, lines of JSON (.jsonl)")],
    purpose: Annotated[str, typer.Option(help="what it is for; kept in the audit log")],
    json_: JsonOption = False,
) -> None:
    """Write the whole audit chain, for an auditor to verify elsewhere. It holds no personal data, and no key.

    A broken chain is written as it stands: `audit verify --chain` shows where.

    Example: mingce audit export 审计链.jsonl --purpose 年度审计 --as shenji
    """
    identity = desk.home.open_keys().get_public_identity()
    head = AuditLog(desk.office).export(desk.actor, identity, out, purpose=purpose)
    lines = [
        say(f"审计链 {head.seq:,} 行 → {out}", f"The audit chain, {head.seq:,} rows → {out}"),
        say(
            "在别处核验：mingce audit verify --chain，给出留存的链头（--head）和当面核对过的身份文件（--identity）。",
            "Verified elsewhere: mingce audit verify --chain, with kept heads (--head) and the identity.json that was "
            "compared in person (--identity).",
        ),
    ]
    print_result({"file": str(out), "rows": head.seq, "hash": head.hash}, lines, as_json=json_)


@app.command("head")
@at_desk
def head_(
    desk: Desk,
    out: Annotated[Path, typer.Option(help="the signed head, to be kept outside the bureau (.json)")],
    text: Annotated[Path | None, typer.Option(help="the same as a page to print and sign by hand")] = None,
    json_: JsonOption = False,
) -> None:
    """Sign the present end of the audit chain. Whoever keeps it sees later whether rows were cut off or rewritten.

    Example: mingce audit head --out 链头.json --text 链头.txt --as shenji
    """
    identity = desk.home.open_keys().get_identity()
    _, document = AuditLog(desk.office).sign_head(desk.actor, identity)
    write_atomic(out, document)
    signed = open_head(document, identity.public)
    page = _page(signed, identity.public)
    if text is not None:
        write_atomic(text, ("\n".join(page) + "\n").encode())
    print_result({"file": str(out), **_document(signed)}, [*page, f"→ {out}"], as_json=json_)


@app.command()
@at_desk
def log(
    desk: Desk,
    account: Annotated[str | None, typer.Option(help="who")] = None,
    action: Annotated[str | None, typer.Option(help="what: a part (household) or an action (household.move)")] = None,
    subject: Annotated[str | None, typer.Option(help="about what: household/17")] = None,
    since: DayOption = None,
    until: DayOption = None,
    before: Annotated[int | None, typer.Option(help="rows before this number: the next page")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="how many rows to show")] = 50,
    json_: JsonOption = False,
) -> None:
    """The audit log, the newest first. It holds no personal data.

    Example: mingce audit log --subject household/17 --as shenji
    """
    rows = AuditLog(desk.office).list_rows(
        desk.actor,
        account=account,
        action=action,
        subject=subject,
        since=since and since.date(),
        until=until and until.date(),
        before=before,
        limit=limit,
    )
    if json_:
        print_result({"rows": [vars(row) for row in rows]}, [], as_json=True)
        return
    columns = [
        say("序号", "no."), say("时间", "at"), say("账号", "account"), say("动作", "action"), say("对象", "subject"),
        say("内容", "detail"),
    ]  # fmt: skip
    cells = [[row.seq, _beijing(row.at), row.actor, row.action, row.subject, _detail_line(row.detail)] for row in rows]
    print_table(say("审计日志", "Audit log"), columns, cells)


def _detail_line(detail: Mapping[str, Any]) -> str:
    """``name=value``; of a digest its beginning, which is what a person compares."""

    def show(value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return f"{text[:12]}…" if re.fullmatch(r"[0-9a-f]{32,}", text) else text

    return "  ".join(f"{name}={show(value)}" for name, value in detail.items())


def _beijing(at: str) -> str:
    return f"{parse_time(at).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"


def _document(signed: SignedHead) -> dict[str, object]:
    head: AuditHead = signed.head
    return {
        "home": signed.home,
        "seq": head.seq,
        "hash": head.hash,
        "signed_by": signed.signed_by,
        "signed_at": f"{signed.signed_at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _page(signed: SignedHead, home: PublicIdentity) -> list[str]:
    """What is printed: short enough to be read out and compared by eye."""
    at = f"{signed.signed_at.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return [
        say("审计链链头", "Head of the audit chain"),
        say(f"单位：{home.name}", f"Office: {home.name}"),
        say("单位身份指纹：", "Its identity's fingerprint: ") + readable_fingerprint(home.fingerprint),
        say(f"时间：{at}（北京时间）", f"Time: {at} (Beijing)"),
        say(f"经办账号：{signed.signed_by}", f"Account: {signed.signed_by}"),
        say(f"行数：{signed.head.seq:,}", f"Rows: {signed.head.seq:,}"),
        say("链头：", "Head: ") + readable_fingerprint(signed.head.hash),
        say("留存人签字：________________  日期：____________", "Kept by: ________________  date: ____________"),
    ]
