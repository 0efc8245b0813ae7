"""The English catalogue holds every Chinese sentence of the console, and none that is not there any more."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import api.console
from api.console.form_view import form_words
from api.console.language import CATALOGUE
from api.console.sections import SECTIONS
from matcher.attachments import KINDS as IMAGE_KINDS
from matcher.bureau.actors import ROLE_WORDS
from matcher.claims.exceptions import KINDS as CLAIM_EXCEPTIONS
from matcher.states import MACHINES
from matcher.visits.model import KINDS, OUTCOMES

CONSOLE = Path(api.console.__file__).parent
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_PLACE = re.compile(r"%\(\w+\)s")


def said() -> set[str]:
    """Sentences of templates and code, and the words that stand in tables elsewhere."""
    found = extract_from_dir(
        CONSOLE,
        method_map=[("**.html", "jinja2.ext:babel_extract"), ("**.py", "python")],
        keywords={"_": None, "gettext": None, "say": (2,), "mark": None},
    )
    words = {message for _, _, message, _, _ in found if isinstance(message, str)}
    words |= {section.title for section in SECTIONS} | set(ROLE_WORDS.values())
    words |= set(CLAIM_EXCEPTIONS.values())
    words |= {*form_words(), *KINDS.values(), *OUTCOMES.values(), *IMAGE_KINDS.values()}
    return words | {word for machine in MACHINES for word in machine.words.values()}


def catalogue() -> dict[str, str]:
    with CATALOGUE.open("rb") as stream:
        return {str(one.id): str(one.string) for one in read_po(stream, locale="en") if one.id}


def test_every_sentence_has_its_english() -> None:
    english = catalogue()
    assert sorted(words for words in said() if not english.get(words)) == []


def test_no_sentence_is_left_over() -> None:
    assert sorted(catalogue().keys() - said()) == []


def test_both_say_the_same_values_and_english_is_english() -> None:
    for chinese, english in catalogue().items():
        assert sorted(_PLACE.findall(chinese)) == sorted(_PLACE.findall(english)), chinese
        assert not _CHINESE.search(english), english


def test_templates_hold_no_sentence_outside_the_catalogue() -> None:
    """Chinese stands in templates within ``_("…")`` only."""
    for template in (CONSOLE / "templates").glob("*.html"):
        text = re.sub(r"\{#.*?#\}", "", template.read_text("utf-8"), flags=re.S)
        bare = re.sub(r"_\((['\"]).*?\1[,)]", "", text)
        left = [line.strip() for line in bare.splitlines() if _CHINESE.search(line)]
        assert [line for line in left if "中文" not in line] == [], template.name
