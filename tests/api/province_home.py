"""A province's home with one dataset, and its endpoint on loopback: everything real, made anew for each test."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pyarrow as pa
import pysqlite3
import uvicorn
from case_invariants import check_alive, check_answer, check_folder, check_logs

from api.connections import GuardedServer
from api.limits import Limits
from api.listening import Listening
from api.problems import KINDS
from api.province import create_province_app
from api.wire import REQUEST_TYPE, EvaluateAnswer, EvaluateRequest, decode_answer, encode_request, idempotency_header
from keys.clock import SettableClock, format_time
from keys.epochs import EpochRecord
from keys.httpsig import sign_request
from keys.identity import Identity
from keys.keystore import KeyStore
from keys.wrap import FileKek, create_kek_file
from matcher.province.editions import Draft, Edition, EditionFolders, Source
from matcher.province.ledger import Ledger
from matcher.slices import file_sha256, write_slice_file
from psi.edition import LabelSchema, Slice, SliceEntry
from psi.oprf import MODE_VOPRF, BlindedBatch
from psi.remembered import empty_state

DATASET, EPOCH = "base", "2026"
GRANTED, OTHER_DIVISION = "330922", "330921"
ROWS = 1_024
BANK = Identity("演示银行", "bank", bytes([1]) * 32)
OTHER_BANK = Identity("另一银行", "bank", bytes([2]) * 32)
STRANGER = Identity("路人", "bank", bytes([3]) * 32)
EVALUATE = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/evaluate"
MANIFEST = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/manifest"
BUDGET = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/budget"


def blinded(n: int, first: int = 0) -> tuple[BlindedBatch, bytes]:
    """A batch of n made-up customers, and its blinded elements."""
    items = b"".join(b"990000%012d" % number for number in range(first, first + n))
    batch = BlindedBatch(MODE_VOPRF, items, 18, seed=secrets.token_bytes(32))
    return batch, batch.blinded_elements


@dataclass
class ProvinceHome:
    """Two banks (the first is granted one division and 1,000 elements, the second everything) and a stranger."""

    path: Path
    clock: SettableClock
    keystore: KeyStore
    ledger: Ledger
    epoch: EpochRecord
    edition: Edition

    @classmethod
    def create(cls, path: Path) -> None:
        clock = SettableClock()
        path.mkdir(mode=0o700)
        create_kek_file(path / "kek")
        keystore = KeyStore(path, FileKek(path / "kek"), clock=clock, actor="test")
        identity = keystore.create_identity("演示省", "province")
        ledger = Ledger.open(path, clock)
        ledger.register_dataset(DATASET, title="基础名单库", label_schema=LabelSchema().model_dump(by_alias=True))
        for name in (EPOCH, "2027"):
            keystore.create_epoch(DATASET, name, not_before=clock.now(), not_after=clock.now() + timedelta(days=400))
        epoch = keystore.activate_epoch(DATASET, EPOCH)
        ledger.set_current_epoch(DATASET, EPOCH)
        for bank, divisions, limit in ((BANK, [GRANTED], 1_000), (OTHER_BANK, None, 1_000_000)):
            fingerprint = ledger.register_party(bank.public).fingerprint
            ledger.grant(fingerprint, DATASET, divisions=divisions)
            ledger.set_budget(fingerprint, DATASET, EPOCH, limit)
        home = cls(path, clock, keystore, ledger, epoch, build_edition(path, clock, identity, epoch, 1))
        home._record()
        home.close()

    @classmethod
    def open(cls, path: Path) -> Self:
        clock = SettableClock()
        keystore = KeyStore(path, FileKek(path / "kek"), clock=clock, actor="test")
        edition = EditionFolders(path, keystore.get_public_identity()).read(DATASET, EPOCH, 1)
        return cls(path, clock, keystore, Ledger.open(path, clock), keystore.get_epoch(DATASET, EPOCH), edition)

    def publish_next(self) -> None:
        number = self.edition.manifest.edition + 1
        self.edition = build_edition(self.path, self.clock, self.keystore.get_identity(), self.epoch, number)
        self._record()

    def _record(self) -> None:
        self.ledger.record_edition(
            dataset=DATASET,
            epoch=EPOCH,
            edition=self.edition.manifest.edition,
            manifest_sha256=file_sha256(self.edition.manifest_path),
            folder=str(self.edition.folder.relative_to(self.path)),
            rows=0,
            counts={"added": 0, "changed": 0, "removed": 0, "unchanged": 0},
        )

    def used(self, bank: Identity = BANK) -> int:
        budget = self.ledger.find_budget(bank.public.fingerprint, DATASET, EPOCH)
        assert budget is not None
        return budget.used

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the ledger's file by another connection, as an auditor would."""
        connection = pysqlite3.connect(f"file:{self.path / 'province.sqlite'}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def refusals(self) -> list[tuple[str, str]]:
        """(actor, code) of every refusal in the audit chain."""
        return self.query(
            "SELECT actor, json_extract(detail, '$.code') FROM audit WHERE action = 'refused' ORDER BY seq"
        )

    def close(self) -> None:
        self.ledger.close()
        self.keystore.close()


@dataclass
class RunningProvince:
    """The endpoint in a thread. Every answer is kept, so that the invariants can be checked over all of them."""

    home: ProvinceHome
    server: uvicorn.Server
    thread: threading.Thread
    url: str
    client: httpx.Client
    answers: list[httpx.Response] = field(default_factory=list)
    refused_before: int = 0

    def __post_init__(self) -> None:
        self.refused_before = self.count_recorded_refusals()

    @classmethod
    def start(cls, home: ProvinceHome, limits: Limits | None = None, listening: Listening | None = None) -> Self:
        limits, listening = limits or Limits(), listening or Listening(port=0)
        app = create_province_app(home.path, home.keystore, home.ledger, home.clock, limits=limits, listening=listening)
        required = listening.require_client_certificate
        tls = None if listening.tls is None else listening.tls.context(require_client_certificate=required)
        server = GuardedServer(app, limits, tls)
        listener = listening.open()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="province")
        thread.start()
        name = listener.getsockname()
        url = listening.address(name[1]) if isinstance(name, tuple) else "http://localhost"
        return cls(home, server, thread, url, httpx.Client(base_url=url, timeout=20, trust_env=False))

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(timeout=20)
        assert not self.thread.is_alive(), "the server does not stop"

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        assert url.port is not None
        return url.host, url.port

    def signed_headers(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        sender: Identity,
        **options: Any,
    ) -> dict[str, str]:
        signed = dict(headers)
        now = options.pop("now", self.home.clock.now())
        sign_request(sender, method=method, url=self.url + path, headers=signed, body=body, now=now, **options)
        return signed

    def get(
        self, path: str, sender: Identity = BANK, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        signed = self.signed_headers("GET", path, None, headers or {}, sender=sender, **options)
        return self.keep(self.client.get(path, headers=signed))

    def post(
        self, body: bytes, headers: Mapping[str, str], sender: Identity = BANK, path: str = EVALUATE, **options: Any
    ) -> httpx.Response:
        signed = self.signed_headers("POST", path, body, headers, sender=sender, **options)
        return self.keep(self.client.post(path, content=body, headers=signed))

    def evaluate(self, request: EvaluateRequest, sender: Identity = BANK, path: str = EVALUATE) -> httpx.Response:
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
        return self.post(encode_request(request), headers, sender, path)

    def request(self, elements: bytes, request_id: bytes | None = None) -> EvaluateRequest:
        fingerprint = bytes.fromhex(self.home.epoch.fingerprint)
        return EvaluateRequest(fingerprint, request_id or secrets.token_bytes(16), elements)

    def evaluate_elements(self, elements: bytes, sender: Identity = BANK) -> EvaluateAnswer:
        request = self.request(elements)
        answer = self.evaluate(request, sender)
        assert answer.status_code == 200, answer.text
        return decode_answer(answer.content, request)

    def keep(self, answer: httpx.Response) -> httpx.Response:
        self.answers.append(answer)
        return answer

    def check_refusals_recorded(self) -> None:
        """Each refused act has its audit row, or the log says why not."""
        codes = [answer.json()["code"] for answer in self.answers if answer.status_code >= 400]
        refused = sum(KINDS[code].refusal for code in codes)
        assert refused <= self.count_recorded_refusals() + check_logs().count("refusal not in the audit")

    def count_recorded_refusals(self) -> int:
        """Audit rows of refusals since the start, with those that a row says were left out before it."""
        details = self.home.query(
            "SELECT COALESCE(json_extract(detail, '$.omitted_before'), 0) FROM audit WHERE action = 'refused'"
        )
        return len(details) + sum(omitted for (omitted,) in details) - self.refused_before

    def check_invariants(self) -> None:
        """What security.md asks for after every case."""
        check_alive(self.client)
        for answer in self.answers:
            check_answer(answer)
        self.check_refusals_recorded()
        check_folder(self.home.path)
        charged = {
            row[:2]: row[2:]
            for row in self.home.query(
                "SELECT entity, epoch, SUM(n - from_nightly), SUM(from_nightly) FROM charge GROUP BY 1, 2"
            )
        }
        for entity, epoch, used, used_nightly, limit in self.home.query(
            "SELECT entity, epoch, used, used_nightly, lim FROM budget"
        ):
            assert (used, used_nightly) == charged.get((entity, epoch), (0, 0))
            assert used <= limit
        for spent, nightly in self.home.query(
            "SELECT SUM(from_nightly), nightly FROM charge JOIN budget USING (entity, dataset, epoch)"
            " GROUP BY entity, dataset, epoch, charge.day"
        ):
            assert spent <= nightly


def build_edition(home: Path, clock: SettableClock, identity: Identity, epoch: EpochRecord, number: int) -> Edition:
    label = LabelSchema()
    draft = Draft(
        dataset=DATASET,
        epoch=epoch.epoch,
        edition=number,
        public_key=epoch.public_key,
        created_at=format_time(clock.now()),
        not_before=format_time(epoch.not_before),
        not_after=format_time(epoch.not_after),
        label=label,
        bucket=ROWS,
        divisions={GRANTED: "嵊泗县", OTHER_DIVISION: "岱山县"},
        previous=None,
        state=[empty_state()],
        source=Source(sha256="0" * 64, rows=0, rejected=0),
    )

    def fill(folder: Path) -> list[SliceEntry]:
        divisions = (OTHER_DIVISION, GRANTED)
        return [write_slice_file(folder, division, _random_slice(label), ROWS, label) for division in divisions]

    return EditionFolders(home, identity.public).write(draft, fill, identity)


def _random_slice(label: LabelSchema) -> Slice:
    tags = sorted(secrets.token_bytes(16) for _ in range(ROWS))
    versions = (1).to_bytes(4, "little") * ROWS
    sealed = secrets.token_bytes(ROWS * label.sealed_width)
    return Slice(ROWS, pa.py_buffer(b"".join(tags)), pa.py_buffer(versions), pa.py_buffer(sealed))
