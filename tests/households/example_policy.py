"""The example policy of the county that the made-up office belongs to."""

from __future__ import annotations

from matcher.policy import list_examples

SHENGSI = next(path for path in list_examples() if path.name.startswith("330922"))
