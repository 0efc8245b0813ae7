"""The keys: the key-encryption key, the identity, the epochs of a sender, the operators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from keys.clock import format_time
from keys.epochs import EpochRecord
from keys.identity import IdentityInvalid, PublicIdentity
from keys.keystore import IdentityMissing, KeyStore
from keys.wrap import EnvironmentKek
from matcher.keeping.findings import Finding, Subject
from psi.errors import MingceError

LEAST_OPERATORS = 2


def check_keys(subject: Subject) -> Iterator[Finding]:
    """Only of a key store that can be opened as it is."""
    nobody = EnvironmentKek(environment={})
    keys = KeyStore(subject.home, subject.kek or nobody, clock=subject.clock, actor="doctor")
    try:
        if subject.kek is not None:
            try:
                keys.require_kek()
            except MingceError as error:
                yield Finding("error", error.code, {**error.params, "detail": error.detail})
        yield from _check_identity(subject, keys)
        if subject.lists:
            for dataset in subject.lists:
                yield from _check_epochs(subject, dataset, keys.list_epochs(dataset))
        if subject.party != "bureau":
            yield from _check_operators(keys)
        unfinished = [each for each in keys.list_destructions() if each.shredded_at is None]
        for each in unfinished:
            yield Finding("warning", "destruction_unfinished", {"epoch": f"{each.dataset}/{each.epoch}"})
    finally:
        keys.close()


def _check_identity(subject: Subject, keys: KeyStore) -> Iterator[Finding]:
    try:
        identity = keys.get_public_identity()
    except IdentityMissing as error:
        yield Finding("error", error.code)
        return
    path = subject.home / "identity.json"
    try:
        if PublicIdentity.from_json(path.read_bytes()) != identity:
            yield Finding("warning", "identity_differs", {"file": path.name})
    except (OSError, IdentityInvalid):
        yield Finding("warning", "identity_differs", {"file": path.name})


def _check_epochs(subject: Subject, dataset: str, epochs: list[EpochRecord]) -> Iterator[Finding]:
    active = [epoch for epoch in epochs if epoch.state == "active"]
    rotation = subject.lists[dataset].rotation
    if not active:
        yield Finding("error", "epoch_none", {"dataset": dataset})
    for epoch in active:
        if epoch.not_after <= subject.now:
            yield Finding(
                "error", "epoch_over", {"epoch": f"{dataset}/{epoch.epoch}", "end": format_time(epoch.not_after)}
            )
    ends = [epoch.not_after for epoch in epochs if epoch.state in ("pending", "active")]
    last = max(ends, default=subject.now)
    if subject.now < last <= subject.now + timedelta(days=rotation.overlap_days):
        yield Finding("warning", "epoch_without_successor", {"dataset": dataset, "end": format_time(last)})
    for epoch in epochs:
        ended = epoch.expired_at or epoch.not_after
        if epoch.state == "expired" and ended + timedelta(days=rotation.retain_days + 7) < subject.now:
            yield Finding("warning", "epoch_not_destroyed", {"epoch": f"{dataset}/{epoch.epoch}"})


def _check_operators(keys: KeyStore) -> Iterator[Finding]:
    active = keys.operators.list_active()
    if len(active) < LEAST_OPERATORS:
        yield Finding("warning", "operators_few", {"found": len(active), "needed": LEAST_OPERATORS})
