"""Templates: one environment a language, and the few ways in which values are written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.console.language import Language, language_of, translations
from api.console.sections import sections_of
from api.console.sessions import form_token
from keys.clock import BEIJING, parse_time
from matcher.bureau.actors import ROLE_WORDS, Role
from matcher.reasons import describe
from matcher.states import MACHINES
from matcher.subsidy.lines import yuan

TEMPLATES = Path(__file__).parent / "templates"
Crumb = tuple[str, str | None]


def render(
    request: Request,
    template: str,
    *,
    title: str,
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    as_of: str = "",
    may_ask: bool = True,
    **values: Any,
) -> HTMLResponse:
    """A page. ``crumbs``: the way to it, (words, address); the page itself comes last without being given.
    ``as_of``: the day (ISO) up to which computed figures on it go. ``may_ask``: whether the store may be asked for
    what the frame shows; not on the event loop.

    Every template knows ``actor`` (None before sign-in), ``sections``, ``path``, ``token`` (of forms), ``language``.
    """
    language = language_of(request)
    actor = getattr(request.state, "actor", None)
    session = getattr(request.state, "session", None)
    todo = request.app.state.todo
    page = (
        environment(language)
        .get_template(template)
        .render(
            title=title,
            crumbs=crumbs,
            actor=actor,
            sections=sections_of(request) if actor else [],
            path=request.url.path,
            query=request.url.query,
            token=form_token(session) if session else "",
            language=language,
            site=request.app.state.site,
            todo=(todo.count(actor) if may_ask else todo.last(actor)) if actor else None,
            as_of=as_of,
            **values,
        )
    )
    return HTMLResponse(page, status_code=status, headers=dict(headers or {}))


@lru_cache
def environment(language: Language) -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    spoken = translations(language)
    made.install_gettext_translations(spoken, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "yuan": lambda fen: "" if fen is None else yuan(fen),
        "wan": wan,
        "day": day_in_words if language == "zh" else _day_in_english,
        "say": spoken.gettext,
        "role": lambda role: spoken.gettext(ROLE_WORDS[Role(role)]),
        "moment": moment,
        "reasons": lambda codes: describe([code for code in codes.split(",") if code], english=language == "en"),
        "state": lambda state, machine: spoken.gettext(state_words(state, machine)),
        "plain": plain,
        "rate": rate,
    }
    made.globals["role_words"] = {role.value: words for role, words in ROLE_WORDS.items()}
    return made


def wan(fen: int | None) -> str:
    """分 as 万元 with two places, half up; the heading names the unit."""
    if fen is None:
        return ""
    hundredths = (2 * abs(fen) + 10_000) // 20_000
    return f"{'-' if fen < 0 else ''}{hundredths // 100:,}.{hundredths % 100:02d}"


def rate(percent: str) -> str:
    """A rate in %, with two places at the least: 3.8 as 3.80, 3.625 as it is."""
    whole, _, places = percent.partition(".")
    return f"{whole}.{places:0<2}"


def day_in_words(value: str | date | None) -> str:
    """2026年3月5日."""
    if not value:
        return ""
    day = value if isinstance(value, date) else date.fromisoformat(value)
    return f"{day.year}年{day.month}月{day.day}日"


def _day_in_english(value: str | date | None) -> str:
    """5 March 2026."""
    if not value:
        return ""
    day = value if isinstance(value, date) else date.fromisoformat(value)
    return f"{day.day} {day:%B} {day.year}"


def moment(value: str | None) -> str:
    """A stored time as the clock on the wall shows it: 2026-03-05 14:30."""
    return parse_time(value).astimezone(BEIJING).strftime("%Y-%m-%d %H:%M") if value else ""


def state_words(state: str, machine: str) -> str:
    """A state's Chinese name; ``machine``: household, visit, loan, subsidy, claim."""
    (found,) = [one for one in MACHINES if one.name == machine]
    return found.words[state]


def plain(text: str | None) -> str:
    """Text from outside, which may be missing."""
    return text or ""


def visible(value: object) -> object:
    """Whatever a template writes: characters that turn its direction (U+202E and its like) or that no page can show
    stand in it as ⟨U+202E⟩, wherever the text came from."""
    if not isinstance(value, str) or _HIDDEN.search(value) is None:
        return value
    return type(value)(_HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", value))


_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
