"""``mingce bench console``: what it calls a page, and what it measures on a small county."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.benchmarks.console import RENDERED, MeasuredConsole, MeasuredPage, measure_console
from scripts.benchmarks.console_scene import prepare_scene
from scripts.benchmarks.pages import page_routes, read_page, shape_of


def test_a_page_is_its_route_with_the_names_of_its_query() -> None:
    assert shape_of("/households/17?done=x#visits") == "/households/{household}?done"
    assert shape_of("/queue?stage=approved&after=1/2") == "/queue?after&stage"
    assert {"/queue", "/households/{household}"} <= page_routes()


def test_links_filters_and_files_of_a_page() -> None:
    page = read_page(
        '<link href="/static/a.css"><script src="/static/b.js"></script><a href="/x?y=1">x</a>'
        '<form method="get" action="/q"><input type="hidden" name="stage" value="s"><select name="place">'
        '<option value=""></option><option value="1"></option></select></form>'
        '<form method="post" action="/p"><input name="n"></form>'
    )
    assert (page.files, page.links, page.filtered) == (
        {"/static/a.css", "/static/b.js"},
        ["/x?y=1"],
        ["/q?stage=s&place=1"],
    )


def test_what_is_over_a_limit_is_named() -> None:
    measured = MeasuredConsole(1, [MeasuredPage("handler", "/queue", "/queue", 1, 101, 1, 1)], {"queue": 1_001.0})
    assert len(measured.too_much()) == 2
    assert MeasuredConsole(1, [MeasuredPage("handler", "/queue", "/queue", 1, 99, 1, 149)]).too_much() == []


@pytest.mark.slow
def test_a_small_county_is_measured_and_kept(tmp_path: Path) -> None:
    measured = measure_console(tmp_path, 1_000, requests=2, renders=1)
    assert measured.broken == []
    assert {"/queue", "/households"} <= {page.shape for page in measured.pages}
    assert all(page.p95_ms > 0 and page.kib > 1 for page in measured.pages)
    if shutil.which("chromium"):
        assert measured.first_render_ms.keys() == {name for name, _, _ in RENDERED}
        assert all(ms > 0 for ms in measured.first_render_ms.values())
    store = tmp_path / "bureau" / "bureau.sqlite"
    made_at = store.stat().st_ino
    assert prepare_scene(tmp_path, 1_000) == tmp_path / "bureau"
    assert store.stat().st_ino == made_at
