"""Whole files sealed with libsodium's secretstream (XChaCha20-Poly1305).

    "MCSF" ‖ version 1 ‖ stream header[24] ‖ sealed chunk …

Each chunk seals 65,536 bytes of plaintext, the last one 0 to 65,536, and is 17 bytes longer
than its plaintext. The stream's own counter fixes the order of the chunks, the tag FINAL marks
the last, and the caller's context is associated data of every chunk: a file that was cut,
reordered, extended, damaged or put in another's place does not open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import nacl.bindings as sodium
import nacl.exceptions

from keys.files import atomic_writer
from psi.errors import VerificationError

CHUNK_BYTES = 64 * 1024
KEY_BYTES = sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES

_MAGIC = b"MCSF\x01"
_HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_SEALED_BYTES = CHUNK_BYTES + sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL


class SealedFileInvalid(VerificationError):
    """A sealed file is cut, damaged or extended, or belongs to another key or context."""

    code = "sealed_file_invalid"


def write_sealed(path: Path, key: bytes, chunks: Iterable[bytes], context: bytes) -> None:
    """Seal the concatenation of ``chunks`` into ``path``: the whole file or none, flushed, 0600.

    ``key`` is 32 bytes. ``context`` says what the file is and must be given again to read it.
    """
    with atomic_writer(path) as stream:
        for piece in seal_chunks(key, chunks, context):
            stream.write(piece)


def read_sealed(path: Path, key: bytes, context: bytes) -> Iterator[bytes]:
    """What :func:`open_chunks` gives, from a file."""
    with path.open("rb") as stream:
        yield from open_chunks(stream, key, context, path.name)


def seal_chunks(key: bytes, chunks: Iterable[bytes], context: bytes) -> Iterator[bytes]:
    """The bytes of a sealed file, piece by piece."""
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    yield _MAGIC + sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    for plaintext, tag in _with_tags(_rechunk(chunks)):
        yield sodium.crypto_secretstream_xchacha20poly1305_push(state, plaintext, _associated(context), tag)


def open_chunks(stream: BinaryIO, key: bytes, context: bytes, name: str) -> Iterator[bytes]:
    """The plaintext of a sealed file from where ``stream`` stands, in chunks of at most 65,536 bytes, one in memory.

    Each chunk is authentic when it comes, but only the end of the iteration says that the file
    was whole: keep nothing of it before. Raises SealedFileInvalid naming the file, or OSError from reading.
    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise SealedFileInvalid("not a sealed file", file=name)
    header = stream.read(_HEADER_BYTES)
    if len(header) != _HEADER_BYTES:
        raise SealedFileInvalid("the sealed file is cut", file=name)
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
    tag = _MESSAGE
    while sealed := stream.read(_SEALED_BYTES):
        if tag == _FINAL:
            raise SealedFileInvalid("the sealed file goes on after its end", file=name)
        try:
            plaintext, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed, _associated(context))
        except nacl.exceptions.CryptoError:
            raise SealedFileInvalid("a chunk does not open", file=name) from None
        yield plaintext
    if tag != _FINAL:
        raise SealedFileInvalid("the sealed file is cut", file=name)


def _associated(context: bytes) -> bytes:
    return b"mingce/1 sealed file\x00" + context


def _rechunk(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks of exactly CHUNK_BYTES, the last one shorter; one empty chunk for nothing."""
    buffer = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), CHUNK_BYTES):
            buffer += piece[start : start + CHUNK_BYTES]
            while len(buffer) > CHUNK_BYTES:
                yield bytes(buffer[:CHUNK_BYTES])
                del buffer[:CHUNK_BYTES]
    yield bytes(buffer)


def _with_tags(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Each chunk with the tag it must carry: FINAL for the last, MESSAGE for the others."""
    previous: bytes | None = None
    for chunk in chunks:
        if previous is not None:
            yield previous, _MESSAGE
        previous = chunk
    if previous is not None:
        yield previous, _FINAL
