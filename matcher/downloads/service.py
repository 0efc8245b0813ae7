"""Who takes which file: at once, or, where it names people in full, after a second person has agreed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from keys.clock import BEIJING, format_time
from matcher.bureau.actors import SYSTEM, Actor, NotInCare, Permission
from matcher.bureau.office import Office
from matcher.downloads.packing import Make, make_file, remove_unfinished
from matcher.personal.fields import require_plain
from matcher.rows import fetch_records
from matcher.watermark import Watermark
from psi.errors import InputError, MingceError

FOLDER = "downloads"
MAX_BYTES = 64 << 20
ANSWER_WITHIN = timedelta(days=3)
FETCH_WITHIN = timedelta(hours=24)
KEPT_ROWS = 200  # of a list
_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # 32 without 0, 1, I and O

State = Literal["asked", "agreed", "refused", "fetched", "expired"]


class DownloadUnknown(InputError):
    """No download has this number, or it is nothing to this account; ``params``: number."""

    code = "download_unknown"


class DownloadStateInvalid(MingceError):
    """It was answered, fetched or given up already; ``params``: number, state."""

    code = "download_state_invalid"


class DownloadTooLarge(InputError):
    """The file is larger than is handed out; ``params``: limit in MiB."""

    code = "download_too_large"


@dataclass(frozen=True)
class Wanted:
    """``file_name`` with its ending; ``subject`` as the audit log has it; ``needs``: what the content takes to see,
    which whoever agrees must have too; ``personal``: names, ID numbers, phones or addresses in full are in it."""

    title: str
    file_name: str
    subject: str
    needs: Permission
    personal: bool


@dataclass(frozen=True)
class FileOut:
    """A file on its way out, under its final name."""

    number: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Download:
    """One row of ``download``. ``until``: when waiting ends, for an answer or for the fetching."""

    download_id: int
    number: str
    account: str
    bank: str | None
    townships: tuple[str, ...]
    needs: Permission
    title: str
    file_name: str
    subject: str
    reason: str
    personal: bool
    row_count: int
    bytes: int
    sha256: str
    asked_at: str
    state: State
    until: str | None
    decided_by: str | None
    decided_at: str | None
    remark: str
    ended_at: str | None


class Downloads:
    """The office's downloads. A list that an account may see is not yet one that it may carry away: that takes
    ``export`` besides."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._folder = office.home / FOLDER

    def take(self, actor: Actor, wanted: Wanted, make: Make, *, reason: str) -> FileOut:
        """Make a file without personal data and record who takes it. Raises NotAllowed, TextNotPlain,
        DownloadTooLarge, and whatever ``make`` raises."""
        if wanted.personal:
            raise ValueError("personal data take a second person: ask()")
        file, values = self._make(actor, wanted, make, reason, key="")
        now = self._office.now()
        with self._office.writing():
            self._insert_within({**values, "state": "fetched", "ended_at": now})
            self._office.record_within(actor, "download.take", f"download/{file.number}", **_detail(values))
        return file

    def ask(self, actor: Actor, wanted: Wanted, make: Make, *, reason: str, key: str) -> str:
        """Make a file that waits, sealed, for a second person; returns its number. The same key again is the same
        request. What is agreed to and fetched is this very file. Raises as :meth:`take`."""
        self.sweep()
        if (known := self._number_of(actor, key)) is not None:
            return known
        file, values = self._make(actor, wanted, make, reason, key)
        until = format_time(self._office.clock.now() + ANSWER_WITHIN)
        with self._office.writing() as database:
            if (known := self._number_of(actor, key)) is not None:  # another thread was first
                return known
            row = self._insert_within({**values, "state": "asked", "until": until})
            sealed = self._office.personal.sealer.seal(file.content, "download_content", "sealed", file.number)
            database.execute("INSERT INTO download_content VALUES (?, ?)", [row, sealed])
            self._office.record_within(actor, "download.ask", f"download/{file.number}", **_detail(values))
        return file.number

    def decide(self, actor: Actor, number: str, *, agreed: bool, remark: str = "") -> None:
        """A second person's answer; a refusal says why. It takes to see as much as whoever asked, and as wide a care.

        Raises DownloadUnknown, NotAllowed, SamePerson, DownloadStateInvalid, TextNotPlain.
        """
        actor.require(Permission.AGREE_EXPORT)
        self.sweep()
        said = require_plain(remark, "remark", optional=agreed)
        with self._office.writing() as database:
            one = self._get(number)
            _require_sight(actor, one)
            actor.require_other(one.account)
            _require_state(one, "asked")
            now = self._office.clock.now()
            until = format_time(now + FETCH_WITHIN)
            database.execute(
                "UPDATE download SET state = ?, until = ?, decided_by = ?, decided_at = ?, remark = ?"
                " WHERE download_id = ?",
                ["agreed", until, actor.name, format_time(now), said, one.download_id],
            )
            if not agreed:
                self._end_within(one, "refused")
            action = "download.agree" if agreed else "download.refuse"
            self._office.record_within(actor, action, f"download/{number}", purpose=said, sha256=one.sha256)

    def fetch(self, actor: Actor, number: str) -> FileOut:
        """The file, once, for whoever asked; it is kept no longer. Raises DownloadUnknown, NotAllowed,
        DownloadStateInvalid, SealedDataDamaged."""
        self.sweep()
        with self._office.writing() as database:
            one = self._get(number)
            if one.account != actor.name:
                raise DownloadUnknown("nobody else's download is fetched", number=number)
            actor.require(Permission.EXPORT)
            actor.require(one.needs)
            _require_state(one, "agreed")
            (sealed,) = database.execute(
                "SELECT sealed FROM download_content WHERE download_id = ?", [one.download_id]
            ).fetchone()
            content = self._office.personal.sealer.open(sealed, "download_content", "sealed", number)
            self._end_within(one, "fetched")
            self._office.record_within(actor, "download.fetch", f"download/{number}", sha256=one.sha256)
        return FileOut(number, one.file_name, content)

    def list_own(self, actor: Actor) -> list[Download]:
        """What this account asked for or took, the newest first. Raises NotAllowed."""
        actor.require(Permission.EXPORT)
        self.sweep()
        return self._find("account = ? ORDER BY download_id DESC LIMIT ?", [actor.name, KEPT_ROWS])

    def list_waiting(self, actor: Actor) -> list[Download]:
        """What others asked for and this account may answer, the oldest first. Raises NotAllowed."""
        actor.require(Permission.EXPORT)
        waiting = self._find("state = 'asked' AND account <> ? ORDER BY download_id", [actor.name])
        return [one for one in waiting if _may_see(actor, one)]

    def sweep(self) -> int:
        """Give up what waited too long, and delete its file and what killed processes left; how many it were."""
        remove_unfinished(self._folder)
        now = self._office.now()
        if not self._find("until < ? LIMIT 1", [now]):
            return 0
        with self._office.writing():
            late = self._find("until < ?", [now])
            for one in late:
                self._end_within(one, "expired")
                self._office.record_within(SYSTEM, "download.expire", f"download/{one.number}", state=one.state)
        return len(late)

    def _make(self, actor: Actor, wanted: Wanted, make: Make, reason: str, key: str) -> tuple[FileOut, dict[str, Any]]:
        """The file, and its row without state."""
        actor.require(Permission.EXPORT)
        actor.require(wanted.needs)
        purpose = require_plain(reason, "reason")
        office = self._office
        now = office.clock.now()
        letters = "".join(_LETTERS[byte % 32] for byte in office.random_bytes(6))
        number = f"{now.astimezone(BEIJING):%Y%m%d}-{letters}"
        mark = Watermark(number, actor.name, f"{now.astimezone(BEIJING):%Y-%m-%d %H:%M}", purpose)
        name, content, rows = make_file(self._folder, wanted.file_name, mark, make, personal=wanted.personal)
        if len(content) > MAX_BYTES:
            raise DownloadTooLarge("a file this large is not handed out", limit=MAX_BYTES >> 20)
        row = {
            "number": number, "account": actor.name, "bank": actor.bank, "townships": json.dumps(actor.townships),
            "needs": wanted.needs.value, "key": key or number, "title": wanted.title, "file_name": name,
            "subject": wanted.subject, "reason": purpose, "personal": int(wanted.personal), "row_count": rows,
            "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "asked_at": format_time(now),
            "remark": "",
        }  # fmt: skip
        return FileOut(number, name, content), row

    def _number_of(self, actor: Actor, key: str) -> str | None:
        found = self._find("account = ? AND key = ?", [actor.name, key])
        return found[0].number if found else None

    def _get(self, number: str) -> Download:
        """Raises DownloadUnknown."""
        found = self._find("number = ?", [number])
        if not found:
            raise DownloadUnknown("no such download", number=number)
        return found[0]

    def _find(self, condition: str, values: Sequence[object]) -> list[Download]:
        """``condition`` is one of the fixed texts above."""
        rows = fetch_records(self._office.database, f"SELECT * FROM download WHERE {condition}", values)  # noqa: S608
        return [_read(row) for row in rows]

    def _end_within(self, one: Download, state: State) -> None:
        self._office.database.execute(
            "UPDATE download SET state = ?, until = NULL, ended_at = ? WHERE download_id = ?",
            [state, self._office.now(), one.download_id],
        )
        self._office.database.execute("DELETE FROM download_content WHERE download_id = ?", [one.download_id])

    def _insert_within(self, row: dict[str, Any]) -> int:
        cursor = self._office.database.execute(
            f"INSERT INTO download ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608
            list(row.values()),
        )
        return cursor.lastrowid or 0


def _read(row: dict[str, Any]) -> Download:
    del row["key"]
    told = {"townships": tuple(json.loads(row["townships"])), "needs": Permission(row["needs"])}
    return Download(**{**row, **told, "personal": bool(row["personal"])})


def _detail(values: dict[str, Any]) -> dict[str, Any]:
    """What the audit log says of a file."""
    return {
        "purpose": values["reason"], "of": values["subject"], "rows": values["row_count"], "sha256": values["sha256"],
        "personal": bool(values["personal"]),
    }  # fmt: skip


def _may_see(actor: Actor, one: Download) -> bool:
    """Whether the account may see all that whoever asked may: the same bank's or nobody's, no fewer townships."""
    return (
        actor.may(Permission.AGREE_EXPORT)
        and actor.may(one.needs)
        and actor.bank in (None, one.bank)
        and all(actor.cares_for(township) for township in one.townships or ("",))
    )


def _require_sight(actor: Actor, one: Download) -> None:
    """Raises NotAllowed, NotInCare."""
    for township in one.townships or ("",):
        if not actor.cares_for(township) or actor.bank not in (None, one.bank):
            raise NotInCare()
    actor.require(Permission.AGREE_EXPORT)
    actor.require(one.needs)


def _require_state(one: Download, state: State) -> None:
    """Raises DownloadStateInvalid."""
    if one.state != state:
        raise DownloadStateInvalid("not possible as it stands", number=one.number, state=one.state)
