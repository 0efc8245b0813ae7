"""Why a step of a review cannot be taken. Each says what is missing; nothing was changed."""

from __future__ import annotations

from psi.errors import InputError, MingceError


class ClaimedByOther(MingceError):
    """Somebody else works on this household; params: ``by``, ``since``."""

    code = "claimed_by_other"


class DecisionUnknown(InputError):
    """There is no such decision; params: ``decision``."""

    code = "decision_unknown"


class DecisionWaits(MingceError):
    """A proposal for this household already waits for the second person; params: ``decision``, ``by``."""

    code = "decision_waits"


class DecisionMade(MingceError):
    """The decision was answered before, by another or otherwise; params: ``decision``, ``state``, ``by``, ``at``."""

    code = "decision_made"


class NotOwnProposal(MingceError):
    """Only whoever proposed it may take it back; params: ``decision``, ``by``."""

    code = "not_own_proposal"


class VisitOpen(MingceError):
    """A visit of the household is planned or under way, so nobody gives it up; params: ``household``, ``visit``."""

    code = "visit_open"


class RefusalTold(MingceError):
    """There is no refusal of which the household is still to be told; params: ``household``."""

    code = "refusal_told"


class CollectorDecides(MingceError):
    """Whoever collected the form may not decide upon it; params: ``visit``."""

    code = "collector_decides"


class VisitMissing(MingceError):
    """No accepted visit with a form stands behind the decision; params: ``household``."""

    code = "visit_missing"


class ConflictUnsettled(MingceError):
    """Conflicts of the household's records have to be settled first; params: ``kinds``."""

    code = "conflict_unsettled"


class EvidenceChanged(MingceError):
    """What the decision stands on is no longer what it was, or not what the second person saw; params: ``changed``."""

    code = "evidence_changed"


class RemarkMissing(InputError):
    """A person has to say why in words; params: ``why`` (``verdict``, ``against_assessment``, ``send_back``)."""

    code = "remark_missing"


class AppealUsed(MingceError):
    """The household has appealed once already; params: ``household``."""

    code = "appeal_used"


class ObjectionLate(MingceError):
    """The days for objections are over; params: ``ends_on``."""

    code = "objection_late"


class ConfirmationRuns(MingceError):
    """The confirmation cannot be closed yet; params: ``waits_for`` (``days``, ``sms``, ``village``), ``ends_on``."""

    code = "confirmation_runs"
