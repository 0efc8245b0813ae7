"""The normaliser of ID numbers (docs/reference/identifiers.md), through Arrow columns and one at a time."""

from __future__ import annotations

import json
import sys
import unicodedata
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psi.identifiers import (
    Verdict,
    birth_date,
    check_character,
    mask,
    normalise,
    normalise_one,
    sex,
)

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors/id18/gb11643.json").read_text(encoding="utf-8")
)
VERDICTS_OF_KIND = {
    "checksum": {Verdict.BAD_CHECK},
    "date": {Verdict.BAD_DATE},
    "length": {Verdict.WRONG_LENGTH, Verdict.EMPTY},
    "legacy15": {Verdict.OK_CONVERTED_15},  # converted by an explicit rule, and said so
    "format": {Verdict.BAD_CHARACTER},
    "unicode": {Verdict.BAD_CHARACTER, Verdict.BAD_CHECK},  # NFKC makes a digit of U+00B9, the wrong one
    "control": {Verdict.BAD_CHARACTER},
    "injection": {Verdict.BAD_CHARACTER},
    "excel": {Verdict.SPREADSHEET_DAMAGED},
}
GOOD = "990000198001010012"

dates = st.dates(date(1900, 1, 1), date(2099, 12, 31))


def made_up(birth: date, sequence: int, area: str = "990000") -> str:
    body = f"{area}{birth:%Y%m%d}{sequence:03d}"
    return body + check_character(body)


numbers = st.builds(made_up, dates, st.integers(0, 999))


class TestPublishedCases:
    def test_d45_there_are_as_many_cases_as_promised(self) -> None:
        assert [len(CASES[name]) for name in ("valid", "invalid", "normalise")] == [26, 41, 11]

    @pytest.mark.parametrize("case", CASES["valid"], ids=lambda case: case["id"])
    def test_d45_valid(self, case: dict[str, Any]) -> None:
        item, verdict = normalise_one(case["id"])
        assert item == case["id"]
        assert verdict == (Verdict.OK_UNKNOWN_PLACE if item.startswith("99") else Verdict.OK)
        assert sex(item) == case["sex"]
        assert f"{birth_date(item):%Y%m%d}" == case["birth"]

    @pytest.mark.parametrize("case", CASES["invalid"], ids=lambda case: f"{case['kind']}: {case['why'][:40]}")
    def test_d45_invalid(self, case: dict[str, Any]) -> None:
        item, verdict = normalise_one(case["input"])
        assert verdict in VERDICTS_OF_KIND[case["kind"]]
        assert item == ("990000198001010012" if case["kind"] == "legacy15" else None)

    @pytest.mark.parametrize("case", CASES["normalise"], ids=lambda case: case["why"][:40])
    def test_d45_normalise(self, case: dict[str, Any]) -> None:
        item, verdict = normalise_one(case["input"])
        assert item == case["canonical"]
        assert verdict.is_usable == (item is not None)

    def test_d45_a_column_gives_the_same_as_one_at_a_time(self) -> None:
        texts = [
            case.get("id", case.get("input"))
            for name in CASES
            if name[0] in "vin"
            for case in CASES[name]
            if isinstance(case, dict)
        ]
        column = normalise(pa.array(texts))
        for place, text in enumerate(texts):
            item, verdict = normalise_one(text)
            assert column.verdicts[place] == verdict
            assert column.items[18 * place : 18 * place + 18] == (item.encode() if item else bytes(18))


class TestRules:
    @given(numbers)
    def test_a_sound_number_is_kept_as_it_is(self, number: str) -> None:
        assert normalise_one(number) == (number, Verdict.OK_UNKNOWN_PLACE)

    @given(numbers, st.integers(0, 17), st.sampled_from("0123456789X"))
    def test_one_wrong_place_is_always_noticed(self, number: str, place: int, character: str) -> None:
        wrong = number[:place] + character + number[place + 1 :]
        assert wrong == number or normalise_one(wrong)[0] is None

    @given(st.text(max_size=40))
    def test_any_text_gets_a_verdict_and_normalising_twice_changes_nothing(self, text: str) -> None:
        item, verdict = normalise_one(text)
        assert verdict.is_usable == (item is not None)
        if item is not None:
            assert normalise_one(item)[0] == item

    def test_every_character_that_folds_to_a_digit_is_that_digit_and_no_other_is(self) -> None:
        """Against Python's Unicode tables; the kernel's are newer and know some digits more."""
        known = unicodedata.unidata_version.split(".")
        assert int(known[0]) <= 17
        head = GOOD[:17]
        texts = [head + chr(code) for code in range(0x80, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
        usable = normalise(pa.array(texts)).usable.to_pylist()
        for text, accepted in zip(texts, usable, strict=True):
            category = unicodedata.category(text[-1])
            if category not in ("Cn", "Cf", "Zs"):
                assert accepted == (unicodedata.normalize("NFKC", text[-1]) == "2"), hex(ord(text[-1]))

    @pytest.mark.parametrize("area", ["810000", "820000", "830000", "911124"])
    def test_permits_go_to_manual_review(self, area: str) -> None:
        assert normalise_one(made_up(date(1980, 1, 1), 1, area)) == (None, Verdict.REVIEW_PERMIT)

    @pytest.mark.parametrize("ending", ["996", "997", "998", "999"])
    def test_centenarians_of_the_old_form_go_to_manual_review(self, ending: str) -> None:
        assert normalise_one(f"990000000101{ending}") == (None, Verdict.REVIEW_CENTENARIAN)

    def test_an_area_that_was_never_assigned_is_a_remark_at_most(self) -> None:
        assert normalise_one(made_up(date(1980, 1, 1), 1, "339900"))[1] == Verdict.OK
        assert normalise_one(made_up(date(1980, 1, 1), 1, "000000"))[1] == Verdict.OK_UNKNOWN_PLACE

    def test_years_far_off_are_no_birth_dates(self) -> None:
        for birth, verdict in [
            ("18000101", Verdict.OK_UNKNOWN_PLACE),
            ("17991231", Verdict.BAD_DATE),
            ("21000101", Verdict.BAD_DATE),
        ]:
            body = f"990000{birth}001"
            assert normalise_one(body + check_character(body))[1] == verdict


class TestColumns:
    TEXTS = ("bad", None, GOOD, "", "'99000019800101008x", "９９００００１９８００１０１００１２")
    VERDICTS = (18, 16, 1, 16, 1, 1)

    @pytest.mark.parametrize(
        "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
    )
    @pytest.mark.parametrize("start", [0, 1, 3, 6])
    def test_slices_nulls_and_every_kind_of_string(self, kind: pa.DataType, start: int) -> None:
        column = pa.array(self.TEXTS, pa.string()).cast(kind)[start:]
        assert tuple(normalise(column).verdicts) == self.VERDICTS[start:]

    def test_chunked(self) -> None:
        column = pa.array(self.TEXTS, pa.string())
        result = normalise(pa.chunked_array([column[:2], column[2:2], column[2:]]))
        assert tuple(result.verdicts) == self.VERDICTS
        assert result.items == normalise(column).items
        assert len(normalise(pa.chunked_array([], pa.string()))) == 0

    def test_nulls_whose_slots_hold_data(self) -> None:
        column = pa.StringArray.from_buffers(
            2,
            pa.py_buffer(b"\x00\x00\x00\x00\x12\x00\x00\x00\x24\x00\x00\x00"),
            pa.py_buffer((GOOD * 2).encode()),
            pa.py_buffer(b"\x02"),
            1,
        )
        assert tuple(normalise(column).verdicts) == (Verdict.EMPTY, Verdict.OK_UNKNOWN_PLACE)

    def test_usable_items(self) -> None:
        result = normalise(pa.array(self.TEXTS, pa.string()))
        assert result.usable_items().to_pybytes() == f"{GOOD}99000019800101008X{GOOD}".encode()

    @pytest.mark.parametrize("column", [pa.array([990000198001010012]), pa.array([b"x"]), pa.array([1.5])], ids=str)
    def test_anything_but_text_is_refused(self, column: pa.Array) -> None:
        with pytest.raises(pa.ArrowInvalid):
            normalise(column)

    def test_numbers_do_not_show(self) -> None:
        assert GOOD not in repr(normalise(pa.array([GOOD])))


class TestMask:
    def test_the_form_of_the_console(self) -> None:
        assert mask("33990019800101001X") == "33************1X"

    @given(st.text(max_size=60))
    def test_at_most_four_characters_show_and_they_are_harmless(self, text: str) -> None:
        shown = mask(text)
        if text.strip():
            assert len(shown) == 16
            assert shown[2:14] == "*" * 12
            assert all(c == "*" or (c.isascii() and c.isalnum()) for c in shown)
        else:
            assert shown == ""

    @pytest.mark.parametrize("text", ["张三", "1234567", "=1+1"])
    def test_short_values_do_not_show_at_all(self, text: str) -> None:
        assert mask(text) == "*" * 16


@given(dates, st.integers(0, 999))
def test_birth_date_and_sex(birth: date, sequence: int) -> None:
    item = made_up(birth, sequence)
    assert birth_date(item) == birth
    assert sex(item) == ("M" if sequence % 2 else "F")
    assert birth_date(made_up(birth - timedelta(days=1), sequence)) < birth
