"""A county's rules as data: one TOML file for each county and version (docs/reference/policy.md)."""

from matcher.policy.model import Policy
from matcher.policy.reading import (
    LoadedPolicy,
    PolicyInvalid,
    PolicyUnknown,
    choose_policy,
    list_examples,
    load_policy,
    parse_policy,
)

__all__ = [
    "LoadedPolicy",
    "Policy",
    "PolicyInvalid",
    "PolicyUnknown",
    "choose_policy",
    "list_examples",
    "load_policy",
    "parse_policy",
]
