"""What banks handed over, of which editions, and the alarms of the bureau's own store: for people to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from keys.envelope import unverified_payload
from matcher.alarms import Alarm
from matcher.bureau.actors import Actor, NotAllowed, Permission
from matcher.bureau.office import Office
from matcher.exports import Format, write_export
from matcher.personal.fields import require_plain
from matcher.rows import fetch_all, fetch_records
from psi.errors import InputError

_HANDOVER = (
    "SELECT handover_id, sha256, bank.name AS bank, run_id, dataset, epoch, edition, rows, accepted, imported_at,"
    " operator FROM handover JOIN epoch USING (epoch_no) JOIN bank ON bank.fingerprint = handover.bank"
)


class HandoverUnknown(InputError):
    """No hand-over has this number; params: ``handover``."""

    code = "handover_unknown"


@dataclass(frozen=True)
class HandoverRow:
    """One imported file. Each of ``accepted`` rows had a sound receipt of the province; the others were refused."""

    handover_id: int
    sha256: str
    bank: str
    run_id: str
    dataset: str
    epoch: str
    edition: int
    rows: int
    accepted: int
    imported_at: str
    operator: str


@dataclass(frozen=True)
class RefusedRow:
    """``reason``: foreign_division, receipt_invalid or canary."""

    row: int
    reason: str
    masked_item: str


@dataclass(frozen=True)
class HandoverDetails:
    """``header`` is what the bank signed: run, edition, purpose, legal basis, hashes. It was verified on import."""

    handover: HandoverRow
    header: dict[str, Any]
    refused: Sequence[RefusedRow]
    refused_by_reason: dict[str, int]
    conflicts: int
    open_conflicts: int


@dataclass(frozen=True)
class EpochRow:
    """An epoch whose receipt keys came; ``editions``: (number, when it was first handed over, rows accepted)."""

    dataset: str
    epoch: str
    list_year: int
    received_at: str
    divisions: tuple[str, ...]
    is_newest: bool
    editions: tuple[tuple[int, str, int], ...]


class Received:
    """The tables ``handover``, ``epoch`` and ``alarm``."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._database = office.database

    def page(self, actor: Actor, *, before: int | None = None, size: int = 50) -> list[HandoverRow]:
        """The newest first; ``before`` is a hand-over's number. Raises NotAllowed."""
        _require(actor)
        rows = fetch_records(
            self._database,
            f"{_HANDOVER} WHERE ?1 IS NULL OR handover_id < ?1 ORDER BY handover_id DESC LIMIT ?2",
            [before, size],
        )
        return [HandoverRow(**row) for row in rows]

    def show(self, actor: Actor, handover_id: int, *, most: int = 500) -> HandoverDetails:
        """One of them with at most so many refused rows. Raises HandoverUnknown, NotAllowed."""
        _require(actor)
        rows = fetch_records(self._database, f"{_HANDOVER} WHERE handover_id = ?", [handover_id])
        if not rows:
            raise HandoverUnknown("no hand-over has this number", handover=handover_id)
        ((envelope,),) = fetch_all(self._database, "SELECT envelope FROM handover WHERE handover_id = ?", [handover_id])
        refused = fetch_records(
            self._database,
            "SELECT row, reason, masked_item FROM refused_row WHERE handover_id = ? ORDER BY row LIMIT ?",
            [handover_id, most],
        )
        by_reason = fetch_all(
            self._database,
            "SELECT reason, COUNT(*) FROM refused_row WHERE handover_id = ? GROUP BY reason ORDER BY reason",
            [handover_id],
        )
        ((conflicts, open_conflicts),) = fetch_all(
            self._database,
            "SELECT COUNT(*), COALESCE(SUM(settled_at IS NULL), 0) FROM conflict WHERE handover_id = ?",
            [handover_id],
        )
        return HandoverDetails(
            HandoverRow(**rows[0]),
            json.loads(unverified_payload(bytes(envelope))),
            [RefusedRow(**row) for row in refused],
            dict(by_reason),
            conflicts,
            open_conflicts,
        )

    def list_epochs(self, actor: Actor) -> list[EpochRow]:
        """Those whose receipt keys came, the newest first. Raises NotAllowed."""
        _require(actor)
        rows = fetch_records(
            self._database,
            "SELECT epoch_no, dataset, epoch, list_year, MIN(received_at) AS received_at,"
            " json_group_array(division) AS divisions,"
            " epoch_no = (SELECT MAX(epoch_no) FROM epoch newer WHERE newer.dataset = epoch.dataset) AS is_newest"
            " FROM epoch JOIN receipt_key USING (epoch_no) GROUP BY epoch_no ORDER BY epoch_no DESC",
        )
        editions: dict[int, list[tuple[int, str, int]]] = {}
        for epoch_no, edition, first, accepted in fetch_all(
            self._database,
            "SELECT epoch_no, edition, MIN(imported_at), SUM(accepted) FROM handover GROUP BY epoch_no, edition"
            " ORDER BY epoch_no, edition",
        ):
            editions.setdefault(epoch_no, []).append((edition, first, accepted))
        return [
            EpochRow(
                row["dataset"], row["epoch"], row["list_year"], row["received_at"],
                tuple(sorted(json.loads(row["divisions"]))), bool(row["is_newest"]),
                tuple(editions.get(row["epoch_no"], ())),
            )
            for row in rows
        ]  # fmt: skip

    def count_open_conflicts(self, actor: Actor) -> int:
        """What hand-overs, forms and the county left to settle. Raises NotAllowed."""
        _require(actor)
        ((found,),) = fetch_all(self._database, "SELECT COUNT(*) FROM conflict WHERE settled_at IS NULL")
        return int(found)

    def list_alarms(self, actor: Actor) -> list[Alarm]:
        """The newest first. Raises NotAllowed."""
        _require(actor)
        return list(reversed(self._office.alarms.list_all()))

    def acknowledge(self, actor: Actor, alarm_id: int, reason: str) -> None:
        """Say that an alarm was seen to, and how; again it changes nothing.

        Raises NotAllowed, AlarmNotFound, TextNotPlain.
        """
        actor.require(Permission.REFINE)
        purpose = require_plain(reason, "reason")
        with self._office.writing():
            if self._office.alarms.acknowledge_within(alarm_id, actor.name):
                self._office.record_within(actor, "alarm.acknowledge", f"alarm/{alarm_id}", purpose=purpose)


def write_handovers(path: Path, rows: Sequence[HandoverRow], *, format: Format) -> int:
    """The list as a table; returns how many rows. Raises OSError."""
    columns = {
        "编号": [str(row.handover_id) for row in rows],
        "银行": [row.bank for row in rows],
        "导入时间": [row.imported_at for row in rows],
        "名单": [row.dataset for row in rows],
        "密钥期": [row.epoch for row in rows],
        "版本": [str(row.edition) for row in rows],
        "行数": [str(row.rows) for row in rows],
        "凭据有效": [str(row.accepted) for row in rows],
        "拒收": [str(row.rows - row.accepted) for row in rows],
        "导入人": [row.operator for row in rows],
        "匹配编号": [row.run_id for row in rows],
        "SHA-256": [row.sha256 for row in rows],
    }
    write_export(path, {name: pa.array(cells, pa.string()) for name, cells in columns.items()}, format=format)
    return len(rows)


def _require(actor: Actor) -> None:
    if not (actor.may(Permission.REFINE) or actor.may(Permission.SEE_AUDIT)):
        raise NotAllowed("the account may not see this", permission=Permission.REFINE.value)
