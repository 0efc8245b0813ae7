"""The commands whose every step on the disk is made to fail."""

from __future__ import annotations

from dataclasses import dataclass

from parties import COUNTY, signed


@dataclass(frozen=True)
class Scenario:
    """One command of one party.

    ``before``: commands that lead up to it. ``is_one_change``: after a fault the stores say what they said before or
    what they say in the end, nothing between. ``again``: the exit codes of a second run after the first took effect;
    none where a second one would be another act. ``is_slow``: not in the ordinary suite, since another is much like it.
    ``leaves``: a file of the home that says that it took effect, where no store does.
    """

    name: str
    party: str
    words: tuple[object, ...]
    before: tuple[tuple[object, ...], ...] = ()
    is_one_change: bool = True
    again: tuple[int, ...] = (0,)
    is_slow: bool = False
    leaves: str | None = None


def _refresh(source: str, *more: str) -> tuple[object, ...]:
    return ("province", "refresh", "--source", source, *more, "--config", "province")


def _province(*words: str) -> tuple[object, ...]:
    return ("province", *words, "--config", "province")


BACKUP = ("backup", "create", "--out", "kept/b.mcbk", "--recipient", "kept/key.pub", "--config", "province")
RESTORE = ("backup", "restore", "kept/b.mcbk", "again", "--key", "kept/key", "--passphrase-file", "passphrase")
_IMPORT = _province("import", "--source", "changed.csv")
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
        is_one_change=False,
    ),
    Scenario("declare", "province", _DECLARE, again=(3, 4)),
    Scenario(
        "approve", "province", ("province", "approve", 2, *signed("province", 1)), before=(_DECLARE,), again=(3, 4)
    ),
    Scenario(
        "match",
        "bank",
        ("bank", "match", "customers.csv", "--config", "bank"),
        is_one_change=False,
    ),
    Scenario(
        "settle",
        "again",
        ("backup", "settle", "--something-lost", "--reason", "演示", "--config", "again"),
        before=(BACKUP, RESTORE),
        is_one_change=False,
        again=(0, 3),
        is_slow=True,
    ),
    Scenario("import", "bureau", ("bureau", "import", "handover.mch", "--config", "bureau")),
)
