"""A county's rules as data: one TOML file for each county and version (docs/reference/policy.md)."""

from matcher.policy.model import Policy
from matcher.policy.reading import PolicyInvalid, PolicyUnknown, choose_policy, list_examples, load_policy

__all__ = ["Policy", "PolicyInvalid", "PolicyUnknown", "choose_policy", "list_examples", "load_policy"]
