"""Every case of the threat list is in the index with the tests that show it, and every such test is in the index."""

from __future__ import annotations

from case_index import INDEX, list_case_tests, listed_cases, with_tests

CASES = [f"D{number:02d}" for number in range(1, 47)]


def test_each_case_stands_once_in_order() -> None:
    assert listed_cases(INDEX.read_text("utf-8")) == CASES


def test_each_case_has_a_test() -> None:
    assert set(CASES) == set(list_case_tests())


def test_the_index_names_the_tests_that_are_there() -> None:
    """If this fails: ``python tests/case_index.py``, and look at what it changed."""
    text = INDEX.read_text("utf-8")
    assert with_tests(text) == text
