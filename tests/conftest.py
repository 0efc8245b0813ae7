"""For all tests: one Hypothesis profile, and the invariants after every case of the threat list."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage

import pytest
from case_invariants import check_folder
from hypothesis import settings

# Every commit is flushed to the disk, which is most of the tests' time: they work in memory where there is enough.
# `make demo` and the benchmarks are on the disk; so are the tests with PYTEST_DEBUG_TEMPROOT=/tmp.
IN_MEMORY, ENOUGH_BYTES = Path("/dev/shm"), 4 << 30
if IN_MEMORY.is_dir() and disk_usage(IN_MEMORY).free > ENOUGH_BYTES:
    available_kib = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    if available_kib and int(available_kib[1]) << 10 > 2 * ENOUGH_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# Whoever runs the tests in the background hands down an ignored SIGINT, and children inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, and no deadline on a shared machine.
settings.register_profile("mingce", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("mingce")

_CASE = re.compile(r"test_d\d\d_")


@pytest.fixture(scope="session")
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process and its children put temporary files, so that they can be looked through."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def invariants(request: pytest.FixtureRequest, temporary_folder: Path) -> Iterator[None]:
    """After every ``test_dNN``, once its servers and stores are closed: what it left on disk is sound and silent."""
    folders = [temporary_folder]
    if "tmp_path" in request.fixturenames:
        folders.append(request.getfixturevalue("tmp_path"))
    yield
    if _CASE.match(request.node.name):
        for folder in folders:
            check_folder(folder, damaged=request.node.name.startswith("test_d37_"))
