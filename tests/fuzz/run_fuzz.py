"""Fuzz decoders by coverage: ``python tests/fuzz/run_fuzz.py [--seconds 900] [--out build/fuzz] [NAME …]``.

Needs atheris (``pip install atheris``), which is no dependency of this software. Each target runs in a process
of its own with limits on time and memory, from seeds made anew, beside what earlier runs found worth keeping.
What happened is appended to ``OUT/results.jsonl``; an input that breaks a promise is left in ``OUT/<target>/``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOWEST_INPUT_S = 20
MEMORY_MB = 2_560
PACKAGES = ["psi", "keys", "matcher", "api", "http_sf", "http_message_signatures"]


def fuzz_one(name: str, seconds: int, out: Path) -> None:
    """In the child: never returns."""
    import atheris

    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    with atheris.instrument_imports(include=PACKAGES):
        from fuzz_targets import TARGETS

    target = TARGETS[name]
    corpus = out / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST_INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={target.max_bytes}",
        f"-artifact_prefix={out / name}/",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda data: void(target.probe(bytes(data))))
    atheris.Fuzz()


def void(_: object) -> None:
    """libFuzzer wants nothing back."""


def run(name: str, seconds: int, out: Path) -> dict[str, object]:
    """One target in a child; what libFuzzer counted, and whether it found something."""
    (out / name).mkdir(parents=True, exist_ok=True)
    log = out / name / "log"
    started_s = time.monotonic()
    with log.open("wb") as sink:
        child = subprocess.run(
            [sys.executable, __file__, "--child", name, "--seconds", str(seconds), "--out", str(out)],
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    text = log.read_text("utf-8", "replace")
    executed = re.search(r"number_of_executed_units: *(\d+)", text) or re.search(r"Done (\d+) runs", text)
    found = sorted(path.name for path in (out / name).glob("*-*") if path.is_file())
    return {
        "target": name,
        "seconds": round(time.monotonic() - started_s),
        "inputs": int(executed[1]) if executed else None,
        "exit": child.returncode,
        "found": found,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=int, default=900)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--child", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        fuzz_one(arguments.child, arguments.seconds, arguments.out)
    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    from fuzz_targets import TARGETS

    failed = 0
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or TARGETS:
        result = run(name, arguments.seconds, arguments.out)
        failed += bool(result["exit"])
        print(json.dumps(result), flush=True)
        with (arguments.out / "results.jsonl").open("a") as sink:
            sink.write(json.dumps(result) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
