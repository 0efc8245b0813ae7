"""Households and their members: from the banks' matches to the list of those to be visited."""

from matcher.households.assessing import Assessed, shown_assessment
from matcher.households.errors import (
    ConflictUnknown,
    HouseholdUnknown,
    NumberInvalid,
    ReasonMissing,
    SettlementInvalid,
)
from matcher.households.facts import KnownFacts
from matcher.households.households import Households
from matcher.households.policies import Policies, PolicyClash, PolicyNotProposed
from matcher.households.showing import HouseholdFilter

__all__ = [
    "Assessed",
    "ConflictUnknown",
    "HouseholdFilter",
    "HouseholdUnknown",
    "Households",
    "KnownFacts",
    "NumberInvalid",
    "Policies",
    "PolicyClash",
    "PolicyNotProposed",
    "ReasonMissing",
    "SettlementInvalid",
    "shown_assessment",
]
