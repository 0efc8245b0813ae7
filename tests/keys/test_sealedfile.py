from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import nacl.bindings as sodium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.sealedfile import CHUNK_BYTES, SealedFileInvalid, read_sealed, write_sealed

KEY = bytes(range(32))
CONTEXT = b"results of run 7"
SEALED_BYTES = CHUNK_BYTES + 17
HEAD_BYTES = 5 + 24


def read(path: Path, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    return b"".join(read_sealed(path, key, context))


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=50)
        | st.sampled_from([CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]).map(bytes),
        max_size=6,
    )
)
def test_what_is_sealed_is_read_again(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("sealed") / "file"
    write_sealed(path, KEY, pieces, CONTEXT)
    content = b"".join(pieces)
    assert read(path) == content
    chunks = max(1, -(-len(content) // CHUNK_BYTES))
    assert path.stat().st_size == HEAD_BYTES + len(content) + 17 * chunks
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def sealed_file(folder: Path, plaintext_bytes: int = 3 * CHUNK_BYTES + 100) -> Path:
    path = folder / "file"
    write_sealed(path, KEY, [os.urandom(plaintext_bytes)], CONTEXT)
    return path


def chunk(sealed: bytes, position: int) -> bytes:
    start = HEAD_BYTES + position * SEALED_BYTES
    return sealed[start : start + SEALED_BYTES]


def _flip(position: int) -> Callable[[bytes], bytes]:
    def damage(sealed: bytes) -> bytes:
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        return bytes(damaged)

    return damage


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda s: b"",
    "magic cut": lambda s: s[:4],
    "magic flipped": _flip(0),
    "version flipped": _flip(4),
    "header cut": lambda s: s[:20],
    "header flipped": _flip(10),
    "nothing after the header": lambda s: s[:HEAD_BYTES],
    "first chunk flipped": _flip(HEAD_BYTES),
    "last byte flipped": _flip(-1),
    "last byte cut": lambda s: s[:-1],
    "one byte more": lambda s: s + b"\0",
    "last chunk cut off": lambda s: s[: HEAD_BYTES + 3 * SEALED_BYTES],
    "two chunks cut off": lambda s: s[: HEAD_BYTES + 2 * SEALED_BYTES],
    "cut inside a chunk": lambda s: s[: HEAD_BYTES + SEALED_BYTES + 5],
    "cut to less than a tag": lambda s: s[: HEAD_BYTES + SEALED_BYTES + 3 * 5],
    "two chunks swapped": lambda s: s[:HEAD_BYTES] + chunk(s, 1) + chunk(s, 0) + s[HEAD_BYTES + 2 * SEALED_BYTES :],
    "a chunk left out": lambda s: s[:HEAD_BYTES] + s[HEAD_BYTES + SEALED_BYTES :],
    "a chunk twice": lambda s: s[: HEAD_BYTES + SEALED_BYTES] + s[HEAD_BYTES:],
    "the last chunk twice": lambda s: s + s[HEAD_BYTES + 3 * SEALED_BYTES :],
    "another whole file behind": lambda s: s + s,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_does_not_open(tmp_path: Path, damage: str) -> None:
    path = sealed_file(tmp_path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(SealedFileInvalid) as caught:
        read(path)
    assert caught.value.params == {"file": "file"}


@pytest.mark.parametrize("plaintext_bytes", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES])
def test_every_truncation_to_a_chunk_is_noticed(tmp_path: Path, plaintext_bytes: int) -> None:
    path = sealed_file(tmp_path, plaintext_bytes)
    sealed = path.read_bytes()
    for length in {*range(0, HEAD_BYTES + 20), *range(HEAD_BYTES, len(sealed), SEALED_BYTES), len(sealed) - 1}:
        if length < len(sealed):
            path.write_bytes(sealed[:length])
            with pytest.raises(SealedFileInvalid):
                read(path)


def test_another_key_context_or_stream_does_not_open(tmp_path: Path) -> None:
    path = sealed_file(tmp_path)
    for key, context in ((bytes(32), CONTEXT), (KEY, b""), (KEY, CONTEXT + b" ")):
        with pytest.raises(SealedFileInvalid):
            read(path, key, context)
    first = path.read_bytes()
    second = sealed_file(tmp_path).read_bytes()
    path.write_bytes(first[: HEAD_BYTES + SEALED_BYTES] + second[HEAD_BYTES + SEALED_BYTES :])
    with pytest.raises(SealedFileInvalid):
        read(path)


@pytest.mark.parametrize("tags", [("FINAL", "FINAL"), ("FINAL", "MESSAGE"), ("MESSAGE", "MESSAGE")])
def test_a_stream_that_ends_elsewhere_is_refused(tmp_path: Path, tags: tuple[str, str]) -> None:
    """Authentic chunks, as only a holder of the key can make them, but no end or two."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sealed = b"MCSF\x01" + sodium.crypto_secretstream_xchacha20poly1305_init_push(state, KEY)
    for name in tags:
        tag = getattr(sodium, f"crypto_secretstream_xchacha20poly1305_TAG_{name}")
        associated = b"mingce/1 sealed file\x00" + CONTEXT
        sealed += sodium.crypto_secretstream_xchacha20poly1305_push(state, bytes(CHUNK_BYTES), associated, tag)
    (tmp_path / "file").write_bytes(sealed)
    with pytest.raises(SealedFileInvalid):
        read(tmp_path / "file")


def test_a_failing_source_leaves_the_old_file(tmp_path: Path) -> None:
    def source() -> Iterator[bytes]:
        yield bytes(2 * CHUNK_BYTES)
        raise OSError("disk gone")

    path = tmp_path / "file"
    write_sealed(path, KEY, [b"old"], CONTEXT)
    with pytest.raises(OSError, match="disk gone"):
        write_sealed(path, KEY, source(), CONTEXT)
    assert read(path) == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_plaintext_is_nowhere_in_the_folder(tmp_path: Path) -> None:
    marker = b"990000199001010000"
    write_sealed(tmp_path / "file", KEY, [marker * 10_000], CONTEXT)
    for path in tmp_path.iterdir():
        assert marker not in path.read_bytes()


def test_memory_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "file"
    piece = bytes(1 << 20)
    tracemalloc.start()
    try:
        write_sealed(path, KEY, (piece for _ in range(32)), CONTEXT)
        total = sum(len(part) for part in read_sealed(path, KEY, CONTEXT))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 32 << 20
    assert peak < 1 << 20
