"""What can be wrong with a request about a household."""

from __future__ import annotations

from psi.errors import InputError


class HouseholdUnknown(InputError):
    """No household has this number; ``params``: household."""

    code = "household_unknown"


class ReasonMissing(InputError):
    """A decision that goes past the label or settles a conflict has to say why."""

    code = "reason_missing"


class ConflictUnknown(InputError):
    """No conflict has this number; ``params``: conflict."""

    code = "conflict_unknown"


class SettlementInvalid(InputError):
    """A conflict cannot be settled like this; ``params``: conflict, reason (``settled``, ``name``, ``leaves``)."""

    code = "settlement_invalid"


class NumberInvalid(InputError):
    """Not a usable ID number; ``params``: reason, the normaliser's verdict."""

    code = "number_invalid"
