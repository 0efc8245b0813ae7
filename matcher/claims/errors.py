"""What a claim may refuse."""

from __future__ import annotations

from psi.errors import InputError, MingceError, VerificationError


class ClaimUnknown(InputError):
    """No claim, line or exception has this number; ``params``: what, number."""

    code = "claim_unknown"


class ClaimNotReady(MingceError):
    """Something has to be done before this step; ``params``: what (see docs/reference/claims.md) and how many."""

    code = "claim_not_ready"


class ClaimTampered(VerificationError):
    """A frozen claim's lines are not those that were frozen; ``params``: claim."""

    code = "claim_tampered"


class FiguresFileInvalid(InputError):
    """A row of a bank's own figures cannot be read; ``params``: file, sheet, row, column, reason."""

    code = "figures_file_invalid"


class ExceptionSettled(InputError):
    """An exception is settled already; ``params``: exception."""

    code = "exception_settled"
