"""Three parties set up by the command line, and what their stores say, read as an auditor would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pysqlite3
from failing_disk import ROOT, FailingDisk

from keys.backupfile import create_backup_key
from keys.clock import SystemClock
from keys.identity import PublicIdentity
from keys.operators import create_operator_key, read_operator_key
from keys.wrap import PassphraseCost
from matcher.attachments import Attachments
from matcher.personal.purge_record import open_purge
from matcher.province.editions import EditionFolders
from matcher.province.ledger import Ledger
from matcher.rows import fetch_all
from psi.identifiers import check_character
from scripts.county.acting import open_office
from scripts.ending import one_command
from scripts.home import open_home

CHEAP = PassphraseCost(passes=1, memory_kib=8)
PASSPHRASE = "演示用口令，请勿照搬，十二字以上"
COUNTY = "330922"
_NIGHT = (("变更", 5, 4), ("新增", 200, 1))  # what changed.csv changes in base.csv, but for those who left
LISTED, CUSTOMERS = range(60), range(40, 100)
HEADINGS = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"

# What a command is there to change; moments, random names and the record of every opening of a key are left out.
FACTS = {
    "province.sqlite": [
        "SELECT name, kind, state, entity FROM party ORDER BY name",
        "SELECT party, dataset, divisions FROM grant ORDER BY party",
        "SELECT name, current_epoch FROM dataset ORDER BY name",
        "SELECT epoch, edition, state, rows, counts, base FROM edition ORDER BY epoch, edition",
        "SELECT entity, epoch, customers, new_a_night, state FROM declaration ORDER BY declaration_id",
        "SELECT entity, epoch, lim, nightly, declaration_id FROM budget ORDER BY entity, epoch",
    ],
    "keys.sqlite": [
        "SELECT dataset, epoch, state FROM epoch ORDER BY dataset, epoch",
        "SELECT name, state FROM operator",
    ],
    "bank.sqlite": [
        "SELECT epoch, edition, adopted_at IS NOT NULL FROM edition ORDER BY epoch, edition",
        "SELECT epoch, n, padded, state FROM batch ORDER BY rowid",
        "SELECT DISTINCT state, customers, matched FROM run WHERE state <> 'ABORTED'",
        "SELECT code FROM alarm",
        "SELECT state FROM warrant ORDER BY rowid",
        "SELECT epoch, operator, batches, customers FROM forgotten_epoch ORDER BY number",
    ],
    "bureau.sqlite": [
        "SELECT COUNT(*) FROM handover",
        "SELECT COUNT(*) FROM household",
        "SELECT COUNT(*) FROM candidate",
        "SELECT COUNT(*) FROM refused_row",
        "SELECT household_id, state, purged_at IS NULL FROM household ORDER BY household_id",
        "SELECT household_id, COUNT(*) FROM member GROUP BY household_id",
        "SELECT household_id, from_state, to_state FROM household_move ORDER BY move_id",
        "SELECT household_id, outcome FROM confirmation ORDER BY household_id",
        "SELECT household_id, effective_from, effective_to FROM listing ORDER BY listing_id",
        "SELECT visit_id, state, sealed_place IS NULL FROM visit ORDER BY visit_id",
        "SELECT subject, kind, sha256 FROM attachment ORDER BY attachment_id",
        "SELECT contract_no, state, subsidy_state FROM loan ORDER BY loan_id",
        "SELECT contract_no, commitment_no FROM commitment ORDER BY commitment_id",
        "SELECT loan_id, reference, kind, on_day, amount FROM movement ORDER BY movement_id",
        "SELECT sha256, rows, accepted FROM loan_file ORDER BY file_id",
        "SELECT loan_id, kind, adjusts, claim_id, period_start, period_end, settled_on, claim_year, gross, customer,"
        " fiscal, bank, province, local, interest_due, interest_paid, claimable FROM interest_line ORDER BY line_id",
        "SELECT day, loans, lines, digest FROM accrual ORDER BY day",
        "SELECT day, digest, (SELECT COUNT(*) FROM figure f WHERE f.day = d.day) FROM figure_day d ORDER BY day",
        "SELECT claim_id, state, through, digest FROM claim ORDER BY claim_id",
        "SELECT claim_id, to_state, account FROM claim_step ORDER BY step_id",
        "SELECT claim_id, kind FROM claim_exception ORDER BY exception_id",
        "SELECT account FROM purge ORDER BY purge_id",
        # Each act has one row; a night says every time that it looked.
        "SELECT action, subject, COUNT(*) FROM audit WHERE action <> 'claim.accrue' GROUP BY action, subject",
    ],
}


@dataclass(frozen=True)
class Made:
    """The parties' folder as every trial begins, and the home and the address of the province that is served."""

    folder: Path
    served: Path
    url: str


def id_number(person: int) -> str:
    """A valid number that nobody has: 990000 was never assigned."""
    body = f"9900001980{person % 12 + 1:02d}{person % 28 + 1:02d}{person:03d}"
    return body + check_character(body)


def write_list(path: Path, sizes: dict[int, int]) -> None:
    rows = [f"{id_number(person)},H{person},{size},{COUNTY}100,是," for person, size in sizes.items()]
    path.write_text("\n".join([HEADINGS, *rows]) + "\n", "utf-8")


def write_operator(path: Path, name: str) -> None:
    """A person's key under a passphrase that is cheap to try: `mingce operator create` takes a second."""
    key = create_operator_key(name, PASSPHRASE, os.urandom, cost=CHEAP)
    path.write_bytes(key)
    path.with_name(f"{path.name}.identity.json").write_bytes(read_operator_key(key).to_json())


def make_parties(disk: FailingDisk, folder: Path) -> None:
    """``folder`` with province, bank and bureau: one edition published, one match made and handed over."""

    def do(*words: object) -> dict[str, Any]:
        return disk.do(folder, *words, MINGCE_PROVINCE__URL="http://127.0.0.1:9")

    folder.mkdir()
    write_list(folder / "base.csv", dict.fromkeys(LISTED, 3))
    write_list(folder / "changed.csv", {**dict.fromkeys(LISTED[2:], 3), 5: 4, 200: 1})
    changes = [f"删除,{id_number(person)},,,,," for person in LISTED[:2]]
    changes += [f"{word},{id_number(person)},H{person},{size},{COUNTY}100,是," for word, person, size in _NIGHT]
    (folder / "changes.csv").write_text("\n".join([f"操作,{HEADINGS}", *changes]) + "\n", "utf-8")
    customers = [f"演示{person},{id_number(person)}" for person in CUSTOMERS]
    (folder / "customers.csv").write_text("\n".join(["客户姓名,证件号码", *customers]) + "\n", "utf-8")
    (folder / "passphrase").write_text(PASSPHRASE + "\n", "utf-8")
    (folder / "kept").mkdir()
    key, recipient = create_backup_key("演示", PASSPHRASE, lambda n: bytes([7]) * n, cost=CHEAP)
    (folder / "kept" / "key").write_bytes(key)
    (folder / "kept" / "key.pub").write_bytes(recipient.to_json())
    do("province", "init", "province", "--name", "演示省")
    do("bank", "init", "bank", "--name", "演示银行", "--division", COUNTY)
    do("bank", "init", "other", "--name", "另一银行", "--division", COUNTY)
    do("bureau", "init", "bureau", "--name", "演示局", "--division", COUNTY)
    for home, identity in (("bank", "province"), ("bank", "bureau"), ("bureau", "province"), ("bureau", "bank")):
        shutil.copy(folder / identity / "identity.json", folder / home / f"{identity}.identity.json")
    for home in ("province", "bank"):
        for name in ("proposer", "approver"):
            write_operator(folder / f"{home}-{name}.operator", f"演示{name}")
            do("operator", "register", f"{home}-{name}.operator.identity.json", "--config", home)
    do("keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
    do("province", "register", "bank/identity.json", "--division", COUNTY, "--config", "province")
    declared = do(
        "province", "declare", "演示银行", "--customers", 1_000_000, "--reason", "演示", *signed("province", 0)
    )
    do("province", "approve", declared["declaration_id"], *signed("province", 1))
    do("province", "refresh", "--source", "base.csv", "--config", "province")
    proposed = do("bank", "warrant", "propose", "--agreement", "1", "--max-new-customers", 1_000, *signed("bank", 0))
    do("bank", "warrant", "sign", proposed["warrant"], *signed("bank", 1))
    keys = ("--division", COUNTY, "--out", "receipt-keys.mck", "--config", "province")
    do("province", "export-receipt-keys", "bureau/identity.json", *keys)
    do("bureau", "trust", "bureau/province.identity.json", "--config", "bureau")
    do("bureau", "trust", "bureau/bank.identity.json", "--config", "bureau")
    do("bureau", "import-receipt-keys", "receipt-keys.mck", "--config", "bureau")


def hand_over(disk: FailingDisk, folder: Path, url: str) -> None:
    """A hand-over for the bureau, from a bank that is thrown away."""
    shutil.copytree(folder / "parties", folder / "handing over")
    bank = folder / "handing over"
    disk.do(bank, "bank", "match", "customers.csv", "--config", "bank", MINGCE_PROVINCE__URL=url)
    disk.do(bank, "bank", "handover", "handover.mch", "--bureau", "bureau/identity.json", "--config", "bank")
    shutil.copy(bank / "handover.mch", folder / "parties")


def signed(home: str, which: int) -> tuple[str, ...]:
    """The options by which one of a home's two operators signs."""
    name = ("proposer", "approver")[which]
    return "--operator", f"{home}-{name}.operator", "--passphrase-file", "passphrase", "--config", home


@contextmanager
def serving(folder: Path, *program: str | Path, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`mingce province serve` (by another ``program`` than the module) as a process of its own; its address."""
    address = folder / "address"
    address.unlink(missing_ok=True)
    words = ["province", "serve", "--port", "0", "--address-file", address, "--config", "province"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *(program or ("-m", "scripts.cli")), *words],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
        try:
            deadline = time.monotonic() + 30
            while not address.exists():
                assert server.poll() is None, (folder / "serve.log").read_text("utf-8")
                assert time.monotonic() < deadline, "the server does not start"
                time.sleep(0.02)
            yield address.read_text("utf-8").strip(), server
        finally:
            server.terminate()
            server.wait(timeout=30)


def facts(home: Path) -> dict[str, list[list[tuple[Any, ...]]]]:
    """What the home's stores say; each of them must be whole."""
    found = {}
    for name, queries in FACTS.items():
        if not (home / name).exists():
            continue
        connection = pysqlite3.connect(str(home / name))
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found[name] = [connection.execute(sql).fetchall() for sql in queries]
        finally:
            connection.close()
    return found


def list_charges(home: Path) -> list[int]:
    """The size of every batch that the province ever charged."""
    connection = pysqlite3.connect(str(home / "province.sqlite"))
    try:
        return [n for (n,) in connection.execute("SELECT n FROM charge").fetchall()]
    finally:
        connection.close()


def check_province(home: Path) -> None:
    """The audit chain holds, and every edition that the ledger names is whole."""
    identity = PublicIdentity.from_json((home / "identity.json").read_bytes())
    ledger = Ledger.open(home, SystemClock())
    try:
        ledger.verify_audit()
        for epoch in ("2026", "2027"):
            for record in ledger.list_editions("base", epoch):
                edition = EditionFolders(home, identity).read("base", epoch, record.edition)
                edition.check_files()
    finally:
        ledger.close()


def check_bureau(home: Path) -> None:
    """The audit chain holds, and every photo is there and opens; every purge is signed."""
    with one_command():
        opened = open_home(home, "bureau")
        office = open_office(opened)
        office.verify_audit()
        assert Attachments(office).list_damaged() == []
        identity = opened.open_keys().get_identity().public
        for (envelope,) in fetch_all(office.database, "SELECT envelope FROM purge"):
            open_purge(envelope, identity)


def find_leftovers(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.name.startswith(".building-") or path.suffix == ".part"]
