"""Keys for executors: handed out by the driver while a step runs, sealed to one worker process, and to none after it.

Every worker makes a key pair of its own and asks once for each step. Its question proves that it belongs to the job
(HMAC-SHA-256 under the job's token, which came with the tasks), and that it runs this very program; the answer is a
NaCl box from the driver's key pair of this job to the worker's. Whoever reads the tasks later has a token that opens
nothing and a public key; whoever records the traffic has boxes to keys that are gone.

    question  worker's public key[32] ‖ program[32] ‖ mac[32] ‖ length[1] ‖ step
    answer    0x00 ‖ box, or 0x01 ‖ why not
"""

from __future__ import annotations

import hashlib
import hmac
import json
import resource
import secrets
import socket
import socketserver
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

from matcher.spark.errors import KeysRefused
from psi.errors import MingceError

KEPT_S = 600.0  # a worker asks anew after so long
_TIMEOUT_S = 10.0
_MAX_ANSWER = 64 << 20
_HEAD_BYTES = 97
_GIVEN, _REFUSED = b"\x00", b"\x01"
_ROOMS = ("keys", "psi", "matcher", "matcher/province", "matcher/tables", "matcher/schemas", "matcher/spark")
_REASONS = {"no such step now", "not of this job", "another program", "not recorded"}


@dataclass(frozen=True)
class DeskAddress:
    """Where a job's workers ask, and what proves them and the desk to one another."""

    host: str
    port: int
    public_key: bytes
    token: bytes = field(repr=False)


class KeyDesk:
    """Listens on ``host`` while it is open. ``given`` counts the answers by step and by the caller's address."""

    def __init__(self, host: str, advertised: str | None = None) -> None:
        self._private = PrivateKey.generate()
        self._token = secrets.token_bytes(32)
        self._open: dict[str, tuple[bytes, Callable[[str], None] | None]] = {}
        self._turn = Lock()
        self.given: dict[tuple[str, str], int] = {}
        desk = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, ValueError):
                    self.request.settimeout(_TIMEOUT_S)
                    head = _receive(self.request, _HEAD_BYTES)
                    step = _receive(self.request, head[-1]).decode("ascii", "replace")
                    self.request.sendall(desk._answer(head, step, self.client_address[0]))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._server = Server((host, 0), Handler)
        port = self._server.server_address[1]
        self.address = DeskAddress(advertised or host, int(port), bytes(self._private.public_key), self._token)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.clear()
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def handing_out(
        self, step: str, keys: Mapping[str, object], record: Callable[[str], None] | None = None
    ) -> Iterator[None]:
        """Workers get ``keys`` (JSON) for this step until the block ends.

        ``record`` is told an address, in a thread of the desk's, before the first worker there gets them; where it
        raises a MingceError they get none.
        """
        self._open[step] = json.dumps(dict(keys)).encode(), record
        try:
            yield
        finally:
            del self._open[step]

    def _answer(self, head: bytes, step: str, caller: str) -> bytes:
        public_key, program, mac = head[:32], head[32:64], head[64:96]
        if not hmac.compare_digest(mac, _prove(self._token, public_key, program, step)):
            return _REFUSED + b"not of this job"
        if program != program_digest():
            return _REFUSED + b"another program"
        with self._turn:
            keys, record = self._open.get(step, (None, None))
            if keys is None:
                return _REFUSED + b"no such step now"
            before = self.given.get((step, caller), 0)
            try:
                if record is not None and not before:
                    record(caller)
            except MingceError:
                return _REFUSED + b"not recorded"
            self.given[step, caller] = before + 1
        return _GIVEN + bytes(Box(self._private, PublicKey(public_key)).encrypt(keys))


_kept: dict[tuple[bytes, str], tuple[float, dict[str, Any]]] = {}


def ask_for_keys(desk: DeskAddress, step: str) -> dict[str, Any]:
    """What the desk hands out for this step; kept in this process for KEPT_S. Raises KeysRefused, OSError."""
    known = _kept.get((desk.token, step))
    if known is not None and time.monotonic() < known[0]:
        return known[1]
    _kept.clear()  # of an earlier step or job
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold them
    private = PrivateKey.generate()
    public_key, program = bytes(private.public_key), program_digest()
    name = step.encode("ascii")
    question = public_key + program + _prove(desk.token, public_key, program, step) + bytes([len(name)]) + name
    with socket.create_connection((desk.host, desk.port), timeout=_TIMEOUT_S) as stream:
        stream.sendall(question)
        answer = _receive_all(stream)
    if not answer.startswith(_GIVEN):
        reason = answer[1:].decode("ascii", "replace")
        raise KeysRefused("the driver gave no keys", reason=reason if reason in _REASONS else "no answer")
    try:
        keys: dict[str, Any] = json.loads(Box(private, PublicKey(desk.public_key)).decrypt(answer[1:]))
    except (CryptoError, ValueError):
        raise KeysRefused("the answer is not the driver's", reason="no answer") from None
    _kept[desk.token, step] = (time.monotonic() + KEPT_S, keys)
    return keys


@cache
def program_digest() -> bytes:
    """SHA-256 over the code that says what becomes of a row, the kernel's binary included."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for path in sorted(path for room in _ROOMS for path in (root / room).glob("*.*")):
        if path.suffix in (".py", ".so"):
            digest.update(path.relative_to(root).as_posix().encode() + b"\x00")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _prove(token: bytes, public_key: bytes, program: bytes, step: str) -> bytes:
    return hmac.digest(token, b"mingce/1 key desk\x00" + public_key + program + step.encode(), "sha256")


def _receive(stream: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        block = stream.recv(length - len(content))
        if not block:
            raise ValueError("cut off")
        content += block
    return content


def _receive_all(stream: socket.socket) -> bytes:
    blocks, size = [], 0
    while block := stream.recv(1 << 16):
        size += len(block)
        if size > _MAX_ANSWER:
            raise KeysRefused("the answer has no end", reason="no answer")
        blocks.append(block)
    return b"".join(blocks)
