"""The departments' datasets that a bureau is connected to, and what its stores of checks know of them: read only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from keys.clock import parse_time
from keys.identity import PublicIdentity
from matcher.alarms import Alarm
from matcher.bank.editions import EditionRow
from matcher.bank.openings import StoredOpening
from matcher.bank.records import StoredRecord
from matcher.bank.runs import Run
from matcher.bank.store import BankStore
from matcher.bank.told import ToldBudget
from matcher.bank.warrants import WarrantRecord, Warrants
from matcher.bureau.actors import Actor, NotAllowed, Permission
from matcher.bureau.office import Office
from matcher.personal.fields import require_plain
from matcher.schemas import ListSchema
from psi.errors import InputError, MingceError

PACE_DAYS = 30  # what was charged in them is the pace of a forecast


class LinkUnknown(InputError):
    """No department's dataset is connected under this name; params: ``department``."""

    code = "link_unknown"


@dataclass(frozen=True)
class CheckLink:
    """One connected dataset: ``name`` here, ``dataset`` at the department."""

    name: str
    dataset: str
    department: PublicIdentity
    schema: ListSchema
    divisions: tuple[str, ...]
    store: BankStore
    warrants: Warrants
    operators: Mapping[str, str] = field(default_factory=dict)  # names by fingerprint


@dataclass(frozen=True)
class Links:
    """``broken``: configured, but not to be opened, with the error that says why."""

    open: tuple[CheckLink, ...] = ()
    broken: Mapping[str, MingceError] = field(default_factory=dict)

    def schema_of(self, department: str) -> ListSchema | None:
        return next((link.schema for link in self.open if link.name == department), None)


@dataclass(frozen=True)
class BudgetView:
    """What the endpoint last told of an allowance, with a forecast by what was charged in the last 30 days.

    ``a_day`` are elements; ``ends_on`` is when the rest will be used up at that pace, None if nothing was charged.
    """

    told: ToldBudget
    a_day: float
    ends_on: date | None


@dataclass(frozen=True)
class WarrantView:
    """``state``: unsigned, in_force, not_begun, over or revoked; ``used``: people asked about under it."""

    record: WarrantRecord
    state: str
    signers: tuple[str, ...]
    used: int


@dataclass(frozen=True)
class LinkView:
    """One dataset with what is known of it, the newest first."""

    link: CheckLink
    runs: Sequence[Run]
    editions: Sequence[EditionRow]
    budgets: Sequence[BudgetView]
    warrants: Sequence[WarrantView]
    alarms: Sequence[Alarm]
    records: Sequence[StoredRecord]
    openings: Sequence[StoredOpening]


class CheckRuns:
    """What a bureau's own checks were asked, granted and told."""

    def __init__(self, office: Office, links: Links) -> None:
        self._office = office
        self._links = links

    def show(self, actor: Actor) -> list[LinkView]:
        """Every connected dataset. Raises NotAllowed."""
        _require_any(actor, Permission.REFINE, Permission.CHECK_DEPARTMENT, Permission.SEE_AUDIT)
        return [self._view(link) for link in self._links.open]

    def acknowledge(self, actor: Actor, name: str, alarm_id: int, reason: str) -> None:
        """Say that an alarm of a check was seen to, and how. On record before it is done; again it changes nothing.

        Raises NotAllowed, LinkUnknown, AlarmNotFound, TextNotPlain.
        """
        actor.require(Permission.CHECK_DEPARTMENT)
        purpose = require_plain(reason, "reason")
        link = next((one for one in self._links.open if one.name == name), None)
        if link is None:
            raise LinkUnknown("no such dataset is connected", department=name)
        if link.store.alarms.get(alarm_id).acknowledged_at is not None:
            return
        with self._office.writing():
            self._office.record_within(actor, "alarm.acknowledge", f"check/{name}/{alarm_id}", purpose=purpose)
        link.store.alarms.acknowledge(alarm_id, actor.name)

    def _view(self, link: CheckLink) -> LinkView:
        store = link.store
        runs = store.runs.list_all()
        return LinkView(
            link,
            runs,
            store.editions.list_all(),
            [self._budget(told, runs) for told in store.told.list_all()],
            [self._warrant(link, record) for record in link.warrants.list_all()],
            list(reversed(store.alarms.list_all())),
            store.records.list_all(),
            store.list_openings(),
        )

    def _budget(self, told: ToldBudget, runs: Sequence[Run]) -> BudgetView:
        now = self._office.clock.now()
        recent = [
            run.charged or 0
            for run in runs
            if (run.dataset, run.epoch) == (told.dataset, told.epoch)
            and now - parse_time(run.created_at) <= timedelta(days=PACE_DAYS)
        ]
        a_day = sum(recent) / PACE_DAYS
        days = None if not a_day else int(told.remaining / a_day)
        # Beyond a human life there is nothing to foresee.
        ends_on = None if days is None or days > 36_500 else self._office.today() + timedelta(days=days)
        return BudgetView(told, a_day, ends_on)

    def _warrant(self, link: CheckLink, record: WarrantRecord) -> WarrantView:
        now, terms = self._office.clock.now(), record.terms
        if record.state == "REVOKED":
            state = "revoked"
        elif now > terms.not_after:
            state = "over"
        elif record.state == "PROPOSED":
            state = "unsigned"
        else:
            state = "not_begun" if now < terms.not_before else "in_force"
        names = tuple(link.operators.get(one, one[:12]) for one in record.signers)
        return WarrantView(record, state, names, link.store.batches.count_customers(record.sha256))


def _require_any(actor: Actor, *permissions: Permission) -> None:
    if not any(actor.may(one) for one in permissions):
        raise NotAllowed("the account may not see this", permission=permissions[0].value)
