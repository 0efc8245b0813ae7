"""Departments' lists: read by their schema, made up consistently with the base list, and true to their truth file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
import xlsxwriter

from matcher.columns import FieldUnknown, list_columns
from matcher.generate import CountySpec, generate_department
from matcher.generate.departments import DepartmentKind, make_people
from matcher.generate.households import make_households
from matcher.rejects import write_rejects
from matcher.schemas import get_schema
from matcher.tables import LabelledList, read_labelled_list
from psi.identifiers import check_character

SPEC = CountySpec(4_000, seed=5)
KINDS = get_args(DepartmentKind)


def number(person: int) -> str:
    body = f"3399001980{person % 12 + 1:02d}01{person:03d}"
    return body + check_character(body)


def labels_of(listed: LabelledList) -> dict[str, tuple[str, ...]]:
    data = listed.items.to_pybytes()
    items = [data[at : at + 18].decode() for at in range(0, len(data), 18)]
    return dict(zip(items, zip(*(column.to_pylist() for column in listed.fields.values()), strict=True), strict=True))


def write(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *(row.replace("@", number(place)) for place, row in enumerate(rows))]), "utf-8")
    return path


class TestReading:
    HEADER = "证件号码,行政区划,救助类别,认定日期"

    def read(self, folder: Path, *rows: str, **options: Any) -> LabelledList:
        return read_labelled_list(write(folder / "list.csv", self.HEADER, *rows), get_schema("minzheng/1"), **options)

    def test_good_rows(self, tmp_path: Path) -> None:
        listed = self.read(
            tmp_path, "@,330922100, 低保 ,2024年1月5日", "@,330922,特困供养,20240105", "@,330922100001,n11,2024/1/5"
        )
        assert listed.rejects == []
        assert list(listed.fields) == ["assistance", "as_of"]
        assert listed.fields["assistance"].to_pylist() == ["N10", "N12", "N11"]
        assert set(listed.fields["as_of"].to_pylist()) == {"2024-01-05"}
        assert listed.division.to_pylist() == ["330922100", "330922", "330922100001"]

    @pytest.mark.parametrize(
        ("row", "reason", "heading"),
        [
            ("@,330922,,2024-01-05", "bad_value", "救助类别"),
            ("@,330922,低收入,2024-01-05", "bad_value", "救助类别"),
            ("@,330922,NX1,2024-01-05", "bad_value", "救助类别"),
            ("@,330922,低保,2024-13-05", "bad_value", "认定日期"),
            ("@,330922,低保,", "bad_value", "认定日期"),
            ("@,33092,低保,2024-01-05", "bad_division", "行政区划"),
            ("@,,低保,2024-01-05", "bad_division", "行政区划"),
            ("123,33092,x,y", "wrong_length", ""),
        ],
    )
    def test_a_bad_row_is_refused_with_its_column(self, tmp_path: Path, row: str, reason: str, heading: str) -> None:
        listed = self.read(tmp_path, "@,330922,低保,2024-01-05", row)
        assert [(r.row, r.reason, r.heading) for r in listed.rejects] == [(3, reason, heading)]
        write_rejects(tmp_path / "rejects.csv", listed.rejects)
        with (tmp_path / "rejects.csv").open(encoding="utf-8-sig", newline="") as stream:
            (shown,) = csv.DictReader(stream)
        assert (shown["行号"], shown["列"]) == ("3", heading)
        assert number(1) not in (tmp_path / "rejects.csv").read_text("utf-8")

    def test_one_division_for_a_list_that_does_not_say(self, tmp_path: Path) -> None:
        path = write(tmp_path / "list.csv", "证件号码,救助类别,认定日期", "@,低保,2024-01-05")
        listed = read_labelled_list(path, get_schema("minzheng/1"), division="330922")
        assert listed.division.to_pylist() == ["330922"]
        assert labels_of(listed) == {number(0): ("N10", "2024-01-05")}

    def test_a_column_that_may_be_missing(self, tmp_path: Path) -> None:
        path = write(tmp_path / "list.csv", "证件号码,行政区划,住房套数", "@,330922,2")
        assert labels_of(read_labelled_list(path, get_schema("budongchan/1"))) == {number(0): ("2", "")}

    def test_other_headings(self, tmp_path: Path) -> None:
        schema = get_schema("minzheng/1")
        path = write(tmp_path / "list.csv", "身份证,区划,类别,认定日期", "@,330922,低保,2024-01-05")
        columns = list_columns(schema).override({"assistance": "类别", "division": ["辖区", "区划"]})
        assert labels_of(read_labelled_list(path, schema, columns)) == {number(0): ("N10", "2024-01-05")}
        with pytest.raises(FieldUnknown):
            list_columns(schema).override({"household_no": "户号"})

    def test_cells_of_a_workbook(self, tmp_path: Path) -> None:
        """Amounts, counts and dates as a spreadsheet keeps them; the amount leaves as its band."""
        with xlsxwriter.Workbook(str(tmp_path / "list.xlsx")) as book:
            sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
            sheet.write_row(0, 0, ["证件号码", "行政区划", "缴存状态", "月缴存基数", "核定日期"])
            sheet.write_row(1, 0, [number(0), 330922, "缴存", 5826.87])
            sheet.write_number(1, 4, 45_383, day)
            sheet.write_row(2, 0, [number(1), "330922", "封存", 30_000])
        listed = read_labelled_list(tmp_path / "list.xlsx", get_schema("gongjijin/1"))
        assert labels_of(listed) == {
            number(0): ("active", "5000", "2024-04-01"),
            number(1): ("sealed", "30000", ""),
        }


class TestMadeUpLists:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("format", ["csv", "xlsx", "parquet"])
    def test_reading_finds_exactly_the_truth(self, tmp_path: Path, kind: Any, format: Any) -> None:
        path, truth = tmp_path / f"list.{format}", tmp_path / "truth.csv"
        made = generate_department(path, truth, kind, SPEC, format=format)
        listed = read_labelled_list(path, get_schema(f"{kind}/1"))
        with truth.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
        assert listed.rejects == []
        assert rows[0] == ["item", *get_schema(f"{kind}/1").field_names]
        assert labels_of(listed) == {item: tuple(label) for item, *label in rows[1:]}
        assert len(listed) == len(rows) - 1 == made.rows > made.households * 0.9 > 50

    @pytest.mark.parametrize("kind", KINDS)
    def test_they_are_the_base_lists_people_and_the_same_every_time(self, kind: Any) -> None:
        people = [person for household in make_people(kind, SPEC) for person in household]
        listed = {item for household in make_households(SPEC) for item in household.numbers}
        assert {person.item for person in people} <= listed
        assert all(person.item.startswith("3399") for person in people)
        assert len({person.item for person in people}) == len(people)
        assert people == [person for household in make_people(kind, SPEC) for person in household]
        assert make_people(kind, CountySpec(4_000, seed=6)) != make_people(kind, SPEC)

    def test_assistance_agrees_with_the_base_list_but_for_what_changed(self) -> None:
        on = {person.item: person.label[0] for household in make_people("minzheng", SPEC) for person in household}
        found: Counter[tuple[bool, bool]] = Counter()
        for household in make_households(SPEC):
            stated = {"N10", "N11", "N12"} & set(household.reasons.split(","))
            now = {on.get(item, "") for item in household.numbers}
            assert len(now) == 1  # all members or none
            found[bool(stated), now != {""}] += 1
            assert not (stated and now != {""}) or now == stated
        assert found[True, True] > 30
        assert found[True, False] >= 1
        assert found[False, True] >= 5
        assert found[False, False] > 1_000

    def test_the_register_knows_the_dead_and_who_moved_away(self) -> None:
        registered = {person.item: person.label for household in make_people("gongan", SPEC) for person in household}
        assert len(registered) == SPEC.rows
        dead_unknown = 0
        for household in make_households(SPEC):
            states = [registered[item][0] for item in household.numbers]
            reasons = household.reasons.split(",")
            assert "N21" not in reasons or "dead" in states
            assert "N05" not in reasons or set(states) <= {"out", "dead"}
            assert registered[household.numbers[0]][1] == "head"
            dead_unknown += "dead" in states and "N21" not in reasons
        assert dead_unknown >= 1

    def test_second_homes(self) -> None:
        homes = {person.item: int(person.label[0]) for made in make_people("budongchan", SPEC) for person in made}
        rich = surprising = 0
        for household in make_households(SPEC):
            owned = sum(homes.get(item, 0) for item in household.numbers)
            if "N02" in household.reasons.split(","):
                assert 2 <= owned <= 4
                rich += 1
            else:
                assert owned <= 2
                surprising += owned == 2
        assert rich > 20
        assert surprising > 20
