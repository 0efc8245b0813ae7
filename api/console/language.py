"""The console's two languages: Chinese as written in the templates, English from a catalogue (babel)."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from starlette.requests import HTTPConnection

from api.console.sessions import LANGUAGE

Language = Literal["zh", "en"]
CATALOGUE = Path(__file__).parent / "locale" / "en.po"


@lru_cache
def translations(language: Language) -> NullTranslations:
    """The catalogue is read as text: nothing compiled lies about."""
    if language == "zh":
        return NullTranslations()
    compiled = BytesIO()
    with CATALOGUE.open("rb") as stream:
        write_mo(compiled, read_po(stream, locale="en"))
    compiled.seek(0)
    return Translations(compiled)


def language_of(connection: HTTPConnection) -> Language:
    """What the person chose by the switch, else Chinese: the county's offices read it."""
    return "en" if connection.cookies.get(LANGUAGE) == "en" else "zh"


def say(connection: HTTPConnection, words: str) -> str:
    """Chinese words in the reader's language."""
    return translations(language_of(connection)).gettext(words) if words else ""


def mark(words: str) -> str:
    """Words that are said later: the catalogue has to hold them."""
    return words
