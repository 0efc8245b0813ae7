"""One Hypothesis profile for all: the same examples every time, and no deadline on a shared machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("mingce", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("mingce")
