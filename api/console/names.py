"""What counties, policies, departments and lists are called, for pages; their codes are for machines, and stand behind
a name only where two have the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from starlette.requests import Request

from api.console.language import mark, say
from matcher.bureau.office import Office
from matcher.checks.links import Links
from matcher.households.policies import Policies, PolicyRecord

DEPARTMENTS: Mapping[str, str] = {
    "minzheng": mark("民政"),
    "gongan": mark("公安"),
    "renshe": mark("人社"),
    "budongchan": mark("自规"),
    "yibao": mark("医保"),
    "shijian": mark("市监"),
    "nongyenongcun": mark("农业农村"),
    "gongjijin": mark("公积金"),
    "shuguan": mark("数管"),
}
"""By the code that policies and datasets have for them, as the plan names them."""


def county_names(office: Office) -> dict[str, str]:
    """By code, as the policies say it: the newest adopted one's, else the newest that was put forward."""
    policies, found = Policies(office), dict[str, str]()
    for record in sorted(policies.list(), key=lambda one: one.state != "adopted"):
        if record.county not in found:
            found[record.county] = policies.by_sha256(record.sha256).policy.county_name
    return tell_apart(found)


def policy_words(office: Office, records: Iterable[PolicyRecord]) -> dict[str, str]:
    """By SHA-256 the county's name and the version; the digest's beginning behind it where two would read alike."""
    names = county_names(office)
    words = {one.sha256: f"{names.get(one.county, one.county)} {one.version}" for one in records}
    return tell_apart(words, lambda sha256: sha256[:8])


def links_of(request: Request) -> Links:
    links: Links = request.app.state.links
    return links


def department_words(request: Request) -> Callable[[str], str]:
    """A department's name for people: what it calls itself, else what the plan calls it."""
    ours = {code: say(request, name) for code, name in DEPARTMENTS.items()}
    theirs = tell_apart({link.name: link.department.name for link in links_of(request).open})
    return lambda code: theirs.get(code) or ours.get(code) or code


def dataset_words(request: Request, known: Iterable[str] = ()) -> Callable[[str], str]:
    """A list's name: a department's, or the base list; ``known``: the codes that one page shows together."""
    department, connected = department_words(request), {link.name for link in links_of(request).open}
    base = say(request, mark("基础名单"))
    bases = tell_apart({code: base for code in known if code not in connected})
    return lambda code: department(code) if code in connected else bases.get(code, base)


def tell_apart(names: Mapping[str, str], short: Callable[[str], str] = str) -> dict[str, str]:
    """By code the name alone, and with the code (``short`` of it) behind it where another has the same name."""
    counted = Counter(names.values())
    return {code: name if counted[name] == 1 else f"{name}（{short(code)}）" for code, name in names.items()}
