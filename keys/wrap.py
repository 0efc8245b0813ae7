"""Key-encryption keys, and wrapping other keys under them.

A wrapped key is AES-256-GCM (NIST SP 800-38D, random 96-bit nonce) with a *context* as
associated data, so that a wrapped key moved to another row, epoch or dataset does not open:

    "MCWK" ‖ version 1 ‖ scheme ‖ scheme parameters ‖ nonce[12] ‖ ciphertext ‖ tag[16]

Scheme 1 has no parameters: the key-encryption key is 32 given bytes. Scheme 2 derives it from
a passphrase by argon2id (RFC 9106): salt[16] ‖ passes u32 ‖ memory in KiB u32, big-endian.
Everything before the nonce is authenticated together with the context.

:class:`KekProvider` is the seam where a hardware security module fits: it needs to wrap and
unwrap small secrets, and nothing else in this software ever sees the key-encryption key.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import struct
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.pwhash import argon2id

from keys.files import FILE_MODE, fsync_folder
from psi.errors import InputError, MingceError, VerificationError

KEK_BYTES = 32
DEFAULT_VARIABLE = "MINGCE_KEK"
MINIMUM_PASSPHRASE_CHARACTERS = 12

_MAGIC = b"MCWK\x01"
_RAW, _PASSPHRASE = 1, 2
_HEADER_BYTES = len(_MAGIC) + 1
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SALT_BYTES = 16


class KeyUnwrapFailed(VerificationError):
    """A wrapped key does not open: another key-encryption key, passphrase or context, or damage."""

    code = "key_unwrap_failed"


class KekUnavailable(MingceError):
    """The key-encryption key cannot be had: its file or variable is missing or malformed."""

    code = "kek_unavailable"


class KekExposed(MingceError):
    """The key-encryption key's file can be read by others than its owner."""

    code = "kek_exposed"


class PassphraseTooShort(InputError):
    """A passphrase has fewer than 12 characters."""

    code = "passphrase_too_short"


class KekProvider(Protocol):
    """Whatever holds a key-encryption key. Nothing is read or asked before the first use."""

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Raises KekUnavailable, KekExposed."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises KeyUnwrapFailed, KekUnavailable, KekExposed."""
        ...

    def describe(self) -> str:
        """One line for a person, without any secret."""
        ...


class _RawKek(ABC):
    """The common part of the providers whose key is 32 given bytes."""

    def __init__(self) -> None:
        self._kek: bytes | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe()})"

    @abstractmethod
    def describe(self) -> str: ...

    @abstractmethod
    def _read(self) -> bytes: ...

    def _get_kek(self) -> bytes:
        if self._kek is None:
            self._kek = self._read()
        return self._kek

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        return _encrypt(self._get_kek(), _MAGIC + bytes([_RAW]), plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        header, rest = _split(wrapped, _RAW, 0)
        return _decrypt(self._get_kek(), header, rest, context)


class FileKek(_RawKek):
    """32 bytes, raw or as 64 hex digits, in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def describe(self) -> str:
        return f"file:{self.path}"

    def _read(self) -> bytes:
        try:
            with open(self.path, "rb", opener=_open_at_once) as stream:
                mode = os.fstat(stream.fileno()).st_mode
                content = stream.read(KEK_BYTES * 2 + 3)
        except OSError as error:
            raise KekUnavailable(f"key file: {error.strerror}", file=str(self.path)) from None
        if not stat.S_ISREG(mode):
            raise KekUnavailable("key file is not a regular file", file=str(self.path))
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KekExposed(
                "key file is open to group or others", file=str(self.path), mode=f"{stat.S_IMODE(mode):04o}"
            )
        if len(content) == KEK_BYTES:
            return content
        kek = _parse_hex(content)
        if kek is None:
            raise KekUnavailable("key file holds neither 32 bytes nor 64 hex digits", file=str(self.path))
        return kek


class EnvironmentKek(_RawKek):
    """64 hex digits in an environment variable, for services whose manager hands secrets over so."""

    def __init__(self, variable: str = DEFAULT_VARIABLE, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self.variable = variable
        self._environment = environment

    def describe(self) -> str:
        return f"env:{self.variable}"

    def _read(self) -> bytes:
        value = self._environment.get(self.variable)
        if value is None:
            raise KekUnavailable("environment variable is not set", variable=self.variable)
        kek = _parse_hex(value.encode("utf-8", "surrogateescape"))
        if kek is None:
            raise KekUnavailable("environment variable does not hold 64 hex digits", variable=self.variable)
        return kek


@dataclass(frozen=True)
class PassphraseCost:
    """argon2id's cost (RFC 9106): passes over the memory, and memory in KiB."""

    passes: int
    memory_kib: int


MODERATE = PassphraseCost(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE // 1024)
_CEILING = PassphraseCost(argon2id.OPSLIMIT_SENSITIVE, argon2id.MEMLIMIT_SENSITIVE // 1024)
_PARAMETERS = struct.Struct(f">{_SALT_BYTES}sII")


class PassphraseKek:
    """A key-encryption key derived from a passphrase by argon2id.

    ``ask`` is called once, at first use. A derived key is kept for the provider's life, and new
    keys are wrapped under the salt and cost last seen, so a store costs one derivation to open.
    The first use raises PassphraseTooShort under 12 characters.
    """

    def __init__(self, ask: Callable[[], str], cost: PassphraseCost = MODERATE) -> None:
        self._ask = ask
        self._cost = cost
        self._passphrase: bytes | None = None
        self._parameters: bytes | None = None
        self._derived: dict[bytes, bytes] = {}

    def __repr__(self) -> str:
        return f"PassphraseKek({self.describe()})"

    def describe(self) -> str:
        return "passphrase"

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        if self._parameters is None:
            salt = secrets.token_bytes(_SALT_BYTES)
            self._parameters = _PARAMETERS.pack(salt, self._cost.passes, self._cost.memory_kib)
        header = _MAGIC + bytes([_PASSPHRASE]) + self._parameters
        return _encrypt(self._derive(self._parameters), header, plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        header, rest = _split(wrapped, _PASSPHRASE, _PARAMETERS.size)
        parameters = header[_HEADER_BYTES:]
        plaintext = _decrypt(self._derive(parameters), header, rest, context)
        self._parameters = parameters
        return plaintext

    def _derive(self, parameters: bytes) -> bytes:
        if parameters not in self._derived:
            salt, passes, memory_kib = _PARAMETERS.unpack(parameters)
            if not (1 <= passes <= _CEILING.passes and 8 <= memory_kib <= _CEILING.memory_kib):
                raise KeyUnwrapFailed("the wrapped key asks for an unreasonable argon2id cost")
            self._derived[parameters] = argon2id.kdf(
                KEK_BYTES, self._get_passphrase(), salt, opslimit=passes, memlimit=memory_kib * 1024
            )
        return self._derived[parameters]

    def _get_passphrase(self) -> bytes:
        if self._passphrase is None:
            text = unicodedata.normalize("NFC", self._ask())  # as RFC 8265 section 4.2.2: keyboards differ
            if len(text) < MINIMUM_PASSPHRASE_CHARACTERS:
                raise PassphraseTooShort("passphrase too short", minimum=MINIMUM_PASSPHRASE_CHARACTERS)
            self._passphrase = text.encode()
        return self._passphrase


def provider_from_setting(setting: str, *, ask_passphrase: Callable[[], str]) -> KekProvider:
    """The provider a configuration names: ``file:PATH``, ``env:NAME`` or ``passphrase``. Raises InputError."""
    scheme, _, argument = setting.partition(":")
    if scheme == "file" and argument:
        return FileKek(Path(argument))
    if scheme == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", argument):
        return EnvironmentKek(argument)
    if setting == "passphrase":
        return PassphraseKek(ask_passphrase)
    raise InputError("a key-encryption key is file:PATH, env:NAME or passphrase")


def create_kek_file(path: Path) -> None:
    """Write a new random key-encryption key to ``path``, which must not exist yet (FileExistsError)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "w") as stream:
        stream.write(secrets.token_hex(KEK_BYTES) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    fsync_folder(path.parent)


def _open_at_once(path: str, flags: int) -> int:
    """For ``open``: a named pipe without a writer is opened too, and then refused, instead of waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _parse_hex(content: bytes) -> bytes | None:
    match = re.fullmatch(rb"([0-9A-Fa-f]{64})\r?\n?", content)
    return bytes.fromhex(match[1].decode()) if match else None


def _encrypt(kek: bytes, header: bytes, plaintext: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return header + nonce + AESGCM(kek).encrypt(nonce, plaintext, header + context)


def _decrypt(kek: bytes, header: bytes, rest: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(kek).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + context)
    except InvalidTag:
        raise KeyUnwrapFailed("wrapped key does not open under this key-encryption key") from None


def _split(wrapped: bytes, scheme: int, parameter_bytes: int) -> tuple[bytes, bytes]:
    """(header with parameters, nonce ‖ ciphertext ‖ tag). Raises KeyUnwrapFailed on any other form."""
    header_bytes = _HEADER_BYTES + parameter_bytes
    if len(wrapped) < header_bytes + _NONCE_BYTES + _TAG_BYTES or not wrapped.startswith(_MAGIC):
        raise KeyUnwrapFailed("not a wrapped key")
    if wrapped[len(_MAGIC)] != scheme:
        raise KeyUnwrapFailed("wrapped by another kind of key-encryption key")
    return wrapped[:header_bytes], wrapped[header_bytes:]
