"""What is inside a backup: a tar archive (POSIX.1-2001 pax) of the home's files, their signed list at the end.

The list names every file with its size and SHA-256. It comes last because it is made while the files are read, once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from keys.backupfile import BackupInvalid
from keys.clock import parse_time
from keys.envelope import open_envelope, unverified_payload
from keys.files import FILE_MODE, make_folder
from keys.freezing import FileVanished
from keys.identity import PublicIdentity
from keys.strictjson import JsonInvalid, parse_object, require_text

LIST_NAME = "backup.json"
LIST_TYPE = "application/vnd.mingce.backup+json"
LIST_FORMAT = "mingce-backup/1"
MOST_LIST_BYTES = 256 * 1024 * 1024
FILES = "home"

_READ_BYTES = 1024 * 1024
_BLOCK = tarfile.BLOCKSIZE
_MEMBERS = ("format", "identity", "software", "made_at", "audit", "files", "left_out")

Progress = Callable[[int], object]


@dataclass(frozen=True)
class PackedFile:
    """``path`` is relative to the home, with ``/``; ``sha256`` lower-case hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class BackupList:
    """What a backup says of itself. ``audit`` has the number and hash of each audit chain's last row, by file."""

    identity: PublicIdentity
    software: str
    made_at: str
    audit: dict[str, tuple[int, str]]
    files: tuple[PackedFile, ...]
    left_out: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def encode(self) -> bytes:
        document = {
            "format": LIST_FORMAT,
            "identity": self.identity.to_json().decode(),
            "software": self.software,
            "made_at": self.made_at,
            "audit": self.audit,
            "files": [asdict(file) for file in self.files],
            "left_out": self.left_out,
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def pack(
    folder: Path, paths: Iterable[Path], sign: Callable[[tuple[PackedFile, ...]], bytes], progress: Progress
) -> Iterator[bytes]:
    """The archive, piece by piece: the files of ``folder`` at ``paths``, then what ``sign`` makes of their list.

    Raises FileVanished if a file changes its size meanwhile.
    """
    packed, done = [], 0
    for path in paths:
        with (folder / path).open("rb") as stream:
            size, digest = os.fstat(stream.fileno()).st_size, hashlib.sha256()
            yield _tar_header(f"{FILES}/{path.as_posix()}", size)
            left = size
            while left:
                piece = stream.read(min(left, _READ_BYTES))
                if not piece:
                    raise FileVanished("grew shorter while it was read", file=path.as_posix())
                digest.update(piece)
                left -= len(piece)
                done += len(piece)
                progress(done)
                yield piece
            yield bytes(-size % _BLOCK)
        packed.append(PackedFile(path.as_posix(), size, digest.hexdigest()))
    envelope = sign(tuple(packed))
    yield _tar_header(LIST_NAME, len(envelope))
    yield envelope
    yield bytes(-len(envelope) % _BLOCK + 2 * _BLOCK)


def unpack(pieces: Iterator[bytes], target: Path | None, progress: Progress) -> BackupList:
    """Check a whole archive against its list; write its files below ``target``, if there is one.

    All of ``pieces`` is taken, so that its end is known to be the end. Raises BackupInvalid, SignatureInvalid,
    UntrustedSigner, EnvelopeInvalid, IdentityInvalid, and what ``pieces`` raises.
    """
    found: list[PackedFile] = []
    envelope: bytes | None = None
    done = 0
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Pieces(pieces), _READ_BYTES), mode="r|") as archive:
            for entry in archive:
                stream = archive.extractfile(entry) if entry.isreg() else None
                if stream is None or envelope is not None:
                    raise BackupInvalid("holds what no backup holds")
                if entry.name == LIST_NAME:
                    envelope = stream.read(MOST_LIST_BYTES)
                    continue
                path = _safe(entry.name)
                found.append(_take(stream, path, target, progress, done))
                done += found[-1].bytes
    except tarfile.TarError:
        raise BackupInvalid("not the archive of a backup") from None
    if any(any(piece) for piece in pieces):
        raise BackupInvalid("goes on after its end")
    if envelope is None:
        raise BackupInvalid("has no list of its files")
    listed = open_list(envelope)
    if listed.files != tuple(found) or len({file.path for file in found}) != len(found):
        raise BackupInvalid("the files are not those of its list")
    return listed


def open_list(envelope: bytes) -> BackupList:
    """The list, signed by the identity that it names: whether that is the right one is for the reader to say."""
    try:
        payload = unverified_payload(envelope, max_bytes=MOST_LIST_BYTES)
        document: dict[str, Any] = parse_object(payload, _MEMBERS, max_bytes=MOST_LIST_BYTES)
        identity = PublicIdentity.from_json(require_text(document["identity"]))
        open_envelope(envelope, LIST_TYPE, identity, max_bytes=MOST_LIST_BYTES)
        if document["format"] != LIST_FORMAT:
            raise BackupInvalid(f"not of format {LIST_FORMAT}")
        parse_time(document["made_at"])
        return BackupList(
            identity=identity,
            software=require_text(document["software"]),
            made_at=document["made_at"],
            audit={name: (int(seq), require_text(digest)) for name, (seq, digest) in document["audit"].items()},
            files=tuple(PackedFile(**file) for file in document["files"]),
            left_out=tuple(map(require_text, document["left_out"])),
        )
    except (JsonInvalid, TypeError, ValueError, AttributeError) as error:
        raise BackupInvalid(f"its list cannot be read: {type(error).__name__}") from None


def _take(stream: IO[bytes], path: PurePosixPath, target: Path | None, progress: Progress, done: int) -> PackedFile:
    """Hash one file, and write it if there is a target; a file that is there is never replaced."""
    digest, size = hashlib.sha256(), 0
    out: io.BufferedWriter | None = None
    if target is not None:
        place = target / path
        make_folder(place.parent)
        out = os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb")
    try:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
            size += len(piece)
            progress(done + size)
            if out is not None:
                out.write(piece)
    finally:
        if out is not None:
            out.close()
    return PackedFile(path.as_posix(), size, digest.hexdigest())


def _safe(name: str) -> PurePosixPath:
    """A path below the home, and nothing else."""
    path = PurePosixPath(name)
    if path.parts[:1] != (FILES,) or len(path.parts) < 2 or ".." in path.parts or path.as_posix() != name:
        raise BackupInvalid("a file's name leads out of the home")
    if "\x00" in name:
        raise BackupInvalid("a file's name cannot be one")
    return path.relative_to(FILES)


def _tar_header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, FILE_MODE
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


class _Pieces(io.RawIOBase):
    """An iterator of bytes as a stream to read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        taken = self._left[: len(view)]
        view[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)
