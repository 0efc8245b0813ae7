"""A backup as one file that only the holder of a key elsewhere can open.

    "MCBK" ‖ version 1 ‖ recipient[32] ‖ sealed file key[80] ‖ a sealed file (keys.sealedfile)

A fresh file key is sealed to the backup key's public half, X25519, by libsodium's ``crypto_box_seal``; everything
before the sealed file is its context, so that parts of two backups do not fit together. The host that makes backups
has the public half only: whoever takes the host over later cannot read what it wrote before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from keys.files import atomic_writer
from keys.sealedfile import KEY_BYTES, open_chunks, seal_chunks
from keys.strictjson import JsonInvalid, parse_object, require_text
from keys.wrap import MODERATE, PassphraseCost, PassphraseKek
from psi.errors import InputError, VerificationError

SUFFIX = ".mcbk"
KEY_FORMAT = "mingce-backup-key/1"
PUBLIC_FORMAT = "mingce-backup-public-key/1"

_MAGIC = b"MCBK\x01"
_PUBLIC_BYTES = 32
_BOX_BYTES = KEY_BYTES + 48  # an ephemeral public key and a tag
_HEADER_BYTES = len(_MAGIC) + _PUBLIC_BYTES + _BOX_BYTES
_MAX_KEY_FILE = 4_096


class BackupKeyInvalid(InputError):
    """A file is no backup key, or not the half that is needed."""

    code = "backup_key_invalid"


class BackupInvalid(VerificationError):
    """A backup is cut, damaged or put together from others, or is none."""

    code = "backup_invalid"


class BackupForOther(VerificationError):
    """A backup is sealed to another key; params ``expected`` and ``found``, the public halves."""

    code = "backup_for_other"


@dataclass(frozen=True)
class BackupRecipient:
    """The public half of a backup key: 32 bytes, and the name of who holds the other."""

    name: str
    public_key: bytes

    def to_json(self) -> bytes:
        document = {"format": PUBLIC_FORMAT, "name": self.name, "public_key": self.public_key.hex()}
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> BackupRecipient:
        """Raises BackupKeyInvalid."""
        found = _parse(content, PUBLIC_FORMAT, ("format", "name", "public_key"))
        return cls(found["name"], _hex(found["public_key"], _PUBLIC_BYTES))


def create_backup_key(
    name: str, passphrase: str, random_bytes: Callable[[int], bytes], *, cost: PassphraseCost = MODERATE
) -> tuple[bytes, BackupRecipient]:
    """A key file wrapped under a passphrase, and its public half. Raises BackupKeyInvalid, PassphraseTooShort."""
    if not 0 < len(name.strip()) <= 100:
        raise BackupKeyInvalid("a backup key has a name of 1 to 100 characters")
    private = PrivateKey(random_bytes(_PUBLIC_BYTES))
    recipient = BackupRecipient(name, bytes(private.public_key))
    kek = PassphraseKek(lambda: passphrase, cost)
    document = {
        "format": KEY_FORMAT,
        "name": name,
        "public_key": recipient.public_key.hex(),
        "wrapped_key": kek.wrap(bytes(private), _key_context(recipient.public_key)).hex(),
    }
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode(), recipient


def open_backup_key(content: bytes, passphrase: str) -> PrivateKey:
    """Raises BackupKeyInvalid, KeyUnwrapFailed, PassphraseTooShort."""
    found = _parse(content, KEY_FORMAT, ("format", "name", "public_key", "wrapped_key"))
    public = _hex(found["public_key"], _PUBLIC_BYTES)
    wrapped = _hex(found["wrapped_key"], None)
    private = PrivateKey(PassphraseKek(lambda: passphrase).unwrap(wrapped, _key_context(public)))
    if bytes(private.public_key) != public:
        raise BackupKeyInvalid("the public key is another key's")
    return private


def write_backup(path: Path, recipient: BackupRecipient, pieces: Iterable[bytes]) -> bytes:
    """Seal ``pieces`` into ``path``, the whole file or none; returns the file key, to read back what was written."""
    file_key = secrets.token_bytes(KEY_BYTES)
    box = SealedBox(PublicKey(recipient.public_key)).encrypt(file_key)
    header = _MAGIC + recipient.public_key + bytes(box)
    with atomic_writer(path) as stream:
        stream.write(header)
        for sealed in seal_chunks(file_key, pieces, header):
            stream.write(sealed)
    return file_key


def read_backup(path: Path, key: PrivateKey) -> Iterator[bytes]:
    """The pieces again; nothing is sure before the end. Raises BackupInvalid, BackupForOther, SealedFileInvalid."""
    with path.open("rb") as stream:
        header = _read_header(stream.read(_HEADER_BYTES), path.name)
        found = header[len(_MAGIC) : len(_MAGIC) + _PUBLIC_BYTES]
        if found != bytes(key.public_key):
            raise BackupForOther("sealed to another key", expected=bytes(key.public_key).hex(), found=found.hex())
        try:
            file_key = SealedBox(key).decrypt(header[-_BOX_BYTES:])
        except CryptoError:
            raise BackupInvalid("its file key does not open", file=path.name) from None
        yield from open_chunks(stream, file_key, header, path.name)


def read_back(path: Path, file_key: bytes) -> Iterator[bytes]:
    """The pieces of a backup that was just written, by whoever wrote it. Raises BackupInvalid, SealedFileInvalid."""
    with path.open("rb") as stream:
        header = _read_header(stream.read(_HEADER_BYTES), path.name)
        yield from open_chunks(stream, file_key, header, path.name)


def _read_header(header: bytes, name: str) -> bytes:
    if not header.startswith(_MAGIC):
        raise BackupInvalid("not a backup", file=name)
    if len(header) != _HEADER_BYTES:
        raise BackupInvalid("the backup is cut", file=name)
    return header


def _parse(content: bytes, wanted: str, members: tuple[str, ...]) -> dict[str, str]:
    try:
        found = parse_object(content, members, max_bytes=_MAX_KEY_FILE)
        texts = {name: require_text(found[name]) for name in members}
    except JsonInvalid as error:
        raise BackupKeyInvalid(f"not a backup key: {error.detail}") from None
    if texts["format"] != wanted:
        raise BackupKeyInvalid(f"not a file of format {wanted}")
    return texts


def _hex(text: str, length: int | None) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        raise BackupKeyInvalid("not hexadecimal") from None
    if value.hex() != text or (length is not None and len(value) != length):
        raise BackupKeyInvalid("not hexadecimal of the right length")
    return value


def _key_context(public_key: bytes) -> bytes:
    return b"mingce/1 backup key\x00" + public_key
