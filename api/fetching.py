"""Bringing an edition home: its manifest, the base that a delta changes, and the slices of the bank's divisions.

An edition is adopted whole, a delta together with its base, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from api.client import ProvinceClient
from api.progress import Observer, Progress
from api.wire import AnswerInvalid
from keys.files import fsync_file, fsync_folder
from keys.identity import PublicIdentity
from matcher.bank.editions import KnownEdition
from matcher.bank.store import BankStore
from matcher.slices import check_slice_file
from psi.edition import Manifest, SliceEntry, SliceInvalid
from psi.errors import MingceError


class StorageFailed(MingceError):
    """A slice cannot be written or read: the disk is full or failing. The last good edition stays."""

    code = "storage_failed"


def fetch_edition(
    store: BankStore,
    client: ProvinceClient,
    province: PublicIdentity,
    dataset: str,
    epoch: str,
    divisions: Sequence[str],
    *,
    max_age: timedelta | None = None,
    observe: Observer = lambda progress: None,
) -> KnownEdition:
    """Fetch the epoch's current edition and adopt it once every slice of ``divisions`` is sound.

    Of a delta the base's slices are fetched only if they are not there. Raises the errors of
    matcher.bank.editions and api.client, SliceInvalid, StorageFailed.
    """
    observe(Progress("manifest", 0, 1))
    edition = store.editions.accept(client.get_manifest(dataset, epoch), province, dataset, epoch, max_age)
    if edition.manifest.base is not None and edition.base is None:
        envelope = client.get_edition_manifest(dataset, epoch, edition.manifest.base.edition)
        edition = store.editions.accept_base(edition, envelope, province)
    observe(Progress("manifest", 1, 1))
    wanted = list_slices(edition, divisions)
    for number, (manifest, entry) in enumerate(wanted):
        observe(Progress("slices", number, len(wanted)))
        _fetch_slice(store, client, manifest, entry)
    observe(Progress("slices", len(wanted), len(wanted)))
    store.editions.adopt(edition, [entry for _, entry in wanted])
    store.remove_unused_slices()
    return edition


def list_slices(edition: KnownEdition, divisions: Sequence[str]) -> list[tuple[Manifest, SliceEntry]]:
    """The slices of some divisions: the base's, then those of a delta over it. Raises InputError."""
    manifests = [edition.manifest] if edition.base is None else [edition.base.manifest, edition.manifest]
    return [(manifest, manifest.get_slice(division)) for manifest in manifests for division in divisions]


def _fetch_slice(store: BankStore, client: ProvinceClient, manifest: Manifest, entry: SliceEntry) -> None:
    """Have the slice's file, whole and checked. What a break left of it is gone on with. Raises StorageFailed."""
    try:
        _fetch_slice_file(store, client, manifest, entry)
    except OSError as error:
        raise StorageFailed(f"a slice cannot be stored: {error.strerror}", division=entry.division) from error


def _fetch_slice_file(store: BankStore, client: ProvinceClient, manifest: Manifest, entry: SliceEntry) -> None:
    target = store.slice_path(entry)
    if target.exists():
        try:
            check_slice_file(target, entry)
            return
        except SliceInvalid:
            target.unlink()  # damaged on our own disk: fetched anew
    part = target.with_name(f"{target.name}.part")
    path = (
        f"/v1/datasets/{manifest.dataset}/epochs/{manifest.epoch}/editions/{manifest.edition}/slices/{entry.division}"
    )
    resumed = part.exists()
    try:
        client.fetch_rest(path, entry.sha256, part, entry.bytes)
        check_slice_file(part, entry)
    except (AnswerInvalid, SliceInvalid):
        part.unlink(missing_ok=True)
        if not resumed:
            raise
        _fetch_slice_file(store, client, manifest, entry)  # the beginning may be what a crash spoiled: from zero
        return
    fsync_file(part)
    part.rename(target)
    fsync_folder(target.parent)
