"""The bank's side of docs/reference/protocol.md sections 3 to 6: signed requests to the province over HTTP.

Nothing that comes back is believed here beyond its length and framing; signatures, hashes
and proofs are checked by whoever asked, before anything is kept.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx

from api.listening import is_loopback, load_certificate
from api.refusals import CertificateRefused, refusal
from api.retry import ProvinceUnavailable, Retrier, RetryPolicy, TryLater
from api.wire import (
    ANSWER_TYPE,
    ELEMENT_BYTES,
    HEADER_BYTES,
    PROOF_BYTES,
    REQUEST_TYPE,
    AnswerInvalid,
    EvaluateAnswer,
    EvaluateRequest,
    decode_answer,
    encode_answer,
    encode_request,
    idempotency_header,
)
from keys.clock import Clock
from keys.envelope import MAX_ENVELOPE_BYTES
from keys.files import FILE_MODE
from keys.httpsig import sign_request
from keys.identity import Identity
from matcher.bank.editions import PinnedKeyMismatch
from matcher.exchange_record import MAX_RECORD_BYTES, RECORD_TYPE
from psi.errors import InputError, MingceError
from psi.transcript import BatchDigests, digest_batch

MAX_PROBLEM_BYTES = 64 * 1024
_ABOUT_OURS = re.compile("CERTIFICATE|UNKNOWN_CA")  # in the name of a TLS alert (RFC 8446 section 6.2)
SLOWEST_BYTES_PER_S = 64 * 1024  # an answer slower than this counts as stalled
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # of an epoch; it becomes part of a path
KEY_AT = 12  # where an evaluate answer names its key (protocol.md section 5)


class InsecureUrl(InputError):
    """Plain http to another machine, or something that is no http(s) URL."""

    code = "insecure_url"


class TlsUntrusted(MingceError):
    """The server's certificate does not verify against the configured authorities."""

    code = "tls_untrusted"


@dataclass(frozen=True)
class Connection:
    """How to reach the province. ``timeout_s`` is the longest silence borne; plain http is for loopback only.

    ``ca_file``: the authorities that the province's certificate may come from (None: the system's).
    ``client_cert`` and ``client_key``: this side's certificate with its chain, and its private key.
    """

    url: str
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = None
    timeout_s: float = 60.0
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            raise InsecureUrl("the province's address is not a URL") from None
        plain_allowed = self.allow_plain_http or is_loopback(url.host)
        if url.scheme != "https" and not (url.scheme == "http" and plain_allowed):
            raise InsecureUrl("the province's address must begin with https://", host=url.host)
        if (self.client_cert is None) != (self.client_key is None):
            raise InputError("client_cert and client_key belong together")


@dataclass(frozen=True)
class Evaluated:
    """An answer whose proof is not verified yet, and the digests of both bodies for later evidence."""

    answer: EvaluateAnswer
    digests: BatchDigests


class ProvinceClient:
    """Calls to one province, signed as one bank. May be used from several threads."""

    def __init__(
        self, connection: Connection, identity: Identity, clock: Clock, retry: RetryPolicy | None = None
    ) -> None:
        self._identity = identity
        self._clock = clock
        self._timeout_s = connection.timeout_s
        self._retrier = Retrier(retry or RetryPolicy())
        self._http = httpx.Client(
            base_url=connection.url,
            verify=_tls_context(connection.ca_file, connection.client_cert, connection.client_key),
            proxy=connection.proxy,
            timeout=httpx.Timeout(connection.timeout_s, connect=min(10.0, connection.timeout_s)),
            headers={"Accept-Encoding": "identity", "User-Agent": "mingce"},
            trust_env=False,  # only the configuration says through which proxy the list's shadow leaves the bank
        )

    @property
    def identity(self) -> Identity:
        """The bank's own, which signs its requests and its records."""
        return self._identity

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def stop(self) -> None:
        """Let calls in other threads end at their next attempt."""
        self._retrier.stop()

    def get_current_epoch(self, dataset: str) -> str:
        """The epoch the province serves now. Raises AnswerInvalid if the dataset has none."""
        epoch = self._get_json(f"/v1/datasets/{dataset}").get("current_epoch")
        if not (isinstance(epoch, str) and _NAME.fullmatch(epoch)):
            raise AnswerInvalid("the dataset has no current epoch", dataset=dataset)
        return epoch

    def get_budget(self, dataset: str, epoch: str) -> dict[str, int]:
        """``limit``, ``used`` and ``remaining``, in elements."""
        budget = self._get_json(f"/v1/datasets/{dataset}/epochs/{epoch}/budget")
        numbers: dict[str, int] = {name: budget.get(name, -1) for name in ("limit", "used", "remaining")}
        if not all(type(number) is int and number >= 0 for number in numbers.values()):
            raise AnswerInvalid("the budget is not three numbers")
        return numbers

    def get_manifest(self, dataset: str, epoch: str) -> bytes:
        """The current edition's envelope, not yet verified."""
        return self._get_document(f"/v1/datasets/{dataset}/epochs/{epoch}/manifest")

    def get_edition_manifest(self, dataset: str, epoch: str, edition: int) -> bytes:
        """The envelope of one edition, not yet verified."""
        return self._get_document(f"/v1/datasets/{dataset}/epochs/{epoch}/editions/{edition}/manifest")

    def evaluate(self, dataset: str, epoch: str, request: EvaluateRequest) -> Evaluated:
        """POST one batch. The same request may be sent any number of times and is charged once.

        Raises PinnedKeyMismatch if the answer names another key, AnswerInvalid unless it has this
        request's header and exact length. Its proof is still to be verified.
        """
        path = f"/v1/datasets/{dataset}/epochs/{epoch}/evaluate"
        headers = {
            "Content-Type": REQUEST_TYPE,
            "Accept": ANSWER_TYPE,
            "Idempotency-Key": idempotency_header(request),
        }
        body = encode_request(request)
        limit = HEADER_BYTES + ELEMENT_BYTES * request.n + PROOF_BYTES

        def attempt() -> bytes:
            with self._exchange("POST", path, headers, body) as response:
                return self._read_all(response, limit)

        answer = self._retrier.call(attempt)
        _refuse_other_key(answer, request)
        return Evaluated(decode_answer(answer, request), digest_batch(body, answer))

    def post_record(self, dataset: str, epoch: str, envelope: bytes) -> bytes:
        """Hand in an exchange record; returns what should be the same with the province's signature, unverified.

        Raises RecordDisputed if the province charged something else.
        """
        path = f"/v1/datasets/{dataset}/epochs/{epoch}/records"

        def attempt() -> bytes:
            with self._exchange("POST", path, {"Content-Type": RECORD_TYPE}, envelope) as response:
                return self._read_all(response, MAX_RECORD_BYTES)

        return self._retrier.call(attempt)

    def fetch_rest(self, path: str, etag: str, target: Path, total_bytes: int) -> None:
        """Append to ``target`` what it lacks of a resource of ``total_bytes``, going on after every break.

        Raises AnswerInvalid if the server sends more, or less, than the manifest announced.
        """

        def attempt() -> None:
            have = _size(target)
            if have == total_bytes:
                return
            headers = {"Range": f"bytes={have}-", "If-Range": f'"{etag}"'} if have else {}
            with self._exchange("GET", path, headers) as response:
                if response.status_code == 200:
                    have = 0
                elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    raise AnswerInvalid("the answer is another range than the one asked for")
                with open(target, "ab" if have else "wb", opener=_open_private) as sink:
                    for chunk in self._read_chunks(response, total_bytes - have):
                        sink.write(chunk)

        while True:
            before = _size(target)
            try:
                self._retrier.call(attempt)
                break
            except ProvinceUnavailable:
                if _size(target) <= before:  # patience starts again as long as there is progress
                    raise
        if _size(target) != total_bytes:
            raise AnswerInvalid("the resource is shorter than announced", expected=total_bytes, found=_size(target))

    def _get_json(self, path: str) -> dict[str, Any]:
        try:
            document = json.loads(self._get_document(path))
        except (ValueError, RecursionError):
            raise AnswerInvalid("the answer is not JSON") from None
        if not isinstance(document, dict):
            raise AnswerInvalid("the answer is not a JSON object")
        return document

    def _get_document(self, path: str) -> bytes:
        def attempt() -> bytes:
            with self._exchange("GET", path, {}) as response:
                return self._read_all(response, MAX_ENVELOPE_BYTES)

        return self._retrier.call(attempt)

    @contextmanager
    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[httpx.Response]:
        """One signed request; the body of a 200 or 206 is read inside the block.

        Raises TryLater for what may pass, ProvinceRefused for what will not.
        """
        request = self._http.build_request(method, path, headers=headers, content=body)
        sign_request(
            self._identity,
            method=method,
            url=str(request.url),
            headers=request.headers,
            body=body,
            now=self._clock.now(),
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.status_code not in (200, 206):
                    raise self._refusal(response)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise AnswerInvalid("the answer is compressed")
                yield response
            finally:
                response.close()
        except httpx.TransportError as error:
            if (refused := _certificate_error(error)) is not None:
                raise refused from None
            raise TryLater(type(error).__name__) from None

    def _refusal(self, response: httpx.Response) -> Exception:
        try:
            content = self._read_all(response, MAX_PROBLEM_BYTES)
        except AnswerInvalid:
            content = b""
        return refusal(response.status_code, content, self._retry_after_s(response.headers.get("Retry-After")))

    def _retry_after_s(self, value: str | None) -> float | None:
        """RFC 9110 section 10.2.3: seconds, or a date."""
        if value is None:
            return None
        if value.isascii() and value.isdigit() and len(value) < 10:
            return float(value)
        try:
            return max(0.0, (parsedate_to_datetime(value) - self._clock.now()).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return None

    def _read_all(self, response: httpx.Response, limit: int) -> bytes:
        return b"".join(self._read_chunks(response, limit))

    def _read_chunks(self, response: httpx.Response, limit: int) -> Iterator[bytes]:
        """The raw body, refused as soon as it is longer than ``limit`` or unreasonably slow."""
        deadline = time.monotonic() + self._timeout_s + limit / SLOWEST_BYTES_PER_S
        received = 0
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > limit:
                raise AnswerInvalid("the answer is longer than it may be", limit=limit)
            if time.monotonic() > deadline:
                raise TryLater("answer_stalled")
            yield chunk


def _refuse_other_key(answer: bytes, request: EvaluateRequest) -> None:
    """Raise PinnedKeyMismatch if this is an answer to our request but names another key: then both are told."""
    header = encode_answer(request, b"", b"")
    key = slice(KEY_AT, KEY_AT + len(request.fingerprint))
    if answer[:KEY_AT] == header[:KEY_AT] and len(answer) >= HEADER_BYTES and answer[key] != header[key]:
        raise PinnedKeyMismatch(
            "the answer names another key than the pinned one", pinned=header[key].hex(), found=answer[key].hex()
        )


@cache  # reading the system's authorities takes 50 ms
def _tls_context(ca_file: Path | None, client_cert: Path | None, client_key: Path | None) -> ssl.SSLContext:
    """TLS 1.3 only. Raises InputError, TlsFilesInvalid."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise InputError("the CA file cannot be read", file=str(ca_file)) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if client_cert is not None and client_key is not None:
        load_certificate(context, client_cert, client_key)
    return context


def _certificate_error(error: BaseException | None) -> MingceError | None:
    """What a broken connection was about, if it was about a certificate: theirs, or ours (a TLS alert)."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return TlsUntrusted("the server's certificate does not verify")
        reason = getattr(error, "reason", None)
        if isinstance(error, ssl.SSLError) and reason and "ALERT" in reason and _ABOUT_OURS.search(reason):
            return CertificateRefused("the server refused our client certificate", status=0, problem="tls_alert")
        error = error.__cause__ or error.__context__
    return None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
