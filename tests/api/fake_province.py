"""A province that can lie: a small real HTTP server on loopback for the bank client's tests.

Honest unless told otherwise, but never easy: it refuses one good request in twenty with 409
or 503 before doing anything. It checks signatures, charges each idempotency key once, and
remembers every charge, so that a test can count them.
"""

from __future__ import annotations

import hashlib
import json
import random
import ssl
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

import pyarrow as pa

from api.wire import EvaluateRequest, decode_request, encode_answer
from keys.clock import Clock, SystemClock, format_time
from keys.envelope import add_signature, open_envelope, sign_envelope
from keys.httpsig import verify_request
from keys.identity import Identity, PublicIdentity
from matcher.exchange_record import RECORD_TYPE, ExchangeRecord, decode_record, record_sha256
from psi import _native
from psi.edition import (
    PAYLOAD_TYPE,
    BaseReference,
    LabelSchema,
    Manifest,
    SliceEntry,
    pack_labels,
    sorted_slice,
    write_slice,
)
from psi.oprf import MODE_VOPRF, DecodedElements, SecretKey, blind_evaluate
from psi.suites import RISTRETTO255_SHA512

DATASET, EPOCH = "base", "2026"
DIVISION = "330922"
PROVINCE = Identity("演示省", "province", bytes([7]) * 32)
FLAKY_SHARE = 0.05
BUCKET = 64

AnswerFault = Callable[[EvaluateRequest, bytes], bytes]
BytesFault = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Resident:
    """One row of the base list."""

    item: bytes
    household_no: str = "H1"
    household_size: str = "3"
    division: str = "330922100"
    expanding: str = "1"
    reasons: str = ""
    version: int = 1


@dataclass(frozen=True)
class FakeEdition:
    manifest: Manifest
    envelope: bytes
    slices: dict[str, bytes]

    @property
    def payload_sha256(self) -> str:
        return hashlib.sha256(self.manifest.encode()).hexdigest()


@dataclass
class FakeProvince:
    """``public`` is what a bank pins. Faults are functions that change what goes out."""

    bank: PublicIdentity
    identity: Identity = PROVINCE
    key: SecretKey = field(default_factory=SecretKey.generate)
    clock: Clock = field(default_factory=SystemClock)
    flaky_share: float = FLAKY_SHARE
    budget: int = 1_000_000
    answer_fault: AnswerFault | None = None
    slice_fault: BytesFault | None = None
    before_answer: Callable[[str], object] = lambda request_id: None
    record_fault: Callable[[bytes], tuple[int, bytes | dict[str, Any]]] | None = None
    cut_after: list[int] = field(default_factory=list)  # break a slice's next answers after so many bytes
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.charges: dict[str, int] = {}  # request id: elements
        self.accounted: set[str] = set()  # request ids of banks that a test is done with
        self.answers: dict[str, tuple[bytes, bytes]] = {}  # request id: (request body, honest answer)
        self.records: dict[str, ExchangeRecord] = {}  # by their SHA-256: those that were countersigned
        self.editions: list[FakeEdition] = []
        self.requests: list[tuple[str, str]] = []
        self.refused_at_random = 0
        self.ranges: list[tuple[str, str | None]] = []  # Range and If-Range of every request that had them
        self._nonces: set[str] = set()
        self._lock = threading.Lock()
        self._random = random.Random(20260105)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    @property
    def public(self) -> PublicIdentity:
        return self.identity.public

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._server.server_address[1]}"

    @property
    def charged(self) -> int:
        return sum(self.charges.values())

    def receipt_key(self, division: str) -> bytes:
        return hashlib.sha256(b"receipt key of " + division.encode()).digest()

    def publish(self, residents: Sequence[Resident], number: int = 1, **changes: Any) -> FakeEdition:
        """Sign an edition of these residents and serve it. ``changes`` replace fields of the manifest."""
        now, label = self.clock.now(), LabelSchema()
        divisions = sorted({resident.division[:6] for resident in residents} | {DIVISION})
        slices = {
            division: encode_slice(residents, division, self.key, self.receipt_key(division), label)
            for division in divisions
        }
        manifest = Manifest(
            dataset=DATASET,
            epoch=EPOCH,
            edition=number,
            public_key=self.key.public_key.hex(),
            fingerprint=RISTRETTO255_SHA512.key_fingerprint(self.key.public_key),
            created_at=format_time(now),
            not_before=format_time(now - timedelta(days=1)),
            not_after=format_time(now + timedelta(days=300)),
            label=label,
            divisions={DIVISION: "嵊泗县"},
            slices=(),
            previous=None,
        ).model_copy(update=changes)
        return self.publish_slices(manifest, slices)

    def publish_slices(self, manifest: Manifest, slices: dict[str, bytes]) -> FakeEdition:
        """Sign a manifest over these slices, whatever they hold, and serve both."""
        entries = tuple(_entry(division, content) for division, content in slices.items())
        manifest = manifest.model_copy(update={"slices": entries})
        self.edition = FakeEdition(manifest, sign_envelope(self.identity, PAYLOAD_TYPE, manifest.encode()), slices)
        self.editions.append(self.edition)
        return self.edition

    def publish_delta(
        self,
        changed: Sequence[Resident],
        left: Sequence[Resident] = (),
        number: int = 2,
        base: FakeEdition | None = None,
        **changes: Any,
    ) -> FakeEdition:
        """Sign and serve a delta over ``base`` (else the first edition): rows that it has anew, and rows that left."""
        base = base or self.first_edition
        slices = {
            division: encode_slice(
                [*changed, *left],
                division,
                self.key,
                self.receipt_key(division),
                LabelSchema(),
                left={r.item for r in left},
            )
            for division in base.slices
        }
        reference = BaseReference(edition=base.manifest.edition, manifest_sha256=base.payload_sha256)
        fields = {
            "edition": number,
            "kind": "delta",
            "base": reference,
            "previous": self.editions[-1].payload_sha256,
            "created_at": format_time(self.clock.now()),
        }
        return self.publish_slices(base.manifest.model_copy(update=fields | changes), slices)

    @property
    def first_edition(self) -> FakeEdition:
        return self.editions[0]

    def serve(self, edition: FakeEdition, **changes: Any) -> None:
        """Serve an edition made earlier, or one with another envelope."""
        self.edition = replace(edition, **changes)

    # What the handler does

    def admit(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """Refuse a request that is not ours, not fresh, or unlucky; None lets it in."""
        verified = verify_request(
            method=method,
            path=path,
            query="",
            headers=list(headers.items()),
            body_digest=hashlib.sha256(body).digest() if body else None,
            find_identity=lambda keyid: self.bank if keyid == self.bank.fingerprint else None,
            now=self.clock.now(),
        )
        with self._lock:
            self.requests.append((method, path))
            assert verified.nonce not in self._nonces, "a nonce came twice"
            self._nonces.add(verified.nonce)
            if self._random.random() < self.flaky_share:
                self.refused_at_random += 1
                return self._random.choice([(409, {"code": "in_flight"}), (503, {"code": "busy"})])
        return None

    def evaluate(self, body: bytes) -> tuple[int, bytes | dict[str, Any]]:
        request = decode_request(body)
        DecodedElements(request.elements)
        name = request.idempotency_key
        with self._lock:
            if name not in self.answers:
                if self.charged + request.n > self.budget:
                    return 403, {"code": "budget_exhausted"}
                self.charges[name] = request.n
                evaluated, proof = blind_evaluate(MODE_VOPRF, self.key, request.elements)
                self.answers[name] = (body, encode_answer(request, evaluated, proof))
            first_body, answer = self.answers[name]
        if first_body != body:
            return 422, {"code": "idempotency_mismatch"}
        self.before_answer(name)
        return 200, self.answer_fault(request, answer) if self.answer_fault else answer

    def countersign(self, envelope: bytes) -> tuple[int, bytes | dict[str, Any]]:
        payload = open_envelope(envelope, RECORD_TYPE, self.bank)
        record = decode_record(payload)
        for index, batch in enumerate(record.batches):
            bodies = self.answers.get(batch.request_id)
            ours = None if bodies is None else [hashlib.sha256(body).hexdigest() for body in bodies]
            theirs = [batch.request_sha256, batch.answer_sha256]
            if ours != theirs and (batch.answer_sha256 is not None or (ours is not None and ours[0] != theirs[0])):
                return 409, {"code": "record_mismatch", "part": "batch", "index": index}
        countersigned = add_signature(envelope, self.identity)
        status, answer = self.record_fault(countersigned) if self.record_fault else (200, countersigned)
        if status == 200:
            self.records[record_sha256(payload)] = record
        return status, answer

    def document(self, path: str) -> tuple[int, bytes | dict[str, Any]]:
        root = f"/v1/datasets/{DATASET}"
        here = f"{root}/epochs/{EPOCH}"
        if path == root:
            return 200, {"dataset": DATASET, "epochs": [], "current_epoch": EPOCH}
        if path == f"{here}/budget":
            return 200, {"limit": self.budget, "used": self.charged, "remaining": self.budget - self.charged}
        if path == f"{here}/manifest":
            return 200, self.edition.envelope
        for edition in (self.edition, *self.editions):  # the ones before it are served too
            folder = f"{here}/editions/{edition.manifest.edition}"
            if path == f"{folder}/manifest":
                return 200, edition.envelope
            for division, content in edition.slices.items():
                if path == f"{folder}/slices/{division}":
                    return 200, self.slice_fault(content) if self.slice_fault else content
        return 404, {"code": "not_found"}


def encode_slice(
    residents: Sequence[Resident],
    division: str,
    key: SecretKey,
    receipt_key: bytes,
    label: LabelSchema,
    left: Collection[bytes] = (),
) -> bytes:
    """The slice file of one division's residents, padded to BUCKET rows; those of ``left`` are tombstones."""
    rows = [resident for resident in residents if resident.division[:6] == division]
    labels = pack_labels(
        [pa.array([str(getattr(row, name)) for row in rows], pa.string()) for name in label.fields], label.width
    )
    versions = b"".join(row.version.to_bytes(4, "little") for row in rows)
    tags, sealed = _native.encode_rows(
        key,
        b"".join(row.item for row in rows),
        18,
        dataset=DATASET,
        epoch=EPOCH,
        versions=versions,
        labels=labels,
        label_width=label.width,
        receipt_keys=[receipt_key],
        receipt_key_index=bytes(2 * len(rows)),
    )
    versions = b"".join((0 if row.item in left else row.version).to_bytes(4, "little") for row in rows)
    missing = -len(rows) % BUCKET
    noise = random.Random(division).randbytes
    part = sorted_slice(
        tags + noise(16 * missing),
        versions + (1).to_bytes(4, "little") * missing,
        sealed + noise(label.sealed_width * missing),
        label.width,
    )
    sink = pa.BufferOutputStream()
    write_slice(sink, part, label.width)
    return sink.getvalue().to_pybytes()


def _entry(division: str, content: bytes) -> SliceEntry:
    rows = pa.ipc.open_file(content).get_batch(0).num_rows
    digest = hashlib.sha256(content).hexdigest()
    name = f"{division}.arrow"
    return SliceEntry(division=division, file=name, rows=rows, bucket=BUCKET, bytes=len(content), sha256=digest)


def _handler(province: FakeProvince) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        wbufsize = 65_536  # head and body in one write, or delayed acknowledgements cost 40 ms each

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            self.path = urlsplit(self.path).path  # a proxy is asked for an absolute URL
            refusal = province.admit(self.command, self.path, self.headers, body)
            if refusal is not None:
                self._send(*refusal)
            elif self.command == "POST":
                work = province.countersign if self.path.endswith("/records") else province.evaluate
                self._send(*work(body))
            else:
                self._send(*province.document(self.path))

        def _send(self, status: int, content: bytes | dict[str, Any]) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            headers = {"Retry-After": "0"} if status in (409, 503) else {}
            requested = self.headers.get("Range")
            if status == 200 and requested is not None and "/slices/" in self.path:
                province.ranges.append((requested, self.headers.get("If-Range")))
                start = int(requested.removeprefix("bytes=").removesuffix("-"))
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                status, data = 206, data[start:]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if "/slices/" in self.path and status in (200, 206) and province.cut_after:
                data = data[: province.cut_after.pop(0)]
                self.close_connection = True
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing: a server's log would hold what tests look for elsewhere."""

    return Handler
