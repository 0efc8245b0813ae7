"""A bureau at work, for the tests of its parts: an office, one actor for each role, and matched households.

The households come by the real import of a made-up hand-over (handed_over.py), so everything that an import
writes is there: candidates with true receipts, members, conflicts.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from handed_over import BANK, COUNTY, DATASET, EPOCH, OTHER_BANK, Match, hand_over, receipt_key
from nacl.pwhash import argon2id

from keys.clock import Clock, SettableClock
from keys.receipts import ReceiptKeys
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.accounts.passwords import PasswordCost
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from psi.identifiers import check_character

SECRET = bytes([9]) * 32
TOWNSHIP_CODE, OTHER_TOWNSHIP_CODE = f"{COUNTY}100", f"{COUNTY}200"
BANK_NO, OTHER_BANK_NO = BANK.public.fingerprint, OTHER_BANK.public.fingerprint

HANDLER = Actor("jingban", frozenset({Role.HANDLER}))
CHECKER = Actor("fuhe", frozenset({Role.CHECKER}))
OTHER_CHECKER = Actor("fuhe2", frozenset({Role.CHECKER}))
TOWNSHIP = Actor("zhenjie", frozenset({Role.TOWNSHIP}), townships=(TOWNSHIP_CODE,))
DEPARTMENT = Actor("bumen", frozenset({Role.DEPARTMENT}), department="minzheng")
MANAGER = Actor("jingli", frozenset({Role.BANK_MANAGER}), townships=(TOWNSHIP_CODE,), bank=BANK_NO)
OTHER_MANAGER = Actor("jingli2", frozenset({Role.BANK_MANAGER}), bank=BANK_NO)
BANK_ADMIN = Actor("yinhang", frozenset({Role.BANK_ADMIN}), bank=BANK_NO)
OTHER_BANK_ADMIN = Actor("yinhang2", frozenset({Role.BANK_ADMIN}), bank=OTHER_BANK_NO)
AUDITOR = Actor("shenji", frozenset({Role.AUDITOR}))
PROVINCE = Actor("sheng", frozenset({Role.PROVINCE}))
ADMIN = Actor("guanli", frozenset({Role.ADMIN}))
OTHER_ADMIN = Actor("guanli2", frozenset({Role.ADMIN}))

CHEAP = PasswordCost(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)  # so that tests are fast
_MOST_A_DAY = 1_000  # people born on one day


def spring() -> SettableClock:
    """09:00 in Beijing on 2025-03-03, when both example policies hold."""
    return SettableClock(datetime(2025, 3, 3, 1, 0, tzinfo=UTC))


def make_office(home: Path, clock: Clock | None = None, *, seed: int = 1) -> Office:
    """The office of one county (COUNTY) that trusts two banks and has the epoch's receipt keys. Close it.

    The same ``seed`` gives the same "random" bytes. Open the same ``home`` again for a second process's view.
    """
    store = BureauStore(home, SECRET, clock or spring(), [COUNTY], Random(seed).randbytes)
    store.add_bank(BANK.public)
    store.add_bank(OTHER_BANK.public)
    store.add_receipt_keys(ReceiptKeys(DATASET, EPOCH, {COUNTY: receipt_key(COUNTY)}))
    return store.office


def add_households(
    office: Office,
    count: int,
    *,
    first: int = 0,
    members: int = 2,
    household_size: str = "3",
    division: str = TOWNSHIP_CODE,
    expanding: str = "1",
    reasons: str = "",
    born: int = 1985,
) -> list[int]:
    """Import ``count`` households in state MATCHED; returns their ids, in order.

    They are numbered H000000 from ``first`` on; call it again with another ``first`` for more. ``members`` of each
    are matched: adults, born in ``born`` or soon after, named 演示0, 演示1 and so on.
    """
    rows = [
        Match(
            person(household * members + place, born),
            household_no=f"H{household:06d}",
            name=f"演示{place}",
            household_size=household_size,
            division=division,
            expanding=expanding,
            reasons=reasons,
        )
        for household in range(first, first + count)
        for place in range(members)
    ]
    store = BureauStore(
        office.home, SECRET, office.clock, sorted(office.divisions), Random(f"{first} {division}").randbytes
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = store.import_handover(hand_over(Path(folder) / "移交.mch", rows), HANDLER.name)
    finally:
        store.close()
    assert done.accepted == len(rows)
    numbers = {row.household_no for row in rows}
    with office.writing() as database:
        found = database.execute("SELECT household_no, household_id FROM household ORDER BY household_no").fetchall()
    return [household_id for number, household_id in found if number in numbers]


def person(number: int, born: int = 1985) -> str:
    """A valid ID number under a prefix that was never assigned; even numbers are women's, odd ones men's."""
    day = date(born, 1, 1) + timedelta(days=number // _MOST_A_DAY)
    body = f"990000{day:%Y%m%d}{number % _MOST_A_DAY:03d}"
    return body + check_character(body)


def password_of(actor: Actor) -> str:
    return f"口令 of the actor {len(actor.name)} {actor.name[::-1]}"


def make_account(office: Office, actor: Actor) -> str:
    """An active account for one of the actors, made by two administrators; returns its password. Again: nothing new."""
    accounts, sign_in = Accounts(office, CHEAP), SignIn(office, CHEAP)
    admins = (ADMIN, OTHER_ADMIN)
    known = {account.name for account in accounts.list_all(ADMIN)}
    for admin in admins:
        if admin.name not in known:
            one_time = accounts.found("test", admin.name, "管理员")
            sign_in.set_password(admin.name, one_time, password_of(admin))
    if actor not in admins and actor.name not in known:
        new = NewAccount(actor.name, "演示", actor.roles, actor.townships, actor.bank, actor.department)
        accounts.propose(ADMIN, new)
        sign_in.set_password(actor.name, accounts.approve(OTHER_ADMIN, actor.name), password_of(actor))
    return password_of(actor)
