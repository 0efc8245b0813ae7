"""What a decoder of foreign bytes owes, and how it is held to it.

A target is one decoder with seeds: real documents, made by the code that writes them. Whatever the
bytes, the decoder returns or raises a MingceError whose words repeat no number of the input; time and
memory are bounded by whoever runs it (run_fuzz.py by libFuzzer's limits, the ordinary suite by its seeds).
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from psi.errors import MingceError

# Fingerprints are told to people on purpose, and a run of hex digits may look like a number.
_FINGERPRINT = re.compile(r"\b[0-9a-f]{32,}\b")
_ID_NUMBER = re.compile(r"\d{14}")


class Echo(AssertionError):
    """An error repeats what was sent."""


@dataclass(frozen=True)
class Target:
    """``decode`` reads ``what``; ``seeds`` gives sound inputs for it."""

    name: str
    what: str
    decode: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    max_bytes: int = 1 << 16

    def probe(self, data: bytes) -> bool:
        """Whether the bytes were accepted. Raises whatever a decoder must not raise."""
        try:
            self.decode(data)
        except MingceError as error:
            require_silent(error, f"{error.detail} {error.params}")
            return False
        return True


def require_silent(error: Exception, words: str) -> None:
    """Raises Echo if an error holds what looks like an ID number."""
    if _ID_NUMBER.search(_FINGERPRINT.sub("", f"{error} {words}")):
        raise Echo(type(error).__name__)


@cache
def scratch() -> Path:
    """A folder of this process for decoders that read files; the system removes it at the next start if we do not."""
    folder = tempfile.TemporaryDirectory(prefix="mingce-fuzz-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def scratch_file(name: str, data: bytes) -> Path:
    path = scratch() / name
    path.write_bytes(data)
    return path


_LIKED = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\xff\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b'"',
    b"[" * 200,
    b"\\ud800",
    b"1e999",
    b"-",
)


def mutations(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """``count`` damaged inputs, the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 4))):
            place = rng.randrange(len(data) + 1)
            match rng.randrange(6):
                case 0 if data:
                    data[place % len(data)] ^= 1 << rng.randrange(8)
                case 1:
                    del data[place : place + rng.choice((1, 4, 32, len(data)))]
                case 2:
                    data[place:place] = rng.choice(_LIKED)
                case 3 if data:
                    liked = rng.choice(_LIKED)
                    data[place : place + len(liked)] = liked
                case 4:
                    data[place:place] = data[place : place + rng.choice((4, 32, 256))]
                case _:
                    other = rng.choice(seeds)
                    cut = rng.randrange(len(other) + 1)
                    data[place:] = other[cut:]
        yield bytes(data)
