"""Passwords, failures that slow down where they come from, and sessions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bureau_office import ADMIN, CHEAP, CHECKER, HANDLER, OTHER_ADMIN, make_account, make_office, password_of, spring

from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount, PasswordNotChosen, SessionInvalid, SignInFailed
from matcher.accounts.passwords import PasswordCost, PasswordWeak, is_right, one_time_password
from matcher.accounts.sessions import Sessions
from matcher.accounts.sign_in import FREE_FAILURES, LONGEST_BLOCK_S, MOST_DEVICES, SignIn, block_after
from matcher.bureau.office import Office

NAME, PASSWORD = HANDLER.name, password_of(HANDLER)
WRONG = "certainly not it"


@pytest.fixture
def clock() -> SettableClock:
    return spring()


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    make_account(opened, HANDLER)
    yield opened
    opened.close()


@pytest.fixture
def sign_in(office: Office) -> SignIn:
    return SignIn(office, CHEAP)


def fail(sign_in: SignIn, times: int, device: str | None = None, name: str = NAME) -> None:
    for _ in range(times):
        with pytest.raises(SignInFailed):
            sign_in.authenticate(name, WRONG, device)


def test_the_right_password_and_no_other(sign_in: SignIn) -> None:
    assert sign_in.authenticate(NAME, PASSWORD) == HANDLER
    for name, password in ((NAME, WRONG), (NAME, ""), (NAME, PASSWORD + " "), ("nobody", PASSWORD), ("", "")):
        with pytest.raises(SignInFailed):
            sign_in.authenticate(name, password)


def test_a_password_is_the_same_from_every_keyboard() -> None:
    hashed = CHEAP.hash("caf\u00e9 \u4f60\u597d\uff0c\u53e3\u4ee4")
    assert is_right("cafe\u0301 \u4f60\u597d\uff0c\u53e3\u4ee4", hashed)
    assert not is_right("cafe \u4f60\u597d\uff0c\u53e3\u4ee4", hashed)
    assert not is_right("x" * 100_000, hashed)
    assert not is_right("\ud800" * 12, hashed)


def test_the_ordinary_cost_is_what_the_field_asks_for() -> None:
    """OWASP's least for argon2id: 19 MiB and two passes."""
    assert PasswordCost().memory >= 19 << 20
    assert PasswordCost().passes >= 2
    assert PasswordCost().hash("whatever it is").startswith("$argon2id$")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("short", "short"),
        ("11 characte", "short"),
        ("x" * 1_025, "long"),
        ("aaaaaaaaaaaaaaaa", "guessable"),
        ("abababababababab", "guessable"),
        (f"xx{NAME}xx 2025", "guessable"),
        (PASSWORD, "guessable"),
    ],
)
def test_passwords_that_cannot_be_chosen(sign_in: SignIn, wanted: str, reason: str) -> None:
    with pytest.raises(PasswordWeak) as refused:
        sign_in.set_password(NAME, PASSWORD, wanted)
    assert refused.value.params == {"reason": reason}
    assert sign_in.authenticate(NAME, PASSWORD)


def test_a_one_time_password_only_chooses_another(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    accounts = Accounts(office, CHEAP)
    accounts.propose(ADMIN, NewAccount("li", "李", HANDLER.roles))
    one_time = accounts.approve(OTHER_ADMIN, "li")
    with pytest.raises(PasswordNotChosen):
        sign_in.authenticate("li", one_time)
    with pytest.raises(PasswordNotChosen):
        Sessions(office, sign_in).begin("li", one_time)
    sign_in.set_password("li", one_time, "my very own password")
    with pytest.raises(SignInFailed):
        sign_in.set_password("li", one_time, "somebody else's password")


def test_a_one_time_password_ends(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    accounts = Accounts(office, CHEAP)
    accounts.propose(ADMIN, NewAccount("li", "李", HANDLER.roles))
    one_time = accounts.approve(OTHER_ADMIN, "li")
    clock.advance(7 * 86_400)
    with pytest.raises(SignInFailed):
        sign_in.set_password("li", one_time, "my very own password")


def test_one_time_passwords_differ(office: Office) -> None:
    made = {one_time_password(office.random_bytes) for _ in range(100)}
    assert len(made) == 100
    assert {len(password.replace("-", "")) for password in made} == {24}


def test_blocks_grow_and_end() -> None:
    assert [block_after(failures) for failures in range(12)] == [0, 0, 0, 0, 0, 60, 120, 240, 480, 900, 900, 900]
    assert block_after(10**6) == LONGEST_BLOCK_S


def test_after_failures_even_the_right_password_waits(sign_in: SignIn, clock: SettableClock) -> None:
    fail(sign_in, FREE_FAILURES)
    assert sign_in.authenticate(NAME, PASSWORD)  # and the count begins anew
    fail(sign_in, FREE_FAILURES + 1)
    for _ in range(10):  # waiting attempts do not lengthen the wait
        clock.advance(5)
        with pytest.raises(SignInFailed):
            sign_in.authenticate(NAME, PASSWORD)
    clock.advance(10)
    assert sign_in.authenticate(NAME, PASSWORD)


def test_the_wait_never_becomes_longer_than_a_quarter_of_an_hour(sign_in: SignIn, clock: SettableClock) -> None:
    for _ in range(20):
        fail(sign_in, 1)
        clock.advance(LONGEST_BLOCK_S)
    assert sign_in.authenticate(NAME, PASSWORD)


def test_a_clock_that_was_wrong_keeps_nobody_out(sign_in: SignIn, clock: SettableClock) -> None:
    clock.advance(400 * 86_400)
    fail(sign_in, FREE_FAILURES + 1)
    clock.advance(-400 * 86_400)
    assert sign_in.authenticate(NAME, PASSWORD)


def test_whoever_guesses_for_hours_gets_few_guesses(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    for _ in range(4 * 60):
        fail(sign_in, 1)
        clock.advance(60)
    (tried,) = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = 'account.sign_in_failed'").fetchone()
    assert tried <= FREE_FAILURES + 4 + 4 * 3_600 // LONGEST_BLOCK_S


def test_others_failures_do_not_keep_the_owner_out(office: Office, sign_in: SignIn) -> None:
    device = Sessions(office, sign_in).begin(NAME, PASSWORD).device
    fail(sign_in, 3 * FREE_FAILURES, device="a device nobody knows")
    with pytest.raises(SignInFailed):
        sign_in.authenticate(NAME, PASSWORD)
    assert sign_in.authenticate(NAME, PASSWORD, device)
    make_account(office, CHECKER)
    assert sign_in.authenticate(CHECKER.name, password_of(CHECKER))


def test_a_known_device_is_slowed_down_too_and_alone(office: Office, sign_in: SignIn) -> None:
    device = Sessions(office, sign_in).begin(NAME, PASSWORD).device
    fail(sign_in, FREE_FAILURES + 1, device)
    with pytest.raises(SignInFailed):
        sign_in.authenticate(NAME, PASSWORD, device)
    assert sign_in.authenticate(NAME, PASSWORD)


def test_a_device_token_that_somebody_else_chose_is_replaced(office: Office, sign_in: SignIn) -> None:
    planted = "A" * 43
    given = Sessions(office, sign_in).begin(NAME, PASSWORD, planted).device
    assert given != planted
    assert Sessions(office, sign_in).begin(NAME, PASSWORD, given).device == given


def test_only_so_many_devices_are_remembered(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    for number in range(MOST_DEVICES + 5):
        clock.advance(1)
        sign_in.authenticate(NAME, PASSWORD, f"device {number}")
    assert not sign_in.knows_device(NAME, "device 0")
    assert sign_in.knows_device(NAME, f"device {MOST_DEVICES + 4}")
    ((count,),) = office.database.execute("SELECT COUNT(*) FROM sign_in_origin").fetchall()
    assert count <= MOST_DEVICES + 1


def test_guesses_in_parallel_count_like_one_after_another(office: Office, sign_in: SignIn) -> None:
    def guess(_: int) -> bool:
        try:
            sign_in.authenticate(NAME, WRONG)
        except SignInFailed:
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(guess, range(40)))
    ((failed,),) = office.database.execute("SELECT failed FROM sign_in_origin").fetchall()
    assert failed == FREE_FAILURES + 1
    recorded = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = 'account.sign_in_failed'").fetchone()
    assert recorded == (FREE_FAILURES + 1,)


def test_names_that_are_not_there_leave_nothing(office: Office, sign_in: SignIn) -> None:
    before = office.verify_audit()
    fail(sign_in, 10, name="990000198001011234")
    assert office.verify_audit() == before
    assert office.database.execute("SELECT COUNT(*) FROM sign_in_origin").fetchone() == (0,)


def test_sessions_end(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    sessions = Sessions(office, sign_in)
    first, second = (sessions.begin(NAME, PASSWORD).token for _ in range(2))
    assert first != second
    for _ in range(10):
        clock.advance(1_200)
        assert sessions.get_actor(first) == HANDLER
    with pytest.raises(SessionInvalid):
        sessions.get_actor(second)  # idle
    sessions.end(first)
    sessions.end(first)
    for token in (first, "", "x" * 10_000, "\ud800"):
        with pytest.raises(SessionInvalid):
            sessions.get_actor(token)


def test_a_session_ends_however_busy_it_is(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    sessions = Sessions(office, sign_in)
    token = sessions.begin(NAME, PASSWORD).token
    for _ in range(35):
        clock.advance(1_200)
        sessions.get_actor(token)
    clock.advance(1_200)
    with pytest.raises(SessionInvalid):
        sessions.get_actor(token)


def test_a_clock_set_back_revives_nothing(office: Office, sign_in: SignIn, clock: SettableClock) -> None:
    sessions = Sessions(office, sign_in)
    token = sessions.begin(NAME, PASSWORD).token
    sessions.end(token)
    clock.advance(-86_400)
    with pytest.raises(SessionInvalid):
        sessions.get_actor(token)


def test_d41_a_new_sign_in_is_a_new_session(office: Office, sign_in: SignIn) -> None:
    sessions = Sessions(office, sign_in)
    signed_in = sessions.begin(NAME, PASSWORD)
    again = sessions.begin(NAME, PASSWORD, signed_in.device)
    assert again.token != signed_in.token
    sign_in.set_password(NAME, PASSWORD, "another one altogether", "planted by somebody")
    assert not sign_in.knows_device(NAME, "planted by somebody")
    for token in (signed_in.token, again.token):
        with pytest.raises(SessionInvalid):
            sessions.get_actor(token)
