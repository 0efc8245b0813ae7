"""The failing disk, and the folders that every trial copies; each is made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from county import make_county
from failing_disk import FailingDisk, compile_disk
from parties import Made, hand_over, make_parties, serving


@pytest.fixture(scope="package")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_disk(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="package")
def disk(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingDisk]:
    with FailingDisk(tmp_path_factory.mktemp("disk"), library) as running:
        yield running


@pytest.fixture(scope="package")
def made(disk: FailingDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    make_parties(disk, folder / "parties")
    shutil.copytree(folder / "parties", folder / "served")
    with serving(folder / "served") as (url, _):
        hand_over(disk, folder, url)
        yield Made(folder / "parties", folder / "served" / "province", url)


@pytest.fixture(scope="package")
def county(disk: FailingDisk, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_county(disk, tmp_path_factory.mktemp("county") / "parties")
