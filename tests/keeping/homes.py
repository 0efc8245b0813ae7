"""Homes to be kept: made by the command line, in this process because a hundred commands are run."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pysqlite3

from keys.wrap import PassphraseCost
from psi.identifiers import check_character
from scripts import cli

CHEAP = PassphraseCost(passes=1, memory_kib=8)
PASSPHRASE = "演示用口令，请勿照搬，十二字以上"
COUNTY = "330922"
HEADINGS = "证件号码,家庭编号,家庭人数,行政区划,是否扩中家庭,非扩中原因标签"


def mingce(place: Path, *words: object, code: int | tuple[int, ...] = 0, **environment: str) -> dict[str, Any]:
    """``mingce words… --json`` in ``place``; its result, or its error."""
    out, err = io.StringIO(), io.StringIO()
    before, ended = Path.cwd(), 0
    os.chdir(place)
    try:
        with (
            patch.object(sys, "argv", ["mingce", *map(str, words), "--json"]),
            patch.dict(os.environ, environment),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as end:
        ended = int(end.code or 0)
    finally:
        os.chdir(before)
    assert ended in (code if isinstance(code, tuple) else (code,)), (words, ended, out.getvalue(), err.getvalue())
    return dict(json.loads(out.getvalue()))


def settle_without_loss(place: Path, home: str, reason: str) -> None:
    """Two operators say that nothing was lost."""
    words = ("backup", "settle", "--nothing-lost", "--passphrase-file", "pass", "--config", home)
    mingce(place, *words, "--operator", "甲.operator", "--reason", reason, code=4)
    mingce(place, *words, "--operator", "乙.operator")


def id_number(person: int) -> str:
    """A valid number that nobody has: 990000 was never assigned."""
    body = f"9900001980{person % 12 + 1:02d}{person % 28 + 1:02d}{person:03d}"
    return body + check_character(body)


def write_list(path: Path, sizes: dict[int, int]) -> None:
    rows = [f"{id_number(person)},H{person},{size},{COUNTY}100,是," for person, size in sizes.items()]
    path.write_text("\n".join([HEADINGS, *rows]) + "\n", "utf-8")


def make_province(place: Path) -> Path:
    """A province with one edition of 50 people."""
    write_list(place / "base.csv", dict.fromkeys(range(50), 3))
    mingce(place, "province", "init", "province", "--name", "演示省")
    mingce(place, "keys", "create-epoch", "base", "2026", "--activate", "--config", "province")
    mingce(place, "province", "refresh", "--source", "base.csv", "--config", "province")
    return place / "province"


def ask(database: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = pysqlite3.connect(str(database))
    try:
        return list(connection.execute(sql).fetchall())
    finally:
        connection.close()
