"""Which editions the bank accepts, and under which key: the rules of docs/reference/edition.md.

The first signed manifest of an epoch pins its public key for ever. A manifest is
recorded as soon as it is accepted, so that no older one is accepted after it; its
edition is adopted only when all slices that the bank uses are sound.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlite_utils import Database

from keys.clock import Clock, format_time, parse_time
from keys.database import write_transaction
from keys.envelope import open_envelope
from keys.identity import PublicIdentity
from matcher.rows import fetch_all, fetch_first
from matcher.schemas import KUOZHONG, ListSchema
from psi.edition import PAYLOAD_TYPE, Manifest, SliceEntry, parse_manifest
from psi.errors import InputError, VerificationError

CLOCK_MARGIN = timedelta(days=1)  # by so much the two sides' clocks may differ, where age is in days
LABEL_FIELDS = KUOZHONG.field_names


class ManifestRefused(VerificationError):
    """A manifest that is well signed but not one this bank may use now."""

    code = "manifest_refused"


class EditionUnknown(InputError):
    """This bank never accepted such an edition."""

    code = "edition_unknown"


class PinnedKeyMismatch(ManifestRefused):
    """The epoch's public key is not the pinned one. Params: both fingerprints."""

    code = "pinned_key_mismatch"


class EditionRollback(ManifestRefused):
    """The edition is older than one already accepted."""

    code = "edition_rollback"


class EditionReplaced(ManifestRefused):
    """Two different manifests carry one edition number, or the chain of hashes is broken."""

    code = "edition_replaced"


class EditionNotValid(ManifestRefused):
    """The present moment is outside not_before to not_after."""

    code = "edition_not_valid"


class EditionStale(ManifestRefused):
    """The edition is older than this bank allows: newer ones may be withheld from it. Params: created_at, max_days."""

    code = "edition_stale"


class DeltaBaseMismatch(ManifestRefused):
    """A delta edition and its base do not belong together."""

    code = "delta_base_mismatch"


@dataclass(frozen=True)
class KnownEdition:
    """A manifest this bank accepted; ``sha256`` is that of its payload, ``base`` what a delta changes, if known."""

    manifest: Manifest
    sha256: str
    base: KnownEdition | None = None


@dataclass(frozen=True)
class EditionRow:
    """An accepted edition, for showing. Days of its manifest are RFC 3339; ``adopted_at`` is None while its slices
    were not found sound, ``forgotten_at`` once what its epoch's key opened was forgotten."""

    dataset: str
    epoch: str
    edition: int
    kind: str
    fingerprint: str
    created_at: str
    not_before: str
    not_after: str
    seen_at: str
    adopted_at: str | None
    forgotten_at: str | None


class Editions:
    """The tables ``epoch_pin`` and ``edition``."""

    def __init__(self, database: Database, clock: Clock, schema: ListSchema = KUOZHONG) -> None:
        """``schema`` is the one that labels must have."""
        self._database = database
        self._clock = clock
        self._schema = schema

    def verify(
        self, envelope: bytes, province: PublicIdentity, dataset: str, epoch: str, max_age: timedelta | None = None
    ) -> KnownEdition:
        """Check a manifest against the pinned ``province`` and all that is known; records nothing.

        Raises EnvelopeInvalid, UntrustedSigner, SignatureInvalid, ManifestInvalid and the errors of this module.
        """
        edition = self._open(envelope, province, dataset, epoch)
        self._check_order(edition)
        refuse_stale(edition.manifest, self._clock.now(), max_age)
        return replace(edition, base=self._find_base(edition.manifest))

    def accept(
        self, envelope: bytes, province: PublicIdentity, dataset: str, epoch: str, max_age: timedelta | None = None
    ) -> KnownEdition:
        """Verify a manifest and record it; the first one of an epoch pins its public key. Raises like verify."""
        with write_transaction(self._database):
            edition = self.verify(envelope, province, dataset, epoch, max_age)
            manifest, now = edition.manifest, format_time(self._clock.now())
            self._database.execute(
                "INSERT INTO epoch_pin VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [dataset, epoch, manifest.public_key, manifest.fingerprint, now],
            )
            self._record(edition, envelope)
        return edition

    def accept_base(self, delta: KnownEdition, envelope: bytes, province: PublicIdentity) -> KnownEdition:
        """The accepted ``delta`` with its base, whose manifest is verified and recorded.

        Raises like verify, and DeltaBaseMismatch. That the base is older than the delta is as it should be.
        """
        wanted = delta.manifest
        with write_transaction(self._database):
            base = self._open(envelope, province, wanted.dataset, wanted.epoch)
            refuse_other_base(wanted, base)
            self._record(base, envelope)
        return replace(delta, base=base)

    def adopt(self, edition: KnownEdition, slices: Sequence[SliceEntry]) -> None:
        """Make it the bank's current edition of its epoch: the slices it uses were found sound."""
        manifest = edition.manifest
        with write_transaction(self._database):
            self._database.execute(
                "UPDATE edition SET slices = ?, adopted_at = COALESCE(adopted_at, ?)"
                " WHERE dataset = ? AND epoch = ? AND edition = ?",
                [
                    json.dumps([entry.sha256 for entry in slices]),
                    format_time(self._clock.now()),
                    manifest.dataset,
                    manifest.epoch,
                    manifest.edition,
                ],
            )

    def get_manifest(self, dataset: str, epoch: str, edition: int) -> Manifest:
        """The manifest of an edition accepted earlier; it was verified then. Raises EditionUnknown."""
        row = fetch_first(
            self._database,
            "SELECT envelope FROM edition WHERE dataset = ? AND epoch = ? AND edition = ?",
            [dataset, epoch, edition],
        )
        if row is None:
            raise EditionUnknown("no such edition was accepted", dataset=dataset, epoch=epoch, edition=edition)
        return _manifest_within(row[0])

    def list_all(self) -> list[EditionRow]:
        """Every accepted edition, the newest first."""
        rows = fetch_all(
            self._database,
            "SELECT envelope, seen_at, adopted_at, (SELECT MAX(at) FROM forgotten_epoch"
            " WHERE (dataset, epoch) = (edition.dataset, edition.epoch)) FROM edition"
            " ORDER BY seen_at DESC, dataset, epoch DESC, edition DESC",
        )
        found = []
        for envelope, *times in rows:
            one = _manifest_within(envelope)
            found.append(
                EditionRow(
                    one.dataset, one.epoch, one.edition, one.kind, one.fingerprint, one.created_at, one.not_before,
                    one.not_after, *times,
                )
            )  # fmt: skip
        return found

    def list_slices_in_use(self) -> set[str]:
        """SHA-256 of the slices of every epoch's current edition."""
        rows = fetch_all(
            self._database,
            "SELECT slices, MAX(edition) FROM edition WHERE adopted_at IS NOT NULL GROUP BY dataset, epoch",
        )
        return {sha256 for slices, _ in rows for sha256 in json.loads(slices)}

    def _open(self, envelope: bytes, province: PublicIdentity, dataset: str, epoch: str) -> KnownEdition:
        payload = open_envelope(envelope, PAYLOAD_TYPE, province)
        edition = KnownEdition(parse_manifest(payload), hashlib.sha256(payload).hexdigest())
        refuse_unfit(edition.manifest, dataset, epoch, self._schema, self._clock.now())
        self._check_pin(edition.manifest)
        return edition

    def _record(self, edition: KnownEdition, envelope: bytes) -> None:
        manifest, now = edition.manifest, format_time(self._clock.now())
        self._database.execute(
            "INSERT INTO edition VALUES (?, ?, ?, ?, ?, ?, NULL, NULL) ON CONFLICT DO NOTHING",
            [manifest.dataset, manifest.epoch, manifest.edition, edition.sha256, envelope, now],
        )

    def _find_base(self, manifest: Manifest) -> KnownEdition | None:
        """The base of a delta, if it was accepted before. Raises DeltaBaseMismatch."""
        if manifest.base is None:
            return None
        row = fetch_first(
            self._database,
            "SELECT envelope, manifest_sha256 FROM edition WHERE dataset = ? AND epoch = ? AND edition = ?",
            [manifest.dataset, manifest.epoch, manifest.base.edition],
        )
        if row is None:
            return None
        base = KnownEdition(_manifest_within(row[0]), row[1])
        refuse_other_base(manifest, base)
        return base

    def _check_pin(self, manifest: Manifest) -> None:
        pinned = fetch_first(
            self._database,
            "SELECT public_key, fingerprint FROM epoch_pin WHERE dataset = ? AND epoch = ?",
            [manifest.dataset, manifest.epoch],
        )
        if pinned is not None and pinned[0] != manifest.public_key:
            raise PinnedKeyMismatch(
                "the manifest names another public key than the one pinned for this epoch",
                epoch=manifest.epoch,
                pinned=pinned[1],
                found=manifest.fingerprint,
            )

    def _check_order(self, edition: KnownEdition) -> None:
        manifest = edition.manifest
        latest = fetch_first(
            self._database,
            "SELECT edition, manifest_sha256 FROM edition WHERE dataset = ? AND epoch = ?"
            " ORDER BY edition DESC LIMIT 1",
            [manifest.dataset, manifest.epoch],
        )
        if latest is None:
            return
        number, digest = latest
        place = {"epoch": manifest.epoch, "edition": manifest.edition, "known": number}
        if manifest.edition < number:
            raise EditionRollback("an older edition than the one already accepted", **place)
        if manifest.edition == number and edition.sha256 != digest:
            raise EditionReplaced("another manifest under a number already accepted", **place)
        if manifest.edition == number + 1 and manifest.previous != digest:
            raise EditionReplaced("the manifest does not name its predecessor's hash", **place)


def refuse_other_base(delta: Manifest, base: KnownEdition) -> None:
    """Raise DeltaBaseMismatch unless the base is the full edition that the delta names, of the same make."""
    wanted, found = delta.base, base.manifest
    if wanted is None or (found.edition, base.sha256) != (wanted.edition, wanted.manifest_sha256):
        raise DeltaBaseMismatch(
            "the base is another edition than the one that the delta names",
            edition=delta.edition,
            base=found.edition,
            found=base.sha256,
        )
    divisions = [entry.division for entry in found.slices]
    if found.kind != "full" or found.label != delta.label or divisions != [entry.division for entry in delta.slices]:
        raise DeltaBaseMismatch(
            "the delta and its base differ in kind, label or divisions", edition=delta.edition, base=found.edition
        )


def refuse_stale(manifest: Manifest, now: datetime, max_age: timedelta | None) -> None:
    """Raise EditionStale if the edition was made longer than ``max_age`` ago.

    One that claims to come from the future would never grow too old: EditionNotValid.
    """
    if max_age is None:
        return
    age = now - parse_time(manifest.created_at)
    if age < -CLOCK_MARGIN:
        raise EditionNotValid(
            "the edition was made in the future",
            not_before=manifest.created_at,
            not_after=manifest.not_after,
            now=format_time(now),
        )
    if age > max_age:
        raise EditionStale(
            "the edition is older than this bank allows",
            edition=manifest.edition,
            created_at=manifest.created_at,
            max_days=max_age.days,
        )


def _manifest_within(envelope: bytes) -> Manifest:
    """The manifest of an envelope that was verified when it was stored."""
    return parse_manifest(base64.b64decode(json.loads(envelope)["payload"]))


def refuse_unfit(manifest: Manifest, dataset: str, epoch: str, schema: ListSchema, now: datetime) -> None:
    """Raise ManifestRefused unless the manifest is for this dataset, epoch, label schema and time."""
    if (manifest.dataset, manifest.epoch) != (dataset, epoch):
        raise ManifestRefused(
            "the manifest is for another dataset or epoch", dataset=manifest.dataset, epoch=manifest.epoch
        )
    if not schema.fits(manifest.label):
        raise ManifestRefused(
            f"the manifest's labels have the schema {manifest.label.schema_name}, not {schema.name}",
            expected=schema.name,
            schema=manifest.label.schema_name,
        )
    if not parse_time(manifest.not_before) <= now <= parse_time(manifest.not_after):
        raise EditionNotValid(
            "the edition is not valid now",
            not_before=manifest.not_before,
            not_after=manifest.not_after,
            now=format_time(now),
        )
