"""The province's routes. Every route of ``router`` has a verified caller in ``request.state.signed``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.downloads import download
from api.evaluations import EpochKeys, Evaluations
from api.gate import SignedRequest
from api.metrics import METRICS_TYPE, Metrics
from api.problems import IdempotencyKeyMissing, KeyEpoch, NotFound, UnsupportedMediaType
from api.wire import ANSWER_TYPE, REQUEST_TYPE, BadBody, EvaluateRequest, decode_request, idempotency_header
from keys.clock import Clock, format_time
from keys.epochs import EpochRecord
from matcher.province.editions import Edition, EditionFolders
from matcher.province.ledger import Ledger
from matcher.province.records import Dataset, EditionRecord, Grant, Party
from matcher.slices import file_sha256
from psi.edition import SLICE_MEDIA_TYPE
from psi.encoding import EditionInconsistent
from psi.errors import VerificationError
from psi.oprf import backend_name

_EDITION = re.compile(r"[1-9][0-9]{0,8}")
_DIVISION = re.compile(r"[0-9]{6}")

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


@open_router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok", "backend": backend_name(), "version": version("mingce")}


@open_router.get("/metrics")
async def metrics(request: Request) -> Response:
    return Response(_services(request).metrics.render(), media_type=METRICS_TYPE)


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
def get_budget(access: AccessTo, epoch: EpochOf) -> dict[str, int]:
    budget = access.services.ledger.find_budget(access.party.fingerprint, epoch.dataset, epoch.epoch)
    if budget is None:
        return {"limit": 0, "used": 0, "remaining": 0}
    return {"limit": budget.limit, "used": budget.used, "remaining": budget.remaining}


@router.get("/datasets/{dataset}/epochs/{epoch}/manifest")
def get_current_manifest(request: Request, access: AccessTo, epoch: EpochOf) -> Response:
    record = access.services.ledger.current_edition(epoch.dataset, epoch.epoch)
    if record is None:
        raise NotFound("nothing is published in this epoch yet")
    return _manifest(request, access, record)


@router.get("/datasets/{dataset}/epochs/{epoch}/editions/{edition}/manifest")
def get_manifest(request: Request, access: AccessTo, epoch: EpochOf, edition: str) -> Response:
    return _manifest(request, access, _edition_record(access, epoch, edition))


@router.get("/datasets/{dataset}/epochs/{epoch}/editions/{edition}/slices/{division}")
def get_slice(request: Request, access: AccessTo, epoch: EpochOf, edition: str, division: str) -> Response:
    if not _DIVISION.fullmatch(division) or not access.grant.covers(division):
        raise NotFound("no such slice, or not granted")
    published = _read_edition(access, _edition_record(access, epoch, edition))
    for entry in published.manifest.slices:
        if entry.division == division:
            path = published.slice_path(division)
            return download(request, path, sha256=entry.sha256, media_type=SLICE_MEDIA_TYPE)
    raise NotFound("the edition has no such slice")


@router.post("/datasets/{dataset}/epochs/{epoch}/evaluate")
async def evaluate(request: Request, access: AccessTo, epoch: EpochOf) -> Response:
    if "content-encoding" in request.headers or request.headers.get("content-type") != REQUEST_TYPE:
        raise UnsupportedMediaType("expected an evaluate request without Content-Encoding")
    if "idempotency-key" not in request.headers:
        raise IdempotencyKeyMissing("no Idempotency-Key")
    wanted = decode_request(await request.body())
    if request.headers["idempotency-key"] != idempotency_header(wanted):
        raise BadBody("the Idempotency-Key is not the request id")
    await run_in_threadpool(_require_served, access, epoch, wanted)
    answer = await access.services.evaluations.answer(access.party, epoch, access.signed.body_sha256, wanted)
    return Response(answer, media_type=ANSWER_TYPE)


def _require_served(access: Access, epoch: EpochRecord, wanted: EvaluateRequest) -> None:
    """Raises KeyEpoch unless the epoch is active now and its key is the one the caller expects."""
    in_time = epoch.not_before <= access.services.clock.now() <= epoch.not_after
    if epoch.state == "active" and in_time and wanted.fingerprint.hex() == epoch.fingerprint:
        return
    current = access.dataset.current_epoch
    fingerprint = None if current is None else access.services.keys.get_epoch(epoch.dataset, current).fingerprint
    raise KeyEpoch("another key or epoch is served", current_epoch=current, fingerprint=fingerprint)


def _describe_epoch(epoch: EpochRecord, ledger: Ledger) -> dict[str, object]:
    current = ledger.current_edition(epoch.dataset, epoch.epoch)
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
    return access.services.ledger.get_edition(epoch.dataset, epoch.epoch, int(edition))


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
