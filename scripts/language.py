"""Chinese first, English as a switch: each sentence is written once, in both."""

from __future__ import annotations

import os

LANGUAGES = ("zh", "en")
_language = "zh"


def set_language(language: str | None = None) -> None:
    """Choose by argument, else MINGCE_LANG, else Chinese."""
    global _language
    chosen = language or os.environ.get("MINGCE_LANG", "zh")[:2]
    _language = chosen if chosen in LANGUAGES else "zh"


def chosen() -> str:
    """One of LANGUAGES."""
    return _language


def say(zh: str, en: str) -> str:
    """The sentence in the chosen language."""
    return zh if _language == "zh" else en
