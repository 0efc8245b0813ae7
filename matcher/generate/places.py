"""The divisions that made-up households live in. Town codes are made up, and so is the whole 演示省."""

from __future__ import annotations

from dataclasses import dataclass

from psi.errors import InputError


class CountyUnknown(InputError):
    """There is no such county to make up; ``params``: county, known."""

    code = "county_unknown"


@dataclass(frozen=True)
class Town:
    """A town or street: 9 digits, its name, and its share of the households relative to the others."""

    code: str
    name: str
    weight: int


def _county(code: str, towns: dict[str, int]) -> tuple[Town, ...]:
    return tuple(Town(f"{code}{100 + place}", name, weight) for place, (name, weight) in enumerate(towns.items()))


def _province(counties: int) -> tuple[Town, ...]:
    towns = {"城关镇": 40, "东街道": 25, "西街道": 20, "南镇": 12, "北镇": 10, "山前乡": 5, "水口乡": 4, "岭上乡": 3}
    return tuple(
        Town(town.code, f"演示{number}县{town.name}", town.weight * (1 + number % 4))
        for number in range(1, counties + 1)
        for town in _county(f"3399{number:02d}", towns)
    )


_COUNTIES: dict[str, tuple[Town, ...]] = {
    "330922": _county(
        "330922",
        {"菜园镇": 42, "嵊山镇": 12, "洋山镇": 18, "五龙乡": 6, "黄龙乡": 9, "枸杞乡": 9, "花鸟乡": 4},
    ),
    "330113": _county(
        "330113",
        {
            "临平街道": 20,
            "东湖街道": 16,
            "南苑街道": 15,
            "星桥街道": 12,
            "乔司街道": 13,
            "运河街道": 8,
            "崇贤街道": 8,
            "塘栖镇": 8,
        },
    ),
    "province": _province(90),
}

COUNTIES = tuple(_COUNTIES)


def list_towns(county: str) -> tuple[Town, ...]:
    """The towns of ``330922`` (嵊泗), ``330113`` (临平) or ``province``. Raises CountyUnknown."""
    if county not in _COUNTIES:
        raise CountyUnknown("no such county to make up", county=county, known=list(COUNTIES))
    return _COUNTIES[county]
