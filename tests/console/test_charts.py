"""Charts: drawn true to their numbers, readable as text, told apart without colour."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.charts import Amount, bar_chart, line_chart, spark
from api.console.rendering import environment


def line(values: list[Amount], **more: object):  # type: ignore[no-untyped-def]
    labels = [f"24-{place:02d}" for place in range(len(values))]
    shown = ["" if value is None else f"{value}" for value in values]
    return line_chart("n", "各月末余额", "说明", "万元", labels, [("余额", values, shown)], **more)  # type: ignore[arg-type]


def draw(macro: str, chart: object) -> str:
    module = environment("zh").from_string(
        f'{{% from "charts.html" import {macro} with context %}}{{{{ {macro}(chart) }}}}'
    )
    return module.render(chart=chart)


amounts = st.one_of(st.none(), st.integers(-(10**12), 10**12), st.decimals(-(10**9), 10**9, places=2))


@given(st.lists(amounts, min_size=1, max_size=40), st.booleans())
def test_points_lie_within_the_plot_in_the_order_of_their_values(values: list[Amount], from_nought: bool) -> None:
    chart = line(values, from_nought=from_nought)
    left, top, right, bottom = chart.box
    (drawn,) = chart.lines
    known = [value for value in values if value is not None]
    assert [point.words for point in drawn.points] == [f"{value}" for value in known]
    for point in drawn.points:
        assert left <= point.x <= right
        assert top - 0.1 <= point.y <= bottom + 0.1
    ranked = sorted(zip(known, drawn.points, strict=True), key=lambda pair: pair[0])
    heights = [point.y for _, point in ranked]
    assert all(later <= earlier + 0.1 for earlier, later in pairwise(heights))
    assert [x for x, _ in chart.labels] == sorted(x for x, _ in chart.labels)
    assert 2 <= len(chart.ticks) <= 7


@given(st.lists(amounts, min_size=1, max_size=20))
def test_bars_are_as_long_as_their_share(values: list[Amount]) -> None:
    values = [abs(value) if value is not None else None for value in values]
    chart = bar_chart("b", "t", "w", [("x", value, "s", "") for value in values])
    lengths = [bar.length for bar in chart.bars]
    most = max(float(value or 0) for value in values)
    for length, value in zip(lengths, values, strict=True):
        assert length == pytest.approx(float(value or 0) / (most or 1) * (680 - 150 - 170), abs=0.06)


def test_a_gap_is_a_gap() -> None:
    (drawn,) = line([1, None, 3, 4]).lines
    assert drawn.path.count("M") == 2
    assert drawn.path.count("L") == 1


def test_an_axis_of_amounts_begins_at_nought_and_one_of_rates_does_not() -> None:
    assert line([Decimal(480), Decimal(500)]).ticks[0][1] == "0"
    assert line([Decimal("3.80"), Decimal("4.35")], from_nought=False).ticks[0][1] == "3.8"


def test_what_is_used_stands_beside_its_mark() -> None:
    chart = bar_chart("b", "t", "w", [("用", Decimal(50), "50", "")], mark=(Decimal(100), "预算"))
    assert chart.mark is not None
    assert chart.bars[0].length == pytest.approx((chart.mark[0] - chart.left) / 2, abs=0.1)


def test_a_picture_has_a_name_and_words_and_its_numbers_as_given() -> None:
    chart = line([Decimal("1234.50"), Decimal("1200.00")])
    svg = draw("line_chart", chart)
    assert re.search(r'role="img" aria-labelledby="n-title n-words"', svg)
    assert '<title id="n-title">各月末余额</title><desc id="n-words">说明</desc>' in svg
    assert svg.count("<circle") == 2
    assert "1234.50" in svg
    assert not re.search(r"style=|<script|nan|inf", svg)


def test_lines_and_bars_differ_in_more_than_colour() -> None:
    two = line_chart("n", "t", "w", "%", ["a", "b"], [("前", [1, 2], ["1", "2"]), ("后", [2, 1], ["2", "1"])])
    svg = draw("line_chart", two)
    assert svg.count("<circle") == 3  # two points and the legend's
    assert len(re.findall(r'<rect class="mark s1"', svg)) == 3
    bars = draw("bar_chart", bar_chart("b", "t", "w", [(x, 1, "1", "") for x in "abc"], patterns=True))
    assert {"url(#b-p1)", "url(#b-p2)"} <= set(re.findall(r'fill="([^"]+)"', bars))


def test_text_from_outside_is_escaped() -> None:
    assert "&lt;b&gt;" in draw("bar_chart", bar_chart("b", "<b>", "w", [("<b>", 1, "1", "")]))


def test_one_point_is_no_trend() -> None:
    assert spark([None, 3], "w") is None
    drawn = spark([1, None, 3], "w")
    assert drawn is not None
    assert drawn.last[1] < 14
