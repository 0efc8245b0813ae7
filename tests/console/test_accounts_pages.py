"""The pages of accounts: two administrators for each, the one-time password shown once."""

from __future__ import annotations

import re

import pytest
from bureau_office import ADMIN, COUNTY, DEPARTMENT, HANDLER, OTHER_ADMIN
from console_server import RunningConsole

from matcher.accounts.accounts import Accounts
from matcher.bureau.office import Office

_ONE_TIME = re.compile(r'<p class="code"><code>([a-z2-7-]{27})</code>')
NEW = {"name": "xiaoli", "display_name": "演示李", "role": "handler"}


def one_time(page: str) -> str:
    (found,) = _ONE_TIME.findall(page)
    return str(found)


def test_from_proposal_to_the_first_sign_in(console: RunningConsole) -> None:
    admin, other = console.sign_in(ADMIN), console.sign_in(OTHER_ADMIN)
    assert admin.post("/accounts/_new", NEW).headers["location"] == "/accounts/xiaoli?done=proposed"
    page = admin.get("/accounts/xiaoli?done=proposed").text
    assert "已提出，请另一位管理员复核" in page
    assert "/accounts/xiaoli/approve" not in page
    assert admin.post("/accounts/xiaoli/approve").status_code == 403
    assert other.get("/accounts").text.index("xiaoli") < other.get("/accounts").text.index(">guanli<")
    password = one_time(other.post("/accounts/xiaoli/approve").text)
    assert password not in other.get("/accounts/xiaoli").text
    person = console.visitor()
    assert person.post("/sign-in", {"name": "xiaoli", "password": password}).headers["location"] == "/password"
    wanted = {"name": "xiaoli", "present": password, "wanted": "演示 a long password", "again": "演示 a long password"}
    assert person.post("/password", {**wanted, "again": "other"}).status_code == 422
    assert person.post("/password", wanted).headers["location"] == "/sign-in"
    assert person.post("/sign-in", {"name": "xiaoli", "password": wanted["wanted"]}).headers["location"] == "/"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "X!"}, "name", "账号"),
        ({"name": ADMIN.name}, "name", "账号"),
        ({"display_name": ""}, "display_name", "姓名"),
        ({"role": []}, "roles", "角色"),
        ({"role": ["admin", "handler"]}, "roles", "角色"),
        ({"role": "bank_manager"}, "bank", "银行"),
        ({"role": "bank_manager", "bank": "unheard of"}, "bank", "银行"),
        ({"role": "township"}, "townships", "镇街"),
        ({"townships": "110101"}, "townships", "区划"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    console: RunningConsole, change: dict[str, object], field: str, words: str
) -> None:
    answer = console.sign_in(ADMIN).post("/accounts/_new", {**NEW, **change})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert words in answer.text
    assert 'value="演示李"' in answer.text or "display_name" in change  # what was typed is still there


def test_a_forgotten_password_takes_two(console: RunningConsole, office: Office) -> None:
    console.sign_in(HANDLER)
    admin, other = console.sign_in(ADMIN), console.sign_in(OTHER_ADMIN)
    path = f"/accounts/{HANDLER.name}"
    assert admin.post(f"{path}/reset").headers["location"] == f"{path}?done=asked"
    assert admin.post(f"{path}/reset").status_code == 403
    assert one_time(other.post(f"{path}/reset").text)
    assert console.sign_in(HANDLER).get("/me").headers["location"].startswith("/sign-in")
    assert admin.post(f"{path}/reset-device").status_code == 409  # none is bound


def test_closing_names_the_account_and_is_for_good(console: RunningConsole, office: Office) -> None:
    console.sign_in(HANDLER)
    admin = console.sign_in(ADMIN)
    assert f"关闭账号 {HANDLER.name}？" in admin.get(f"/accounts/{HANDLER.name}/close").text
    assert admin.post(f"/accounts/{HANDLER.name}/close").headers["location"].endswith("?done=closed")
    assert console.sign_in(HANDLER).get("/me").headers["location"].startswith("/sign-in")
    (closed,) = [one for one in Accounts(office).list_all(ADMIN) if one.name == HANDLER.name]
    assert closed.state == "closed"
    assert "/close" not in admin.get(f"/accounts/{HANDLER.name}").text


def test_an_account_that_is_not_there(console: RunningConsole) -> None:
    admin = console.sign_in(ADMIN)
    for method, path in (("GET", "/accounts/nobody"), ("POST", "/accounts/nobody/close"), ("GET", "/accounts/a%00b")):
        answer = admin.get(path) if method == "GET" else admin.post(path)
        assert answer.status_code == 404


def test_words_from_an_address_are_not_shown(console: RunningConsole) -> None:
    page = console.sign_in(ADMIN).get(f"/accounts/{ADMIN.name}?done=evil").text
    assert 'class="done"' not in page
    assert "evil" not in page.split("<main")[1]


def test_nobody_else_comes_here(console: RunningConsole) -> None:
    assert console.sign_in(DEPARTMENT).get("/accounts").status_code == 403


def test_a_banks_person_is_of_a_known_bank(console: RunningConsole) -> None:
    admin = console.sign_in(ADMIN)
    (bank, *_) = re.findall(r"<option>([^<]+)</option>", admin.get("/accounts/_new").text)
    form = {**NEW, "role": "bank_manager", "bank": bank, "townships": f"{COUNTY}100"}
    assert admin.post("/accounts/_new", form).status_code == 303
    assert bank in admin.get("/accounts/xiaoli").text
