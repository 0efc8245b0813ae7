"""Label schemas: the built-in ones say what their rules need, and a schema file opens or is refused with a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matcher.reasons import REASONS
from matcher.schemas import (
    KUOZHONG,
    ListSchema,
    SchemaInvalid,
    SchemaUnknown,
    get_schema,
    list_schemas,
    load_schema,
)
from matcher.tables.values import converter
from psi.edition import LabelSchema

ROOT = Path(__file__).resolve().parents[2]
DEPARTMENTS = ("budongchan/1", "gongan/1", "gongjijin/1", "minzheng/1")

SOUND = """
name = "renshe/1"
title = "养老保险"
receivers = ["bureau"]
width = 16

[[field]]
name = "insured"
headings = ["参保状态"]
type = "yes_no"
why = "收入核对"
"""


def write(folder: Path, text: str) -> str:
    (folder / "own.toml").write_text(text, "utf-8")
    return "own.toml"


def test_the_built_in_schemas() -> None:
    assert [schema.name for schema in list_schemas()] == sorted([*DEPARTMENTS, "kuozhong/1"])
    for name in DEPARTMENTS:
        assert get_schema(name).receivers == {"bureau"}


def test_the_base_list_is_one_of_them_and_lays_labels_out_as_before() -> None:
    assert KUOZHONG.label() == LabelSchema()
    assert KUOZHONG.receivers == {"bank", "bureau"}


def test_only_the_merging_field_may_carry_assistance_to_a_bank() -> None:
    """N10 to N12 reach a bank as NX1 alone (PIPL 28): no schema that a bank may receive has them as values."""
    sensitive = {code for code, reason in REASONS.items() if reason.for_bank == "NX1" and code != "NX1"}
    assert sensitive == {"N10", "N11", "N12"}
    for schema in list_schemas():
        values = {code for field in schema.fields for code in field.values}
        assert "bank" not in schema.receivers or not values & sensitive
    assert {"N10", "N11", "N12"} == set(get_schema("minzheng/1").fields[0].values)


def test_every_field_says_which_rule_needs_it() -> None:
    assert all(field.why for schema in list_schemas() for field in schema.fields)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    schema = load_schema(write(tmp_path, SOUND), tmp_path)
    assert schema.field_names == ("insured",)
    assert schema.label().width == 16
    assert schema.fits(schema.label(64))
    assert not schema.fits(KUOZHONG.label())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("width = 16", "", "required"),
        ("width = 16", "width = 8\nextra = 1", "Extra inputs"),
        ('name = "renshe/1"', 'name = "renshe"', "pattern"),
        ('name = "renshe/1"', 'name = "../x/1"', "pattern"),
        ('name = "renshe/1"', 'name = "minzheng/1"', "built-in"),
        ('["bureau"]', "[]", "at least 1"),
        ('["bureau"]', '["everybody"]', "Input should be"),
        ('name = "insured"', 'name = "item"', "taken by another column"),
        ('type = "yes_no"', 'type = "choice"', "values belong to a choice"),
        ('type = "yes_no"', 'type = "band"\nedges = [5, 10]', "edges rise from 0"),
        ('type = "yes_no"', 'type = "text"\nmax_bytes = 16', "longer than the width"),
        ('type = "yes_no"', 'type = "number"', "Input should be"),
        ('why = "收入核对"', 'why = ""', "at least 1"),
        ('why = "收入核对"', "", "required"),
        (
            'why = "收入核对"',
            'why = "x"\n[[rule]]\nfield="a"\nvalue="1"\nempty="b"\nfault="c"',
            "a field that there is not",
        ),
        ("[[field]]", "[[field", "Expected"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    assert old in SOUND
    with pytest.raises(SchemaInvalid, match=re.escape(reason)) as caught:
        load_schema(write(tmp_path, SOUND.replace(old, new, 1)), tmp_path)
    assert caught.value.params["file"] == "own.toml"


def test_a_bank_may_not_be_given_assistance(tmp_path: Path) -> None:
    text = SOUND.replace('["bureau"]', '["bank"]').replace(
        'type = "yes_no"', 'type = "choice"\nvalues = {N11 = ["低边"]}'
    )
    with pytest.raises(SchemaInvalid, match="a bank never gets"):
        load_schema(write(tmp_path, text), tmp_path)


def test_two_words_for_one_value_and_one_word_for_two(tmp_path: Path) -> None:
    good = SOUND.replace('type = "yes_no"', 'type = "choice"\nvalues = {a = ["甲", "乙"]}')
    assert load_schema(write(tmp_path, good), tmp_path).fields[0].describe("a") == "甲"
    bad = SOUND.replace('type = "yes_no"', 'type = "choice"\nvalues = {a = ["甲"], b = ["甲"]}')
    with pytest.raises(SchemaInvalid, match="one word stands for two"):
        load_schema(write(tmp_path, bad), tmp_path)


def test_a_name_that_there_is_not(tmp_path: Path) -> None:
    for reference in ("renshe/1", "missing.toml", "../../etc/passwd"):
        with pytest.raises(SchemaUnknown):
            load_schema(reference, tmp_path)


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ("minzheng/1 assistance", {"低保": "N10", "N11": "N11", "n12": "N12", "低保边缘": "N11",
                                    "": None, "NX1": None}),
        ("minzheng/1 as_of", {"2024-02-29": "2024-02-29", "2024/2/9": "2024-02-09", "2024年2月9日": "2024-02-09",
                              "20240209": "2024-02-09", "2024-02-09T00:00:00": "2024-02-09", "2023-02-29": None,
                              "": None, "24-2-9": None, "٢٠٢٤-02-09": None, "2024-02-09 10:00:00": None}),
        ("gongan/1 as_of", {"": "", "2024.2.9": "2024-02-09"}),
        ("gongan/1 vehicles", {"0": "0", "12": "12", "99": "99", "100": None, "-1": None, "1.5": None,
                               "01": None, "二": None}),
        ("kuozhong/1 household_size", {"1": "1", "0": None, "99": "99", "100": None}),
        ("gongjijin/1 base_band", {"0": "0", "1999.99": "0", "2000": "2000", "2,999.50": "2000", "29999.99": "20000",
                                   "30000": "30000", "999999999": "30000", "5000元": "5000", "-1": None, "1e9": None,
                                   "NaN": None, "": None, "五千": None, "1234567890": None}),
    ],
)  # fmt: skip
def test_cells_and_their_values(field: str, cells: dict[str, str | None]) -> None:
    schema, name = field.split()
    found = get_schema(schema).find_field(name)
    assert found is not None
    convert = converter(found)
    assert {cell: convert(cell) for cell in cells} == cells


@given(schema=st.sampled_from(list_schemas()), cell=st.text(max_size=12))
def test_no_cell_makes_a_value_longer_than_the_schema_allows(schema: ListSchema, cell: str) -> None:
    for field in schema.fields:
        if field.type not in ("text", "division", "reasons"):  # these are checked as columns
            value = converter(field)(cell)
            assert value is None or len(value.encode()) <= field.longest


def test_values_in_words() -> None:
    assistance = get_schema("minzheng/1").fields[0]
    band = get_schema("gongjijin/1").find_field("base_band")
    assert band is not None
    assert assistance.describe("N11") == "低边"
    assert assistance.describe("?") == "?"
    assert band.describe("8000") == "8,000 元至不足 10,000 元"
    assert band.describe("30000") == "30,000 元及以上"
    assert KUOZHONG.fields[4].describe("N01,NX1") == "N01 收入超过上限、NX1 政策排除"


class TestReference:
    def test_every_schema_and_field_is_in_datasets_md(self) -> None:
        text = (ROOT / "docs" / "reference" / "datasets.md").read_text("utf-8")
        for schema in list_schemas():
            section = re.split(r"\n##+ ", text.split(f"### `{schema.name}`")[1])[0]
            assert f"{schema.width} bytes" in section
            for receiver in schema.receivers:
                assert receiver in section
            for field in schema.fields:
                row = next(line for line in section.splitlines() if line.startswith(f"| `{field.name}` |"))
                assert f"| {' '.join(field.headings[:-1])} |" in row, row
                assert field.why in row
                for code, words in field.values.items():
                    assert f"`{code}` {words[0]}" in row
