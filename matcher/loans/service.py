"""The bureau's loans: what banks report of them, and what the county decides about their subsidy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Literal

from keys.database import reading
from matcher.accounts.idempotency import Idempotency
from matcher.attachments import Attachment
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households.policies import Policies
from matcher.loans import (
    agreements,
    entries,
    events,
    held_files,
    listing,
    signed_images,
    subsidy_states,
)
from matcher.loans.accounts import LoanAccount, read_accounts
from matcher.loans.commitment import load_template
from matcher.loans.errors import BankUnknown, LoanUnknown
from matcher.loans.events import Event, Recorded
from matcher.loans.file_import import FileImport, import_loan_file
from matcher.loans.held_files import HeldFile
from matcher.loans.values import check_values
from matcher.loans.work import Work
from matcher.personal.fields import require_plain
from matcher.transit import private_folder

_ENTER: Mapping[type[Any], Any] = {
    events.FacilityGranted: agreements.grant,
    events.CommitmentSigned: agreements.commit,
    events.LoanApplied: agreements.apply,
    events.ContractSigned: agreements.sign,
    events.Entry: entries.enter,
    events.EntryReversed: entries.reverse,
    events.Overdue: entries.mark_overdue,
    events.OverdueEnded: entries.end_overdue,
    events.Extended: entries.extend,
    events.Settled: entries.settle,
    events.WrittenOff: entries.write_off,
}


class Loans:
    """Works on one office's store. ``bank`` is everywhere a bank's fingerprint."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._policies = Policies(office)

    # What a bank reports

    def record(self, actor: Actor, bank: str, event: Event, *, key: str | None = None) -> Recorded:
        """Enter one event of a bank's loan; the same event again changes nothing. Needs ENTER_LOANS.

        Raises NotAllowed, MoveInvalid, IdempotencyConflict and the kinds of EventRefused that the event's own
        function names (matcher.loans.agreements, matcher.loans.entries).
        """
        actor.require(Permission.ENTER_LOANS, bank=bank)
        request = {"event": type(event).__name__, "bank": bank, **{name: str(v) for name, v in vars(event).items()}}
        return self._once(actor, key, request, lambda: self.record_within(self._work(actor, bank), event))

    def record_within(self, work: Work, event: Event) -> Recorded:
        """The same in the caller's transaction, who has checked the permission."""
        check_values(event)
        done: Recorded = _ENTER[type(event)](work, event)
        return done

    def import_file(
        self,
        actor: Actor,
        bank: str,
        file: Path,
        *,
        columns: Mapping[str, str | Sequence[str]] | None = None,
        dry_run: bool = False,
    ) -> FileImport:
        """Enter a bank's daily loan file (docs/reference/loan-file.md) in one transaction. Needs ENTER_LOANS.

        Each row is entered whole or rejected with its reason and column. The same content again changes nothing,
        unless it had rejects: those are tried again. ``columns``: other headings for our fields.
        Raises NotAllowed and the errors of matcher.tables.read_table.
        """
        actor.require(Permission.ENTER_LOANS, bank=bank)
        return import_loan_file(self._work(actor, bank), file, self.record_within, columns or {}, dry_run=dry_run)

    def take_file(
        self, actor: Actor, bank: str, content: bytes, suffix: Literal[".csv", ".xlsx"], *, dry_run: bool = False
    ) -> FileImport:
        """:meth:`import_file` of an upload."""
        actor.require(Permission.ENTER_LOANS, bank=bank)
        with private_folder(self._office.home) as folder:
            file = folder / f"loans{suffix}"
            file.write_bytes(content)
            return self.import_file(actor, bank, file, dry_run=dry_run)

    def preview_file(self, actor: Actor, file: HeldFile) -> tuple[str, FileImport]:
        """What entering an upload would do, and the name by which :meth:`enter_held_file` enters that very content.

        Raises as :meth:`import_file`.
        """
        done = self.take_file(actor, file.bank, file.content, file.suffix, dry_run=True)
        return held_files.hold(self._office, actor, file), done

    def enter_held_file(self, actor: Actor, name: str) -> FileImport:
        """Enter a file that this account has looked at. Raises HeldFileGone, and as :meth:`import_file`."""
        file = held_files.read_held(self._office, actor, name)
        done = self.take_file(actor, file.bank, file.content, file.suffix)
        held_files.drop_held(self._office, name)
        return done

    def _work(self, actor: Actor, bank: str) -> Work:
        return Work(self._office, self._policies, actor, bank)

    # What the county decides

    def suspend(
        self, actor: Actor, loan_id: int, from_day: date, *, reason: str, remark: str = "", key: str | None = None
    ) -> Recorded:
        """No subsidy from a day on, until :meth:`resume`. ``reason`` is a code. Needs LIST_END.

        Raises NotAllowed, LoanUnknown, DayInFuture, ReasonUnknown, TextNotPlain, SpanInvalid, MoveInvalid,
        IdempotencyConflict.
        """
        said = {"subsidy": "suspend", "from_day": from_day.isoformat(), "reason": reason, "remark": remark}
        return self._decide(actor, loan_id, key, said, subsidy_states.suspend, from_day, reason, remark)

    def resume(self, actor: Actor, loan_id: int, on_day: date, *, remark: str = "", key: str | None = None) -> Recorded:
        """Subsidy again from a day on. Needs LIST_END. Raises as :meth:`suspend`."""
        said = {"subsidy": "resume", "on_day": on_day.isoformat(), "remark": remark}
        return self._decide(actor, loan_id, key, said, subsidy_states.resume, on_day, remark)

    def stop(
        self, actor: Actor, loan_id: int, from_day: date, *, reason: str, remark: str = "", key: str | None = None
    ) -> Recorded:
        """No subsidy from a day on, for good. Needs LIST_END. Raises as :meth:`suspend`."""
        said = {"subsidy": "stop", "from_day": from_day.isoformat(), "reason": reason, "remark": remark}
        return self._decide(actor, loan_id, key, said, subsidy_states.stop, from_day, reason, remark)

    def _decide(
        self,
        actor: Actor,
        loan_id: int,
        key: str | None,
        said: Mapping[str, str],
        decide: Callable[..., Recorded],
        *arguments: object,
    ) -> Recorded:
        actor.require(Permission.LIST_END)
        require_plain(said["remark"], "remark", optional=True)
        return self._once(
            actor, key, {**said, "loan_id": loan_id}, lambda: decide(*self._loan_of(actor, loan_id), *arguments)
        )

    def _once(self, actor: Actor, key: str | None, request: Mapping[str, Any], do: Callable[[], Recorded]) -> Recorded:
        return Recorded(**Idempotency(self._office).run(actor, key, request, lambda: asdict(do())))

    def _loan_of(self, actor: Actor, loan_id: int) -> tuple[Work, dict[str, Any]]:
        work = self._work(actor, "")
        loan = work.first(
            "SELECT loan.*, division FROM loan JOIN household USING (household_id) WHERE loan_id = ?", [loan_id]
        )
        if loan is None:
            raise LoanUnknown("no such loan", loan_id=loan_id)
        actor.require(Permission.LIST_END, division=loan.pop("division"))
        return work, loan

    # What there is

    def find(self, actor: Actor, where: listing.Filter, *, after: int = 0, limit: int = 100) -> list[listing.LoanRow]:
        """Loans by number, from behind ``after`` on. A bank's people see their own bank's. Needs SEE_LOANS."""
        actor.require(Permission.SEE_LOANS)
        with reading(self._office.database):
            return listing.find_rows(self._office, actor, where, after, limit)

    def show(self, actor: Actor, loan_id: int) -> listing.LoanDetail:
        """A loan with its commitment, entries and spans; masked. Needs SEE_LOANS. Raises NotAllowed, LoanUnknown."""
        actor.require(Permission.SEE_LOANS)
        with reading(self._office.database):
            return listing.read_detail(self._office, actor, loan_id)

    def sum_up(self, actor: Actor, where: listing.Filter) -> listing.LoanTotals:
        """Of all loans that :meth:`find` gives. Needs SEE_LOANS."""
        actor.require(Permission.SEE_LOANS)
        with reading(self._office.database):
            return listing.sum_up(self._office, actor, where)

    def list_choices(self, actor: Actor) -> dict[str, list[str]]:
        """``townships`` and ``products`` that there are loans of, for filters. Needs SEE_LOANS."""
        actor.require(Permission.SEE_LOANS)
        with reading(self._office.database):
            return listing.list_choices(self._office, actor)

    def files(self, actor: Actor, *, limit: int = 50) -> list[dict[str, Any]]:
        """Imported files, the newest first, with their rejects. Needs SEE_LOANS."""
        actor.require(Permission.SEE_LOANS)
        with reading(self._office.database):
            return listing.read_files(self._office, actor, limit)

    def accounts_within(self, loan_ids: Collection[int] | None = None) -> list[LoanAccount]:
        """What the interest of all signed contracts, or of some, is computed from; by household, in the order in which
        they share its cap. For the nightly job: it asks no permission and shows nobody.
        """
        with reading(self._office.database) as database:
            return read_accounts(database, loan_ids)

    def bank(self, actor: Actor, name: str = "") -> str:
        """The fingerprint of a bank by its name; the actor's own, or the only one, without. Raises BankUnknown."""
        with reading(self._office.database) as database:
            known = dict(database.execute("SELECT name, fingerprint FROM bank").fetchall())
        if name in known:
            return str(known[name])
        if not name and actor.bank is not None:
            return actor.bank
        if not name and len(known) == 1:
            return str(next(iter(known.values())))
        raise BankUnknown("no such bank, or several", bank=name, known=sorted(known))

    def add_image(self, actor: Actor, commitment_id: int, content: bytes) -> Attachment:
        """Keep the scanned image (JPEG, PNG) of a signed commitment; the same again changes nothing. Needs ENTER_LOANS.

        Raises NotAllowed, CommitmentUnknown, CommitmentDiffers if it has another, ImageRefused.
        """
        return signed_images.add_image(self._office, actor, commitment_id, content)

    def read_image(self, actor: Actor, commitment_id: int) -> bytes:
        """That image, a JPEG; who looked is recorded. Needs SEE_LOANS. Raises NotAllowed, CommitmentUnknown."""
        return signed_images.read_image(self._office, actor, commitment_id)

    def commitment_page(
        self, actor: Actor, household_id: int, *, bank: str, contract_no: str, commitment_no: str, version: str = ""
    ) -> str:
        """身份承诺书 to print and sign, as HTML, for a household's applicant. Needs ENTER_LOANS.

        Raises NotAllowed, BankUnknown, BorrowerUnknown, TemplateUnknown.
        """
        actor.require(Permission.ENTER_LOANS, bank=bank)
        with reading(self._office.database):
            values = listing.commitment_values(self._office, actor, household_id, bank)
        return load_template(version).page(values | {"contract_no": contract_no, "commitment_no": commitment_no})
