"""Made-up names: common surnames and given-name characters put together at random."""

from __future__ import annotations

from collections.abc import Callable

_SURNAMES = (
    "陈王林张李徐叶周朱吴金黄胡郑赵潘杨沈蒋何虞刘方俞郭许戴陆孙蔡章柴毛钱应庄翁夏施严丁傅余童邵项谢舒孔"
    "马高罗冯姚洪范倪董曹邱汪袁唐宋姜江韩洑葛贺龚阮卢柳竺"
)
_COMPOUND_SURNAMES = ("欧阳", "上官", "司徒", "诸葛")
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红鹏飞建国海波浩宇梓涵子轩欣怡思雨佳晨阳雪梅兰"
    "春秋文武志远安宁康乐瑞祥福贵荣光岚帆舟渔澜珊贝潮汐岛港湾晴云霄翔鸿鹤莲荷菊竹松柏枫桐楠梁栋"
)


def make_name(random: Callable[[], float]) -> str:
    """A surname and one or two characters; one name in a hundred has a compound surname."""
    if random() < 0.01:
        surname = _COMPOUND_SURNAMES[int(random() * len(_COMPOUND_SURNAMES))]
    else:
        # The first surnames are the more frequent ones.
        surname = _SURNAMES[int(random() ** 1.6 * len(_SURNAMES))]
    given = _GIVEN[int(random() * len(_GIVEN))]
    if random() < 0.8:
        given += _GIVEN[int(random() * len(_GIVEN))]
    return surname + given
