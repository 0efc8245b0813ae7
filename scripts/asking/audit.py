"""``mingce audit``: an auditor draws positions of an exchange record, the bank opens them, the auditor checks.

The commands about the bureau's audit chain are in scripts/county/audit_log.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from api.auditing import Checked, Report, check_opening, open_positions
from keys.clock import SystemClock
from keys.envelope import unverified_payload
from keys.files import write_atomic
from keys.identity import readable_fingerprint
from matcher.audit_draw import SEED_BYTES, Draw, detection, open_draw, openings_needed, sign_draw
from matcher.bank.records import verify_countersigned
from matcher.exchange_record import decode_record, record_sha256
from matcher.exports import Format, write_export
from scripts.asking.bank_home import open_asker
from scripts.county import audit_log
from scripts.county.checking import LinkOption
from scripts.home import ConfigOption, JsonOption, read_identity
from scripts.keyring.signing import OperatorOption, PassphraseFileOption, open_operator, read_file
from scripts.language import say
from scripts.messages import Refused
from scripts.output import format_of, print_result

app = typer.Typer(
    no_args_is_help=True,
    help="审计：抽查、开示、核对；审计链。 Draw positions, open them, check them; the bureau's audit chain.",
)
app.add_typer(audit_log.app)

DrawArgument = Annotated[Path, typer.Argument(help="the auditor's draw")]
RecordArgument = Annotated[Path, typer.Argument(help="a countersigned exchange record, from `records --export`")]
BankOption = Annotated[Path, typer.Option("--bank", help="the bank's identity.json")]
ProvinceOption = Annotated[Path, typer.Option("--province", help="the province's identity.json")]
VERDICTS = {
    "fits": ("相符", "fits"),
    "withheld": ("未开示", "withheld"),
    "not_drawn": ("未抽而示", "not drawn"),
    "request_differs": ("请求与双方签署的摘要不符", "not the request that both sides signed"),
    "element_differs": ("与请求中该位置不符", "not what stands in the request"),
    "item_invalid": ("不是合法证件号码", "no ID number"),
}


@app.command()
def draw(
    record: RecordArgument,
    operator: OperatorOption,
    bank: BankOption,
    province: ProvinceOption,
    out: Annotated[Path, typer.Option(help="the draw, for the bank")],
    share: Annotated[float, typer.Option(help="the share of false positions to be found")] = 0.01,
    confidence: Annotated[float, typer.Option(help="the probability of finding one")] = 0.95,
    openings: Annotated[int | None, typer.Option(min=1, help="so many; else what share and confidence need")] = None,
    seed: Annotated[str | None, typer.Option(help="your own randomness, 64 hex digits; else this machine's")] = None,
    passphrase_file: PassphraseFileOption = None,
    json_: JsonOption = False,
) -> None:
    """Draw positions of an exchange record, as the auditor: signed with your own key, to which the bank will seal.

    Example: mingce audit draw 交换记录.json --operator auditor.operator --bank b.json --province p.json --out 抽查.json
    """
    bank_identity, envelope = read_identity(bank), read_file(record)
    sha256 = record_sha256(unverified_payload(envelope))
    recorded = decode_record(verify_countersigned(envelope, sha256, bank_identity, read_identity(province)))
    auditor = open_operator(operator, passphrase_file)
    wanted = Draw(
        auditor=auditor.public,
        bank=bank_identity.fingerprint,
        record_sha256=sha256,
        elements=recorded.elements,
        openings=openings or openings_needed(share, confidence),
        seed=os.urandom(SEED_BYTES) if seed is None else _seed(seed),
        drawn_at=SystemClock().now(),
    )
    write_atomic(out, sign_draw(wanted, auditor))
    found = detection(len(wanted.positions), share) if len(wanted.positions) < wanted.elements else 1.0
    result = {
        "file": str(out),
        "record": sha256,
        "elements": wanted.elements,
        "openings": len(wanted.positions),
        "seed": wanted.seed.hex(),
        "share": share,
        "detection": round(found, 6),
    }
    count, total = len(wanted.positions), wanted.elements
    line = say(
        f"从 {total:,} 个位置中抽取 {count:,} 个；若有 {share:.2%} 的位置虚假，发现的概率为 {found:.1%}",
        f"{count:,} of {total:,} positions; if {share:.2%} are false, at least one is found with {found:.1%}",
    )
    print_result(result, [line, say(f"请把 {out} 交给银行。", f"Give {out} to the bank.")], as_json=json_)


@app.command()
def approve(
    draw: DrawArgument,
    operator: OperatorOption,
    passphrase_file: PassphraseFileOption = None,
    dataset: LinkOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """At the bank: show a draw and sign that it may be opened to this auditor. Two operators run it.

    A bureau does the same for its checks and names the department with --dataset.

    Example: mingce audit approve 抽查.json --operator zhang.operator
    """
    wanted, sha256 = open_draw(read_file(draw))
    home, store = open_asker(config, dataset)
    openings = store.openings(home.open_keys().operators)
    approved = openings.approve(wanted, sha256, open_operator(operator, passphrase_file))
    result = {
        "draw": sha256,
        "record": wanted.record_sha256,
        "auditor": wanted.auditor.name,
        "auditor_fingerprint": wanted.auditor.fingerprint,
        "openings": len(wanted.positions),
        "approved": approved,
    }
    auditor, record, count = wanted.auditor.name, wanted.record_sha256[:12], len(wanted.positions)
    lines = [
        say(
            f"向审计员 {auditor} 开示交换记录 {record} 的 {count:,} 个位置",
            f"Open {count:,} positions of exchange record {record} to {auditor}",
        ),
        say("审计员指纹，须当面核对：", "The auditor's fingerprint, to be compared in person: ")
        + readable_fingerprint(wanted.auditor.fingerprint),
        say("已由两人批准。", "Two operators have approved.")
        if approved
        else say("还差一人批准。", "One more operator must approve."),
    ]
    print_result(result, lines, as_json=json_)


@app.command("open")
def open_(
    draw: DrawArgument,
    out: Annotated[Path, typer.Option(help="the sealed opening, for the auditor (.mao)")],
    dataset: LinkOption = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """At the bank: open exactly the drawn positions, sealed to the auditor. Two operators must have approved.

    A bureau does the same for its checks and names the department with --dataset.

    Example: mingce audit open 抽查.json --out 开示.mao
    """
    wanted, sha256 = open_draw(read_file(draw))
    home, store = open_asker(config, dataset)
    keys = home.open_keys()
    bank = keys.get_identity()
    content = open_positions(wanted, sha256, store=store, openings=store.openings(keys.operators), bank=bank)
    write_atomic(out, content)
    print_result(
        {"file": str(out), "draw": sha256, "openings": len(wanted.positions), "bytes": len(content)},
        [
            say(
                f"已开示 {len(wanted.positions)} 个位置 → {out}，只有 {wanted.auditor.name} 能打开。",
                f"{len(wanted.positions)} positions opened → {out}; only {wanted.auditor.name} can read it.",
            )
        ],
        as_json=json_,
    )


@app.command()
def check(
    opening: Annotated[Path, typer.Argument(help="what the bank gave (.mao)")],
    draw: Annotated[Path, typer.Option("--draw", help="your own draw")],
    record: Annotated[Path, typer.Option("--record", help="the record that it was drawn from")],
    operator: OperatorOption,
    bank: BankOption,
    province: ProvinceOption,
    worksheet: Annotated[
        Path | None, typer.Option(help="list every position with its whole number and row, to compare with the files")
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    json_: JsonOption = False,
) -> None:
    """As the auditor: recompute every opened position against what both sides signed. Exit code 6 if one does not fit.

    Example: mingce audit check 开示.mao --draw 抽查.json --record 交换记录.json --operator auditor.operator
    --bank b.json --province p.json --worksheet 核对表.xlsx
    """
    auditor = open_operator(operator, passphrase_file)
    wanted, sha256 = open_draw(read_file(draw))
    report = check_opening(
        read_file(opening),
        wanted,
        sha256,
        read_file(record),
        auditor=auditor,
        bank=read_identity(bank),
        province=read_identity(province),
    )
    if worksheet is not None:
        columns = _worksheet(report.checked)
        write_export(worksheet, columns, format=format_of(worksheet, Format), id_columns=("证件号码",))
    _print_report(report, as_json=json_)
    if not report.fits:
        raise typer.Exit(6)


def _seed(text: str) -> bytes:
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise Refused(
            "种子须为 64 位十六进制数",
            "A seed is 64 hex digits",
            "改正后再运行；不给 --seed 时用本机的随机数。",
            "Correct it; without --seed this machine's randomness is used.",
        )
    return seed


def _worksheet(checked: tuple[Checked, ...]) -> dict[str, pa.StringArray]:
    rows = [
        {
            "位置": str(one.position),
            "结论": VERDICTS[one.verdict][0],
            "证件号码": one.item or "",
            "客户清单": one.list_name or "",
            "清单行号": "" if one.row is None else str(one.row),
            "清单 SHA-256": one.list_sha256 or "",
        }
        for one in checked
        if one.kind != "padding" or one.verdict != "fits"
    ]
    names = ("位置", "结论", "证件号码", "客户清单", "清单行号", "清单 SHA-256")
    return {name: pa.array([row[name] for row in rows], pa.string()) for name in names}


def _print_report(report: Report, *, as_json: bool) -> None:
    counts, total = report.counts, len(report.checked)
    customers, padding = counts["customers"], counts["padding"]
    lines = [
        say(
            f"核对 {total:,} 个位置：{customers:,} 个客户、{padding:,} 个填充相符",
            f"{total:,} positions: {customers:,} customers and {padding:,} padding elements fit",
        ),
        say("银行批准人：", "Approved at the bank by ") + ", ".join(report.approved_by),
    ]
    lines += [f"  {one.position:,}  {say(*VERDICTS[one.verdict])}" for one in report.checked if one.verdict != "fits"]
    lines.append(
        say(
            "全部相符；下一步：按核对表逐一查对客户档案。",
            "All fit. Next: compare the worksheet with the customers' files.",
        )
        if report.fits
        else say(
            "有位置不符：银行不能证明所问的是其客户。",
            "Some do not fit: the bank cannot show that it asked for its customers.",
        )
    )
    result = {
        "record": report.record_sha256,
        "draw": report.draw_sha256,
        "fits": report.fits,
        "counts": counts,
        "approved_by": report.approved_by,
        "positions": [one.masked for one in report.checked],
    }
    print_result(result, lines, as_json=as_json)
