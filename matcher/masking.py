"""How people are named where the whole name is not needed."""

from __future__ import annotations


def mask_name(name: str) -> str:
    """The family name's first character only, whatever the length: 演**."""
    return f"{name[:1]}**"


def mask_address(address: str) -> str:
    """Up to three characters, as a road's name, whatever the length: 青沙路***."""
    return f"{address[:3]}***" if address else ""
