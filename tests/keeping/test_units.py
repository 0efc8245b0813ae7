"""The units and the guides that set them up fit together, and a night that finds a home busy is made up for.

That systemd accepts them and that they are closed in: test_watching.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.retry import ProvinceUnavailable
from keys.files import Locked
from scripts.keeping.advice import ADVICE
from scripts.messages import exit_code

ROOT = Path(__file__).resolve().parents[2]
UNITS = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "deploy/systemd").iterdir())}
GUIDES = sorted(path for kind in ("how-to", "tutorial") for path in (ROOT / "docs").rglob(f"{kind}/*.md"))
INSTALL = [ROOT / "docs/how-to/install.md", ROOT / "docs/zh/how-to/install.md"]
BUSY = {exit_code(Locked("another job is at work"))}
REGULAR = {  # what runs by a timer, and the exit codes after which it tries again
    "mingce-refresh.service": BUSY,
    "mingce-changes.service": BUSY,
    "mingce-nightly.service": BUSY,
    "mingce-backup@.service": BUSY,
    "mingce-match.service": BUSY | {exit_code(ProvinceUnavailable("no answer"))},
}
SECONDS = {"s": 1, "min": 60, "h": 3_600}


def values(unit: str, setting: str) -> list[str]:
    return re.findall(rf"^{setting}=(.*)$", UNITS[unit], re.M)


def seconds(text: str) -> int:
    number, scale = re.fullmatch(r"(\d+)(s|min|h)", text).groups()  # type: ignore[union-attr]
    return int(number) * SECONDS[scale]


def kept_name(name: str) -> str:
    """mingce-backup@province.timer is an instance of mingce-backup@.timer."""
    return re.sub(r"@[^.]*\.", "@.", name)


def test_every_unit_that_is_named_is_there() -> None:
    """systemd passes over a ``Wants=`` that it does not know, and so would the reader of a guide."""
    for unit, text in UNITS.items():
        for named in re.findall(r"\bmingce-\w+@?[%\w]*\.(?:service|timer)", text):
            assert kept_name(named) in UNITS, (unit, named)
        if unit.endswith(".timer"):
            assert unit.replace(".timer", ".service") in UNITS
    for guide in GUIDES:
        for named in re.findall(r"\bmingce-\w+@?\w*\.(?:service|timer)", guide.read_text("utf-8")):
            assert kept_name(named) in UNITS, (guide, named)


@pytest.mark.parametrize("guide", INSTALL, ids=lambda path: path.parts[-3])
def test_the_guide_makes_every_user_and_place_that_the_units_name(guide: Path) -> None:
    text = guide.read_text("utf-8")
    (made_user,) = re.findall(r"^adduser --system --group --home (\S+) (\S+)$", text, re.M)
    (made_folders,) = re.findall(r"^install -d -m 0700 -o \S+ -g \S+ (.+)$", text, re.M)
    (program,) = re.findall(r"^\./install\.sh (\S+)$", text, re.M)
    store, user = made_user
    homes = {f"{store}/{party}" for party in ("province", "bank", "bureau", "%i")}  # by init, in the store
    for name in UNITS:
        if name.endswith(".service") and name != "mingce-alarm@.service":
            assert {*values(name, "User"), *values(name, "Group")} == {user}, name
            for place in " ".join(values(name, "ReadWritePaths")).split():
                assert place in homes or place in made_folders.split(), (name, place)
            for home in re.findall(r"^Environment=MINGCE_CONFIG=(.+)$", UNITS[name], re.M):
                assert home in values(name, "ReadWritePaths")[0].split(), name
            assert all(line.startswith(f"{program}/bin/mingce ") for line in values(name, "ExecStart")), name
        for timer in values(name, "OnCalendar"):
            assert f"`{name.replace('@', '@HOME')}`" in text, (name, timer)


@pytest.mark.parametrize("unit", REGULAR)
def test_a_busy_home_is_tried_again_and_in_the_end_the_alarm_comes(unit: str) -> None:
    """Every other error waits for a person; and tries that come too seldom would never reach the limit."""
    assert values(unit, "Restart") == ["on-failure"]
    (never,), (pause,) = values(unit, "RestartPreventExitStatus"), values(unit, "RestartSec")
    codes = {str(code) for code in set(range(1, 8)) - REGULAR[unit]}
    assert set(never.split()) == codes | {"EXEC", "NAMESPACE"}  # nor does a unit that was set up wrongly mend itself
    (tries,), (within,) = values(unit, "StartLimitBurst"), values(unit, "StartLimitIntervalSec")
    assert int(tries) * seconds(pause) < seconds(within)


def test_nobody_is_told_to_wait_for_a_unit_that_waits_itself() -> None:
    """`systemctl start` of one that tries again returns when a try has come through, without a word till then."""
    told = [path.read_text("utf-8") for path in GUIDES] + [str(vars(advice)) for advice in ADVICE.values()]
    regular = "|".join(unit.removesuffix(".service") for unit in REGULAR)
    starts = [line for text in told for line in re.findall(rf"systemctl start [^`\n]*?\b(?:{regular})\b", text)]
    assert len(starts) >= 10
    assert [line for line in starts if "--no-block" not in line] == []


def test_a_step_that_waits_for_somebody_does_not_keep_the_list_from_being_refreshed() -> None:
    """`mingce keys apply` ends with 4 before the first edition, and while a new epoch has no budgets."""
    assert {int(code) for code in values("mingce-keys.service", "SuccessExitStatus")} == BUSY
    assert not values("mingce-keys.service", "Restart")  # while it waited for its next try, the refresh would wait, too
    for unit in ("mingce-refresh.service", "mingce-changes.service"):
        assert "mingce-keys.service" in values(unit, "Wants")
        assert "mingce-keys.service" in values(unit, "After")
        assert not re.search(r"^ExecStartPre=|^(Requires|BindsTo|Requisite)=", UNITS[unit], re.M)
