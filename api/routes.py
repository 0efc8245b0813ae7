"""The province's routes. Every route of ``router`` has a verified caller in ``request.state.signed``."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from api.downloads import download
from api.evaluations import EpochKeys, Evaluations
from api.gate import SignedRequest
from api.metrics import METRICS_TYPE, Metrics
from api.problems import IdempotencyKeyMissing, KeyEpoch, NotFound, UnsupportedMediaType
from api.wire import ANSWER_TYPE, REQUEST_TYPE, BadBody, EvaluateRequest, decode_request, idempotency_header
from keys.clock import Clock, format_time
from keys.database import DatabaseBusy, DatabaseUnavailable
from keys.epochs import EpochRecord
from keys.identity import Identity
from matcher.exchange_record import RECORD_TYPE
from matcher.province.editions import Edition, EditionFolders
from matcher.province.ledger import Ledger
from matcher.province.records import Budget, Dataset, EditionRecord, Grant, Party
from matcher.slices import file_sha256
from psi.edition import SLICE_MEDIA_TYPE
from psi.errors import VerificationError
from psi.oprf import backend_name
from psi.remembered import EditionInconsistent

_EDITION = re.compile(r"[1-9][0-9]{0,8}")
_DIVISION = re.compile(r"[0-9]{6}")

_VERSION = version("mingce")

open_router = APIRouter()
router = APIRouter(prefix="/v1")


@dataclass(frozen=True)
class Services:
    """What the routes work with: ``request.app.state.services``."""

    ledger: Ledger
    keys: EpochKeys
    evaluations: Evaluations
    editions: EditionFolders
    metrics: Metrics
    clock: Clock
    identity: Identity  # countersigns exchange records


@dataclass(frozen=True)
class Access:
    """A caller at a dataset that is granted to it."""

    services: Services
    signed: SignedRequest
    dataset: Dataset
    grant: Grant

    @property
    def party(self) -> Party:
        return self.signed.party


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _access(request: Request, dataset: str) -> Access:
    """Raises NotFound for a dataset that is not granted, whether or not there is one."""
    services, signed = _services(request), request.state.signed
    grant = services.ledger.find_grant(signed.party.fingerprint, dataset)
    if grant is None:
        raise NotFound("no such dataset, or not granted")
    return Access(services, signed, services.ledger.get_dataset(dataset), grant)


AccessTo = Annotated[Access, Depends(_access)]


def _epoch(access: AccessTo, epoch: str) -> EpochRecord:
    """Raises EpochUnknown."""
    return access.services.keys.get_epoch(access.dataset.name, epoch)


EpochOf = Annotated[EpochRecord, Depends(_epoch)]


def _served_epoch(access: AccessTo, epoch: EpochOf) -> EpochRecord:
    """An epoch whose editions may be fetched. Raises NotFound before it is active, KeyEpoch when it is over."""
    if epoch.state == "pending":
        raise NotFound("nothing is published in this epoch yet")
    if epoch.state != "active":
        raise _key_epoch(access)
    return epoch


ServedEpoch = Annotated[EpochRecord, Depends(_served_epoch)]


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok", "backend": backend_name(), "version": _VERSION}


@open_router.get("/metrics")
def metrics(request: Request) -> Response:
    services = _services(request)
    with suppress(DatabaseBusy, DatabaseUnavailable):  # then the last known number stands
        services.metrics.alarms_waiting.set(len(services.ledger.list_alarms(waiting_only=True)))
    return Response(services.metrics.render(), media_type=METRICS_TYPE)


@router.get("/datasets")
def list_datasets(request: Request) -> dict[str, object]:
    party = request.state.signed.party
    granted = _services(request).ledger.list_datasets(granted_to=party.fingerprint)
    return {
        "datasets": [
            {"dataset": dataset.name, "title": dataset.title, "current_epoch": dataset.current_epoch}
            for dataset in granted
        ]
    }


@router.get("/datasets/{dataset}")
def get_dataset(access: AccessTo) -> dict[str, object]:
    name = access.dataset.name
    epochs = access.services.keys.list_epochs(name)
    return {
        "dataset": name,
        "title": access.dataset.title,
        "epochs": [_describe_epoch(epoch, access.services.ledger) for epoch in epochs],
        "current_epoch": access.dataset.current_epoch,
    }


@router.get("/datasets/{dataset}/epochs/{epoch}/budget")
def get_budget(access: AccessTo, epoch: EpochOf) -> dict[str, object]:
    found = access.services.ledger.find_budget(access.party.fingerprint, epoch.dataset, epoch.epoch)
    budget = found or Budget(limit=0, used=0)
    return {
        "limit": budget.limit,
        "used": budget.used,
        "nightly": budget.nightly,
        "used_today": budget.used_today,
        "remaining": budget.remaining,
        "next_at": budget.next_at,
    }


@router.get("/datasets/{dataset}/epochs/{epoch}/manifest")
def get_current_manifest(request: Request, access: AccessTo, epoch: ServedEpoch) -> Response:
    record = access.services.ledger.current_edition(epoch.dataset, epoch.epoch)
    if record is None:
        raise NotFound("nothing is published in this epoch yet")
    return _manifest(request, access, record)


@router.get("/datasets/{dataset}/epochs/{epoch}/editions/{edition}/manifest")
def get_manifest(request: Request, access: AccessTo, epoch: ServedEpoch, edition: str) -> Response:
    return _manifest(request, access, _edition_record(access, epoch, edition))


@router.get("/datasets/{dataset}/epochs/{epoch}/editions/{edition}/slices/{division}")
def get_slice(request: Request, access: AccessTo, epoch: ServedEpoch, edition: str, division: str) -> Response:
    if not _DIVISION.fullmatch(division) or not access.grant.covers(division):
        raise NotFound("no such slice, or not granted")
    published = _read_edition(access, _edition_record(access, epoch, edition))
    for entry in published.manifest.slices:
        if entry.division == division:
            path = published.slice_path(division)
            return download(request, path, sha256=entry.sha256, media_type=SLICE_MEDIA_TYPE)
    raise NotFound("the edition has no such slice")


async def evaluate(request: Request) -> Response:
    """Routed by Starlette itself: FastAPI's way to a handler costs a batch of 4,096 two percent of its time."""
    dataset, epoch = request.path_params["dataset"], request.path_params["epoch"]
    if "content-encoding" in request.headers or request.headers.get("content-type") != REQUEST_TYPE:
        raise UnsupportedMediaType("expected an evaluate request without Content-Encoding")
    if "idempotency-key" not in request.headers:
        raise IdempotencyKeyMissing("no Idempotency-Key")
    wanted = decode_request(await request.body())
    if request.headers["idempotency-key"] != idempotency_header(wanted):
        raise BadBody("the Idempotency-Key is not the request id")

    def admit() -> EpochRecord:
        access = _access(request, dataset)
        record = _epoch(access, epoch)
        _require_served(access, record, wanted)
        return record

    services, signed = _services(request), request.state.signed
    answer = await services.evaluations.answer(signed.party, signed.body_sha256, wanted, admit)
    return Response(answer, media_type=ANSWER_TYPE)


evaluate_route = Route("/v1/datasets/{dataset}/epochs/{epoch}/evaluate", evaluate, methods=["POST"])


@router.post("/datasets/{dataset}/epochs/{epoch}/records")
async def record_exchange(request: Request, dataset: str, epoch: str) -> Response:
    if "content-encoding" in request.headers or request.headers.get("content-type") != RECORD_TYPE:
        raise UnsupportedMediaType("expected an exchange record without Content-Encoding")
    envelope = await request.body()
    services, party = _services(request), request.state.signed.party

    def countersign() -> bytes:
        """A bank may account for what it was charged though its grant is gone or the epoch is over."""
        ledger, records = services.ledger, services.ledger.exchange_records
        granted = ledger.find_grant(party.fingerprint, dataset) is not None
        if not granted and not records.concerns(party.fingerprint, dataset):
            raise NotFound("no such dataset, or not granted")
        services.keys.get_epoch(dataset, epoch)
        return records.countersign(envelope, party, dataset, epoch, services.identity)

    return Response(await run_in_threadpool(countersign), media_type=RECORD_TYPE)


def _require_served(access: Access, epoch: EpochRecord, wanted: EvaluateRequest) -> None:
    """Raises KeyEpoch unless the epoch is active now and its key is the one the caller expects."""
    in_time = epoch.not_before <= access.services.clock.now() <= epoch.not_after
    if epoch.state == "active" and in_time and wanted.fingerprint.hex() == epoch.fingerprint:
        return
    raise _key_epoch(access)


def _key_epoch(access: Access) -> KeyEpoch:
    """What a caller is sent to instead: the current epoch, its key, and its edition's manifest."""
    services, name, current = access.services, access.dataset.name, access.dataset.current_epoch
    record = None if current is None else services.keys.get_epoch(name, current)
    edition = None if current is None else services.ledger.current_edition(name, current)
    return KeyEpoch(
        "another key or epoch is served",
        current_epoch=current,
        fingerprint=None if record is None else record.fingerprint,
        edition=None if edition is None else edition.edition,
        manifest_sha256=None if edition is None else edition.manifest_sha256,
    )


def _describe_epoch(epoch: EpochRecord, ledger: Ledger) -> dict[str, object]:
    current = ledger.current_edition(epoch.dataset, epoch.epoch) if epoch.state == "active" else None
    return {
        "epoch": epoch.epoch,
        "state": epoch.state,
        "public_key": epoch.public_key.hex(),
        "fingerprint": epoch.fingerprint,
        "not_before": format_time(epoch.not_before),
        "not_after": format_time(epoch.not_after),
        "edition": None if current is None else current.edition,
    }


def _edition_record(access: Access, epoch: EpochRecord, edition: str) -> EditionRecord:
    """Raises NotFound, UnknownRecord."""
    if not _EDITION.fullmatch(edition):
        raise NotFound("no such edition")
    record = access.services.ledger.get_edition(epoch.dataset, epoch.epoch, int(edition))
    if record.pruned_at is not None:
        raise NotFound("the edition is no longer kept")
    return record


def _read_edition(access: Access, record: EditionRecord) -> Edition:
    """The edition behind a ledger row. Raises EditionInconsistent if its folder is not what was recorded."""
    try:
        return access.services.editions.read(record.dataset, record.epoch, record.edition)
    except VerificationError as error:
        raise EditionInconsistent(f"edition {record.edition}: {error.code}") from error


def _manifest(request: Request, access: Access, record: EditionRecord) -> Response:
    path = _read_edition(access, record).manifest_path
    if file_sha256(path) != record.manifest_sha256:
        raise EditionInconsistent(f"edition {record.edition}: the manifest is not the one recorded")
    return download(request, path, sha256=record.manifest_sha256, media_type="application/json")
