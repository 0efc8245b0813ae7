"""Runs `mingce` commands one after another, each in a fork of this process, which has everything imported.

Started with failing_disk.c preloaded. Reads one order a line as JSON and answers with one line: how the command
ended, how many steps it made on the disk, which of them failed, and how often it flushed a file whose flush had failed.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
import traceback
from typing import Any

from scripts import cli

UNEXPECTED = 99
FIELDS = ("steps", "failed_at", "flushed_again")


def run(order: dict[str, Any]) -> int:
    """In the fork: one command on the failing disk. Its words go to two files, its figures to a third."""
    disk = ctypes.CDLL(None)
    disk.fault_failed_at.restype = ctypes.c_char_p
    for stream, file in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    sys.argv = ["mingce", *order["words"]]
    disk.fault_arm(order["root"].encode(), order["at"], order["mode"], order["error"])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = UNEXPECTED
    gc.collect()  # what the interpreter's end would close
    sys.stdout.flush()
    sys.stderr.flush()
    steps = disk.fault_disarm()
    figures = (steps, disk.fault_failed_at().decode(), disk.fault_flushed_again())
    with open(order["figures"], "w", encoding="utf-8") as file:
        json.dump(dict(zip(FIELDS, figures, strict=True)), file)
    return code


def main() -> None:
    for name in cli.COMMANDS:
        cli.load_command(name)
    assert threading.active_count() == 1, "a fork takes one thread along"  # Arrow's allocator looks after its own
    gc.collect()
    gc.freeze()  # else every fork looks through all of it, and by that copies it: most of its time
    for line in sys.stdin:
        order = json.loads(line)
        process = os.fork()
        if process == 0:
            code = UNEXPECTED
            try:
                code = run(order)
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
