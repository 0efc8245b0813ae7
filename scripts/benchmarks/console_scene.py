"""A large county's bureau to look at: a home that `mingce bureau serve` opens, with an account for each role.

Households come by real hand-overs and moves (scripts.benchmarks.casework), loans and listings are laid straight into
the store (scripts.benchmarks.lending). It takes minutes, so it is made once in a folder and used again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.accounts.sign_in import SignIn
from matcher.bureau.actors import Actor, Role
from matcher.bureau.office import STORE_SECRET, Office
from matcher.checks.service import UNDER_WAY, DepartmentChecks
from matcher.claims.service import Claims
from matcher.figures.service import Figures
from matcher.households import Households, Policies
from matcher.policy import list_examples
from matcher.reviews import Reviews
from matcher.rows import fetch_all
from matcher.schemas import get_schema
from matcher.visits.service import Visits
from scripts import templates
from scripts.benchmarks.casework import (
    BANK,
    COUNTY,
    DAY,
    PROPOSER,
    Casework,
    adopt_example,
    import_households,
    move_all,
    open_store,
)
from scripts.benchmarks.lending import Lender
from scripts.home import Home, create_home

PASSWORD = "bench: made-up people only"  # noqa: S105  of a scratch home, in the open
NOW = datetime(2025, 12, 31, 2, 0, tzinfo=UTC)
SHARES = {"waiting": 0.35, "proposed": 0.03, "to_visit": 0.25, "listed": 0.10}
"""Of all households; the others stay where the import left them."""
MOST_VISITS = 2_000
TOWNSHIP = f"{COUNTY}100"
QUARTERS = 8
CLAIMED = 2024  # the year
_CLAIMED = 1_000
_NEVER_ASKED, _LONG_AGO = 5_000, 499  # one household in so many
_MADE = ".mingce-bench-console"
_NAME = "演示县财政局（压测）"
_ADMINS = ("guanli1", "guanli2")
ACCOUNTS: dict[Role, str] = {role: f"bench-{role.value.replace('_', '-')}" for role in Role if role is not Role.ADMIN}
ACCOUNTS[Role.ADMIN] = _ADMINS[0]


def prepare_scene(folder: Path, households: int, tell: Callable[[str], None] = lambda step: None) -> Path:
    """The home, made in ``folder`` unless one of this size is there already. Nothing else in ``folder`` is touched."""
    home, mark = folder / "bureau", folder / _MADE
    if mark.exists() and mark.read_text("utf-8") == str(households):
        return home
    shutil.rmtree(home, ignore_errors=True)
    mark.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    _make(create_home(home, "bureau", _NAME, _config(), SettableClock(DAY)), folder, households, tell)
    mark.write_text(str(households), "utf-8")
    return home


def _config() -> str:
    return f"demo = true\n{templates.bureau(_NAME, [COUNTY])}\n[sign_in]\nsecond_factor = false\n"


def _make(home: Home, folder: Path, households: int, tell: Callable[[str], None]) -> None:
    secret = home.open_keys().get_store_secret(STORE_SECRET)
    listed = int(households * SHARES["listed"])
    store = open_store(home.path, secret)
    try:
        tell("import")
        import_households(store, folder, households - listed, Casework())
        for handover in folder.glob("*.mch"):
            handover.unlink()
        tell("move")
        adopt_example(store.office)
        _make_accounts(store.office)
        _spread(store.office, households)
        tell("answers")
        _answer(store.office)
    finally:
        store.close()
    tell("lend")
    office = Office(home.path, secret, SettableClock(NOW), [COUNTY])
    try:
        (policy,) = [path for path in list_examples() if path.name.startswith(COUNTY)]
        Lender(office, policy, BANK.public.fingerprint).lay_county(listed, listed, QUARTERS)
        Claims(office).accrue(date(2025, 12, 30))
        _claim(office)
        for day in (date(2025, 6, 30), date(2025, 9, 30), date(2025, 12, 30)):
            Figures(office).compute(day)
    finally:
        office.close()


def _claim(office: Office) -> None:
    """A year's claim, closed by the bank: the longest list of lines that a page shows."""
    bank = BANK.public.fingerprint
    clerk = Actor(ACCOUNTS[Role.BANK_ADMIN], frozenset({Role.BANK_ADMIN}), bank=bank)
    claims = Claims(office)
    claims.freeze(clerk, claims.open(clerk, bank, COUNTY, CLAIMED))


def _make_accounts(office: Office) -> None:
    """One of each role, and a second administrator; everybody's password lies open."""
    accounts, sign_in = Accounts(office), SignIn(office)
    for name in _ADMINS:
        sign_in.set_password(name, accounts.found("bench", name, "演示管理员"), PASSWORD)
    admin, other = (Actor(name, frozenset({Role.ADMIN})) for name in _ADMINS)
    for role, name in ACCOUNTS.items():
        if role is Role.ADMIN:
            continue
        townships = (TOWNSHIP,) if role is Role.TOWNSHIP else ()
        bank = BANK.public.fingerprint if role in (Role.BANK_MANAGER, Role.BANK_ADMIN) else None
        department = "minzheng" if role is Role.DEPARTMENT else None
        accounts.propose(admin, NewAccount(name, "演示", frozenset({role}), townships, bank, department))
        sign_in.set_password(name, accounts.approve(other, name), PASSWORD)


def _spread(office: Office, households: int) -> None:
    """Households in every queue, and visits in a manager's list."""
    ids = [row[0] for row in fetch_all(office.database, "SELECT household_id FROM household ORDER BY household_id")]
    ends = [int(households * SHARES[name]) for name in ("waiting", "to_visit")]
    waiting, to_visit = ids[: ends[0]], ids[ends[0] : sum(ends)]
    Households(office).refine_many(PROPOSER, [*waiting, *to_visit], "in")
    move_all(office, [*waiting, *to_visit], "TO_VISIT")
    for state in ("VISITED", "PENDING_REVIEW"):
        move_all(office, waiting, state)
    proposed = waiting[: int(households * SHARES["proposed"])]
    Reviews(office).decisions.propose_many(PROPOSER, proposed, "return", remark="演示：材料不全")
    Reviews(office).queue.claim_many(PROPOSER, waiting[len(proposed) :][:_CLAIMED])
    visits, chosen = Visits(office), to_visit[:MOST_VISITS]
    visits.plan(PROPOSER, COUNTY, office.today(), households=chosen)
    planned = fetch_all(office.database, "SELECT visit_id FROM visit ORDER BY visit_id LIMIT ?", [MOST_VISITS])
    visits.assign_many(PROPOSER, [row[0] for row in planned], ACCOUNTS[Role.BANK_MANAGER], grid_officer="演示网格员")


def _answer(office: Office) -> None:
    """The departments answered for nearly everybody: what is lacking is rare, which is the hardest to find."""
    checks, today = DepartmentChecks(office), office.today()
    required = Policies(office).policy_for(COUNTY, today).policy.checks.required
    members = fetch_all(
        office.database,
        "SELECT household_id, member_id FROM member JOIN household USING (household_id)"
        " WHERE state IN (SELECT value FROM json_each(?)) AND left_at IS NULL ORDER BY member_id",
        [json.dumps(UNDER_WAY)],
    )
    for department in required:
        schema = get_schema(f"{department}/1")
        with office.writing():
            for household, member in members:
                if household % _NEVER_ASKED:
                    as_of = today - timedelta(days=730 if household % _LONG_AGO == 0 else 30)
                    checks.enter_within(
                        PROPOSER, member, department, schema, label=None, as_of=as_of, document_no=f"演示函{member}"
                    )
