"""Why an event is refused. Each kind has a code, and names the field of the event that it is about."""

from __future__ import annotations

from typing import ClassVar

from psi.errors import InputError


class EventRefused(InputError):
    """A loan's event cannot be entered. ``field`` is the event's own; a file's reject names its heading."""

    code = "loan_event_refused"
    field: ClassVar[str] = ""


class LoanUnknown(EventRefused):
    """No such loan at this bank; params ``contract_no`` or ``loan_id``."""

    code = "loan_unknown"
    field = "contract_no"


class BankUnknown(EventRefused):
    """No bank of this name is trusted here, or none was named; params ``bank``."""

    code = "loan_bank_unknown"


class DayInFuture(EventRefused):
    """What is reported has not happened yet; params ``on``."""

    code = "loan_day_in_future"
    field = "on_day"


class ValueInvalid(EventRefused):
    """A field cannot have this value; params ``field``."""

    code = "loan_value_invalid"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail, field=field)
        self.field = field  # type: ignore[misc]  # this kind alone is about whichever field it was


class BorrowerUnknown(EventRefused):
    """Nobody in a household here has this ID number; params ``item``, masked."""

    code = "borrower_unknown"
    field = "item"


class NotOnFinalList(EventRefused):
    """The borrower's household was not on the final list that day; params ``item`` (masked), ``on``."""

    code = "not_on_final_list"
    field = "item"


class TwoHouseholds(EventRefused):
    """The borrower is in two households that were on the final list that day; params ``item`` (masked), ``on``."""

    code = "borrower_in_two_households"
    field = "item"


class CommitmentMissing(EventRefused):
    """The borrower signed no commitment for this contract by its first day; params ``contract_no``."""

    code = "commitment_missing"
    field = "commitment_no"


class CommitmentUnknown(EventRefused):
    """There is no such commitment, or no image of it; params ``commitment_id``."""

    code = "commitment_unknown"
    field = "commitment_no"


class CommitmentDiffers(EventRefused):
    """A commitment of this number says something else, or has another image; params ``commitment_no``."""

    code = "commitment_differs"
    field = "commitment_no"


class TemplateUnknown(EventRefused):
    """No template of a commitment has this version; params ``version``, ``known``."""

    code = "commitment_template_unknown"
    field = "template_version"


class FacilityUnknown(EventRefused):
    """The household has no facility of this number on that day; params ``facility_no``."""

    code = "facility_unknown"
    field = "facility_no"


class FacilityDiffers(EventRefused):
    """A facility of this number says something else; params ``facility_no``."""

    code = "facility_differs"
    field = "facility_no"


class FacilityExceeded(EventRefused):
    """Its contracts together exceed the facility; params ``facility_no``, ``amount``, ``wanted`` (yuan)."""

    code = "facility_exceeded"
    field = "principal"


class ProductNotAllowed(EventRefused):
    """The policy has no such product; params ``product``, ``known``."""

    code = "product_not_allowed"
    field = "product"


class CapExceeded(EventRefused):
    """The household's loans at all banks together exceed its cap; params ``cap``, ``wanted`` (yuan)."""

    code = "household_cap_exceeded"
    field = "principal"


class TermNotAllowed(EventRefused):
    """The contract runs longer than the policy allows; params ``months``, ``latest``."""

    code = "term_not_allowed"
    field = "ends_on"


class RateNotAllowed(EventRefused):
    """What the customer pays is outside the policy's band; params ``lowest``, ``highest``."""

    code = "rate_not_allowed"
    field = "customer_rate"


class DatesInvalid(EventRefused):
    """A contract's days are in an impossible order; params ``why``."""

    code = "contract_dates_invalid"
    field = "ends_on"


class ContractDiffers(EventRefused):
    """A contract of this number says something else; params ``contract_no``."""

    code = "contract_differs"
    field = "contract_no"


class EntryDiffers(EventRefused):
    """An entry of this reference says something else; params ``reference``."""

    code = "loan_entry_differs"
    field = "reference"


class EntryUnknown(EventRefused):
    """There is no entry of this reference to reverse; params ``reference``."""

    code = "loan_entry_unknown"
    field = "reversed_reference"


class OutsideContract(EventRefused):
    """The day is not within the contract; params ``on``, ``first``, ``last``."""

    code = "outside_contract"
    field = "on_day"


class PrincipalExceeded(EventRefused):
    """More is drawn than the contract allows; params ``on``, ``principal``, ``owed`` (yuan)."""

    code = "principal_exceeded"
    field = "amount"


class RepaidTooMuch(EventRefused):
    """More is repaid than is owed on a day; params ``on``."""

    code = "repaid_too_much"
    field = "amount"


class BalanceLeft(EventRefused):
    """A loan that still owes, or moves later, is not settled; params ``owed`` (yuan)."""

    code = "balance_left"
    field = "on_day"


class LoanEnded(EventRefused):
    """The loan was settled or written off; params ``contract_no``, ``on``."""

    code = "loan_ended"
    field = "contract_no"


class SpanInvalid(EventRefused):
    """Days that cannot be overdue, suspended or stopped so; params ``why``."""

    code = "loan_span_invalid"
    field = "on_day"


class FileBusinessUnknown(EventRefused):
    """A row of a loan file says no kind of business that is known; params ``kind``."""

    code = "loan_kind_unknown"
    field = "kind"
