"""Errors on the command line: in the user's language (api/words.py has the sentences), and as exit codes."""

from __future__ import annotations

from collections.abc import Mapping

from api import words
from keys.files import Locked
from psi.errors import InputError, MingceError, VerificationError
from scripts.language import chosen, say


class Refused(InputError):
    """Something a command was asked to do cannot be done; the sentence is already in the user's language."""

    code = "refused"

    def __init__(self, zh: str, en: str, **params: object) -> None:
        super().__init__(en, **params)
        self.sentence = say(zh, en)


GUARDS = {
    "restore_unsettled",
    "checks_missing",
    "not_allowed",
    "not_in_care",
    "same_person",
    "account_state",
    "founders_complete",
    "declaration_decided",
    "epoch_still_valid",
    "records_unsettled",
    "record_not_countersigned",
    "opening_not_approved",
    "warrant_missing",
    "warrant_not_in_force",
    "warrant_exceeded",
    "signatures_missing",
    "operator_not_allowed",
    "list_shrunk",
    "list_withdrawn",
    "list_superseded",
    "whole_list_needed",
    "changes_misfit",
    "changes_out_of_order",
    "budget_exhausted",
    "edition_not_rising",
    "not_granted",
}
TEMPORARY = {
    "budget_waits",
    "exchange_expired",
    "province_unavailable",
    "peer_unavailable",
    "province_refused",
    "signature_refused",
    "certificate_refused",
    "clock_refused",
    "access_refused",
    "epoch_refused",
}
WAITING = {Locked.code, "busy"}


def explain(error: MingceError) -> tuple[str, str]:
    """What happened and what to do next, in the user's language."""
    if isinstance(error, Refused):
        return error.sentence, ""
    return explain_code(error.code, error.detail, error.params)


def explain_code(code: str, detail: str, params: Mapping[str, object]) -> tuple[str, str]:
    """The same for an error that was written down, such as an alarm."""
    return words.explain_code(code, detail, params, chosen())


def exit_code(error: MingceError) -> int:
    """See scripts.cli.main."""
    if error.code in GUARDS:
        return 4
    if error.code in TEMPORARY:
        return 5
    if error.code in WAITING:
        return 7
    if isinstance(error, VerificationError):
        return 6
    return 3 if isinstance(error, InputError) or error.code == "exchange_worker_died" else 1
