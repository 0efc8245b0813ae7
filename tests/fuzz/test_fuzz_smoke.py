"""Each harness of tests/fuzz with its seeds and the same few hundred damaged inputs every time.

The long runs are ``make fuzz``; docs/reference/fuzzing.md records them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fuzz_target import mutations
from fuzz_targets import TARGETS

EXPENSIVE = {"xlsx": 3}  # a process for each input
DAMAGED = 150


@pytest.mark.parametrize("name", TARGETS)
def test_a_sound_document_is_accepted(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()
    assert seeds
    assert max(map(len, seeds)) <= target.max_bytes
    assert target.probe(seeds[0])


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_refused_by_a_typed_error_that_repeats_nothing(name: str) -> None:
    target = TARGETS[name]
    accepted = [target.probe(data) for data in mutations(target.seeds(), EXPENSIVE.get(name, DAMAGED), seed=4)]
    assert not all(accepted), "no damage was ever noticed: the harness reaches nothing"


def test_the_reference_lists_every_target() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "fuzzing.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| [^|]+\| *[\d,]* *\| *[\d,]* *\|$", text, re.M)
    assert listed == list(TARGETS)
