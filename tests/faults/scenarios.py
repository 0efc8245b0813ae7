"""The commands whose every step on the disk is made to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bureau_office import BANK_ADMIN, CHECKER, MANAGER, OTHER_CHECKER
from county import ACCRUING, PAYABLE, VISIT, acting
from parties import COUNTY, signed
from traces import check_families, check_outputs


class Change(Enum):
    """What the stores may say after a fault."""

    ONE = "what they said before or say in the end, nothing between"
    ROWS = "the same of every single row"
    STEPS = "where a run had come to"


@dataclass(frozen=True)
class Scenario:
    """One command of one party.

    ``before``: commands that lead up to it. ``again``: the exit codes of a second run after the first took effect;
    none where a second one would be another act. ``is_slow``: not in the ordinary suite, since another is much like it.
    ``leaves``: a file of the home that says that it took effect, where no store does. ``is_in_county``: in the folder
    of county.py, not in that of parties.py. ``charges``: how many batches a bank pays. ``tidy``: what removes the
    half-written files that a second run leaves. ``then``: what else holds in the end, of the home before and now.
    """

    name: str
    party: str
    words: tuple[object, ...]
    before: tuple[tuple[object, ...], ...] = ()
    change: Change = Change.ONE
    again: tuple[int, ...] = (0,)
    is_slow: bool = False
    leaves: str | None = None
    is_in_county: bool = False
    charges: int = 0
    tidy: tuple[object, ...] = ()
    then: Callable[[Path, Path], None] = lambda before, now: None


def _refresh(source: str, *more: str) -> tuple[object, ...]:
    return ("province", "refresh", "--source", source, *more, "--config", "province")


def _province(*words: str) -> tuple[object, ...]:
    return ("province", *words, "--config", "province")


BACKUP = ("backup", "create", "--out", "kept/b.mcbk", "--recipient", "kept/key.pub", "--config", "province")
RESTORE = ("backup", "restore", "kept/b.mcbk", "again", "--key", "kept/key", "--passphrase-file", "passphrase")
_IMPORT = _province("import", "--source", "changed.csv")
_MATCH = ("bank", "match", "customers.csv", "--config", "bank")
_NIGHT = ("bureau", "nightly", "--day", "2026-01-09", "--config", "bureau")
_DECLARE = ("province", "declare", "演示银行", "--customers", 500, "--reason", "演示", *signed("province", 0))

SCENARIOS = (
    Scenario("delta edition", "province", _refresh("changed.csv")),
    Scenario("change list", "province", _province("refresh", "--changes", "changes.csv"), is_slow=True),
    Scenario("import a list", "province", _IMPORT, is_slow=True, leaves="staging/base/imported/about"),
    Scenario(
        "encode",
        "province",
        _province("encode"),
        before=(_IMPORT,),
        again=(0, 3),
        is_slow=True,
        leaves="editions/base/2026/2/public/manifest.json",
    ),
    Scenario(
        "publish", "province", _province("publish"), before=(_IMPORT, _province("encode")), again=(3,), is_slow=True
    ),
    Scenario("full edition", "province", _refresh("changed.csv", "--full")),
    Scenario(
        "roll back",
        "province",
        _province("rollback", "--to", "1", "--reason", "演示"),
        before=(_refresh("changed.csv"),),
        again=(),
    ),
    Scenario("create epoch", "province", ("keys", "create-epoch", "base", "2027", "--config", "province"), again=(3,)),
    Scenario(
        "register",
        "province",
        ("province", "register", "other/identity.json", "--division", COUNTY, "--config", "province"),
        change=Change.ROWS,
    ),
    Scenario("declare", "province", _DECLARE, again=(3, 4)),
    Scenario(
        "approve", "province", ("province", "approve", 2, *signed("province", 1)), before=(_DECLARE,), again=(3, 4)
    ),
    Scenario("match", "bank", _MATCH, change=Change.STEPS, charges=1),
    Scenario(
        "forget epoch",
        "bank",
        ("bank", "forget-epoch", "2026", "--early", "--yes", "--config", "bank"),
        before=(_MATCH,),
        then=check_outputs,
    ),
    Scenario(
        "settle",
        "again",
        ("backup", "settle", "--something-lost", "--reason", "演示", "--config", "again"),
        before=(BACKUP, RESTORE),
        change=Change.STEPS,
        again=(0, 3),
        is_slow=True,
    ),
    Scenario("import", "bureau", ("bureau", "import", "handover.mch", "--config", "bureau")),
    Scenario("night", "bureau", _NIGHT, change=Change.ROWS, is_in_county=True, then=check_families),
    Scenario("purge", "bureau", ("bureau", "purge", *acting(CHECKER)), is_in_county=True, then=check_families),
    Scenario("loan file", "bureau", ("loan", "import", "loans.csv", *acting(BANK_ADMIN)), is_in_county=True),
    Scenario("freeze", "bureau", ("claim", "freeze", ACCRUING, *acting(BANK_ADMIN)), again=(1,), is_in_county=True),
    Scenario(
        "pay",
        "bureau",
        ("claim", "move", PAYABLE, "pay", *acting(OTHER_CHECKER)),
        again=(1,),
        is_slow=True,
        is_in_county=True,
    ),
    Scenario("final list", "bureau", ("review", "close", "--all", *acting(CHECKER)), is_slow=True, is_in_county=True),
    Scenario(
        "photo",
        "bureau",
        ("visit", "photo", VISIT, "photo.png", *acting(MANAGER)),
        is_in_county=True,
        tidy=_NIGHT,
        then=check_families,
    ),
)
