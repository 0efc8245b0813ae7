"""The failing disk, and three parties whose folder every trial copies; both are made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from failing_disk import FailingDisk
from parties import Made, hand_over, make_parties, serving


@pytest.fixture(scope="package")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingDisk]:
    with FailingDisk(tmp_path_factory.mktemp("disk")) as running:
        yield running


@pytest.fixture(scope="package")
def made(disk: FailingDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    make_parties(disk, folder / "parties")
    shutil.copytree(folder / "parties", folder / "served")
    with serving(folder / "served") as (url, _):
        hand_over(disk, folder, url)
        yield Made(folder / "parties", folder / "served" / "province", url)
