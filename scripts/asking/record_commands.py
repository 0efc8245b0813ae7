"""``records`` of a bank, a bureau and a province: the exchange records that both sides signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keys.files import write_atomic
from matcher.bank.records import RecordNotCountersigned, Records
from scripts.asking.bank_home import open_asker
from scripts.county.checking import LinkOption
from scripts.home import ConfigOption, JsonOption, open_home
from scripts.language import say
from scripts.output import print_result, print_table
from scripts.sending.ledgers import open_ledger

SHOWN = 50  # in a table; --json has all
ExportOption = Annotated[str | None, typer.Option("--export", help="write this one: its id, or how it begins")]
OutOption = Annotated[Path, typer.Option(help="where to")]
STATES = {
    "SIGNED": ("待省方签署", "waits for the province"),
    "COUNTERSIGNED": ("双方已签", "signed by both"),
    "DISPUTED": ("省方有异议", "disputed by the province"),
}


def bank_records(
    export: ExportOption = None,
    out: OutOption = Path("交换记录.json"),
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """The records of what was sent, the newest first; or write one for an auditor.

    Example: mingce bank records --export 3fa9 --out 交换记录.json
    """
    _show_own(open_asker(config, None)[1].records, export, out, as_json=json_)


def bureau_records(
    dataset: LinkOption = None,
    export: ExportOption = None,
    out: OutOption = Path("交换记录.json"),
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """The records of what was sent to a department, the newest first; or write one for an auditor.

    Example: mingce bureau records --dataset minzheng --export 3fa9 --out 交换记录.json
    """
    _show_own(open_asker(config, dataset)[1].records, export, out, as_json=json_)


def _show_own(records: Records, export: str | None, out: Path, *, as_json: bool) -> None:
    if export is not None:
        record = records.get(export)
        if record.state != "COUNTERSIGNED":
            raise RecordNotCountersigned("the province has not signed this record", record=record.sha256[:12])
        _write(record.envelope, record.sha256, out, as_json=as_json)
        return
    found = records.list_all()
    rows = [{name: value for name, value in vars(record).items() if name != "envelope"} for record in found]
    print_result({"records": rows}, [], as_json=as_json)
    if not as_json:
        print_table(
            say("交换记录", "Exchange records"),
            [
                say("编号", "record"),
                say("匹配", "run"),
                say("名单", "dataset"),
                say("元素", "elements"),
                say("状态", "state"),
            ],
            [
                [r.sha256[:12], r.run_id[:8], f"{r.dataset}/{r.epoch}", f"{r.elements:,}", say(*STATES[r.state])]
                for r in found[:SHOWN]
            ],
        )


def province_records(
    bank: Annotated[str | None, typer.Option(help="only this bank's, by its registered name")] = None,
    export: ExportOption = None,
    out: OutOption = Path("交换记录.json"),
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Every record that was compared with the charges and countersigned; and charges that no record accounts for.

    Example: mingce province records --bank 嵊泗农商银行
    """
    home = open_home(config, "province")
    ledger = open_ledger(home)
    records = ledger.exchange_records
    if export is not None:
        sha256, envelope = records.get(export)
        _write(envelope, sha256, out, as_json=json_)
        return
    names = {party.fingerprint: party.name for party in ledger.list_parties()}
    found = records.list_all(None if bank is None else ledger.get_party(bank).fingerprint)
    missing = records.list_unaccounted(home.clock.now())
    lines = [
        say(
            f"！{names[one['party']]}：{one['dataset']}/{one['epoch']} 有 {one['charges']:,} 批扣减没有交换记录"
            f"（{one['elements']:,} 个元素，最早 {one['since']}）",
            f"! {names[one['party']]}: {one['charges']:,} charges of {one['dataset']}/{one['epoch']} without a record "
            f"({one['elements']:,} elements, since {one['since']})",
        )
        for one in missing
    ]
    print_result({"records": [vars(r) for r in found], "unaccounted": missing}, lines, as_json=json_)
    if not json_:
        print_table(
            say("交换记录", "Exchange records"),
            [
                say("编号", "record"),
                say("银行", "bank"),
                say("名单", "dataset"),
                say("元素", "elements"),
                say("时间", "at"),
            ],
            [
                [r.sha256[:12], names[r.party], f"{r.dataset}/{r.epoch}", f"{r.elements:,}", r.recorded_at]
                for r in found[:SHOWN]
            ],
        )


def _write(envelope: bytes, sha256: str, out: Path, *, as_json: bool) -> None:
    write_atomic(out, envelope)
    print_result(
        {"record": sha256, "file": str(out)},
        [say(f"交换记录 {sha256[:12]} → {out}", f"Exchange record {sha256[:12]} → {out}")],
        as_json=as_json,
    )
