"""The tutorials, followed to the letter by somebody who begins in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import DOCS, DOCUMENTS, Block, Step, blocks, is_seen, steps
from running import Differs, list_not_run, reader

MONTH = {  # what stands in the tutorial: where the reader sees the real one
    "57": r"│ (\d+) +│ J\d+ │ \d{9} │",
    "131": r"│ (\d+) +│ J\d+ │ [^│]*\*+ +│ \d{9} │",
    "10ccac866d9e": r"SHA-256 ([0-9a-f]{12})",
    "1@27eb123a0bde": r"\b(\d+@[0-9a-f]{12})",
}
DAYS = {"2026-11-22": 0, "2026-12-06": 14, "2026-12-07": 15}
TUTORIALS: dict[str, dict[str, str]] = {
    "tutorial/first-match.md": {"3fa9": r"Warrant ([0-9a-f]{6})"},
    "zh/tutorial/first-match.md": {"3fa9": r"授权书 ([0-9a-f]{6})"},
    "tutorial/first-month.md": MONTH,
    "zh/tutorial/first-month.md": MONTH,
    "tutorial/province.md": {},
    "zh/tutorial/province.md": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_the_tutorial_does_what_it_says(name: str, tmp_path: Path) -> None:
    with reader(tmp_path, TUTORIALS[name], DAYS) as newcomer:
        assert newcomer.follow(DOCS / name) > 20


def test_every_block_that_is_run_belongs_to_a_tutorial_here() -> None:
    run = {document for document in DOCUMENTS for block in blocks(document) if block.is_run}
    assert {document.relative_to(DOCS).as_posix() for document in run} == set(TUTORIALS)


def test_blocks_that_are_not_run_say_why() -> None:
    """``console`` blocks are run; one that cannot be says so: systemd, root, another machine."""
    skipped = list_not_run(DOCUMENTS)
    assert [block for block in skipped if not block.not_run] == []
    print(*(f"{block.document.relative_to(DOCS)}:{block.number}: {block.not_run}" for block in skipped), sep="\n")
    for block in skipped:
        steps(block)


def test_a_tutorial_that_is_wrong_is_found(tmp_path: Path) -> None:
    """These tests can fail: by an exit code, and by a line that does not come."""
    for command in ("$ false", "$ echo one\ntwo", "$ mingce bank match"):
        (tmp_path / "wrong.md").write_text(f"```console\n{command}\n```\n", "utf-8")
        with pytest.raises(Differs), reader(tmp_path, {}) as newcomer:
            newcomer.follow(tmp_path / "wrong.md")
    (tmp_path / "right.md").write_text(
        "```console\n$ export A=1\n$ cd /\n$ echo $A $PWD\n1 …\n$ exit 4  # exit code 4\n```\n", "utf-8"
    )
    with reader(tmp_path, {}) as newcomer:
        assert newcomer.follow(tmp_path / "right.md") == 4


def test_lines_with_a_gap() -> None:
    assert is_seen("a … c", "x\n  a b c \n")
    assert not is_seen("a … c", "a b cd")
    assert steps(Block(DOCS, 1, "console", ("$ a \\", "    b", "seen"))) == [Step("a b", ("seen",))]
