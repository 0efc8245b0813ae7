"""``Visits``: everything the other rooms ask of this part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from matcher.accounts.idempotency import Idempotency
from matcher.attachments import Attachment, Attachments, AttachmentUnknown
from matcher.bureau.actors import Actor
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.exports import Format
from matcher.images import clean_image
from matcher.states import MoveInvalid
from matcher.transit import private_folder
from matcher.visits import collecting, door, forms, overview, planning, showing
from matcher.visits.door import DoorVisit, Luggage
from matcher.visits.form import read_form
from matcher.visits.marketing import MarketingExport, MarketingImport, export_visits, import_visits
from matcher.visits.model import (
    Difference,
    SavedForm,
    Visit,
    VisitDetails,
    VisitState,
)
from matcher.visits.overview import GridWork, Visitor
from matcher.visits.place import read_place
from matcher.visits.planning import Planned
from matcher.visits.records import read_own
from matcher.visits.sheet_export import export_sheet, sheet_content
from matcher.visits.sheet_import import SheetImport, import_sheet, take_sheet
from matcher.visits.showing import VisitFilter
from psi.errors import InputError

IMAGE_KINDS = frozenset(collecting.NEEDED_IMAGES) | {"document"}
_TAKING_IMAGES = ("STARTED", "COLLECTED", "RETURNED")


class Visits:
    """One office's visits. Methods that change take ``key``, so that sending twice changes once, and ``version``:
    the visit's as the caller saw it, or None. They raise VisitUnknown, VisitChanged, NotAllowed, MoveInvalid and
    IdempotencyConflict besides what each says.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self.attachments = Attachments(office)
        self._idempotency = Idempotency(office)

    # Plans

    def plan(
        self, actor: Actor, area: str, planned_for: date, *, grid: str = "", households: Sequence[int] = ()
    ) -> Planned:
        """A visit for every household of ``area`` (a division or its beginning) that waits for one; failed ones again
        as often as the policy says. ``households`` narrows it. Again it plans nothing. Raises PolicyUnknown."""
        with self._office.writing():
            return planning.plan_area(self._office, actor, area, planned_for, grid=grid, households=households)

    def plan_revisits(self, actor: Actor, area: str, planned_for: date) -> int:
        """回访 of the final list that the policy has due by ``planned_for``; how many. Raises PolicyUnknown."""
        with self._office.writing():
            return planning.plan_revisits(self._office, actor, area, planned_for)

    def assign_many(
        self,
        actor: Actor,
        visit_ids: Sequence[int],
        manager: str,
        *,
        grid_officer: str = "",
        key: str | None = None,
    ) -> list[Outcome]:
        """Give visits to one account, also those of another; an outcome for each. Raises ManagerUnsuitable."""
        assign = planning.assigner(self._office, actor, manager, grid_officer)
        request = {
            "operation": "visit.assign", "ids": list(visit_ids), "manager": manager, "grid_officer": grid_officer,
        }  # fmt: skip
        return self._idempotency.run_each(actor, key, request, visit_ids, assign)

    def assign_area(
        self, actor: Actor, area: str, manager: str, *, grid: str = "", grid_officer: str = "", key: str | None = None
    ) -> list[Outcome]:
        """The same for every planned visit of an area, or of one grid of it."""
        assign = planning.assigner(self._office, actor, manager, grid_officer)
        visit_ids = planning.planned_in(self._office, actor, area, grid)
        request = {
            "operation": "visit.assign_area", "area": area, "grid": grid, "manager": manager,
            "grid_officer": grid_officer,
        }  # fmt: skip
        return self._idempotency.run_each(actor, key, request, visit_ids, assign)

    def unassign(
        self, actor: Actor, visit_id: int, *, version: int | None = None, key: str | None = None
    ) -> VisitState:
        return self._once(
            actor, key, "visit.unassign", visit_id, {"version": version},
            lambda: planning.unassign(self._office, actor, visit_id, version),
        )  # fmt: skip

    def cancel(
        self, actor: Actor, visit_id: int, why: str, *, version: int | None = None, key: str | None = None
    ) -> VisitState:
        """PLANNED or ASSIGNED → CANCELLED, with a reason; it counts as no attempt. Raises TextNotPlain."""
        return self._once(
            actor, key, "visit.cancel", visit_id, {"why": why, "version": version},
            lambda: planning.cancel(self._office, actor, visit_id, why, version),
        )  # fmt: skip

    def cancel_many(self, actor: Actor, visit_ids: Sequence[int], why: str, *, key: str | None = None) -> list[Outcome]:
        """The same for several, as they are now; an outcome for each."""

        def cancel(visit_id: int) -> None:
            planning.cancel(self._office, actor, visit_id, why, None)

        request = {"operation": "visit.cancel_many", "ids": list(visit_ids), "why": why}
        return self._idempotency.run_each(actor, key, request, visit_ids, cancel)

    def list_visitors(self, actor: Actor) -> list[Visitor]:
        """The accounts that visits can be assigned to by this one. Raises NotAllowed."""
        return overview.list_visitors(self._office, actor)

    def list_grids(self, actor: Actor, area: str = "") -> list[GridWork]:
        """How the visits of each grid stand, within the account's care. Raises NotAllowed."""
        return overview.list_grids(self._office, actor, area)

    # At the door

    def list_door(self, actor: Actor) -> list[DoorVisit]:
        """The visits that this account has to make, the earliest day first. Raises NotAllowed."""
        return door.list_door(self._office, actor)

    def take_along(self, actor: Actor) -> list[Luggage]:
        """What a device takes along for a week without a network; it holds ID numbers, so it is recorded.

        Raises NotAllowed."""
        with self._office.writing():
            return door.take_along(self._office, actor)

    def start(
        self,
        actor: Actor,
        visit_id: int,
        place: Mapping[str, Any],
        *,
        started_at: str | None = None,
        version: int | None = None,
        key: str | None = None,
    ) -> VisitState:
        """ASSIGNED → STARTED. ``place``: latitude, longitude, accuracy_m and perhaps track (matcher.visits.place);
        ``started_at`` as the tablet had it, else now. Raises PlaceInvalid."""
        read = read_place(place)
        return self._once(
            actor, key, "visit.start", visit_id, {"place": place, "started_at": started_at, "version": version},
            lambda: collecting.start(self._office, actor, visit_id, read, started_at, version),
        )  # fmt: skip

    def save_form(
        self, actor: Actor, visit_id: int, values: Mapping[str, Any], *, device_key: str, version: int | None = None
    ) -> VisitState:
        """STARTED, RETURNED or COLLECTED → COLLECTED. ``values`` as docs/reference/visit-form.md has them.

        ``device_key`` is made on the device with the form: sent twice, it is stored once, whatever ``version`` says.
        Raises FormInvalid, DeviceKeyReused; after VisitChanged :meth:`compare_form` shows both sides.
        """
        with self._office.writing():
            return collecting.save_form(self._office, actor, visit_id, values, device_key, version)

    def compare_form(self, actor: Actor, visit_id: int, values: Mapping[str, Any]) -> list[Difference]:
        """Where an offered form and the stored one differ, side by side. Raises FormInvalid."""
        stored = showing.own_form(self._office, actor, visit_id)
        division = read_own(self._office, actor, visit_id).division
        offered = collecting.check_form(self._office, division, read_form(values))
        return forms.compare_forms(stored.form, offered) if stored else []

    def add_image(
        self, actor: Actor, visit_id: int, kind: str, content: bytes, *, taken_at: str | None = None
    ) -> Attachment:
        """A photo or signature of an open visit, kind of IMAGE_KINDS; the same image again changes nothing.

        Raises ImageRefused.
        """
        if kind not in IMAGE_KINDS:
            raise InputError("no such kind of image", kind=kind[:30], known=sorted(IMAGE_KINDS))
        read_own(self._office, actor, visit_id)  # before a stranger's image is decoded
        image = clean_image(content)
        with self._office.writing():
            visit = read_own(self._office, actor, visit_id)
            if visit.state not in _TAKING_IMAGES:
                raise MoveInvalid(
                    "the visit takes no images now", what="visit", present=visit.state, wanted="COLLECTED"
                )
            return self.attachments.add_within(actor, f"visit/{visit_id}", kind, image, taken_at=taken_at)

    def read_image(self, actor: Actor, visit_id: int, attachment_id: int) -> bytes:
        """The JPEG, for whoever may see the visit; who looked is recorded. Raises AttachmentUnknown."""
        details = self.show(actor, visit_id)
        found = [image for image in details.attachments if image.attachment_id == attachment_id]
        if not found:
            raise AttachmentUnknown("the visit has no such attachment", attachment=attachment_id)
        content = self.attachments.read(found[0])
        with self._office.writing():
            self._office.record_within(actor, "attachment.read", f"visit/{visit_id}", attachment=attachment_id)
        return content

    def fail(
        self,
        actor: Actor,
        visit_id: int,
        outcome: str,
        *,
        remark: str = "",
        version: int | None = None,
        key: str | None = None,
    ) -> VisitState:
        """STARTED → FAILED with a code of FAILURES; :meth:`plan` plans it again."""
        return self._once(
            actor, key, "visit.fail", visit_id, {"outcome": outcome, "remark": remark, "version": version},
            lambda: collecting.fail(self._office, actor, visit_id, outcome, remark, version),
        )  # fmt: skip

    def submit(self, actor: Actor, visit_id: int, *, version: int | None = None, key: str | None = None) -> VisitState:
        """COLLECTED → SUBMITTED, the household of a first visit → VISITED. Raises VisitIncomplete."""
        return self._once(
            actor, key, "visit.submit", visit_id, {"version": version},
            lambda: collecting.submit(self._office, actor, visit_id, version),
        )  # fmt: skip

    # The offline sheet

    def export_sheet(self, actor: Actor, path: Path) -> int:
        """Write the workbook (.xlsx) of the account's open visits; returns how many. It holds ID numbers."""
        return export_sheet(self._office, actor, path)

    def import_sheet(self, actor: Actor, path: Path, *, dry_run: bool = False) -> SheetImport:
        """Start the visits and save the forms that a filled-in workbook holds; each visit by itself.

        Raises FormatUnknown, TableDamaged, TableTooLarge, TableEmpty, ColumnMissing, ColumnAmbiguous, HeaderMissing.
        """
        return import_sheet(self._office, actor, path, dry_run=dry_run)

    def sheet_content(self, actor: Actor) -> bytes:
        """The same workbook, to be sent over the network."""
        return sheet_content(self._office, actor)

    def take_sheet(self, actor: Actor, content: bytes, *, dry_run: bool = False) -> SheetImport:
        """:meth:`import_sheet` of an upload."""
        return take_sheet(self._office, actor, content, dry_run=dry_run)

    # The bank's own 数字营销系统

    def export_visits(
        self, actor: Actor, path: Path, *, bank: str, area: str, purpose: str, format: Format
    ) -> MarketingExport:
        """The visit list for a bank: its own customers only. Raises InputError."""
        return export_visits(self._office, actor, path, bank=bank, area=area, purpose=purpose, format=format)

    def import_visits(self, actor: Actor, path: Path, *, dry_run: bool = False) -> MarketingImport:
        """What the bank's system returns: starts and failures. Raises the errors of matcher.tables.read_table."""
        return import_visits(self._office, actor, path, dry_run=dry_run)

    def take_visits(self, actor: Actor, content: bytes, suffix: str, *, dry_run: bool = False) -> MarketingImport:
        """:meth:`import_visits` of an upload; ``suffix``: .csv, .xlsx or .parquet."""
        with private_folder(self._office.home) as folder:
            path = folder / f"returned{suffix}"
            path.write_bytes(content)
            return import_visits(self._office, actor, path, dry_run=dry_run)

    # A second person

    def accept(self, actor: Actor, visit_id: int, *, version: int | None = None, key: str | None = None) -> VisitState:
        """SUBMITTED → ACCEPTED, the household of a first visit → PENDING_REVIEW. Raises SamePerson."""
        return self._once(
            actor, key, "visit.accept", visit_id, {"version": version},
            lambda: collecting.accept(self._office, actor, visit_id, version),
        )  # fmt: skip

    def accept_many(self, actor: Actor, visit_ids: Sequence[int], *, key: str | None = None) -> list[Outcome]:
        """The same for several, as they are now; an outcome for each."""

        def accept(visit_id: int) -> None:
            collecting.accept(self._office, actor, visit_id, None)

        request = {"operation": "visit.accept_many", "ids": list(visit_ids)}
        return self._idempotency.run_each(actor, key, request, visit_ids, accept)

    def return_visit(
        self, actor: Actor, visit_id: int, remark: str, *, version: int | None = None, key: str | None = None
    ) -> VisitState:
        """SUBMITTED → RETURNED, with what has to be put right. Raises SamePerson."""
        return self._once(
            actor, key, "visit.return", visit_id, {"remark": remark, "version": version},
            lambda: collecting.return_visit(self._office, actor, visit_id, remark, version),
        )  # fmt: skip

    # Showing

    def list_visits(
        self, actor: Actor, wanted: VisitFilter = VisitFilter(), *, after: int = 0, size: int = 50
    ) -> list[Visit]:
        return showing.list_visits(self._office, actor, wanted, after=after, size=size)

    def count_visits(self, actor: Actor, wanted: VisitFilter = VisitFilter()) -> dict[str, int]:
        """How many there are, by state; ``wanted.state`` is left aside."""
        return showing.count_visits(self._office, actor, wanted)

    def show(self, actor: Actor, visit_id: int) -> VisitDetails:
        return showing.show_visit(self._office, actor, visit_id)

    def place_of(self, actor: Actor, visit_id: int) -> dict[str, Any] | None:
        """The place and track of the visit's start, for those who accept visits; who looked is recorded."""
        with self._office.writing():
            return showing.place_of(self._office, actor, visit_id)

    def own_form(self, actor: Actor, visit_id: int) -> SavedForm | None:
        return showing.own_form(self._office, actor, visit_id)

    def present_form(self, visit_id: int) -> SavedForm | None:
        """For other parts: the form that counts of a visit, unmasked."""
        return forms.present_form(self._office, visit_id)

    def accepted_forms(self, household_ids: Sequence[int]) -> dict[int, SavedForm]:
        """For other parts: the form of each household's newest accepted visit, unmasked."""
        return forms.accepted_forms(self._office, household_ids)

    def _once(
        self,
        actor: Actor,
        key: str | None,
        operation: str,
        visit_id: int,
        request: Mapping[str, Any],
        do: Callable[[], VisitState],
    ) -> VisitState:
        asked = {"operation": operation, "visit": visit_id, **request}
        return VisitState(**self._idempotency.run(actor, key, asked, lambda: asdict(do())))
