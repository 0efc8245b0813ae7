"""The typist of commands.py: reads a command a line and answers each with a line, both JSON.

Each runs in a process of its own, forked from this one, which has the program loaded.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from multiprocessing.connection import Connection

from scripts.cli import COMMANDS, load_command, main

_processes = get_context("fork")


def type_all() -> None:
    """Until there are no more commands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command; whoever types them ends after it
    commands, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what a command starts reads and writes neither of them
    os.dup2(2, 1)
    for name in COMMANDS.keys() - {"demo", "bench"}:
        load_command(name)
    gc.freeze()
    for line in commands:
        answers.write(json.dumps(_type(**json.loads(line))) + "\n")
        answers.flush()


def _type(words: list[str], environment: dict[str, str], folder: str) -> tuple[int, str, str]:
    answer, answering = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_run, args=(words, environment, folder, answering))
    process.start()
    answering.close()
    try:
        said: tuple[str, str] = answer.recv()
    except EOFError:  # killed
        said = "", ""
    answer.close()
    process.join()
    return process.exitcode or 0, *said


def _run(words: list[str], environment: dict[str, str], folder: str, answering: Connection) -> None:
    """In the new process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["mingce", *words]
    sys.modules["__main__"].__package__ = None  # what is told of wrong usage names the program by its first word
    stdout, stderr = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            try:
                main()
            except Exception:  # as the interpreter would
                traceback.print_exc()
                sys.exit(1)
    finally:
        answering.send((stdout.getvalue(), stderr.getvalue()))


if __name__ == "__main__":
    type_all()
