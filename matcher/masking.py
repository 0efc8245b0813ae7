"""How people are named where the whole name is not needed."""

from __future__ import annotations


def mask_name(name: str) -> str:
    """The family name's first character only, whatever the length: 演**."""
    return f"{name[:1]}**"
