"""Coming in and going out: sessions, forms of our own only, a second factor, each code once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from bureau_office import ADMIN, AUDITOR, HANDLER, OTHER_ADMIN, make_account
from console_server import RunningConsole, Visitor, running_console
from pyotp import TOTP

from api.console.sessions import SESSION
from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office

_SECRET = re.compile(r"<code>([A-Z2-7]{4}(?: [A-Z2-7]{4}){7})</code>")


@pytest.fixture
def strict(office: Office) -> Iterator[RunningConsole]:
    """As it is by default: sessions need a second factor."""
    with running_console(office, second_factor=True) as running:
        yield running


def enter(visitor: Visitor, office: Office, actor: Actor, code: str = "") -> int:
    form = {"name": actor.name, "password": make_account(office, actor), "code": code}
    return visitor.post("/sign-in", form).status_code


def code_of(secret: str, clock: SettableClock) -> str:
    return TOTP(secret).at(clock.now())


def bind(visitor: Visitor, clock: SettableClock) -> str:
    """Returns the device's secret."""
    found = _SECRET.search(visitor.get("/second-factor").text)
    assert found is not None
    secret = found[1].replace(" ", "")
    assert visitor.post("/second-factor", {"code": code_of(secret, clock)}).headers["location"] == "/"
    return secret


def test_without_a_session_every_page_leads_to_sign_in(console: RunningConsole) -> None:
    answer = console.visitor().get("/audit?account=x&action=y")
    assert answer.headers["location"] == "/sign-in?next=/audit%3Faccount%3Dx%26action%3Dy"


def test_signing_in_leads_to_where_one_wanted_to_go(console: RunningConsole, office: Office) -> None:
    form = {"name": AUDITOR.name, "password": make_account(office, AUDITOR), "next": "/audit?account=x"}
    assert console.visitor().post("/sign-in", form).headers["location"] == "/audit?account=x"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_signing_in_leads_nowhere_else(console: RunningConsole, office: Office, elsewhere: str) -> None:
    form = {"name": AUDITOR.name, "password": make_account(office, AUDITOR), "next": elsewhere}
    assert console.visitor().post("/sign-in", form).headers["location"] == "/"


def test_a_wrong_password_says_nothing_more(console: RunningConsole, office: Office) -> None:
    make_account(office, HANDLER)
    visitor = console.visitor()
    texts = [visitor.post("/sign-in", {"name": name, "password": "wrong"}) for name in (HANDLER.name, "nobody")]
    assert [answer.status_code for answer in texts] == [403, 403]
    assert texts[0].text.replace(HANDLER.name, "?") == texts[1].text.replace("nobody", "?")


def test_d41_a_post_from_another_site_is_refused(console: RunningConsole) -> None:
    visitor = console.sign_in(HANDLER)
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": console.url, "sec-fetch-site": "cross-site"},
        {"origin": console.url.replace("127.0.0.1", "127.0.0.1.evil.example")},
    ):
        assert visitor.post("/sign-out", None, **headers).status_code == 403
        assert visitor.post("/sign-in", {"name": "x", "password": "y"}, **headers).status_code == 403
    assert visitor.get("/me").status_code == 200


def test_d41_a_form_without_its_token_or_with_anothers_is_refused(console: RunningConsole) -> None:
    visitor, other = console.sign_in(HANDLER), console.sign_in(AUDITOR)
    page = other.get("/me").text
    (token,) = set(re.findall(r'name="token" value="([^"]+)"', page))
    for given in ("", "x", token):
        answer = visitor.post("/sign-out", {"token": given})
        assert (answer.status_code, "表单不是从本系统的页面提交的" in answer.text) == (403, True)
    assert visitor.get("/me").status_code == 200


def test_d41_a_session_that_was_planted_before_is_not_taken_over(console: RunningConsole, office: Office) -> None:
    visitor = console.visitor()
    planted = visitor.cookies[SESSION] = "A" * 43
    assert enter(visitor, office, HANDLER) == 303
    assert visitor.cookies[SESSION] != planted
    first = visitor.cookies[SESSION]
    assert enter(visitor, office, HANDLER) == 303
    assert visitor.cookies[SESSION] != first


def test_d41_after_signing_out_the_old_cookie_is_worth_nothing(console: RunningConsole) -> None:
    visitor = console.sign_in(HANDLER)
    old = visitor.cookies[SESSION]
    assert visitor.post("/sign-out").headers["location"] == "/sign-in"
    assert SESSION not in visitor.cookies
    visitor.cookies[SESSION] = old
    assert visitor.get("/me").headers["location"].startswith("/sign-in")
    answer = visitor.post("/audit/verify")
    assert (answer.status_code, "登录已结束" in answer.text) == (401, True)


def test_cookies_belong_to_this_host_and_to_no_script(console: RunningConsole, office: Office) -> None:
    form = {"name": HANDLER.name, "password": make_account(office, HANDLER)}
    for line in console.visitor().post("/sign-in", form).headers.get_list("set-cookie"):
        assert line.startswith("__Host-")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(line.split("; "))


def test_without_a_device_a_session_is_only_good_for_binding_one(strict: RunningConsole, office: Office) -> None:
    visitor = strict.visitor()
    assert enter(visitor, office, AUDITOR) == 303
    for path in ("/", "/me", "/audit", "/nothing"):
        assert visitor.get(path).headers["location"] == "/second-factor"
    bearer = {"authorization": f"Bearer {visitor.cookies[SESSION]}"}
    answer = strict.client.get("/v1/sessions/current", headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_missing")


def test_binding_a_device_begins_another_session(strict: RunningConsole, office: Office, clock: SettableClock) -> None:
    visitor = strict.visitor()
    enter(visitor, office, AUDITOR)
    before = visitor.cookies[SESSION]
    assert visitor.post("/second-factor", {"code": "000000"}).status_code in (409, 422)
    bind(visitor, clock)
    assert visitor.cookies[SESSION] != before
    assert visitor.get("/audit").status_code == 200
    assert visitor.get("/second-factor").status_code == 409  # the secret is not shown again


def test_a_bound_account_needs_its_code_each_code_once(
    strict: RunningConsole, office: Office, clock: SettableClock
) -> None:
    secret = _bound(strict, office, AUDITOR, clock)
    used = code_of(secret, clock)
    assert [enter(strict.visitor(), office, AUDITOR, code) for code in ("", "abcdef", used)] == [403] * 3
    clock.advance(30)
    fresh = code_of(secret, clock)
    assert enter(strict.visitor(), office, AUDITOR, fresh) == 303
    assert enter(strict.visitor(), office, AUDITOR, fresh) == 403
    clock.advance(30)
    assert enter(strict.visitor(), office, AUDITOR, used) == 403


def test_a_clock_may_be_half_a_minute_off_and_no_more(
    strict: RunningConsole, office: Office, clock: SettableClock
) -> None:
    secret = _bound(strict, office, AUDITOR, clock)
    clock.advance(600)
    for off_s, expected in ((-60, 403), (60, 403), (-30, 303), (30, 303)):
        assert (
            enter(strict.visitor(), office, AUDITOR, TOTP(secret).at(clock.now() + timedelta(seconds=off_s)))
            == expected
        )


def test_guessing_codes_is_slowed_down(strict: RunningConsole, office: Office, clock: SettableClock) -> None:
    secret = _bound(strict, office, AUDITOR, clock)
    for guess in range(6):
        enter(strict.visitor(), office, AUDITOR, f"{guess:06d}")
    clock.advance(30)
    assert enter(strict.visitor(), office, AUDITOR, code_of(secret, clock)) == 403
    clock.advance(900)
    assert enter(strict.visitor(), office, AUDITOR, code_of(secret, clock)) == 303


def test_two_administrators_end_a_lost_device(strict: RunningConsole, office: Office, clock: SettableClock) -> None:
    _bound(strict, office, AUDITOR, clock)
    accounts = Accounts(office)
    assert not accounts.reset_device(ADMIN, AUDITOR.name)
    with pytest.raises(Exception, match="second person"):
        accounts.reset_device(ADMIN, AUDITOR.name)
    assert accounts.reset_device(OTHER_ADMIN, AUDITOR.name)
    visitor = strict.visitor()
    assert enter(visitor, office, AUDITOR) == 303
    assert visitor.get("/audit").headers["location"] == "/second-factor"


def test_a_secret_is_sealed_in_the_store(strict: RunningConsole, office: Office, clock: SettableClock) -> None:
    secret = _bound(strict, office, AUDITOR, clock)
    assert all(secret.encode() not in path.read_bytes() for path in office.home.rglob("*") if path.is_file())


def test_the_language_is_a_switch(console: RunningConsole) -> None:
    visitor = console.visitor()
    assert visitor.post("/language", {"language": "en", "back": "/sign-in"}).headers["location"] == "/sign-in"
    assert '<html lang="en">' in visitor.get("/sign-in").text
    assert visitor.post("/language", {"language": "fr"}).status_code == 422


def _bound(strict: RunningConsole, office: Office, actor: Actor, clock: SettableClock) -> str:
    visitor = strict.visitor()
    enter(visitor, office, actor)
    return bind(visitor, clock)
