"""A visit as others see it, and what can be wrong with a request about one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matcher.attachments import Attachment
from matcher.visits.form import VisitForm
from psi.errors import InputError, MingceError

FAILURES: Mapping[str, str] = {
    "absent": "无人",
    "refused": "拒访",
    "moved": "迁出",
    "deceased": "死亡",
    "wrong_address": "地址错误",
}
OUTCOMES: Mapping[str, str] = {"done": "完成", **FAILURES}
KINDS: Mapping[str, str] = {"first": "首访", "revisit": "回访"}


class VisitUnknown(InputError):
    """No visit has this number, or none that the account may see; ``params``: visit."""

    code = "visit_unknown"


class VisitChanged(MingceError):
    """Somebody changed the visit since it was shown; ``params``: visit, present (its version), state."""

    code = "visit_changed"


class VisitIncomplete(MingceError):
    """The visit cannot be submitted; ``params``: visit, missing: form, place, photo, or a signature's kind."""

    code = "visit_incomplete"


class VisitNotPlannable(MingceError):
    """No visit can be planned for the household; ``params``: household, ``reason``: attempts or gone."""

    code = "visit_not_plannable"


class ManagerUnsuitable(InputError):
    """The account cannot make this visit; ``params``: manager, ``reason``: unknown, role, township, bank."""

    code = "manager_unsuitable"


class DeviceKeyReused(InputError):
    """Another form was sent under this device key, or it is no key of 8 to 64 letters, digits, ``-`` or ``_``."""

    code = "device_key_reused"


class PlaceInvalid(InputError):
    """The place or the time of a visit's start cannot be used; ``params``: field."""

    code = "place_invalid"


@dataclass(frozen=True)
class VisitState:
    """Where a visit stands after a change. ``version`` is what the next change has to name."""

    visit_id: int
    household_id: int
    state: str
    attempt: int
    version: int


@dataclass(frozen=True)
class Visit:
    """A row of a list. ``applicant`` is masked; ``division`` the household's; days are ISO dates."""

    visit_id: int
    household_id: int
    household_no: str
    division: str
    kind: str
    attempt: int
    state: str
    grid: str
    planned_for: str
    manager: str | None
    grid_officer: str
    outcome: str | None
    collector: str | None
    submitted_at: str | None
    decided_by: str | None
    remark: str
    version: int


@dataclass(frozen=True)
class VisitMove:
    """One step of a visit's history."""

    attempt: int
    from_state: str
    to_state: str
    at: str
    account: str
    outcome: str | None
    remark: str


@dataclass(frozen=True)
class VisitDetails:
    """A visit with its evidence. ``form`` has masked numbers and telephones, as JSON; ``missing`` is what a
    submission still needs; ``notes`` say in Chinese where the form and the match differ."""

    visit: Visit
    form: Mapping[str, object] | None
    form_digest: str | None
    has_place: bool
    attachments: tuple[Attachment, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    moves: tuple[VisitMove, ...]


@dataclass(frozen=True)
class SavedForm:
    """A visit's form as stored: ``digest`` is what a decision names."""

    visit_id: int
    household_id: int
    kind: str
    digest: str
    collector: str | None
    saved_at: str
    accepted_at: str | None
    form: VisitForm


@dataclass(frozen=True)
class Difference:
    """One field in which an offered form and the stored one differ, side by side."""

    path: str
    heading: str
    stored: str
    offered: str
