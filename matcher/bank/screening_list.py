"""The 初筛名单 as the seeds lay it out (嵊泗 plan, section 四（一）), then edition, run and input state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from matcher.bank.runs import Run
from matcher.bank.screening import SCREENING_SCHEMA
from matcher.bank.store import BankStore
from matcher.reasons import REASONS
from psi.columns import Column, pc

ID_COLUMN = "证件号码"
YES, NO, NOT_LISTED = "是", "否", "不在名单"
_INPUT_STATES = {"ok": "正常", "ok_unknown_place": "正常（地区码未知）", "ok_converted_15": "由 15 位转换"}


def screening_columns(store: BankStore, run: Run, *, unmatched: bool) -> dict[str, Column | pa.ChunkedArray[Any]]:
    """The columns of a completed run's list, all text; ``unmatched`` adds the customers who are not on the list."""
    batches = store.screenings.iterate(run.run_id, matched_only=not unmatched)
    records = pa.Table.from_batches(batches, SCREENING_SCHEMA).combine_chunks()
    divisions = store.editions.get_manifest(run.dataset, run.epoch, run.edition).divisions
    words = label_in_words(records, divisions)
    return {
        "家庭编号": words.pop("家庭编号"),
        "客户姓名": records["name"],
        ID_COLUMN: records["item"],
        **words,
        "版本": pa.repeat(f"{run.dataset}/{run.epoch}/{run.edition}", len(records)),
        "匹配编号": pa.repeat(run.run_id, len(records)),
        "输入状态": _described(records["input_state"], _INPUT_STATES),
    }


def label_in_words(records: pa.Table, divisions: Mapping[str, str]) -> dict[str, Column | pa.ChunkedArray[Any]]:
    """The label's columns under their Chinese headings, codes with their words beside them."""
    expanding = pc.if_else(pc.equal(records["expanding"], "1"), YES, NO)
    return {
        "家庭编号": records["household_no"],
        "家庭人数": records["household_size"],
        "行政区划": _described(records["division"], {code: f"{code} {name}" for code, name in divisions.items()}),
        "是否扩中家庭": pc.if_else(records["matched"], expanding, NOT_LISTED),
        "非扩中原因标签": _described(records["reasons"], _reason_words(records["reasons"])),
    }


def _reason_words(column: pa.ChunkedArray[Any]) -> Mapping[str, str]:
    """``N01,N05`` as ``N01 收入超过上限、N05 非辖区常住``: the code for machines, the words for people."""
    return {
        codes: "、".join(f"{code} {REASONS[code].zh}" if code in REASONS else code for code in codes.split(","))
        for codes in pc.unique(column).to_pylist()
        if codes
    }


def _described(column: pa.ChunkedArray[Any], words: Mapping[str, str]) -> Column:
    """Replace each value that has words; leave the others as they are."""
    place = pc.index_in(column, value_set=pa.array(list(words), pa.string()))
    described: Column = pc.coalesce(pa.array(list(words.values()), pa.string()).take(place.combine_chunks()), column)
    return described
