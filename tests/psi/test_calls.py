"""How the kernel behaves as a guest in a Python process: signals, threads, forks, foreign memory."""

from __future__ import annotations

import array
import mmap
import multiprocessing
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest

from psi.errors import InputError
from psi.oprf import MODE_VOPRF, BlindedBatch, SecretKey, blind_evaluate, evaluate, thread_count

KEY = SecretKey.from_bytes((5).to_bytes(32, "little"))
ITEMS = b"".join(b"339900%012d" % i for i in range(30_000))
WIDTH = 18
LONG_CALL = """
import signal, sys, time
from psi import _native
key = _native.SecretKey.generate()
items = bytes(18) * 2_000_000
print("started", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
CALLS = {
    "evaluate": "_native.evaluate(1, key, items, 18)",
    "encode_rows": (
        "_native.encode_rows(key, items, 18, dataset='d', epoch='e', versions=bytes(4) * 2_000_000,"
        " labels=bytes(8) * 2_000_000, label_width=8)"
    ),
    "blind_evaluate": (
        "elements = _native.BlindedBatch(1, items[:18 * 65_535], 18).blinded_elements;"
        " [_native.blind_evaluate(1, key, elements) for _ in range(100)]"
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_ctrl_c_ends_a_call_within_a_second(call: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG_CALL.format(call=call)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.4)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 1.0
        assert process.wait(timeout=5) == 0


def test_progress_never_falls_and_ends_with_all() -> None:
    seen: list[int] = []
    threads: set[int] = set()

    def progress(done: int) -> None:
        seen.append(done)
        threads.add(threading.get_ident())

    many = ITEMS * 10  # long enough for several reports on the fastest backend
    evaluate(MODE_VOPRF, KEY, many, WIDTH, progress=progress)
    assert seen == sorted(seen)
    assert seen[-1] == len(many) // WIDTH
    assert len(seen) >= 2
    assert threads == {threading.get_ident()}


def test_what_progress_raises_ends_the_call() -> None:
    class Enough(Exception):
        pass

    def progress(done: int) -> None:
        raise Enough

    began = time.monotonic()
    with pytest.raises(Enough):
        evaluate(MODE_VOPRF, KEY, ITEMS * 10, WIDTH, progress=progress)
    assert time.monotonic() - began < 2.0


def test_other_python_threads_run_meanwhile() -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    evaluate(MODE_VOPRF, KEY, ITEMS * 10, WIDTH)
    done.set()
    ticker.join()
    assert ticks > 20


def test_calls_from_several_threads_at_once() -> None:
    expected = evaluate(MODE_VOPRF, KEY, ITEMS[: 500 * WIDTH], WIDTH)
    results: list[bytes] = []
    workers = [
        threading.Thread(target=lambda: results.append(evaluate(MODE_VOPRF, KEY, ITEMS[: 500 * WIDTH], WIDTH)))
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [expected] * 8


def _evaluate_in_child(queue: multiprocessing.Queue[bytes]) -> None:
    queue.put(evaluate(MODE_VOPRF, KEY, ITEMS[:WIDTH], WIDTH))


def test_a_forked_child_can_call_too() -> None:
    """A web server may fork its workers after the parent has used the pool of threads."""
    expected = evaluate(MODE_VOPRF, KEY, ITEMS[:WIDTH], WIDTH)
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[bytes] = context.Queue()
    child = context.Process(target=_evaluate_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=10) == expected
    child.join(timeout=10)
    assert child.exitcode == 0


def test_thread_counts() -> None:
    assert thread_count() >= 1
    expected = evaluate(MODE_VOPRF, KEY, ITEMS[: 600 * WIDTH], WIDTH)
    for threads in (1, 2, 7):
        assert evaluate(MODE_VOPRF, KEY, ITEMS[: 600 * WIDTH], WIDTH, threads=threads) == expected
    with pytest.raises(InputError):
        evaluate(MODE_VOPRF, KEY, ITEMS[:WIDTH], WIDTH, threads=-1)


def test_every_kind_of_buffer_is_read_in_place(tmp_path: Path) -> None:
    data = ITEMS[: 20 * WIDTH]
    expected = evaluate(MODE_VOPRF, KEY, data, WIDTH)
    path = tmp_path / "items"
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert evaluate(MODE_VOPRF, KEY, mapped, WIDTH) == expected
    fixed = pa.array([data[i : i + WIDTH] for i in range(0, len(data), WIDTH)], pa.binary(WIDTH))
    column = fixed.buffers()[1]
    assert column is not None
    for buffer in (bytearray(data), memoryview(b"x" + data)[1:], array.array("B", data), column):
        assert evaluate(MODE_VOPRF, KEY, buffer, WIDTH) == expected
    # A wider item type is still the same bytes.
    assert evaluate(MODE_VOPRF, KEY, array.array("H", data), WIDTH) == expected


def test_memory_with_gaps_is_refused() -> None:
    with pytest.raises(InputError):
        evaluate(MODE_VOPRF, KEY, memoryview(ITEMS)[::2], WIDTH)
    with pytest.raises(TypeError):
        evaluate(MODE_VOPRF, KEY, "text", WIDTH)  # type: ignore[arg-type]


def test_a_buffer_is_given_back_after_the_call() -> None:
    data = bytearray(ITEMS[:WIDTH])
    evaluate(MODE_VOPRF, KEY, data, WIDTH)
    batch = BlindedBatch(MODE_VOPRF, data, WIDTH)
    blind_evaluate(MODE_VOPRF, KEY, batch.blinded_elements)
    data.append(0)  # raises BufferError while an export is alive
    with pytest.raises(InputError):
        evaluate(MODE_VOPRF, KEY, data, WIDTH)
    data.append(0)
