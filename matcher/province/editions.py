"""The province's editions as folders: building one, reading one back, making it the current one.

``<home>/editions/<dataset>/<epoch>/<edition>/`` holds ``public/`` (what receivers may fetch) and
``private/`` (what the next refresh needs). A folder gets its name only when everything in it is on
disk, and counts only once the ledger names it; see docs/reference/edition.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa

from keys.envelope import open_envelope, sign_envelope
from keys.files import FILE_MODE, building_path, make_folder, publish_folder, remove_leftovers
from keys.identity import Identity, PublicIdentity
from matcher.slices import check_slice_file, open_slice, write_slice_file
from psi.edition import (
    PAYLOAD_TYPE,
    BaseReference,
    LabelSchema,
    Manifest,
    Slice,
    SliceEntry,
    parse_manifest,
)
from psi.lookup import Overlay
from psi.remembered import STATE_SCHEMA, EditionInconsistent, Remembered, empty_state
from psi.suites import RISTRETTO255_SHA512

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Source:
    """Which file an edition was made from, so that the same file makes no new edition.

    ``withdrawn`` are the files that the operator rolled back from, ``canaries`` the digest of those in the edition.
    """

    sha256: str
    rows: int
    rejected: int
    withdrawn: tuple[str, ...] = ()
    canaries: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class Edition:
    """An edition read back from its folder, its signature checked; a delta with the ``base`` that it changes."""

    folder: Path
    manifest: Manifest
    manifest_sha256: str
    source: Source
    base: Edition | None = None

    @property
    def reference(self) -> BaseReference:
        return BaseReference(edition=self.manifest.edition, manifest_sha256=self.manifest_sha256)

    @property
    def manifest_path(self) -> Path:
        return self.folder / "public" / MANIFEST

    def open_divisions(self) -> dict[int, Slice | Overlay]:
        """What the edition says of every division, mapped: its slice, with a delta's over it."""
        if self.base is None:
            return dict(self.open_slices())
        deltas = self.open_slices()
        return {division: Overlay(part, deltas[division]) for division, part in self.base.open_slices().items()}

    def open_slices(self) -> dict[int, Slice]:
        """Its own slices, mapped, by division."""
        return {
            int(entry.division): open_slice(self.slice_path(entry.division), entry, self.manifest.label.width)
            for entry in self.manifest.slices
        }

    def slice_path(self, division: str) -> Path:
        return self.folder / "public" / "slices" / self.manifest.get_slice(division).file

    def remembered(self) -> Remembered:
        """Raises as read_state does."""
        if self.base is None:
            return Remembered(self.read_state(), empty_state())
        return Remembered(self.base.read_state(), self.read_state())

    def read_state(self) -> pa.Table:
        """The remembered rows, ordered by ref; of a delta those that it remembers otherwise than its base.

        Raises EditionInconsistent if the file is not what was written.
        """
        try:
            with pa.memory_map(str(self.folder / "private" / "rows.arrow")) as source:
                table = pa.ipc.open_file(source).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise EditionInconsistent(f"private/rows.arrow cannot be read: {type(error).__name__}") from None
        if table.schema != STATE_SCHEMA:
            raise EditionInconsistent("private/rows.arrow has another schema")
        return table

    def check_files(self, *, base: bool = True) -> None:
        """Hash every slice again from disk, and those of a delta's base. Raises SliceInvalid."""
        if base and self.base is not None:
            self.base.check_files()
        for entry in self.manifest.slices:
            check_slice_file(self.slice_path(entry.division), entry)


class EditionFolders:
    """The editions of one province's home."""

    def __init__(self, home: Path, identity: PublicIdentity) -> None:
        self._root = home / "editions"
        self._identity = identity

    def epoch_folder(self, dataset: str, epoch: str) -> Path:
        return self._root / dataset / epoch

    def path(self, dataset: str, epoch: str, edition: int) -> Path:
        return self.epoch_folder(dataset, epoch) / str(edition)

    def read(self, dataset: str, epoch: str, edition: int) -> Edition:
        """Raises VerificationError kinds if the manifest is not our own, EditionInconsistent if files are missing."""
        found = self._read_alone(dataset, epoch, edition)
        if found.manifest.base is None:
            return found
        base = self._read_alone(dataset, epoch, found.manifest.base.edition)
        if base.reference != found.manifest.base or base.manifest.kind != "full":
            raise EditionInconsistent(f"the base of edition {edition} is another than the one it was made on")
        return replace(found, base=base)

    def _read_alone(self, dataset: str, epoch: str, edition: int) -> Edition:
        folder = self.path(dataset, epoch, edition)
        try:
            envelope = (folder / "public" / MANIFEST).read_bytes()
            source = _parse_source((folder / "private" / "source.json").read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise EditionInconsistent(f"edition {edition} cannot be read: {type(error).__name__}") from None
        payload = open_envelope(envelope, PAYLOAD_TYPE, self._identity)
        return Edition(folder, parse_manifest(payload), hashlib.sha256(payload).hexdigest(), source)

    def clean(self, dataset: str, epoch: str, recorded: set[int]) -> list[str]:
        """Remove what a killed run left: half-built folders, and finished ones that the ledger does not name."""
        parent = self.epoch_folder(dataset, epoch)
        removed = [path.name for path in remove_leftovers(parent)]
        for path in parent.glob("[0-9]*"):
            if path.name.isdecimal() and int(path.name) not in recorded:
                shutil.rmtree(path)
                removed.append(path.name)
        return removed

    def write(
        self,
        draft: Draft,
        slices: Iterable[tuple[int, Slice]],
        identity: Identity,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> Edition:
        """Build an edition beside its place, flush it, check it from disk, and give it its name.

        ``slices`` is consumed one at a time. ``on_step`` hears each step's name before it begins. After
        a break there is either no folder of that number or a whole one.
        """

        def fill(folder: Path) -> list[SliceEntry]:
            return [
                write_slice_file(folder, f"{division:06d}", rows, draft.bucket, draft.label)
                for division, rows in slices
            ]

        return self._write(draft, fill, identity, on_step)

    def write_copy(
        self,
        draft: Draft,
        earlier: Edition,
        identity: Identity,
        on_step: Callable[[str], None] = lambda step: None,
    ) -> Edition:
        """The same with the slices of an earlier edition, byte for byte."""

        def fill(folder: Path) -> list[SliceEntry]:
            for entry in earlier.manifest.slices:
                shutil.copyfile(earlier.slice_path(entry.division), folder / entry.file)
                (folder / entry.file).chmod(FILE_MODE)
            return list(earlier.manifest.slices)

        return self._write(draft, fill, identity, on_step)

    def _write(
        self,
        draft: Draft,
        fill: Callable[[Path], list[SliceEntry]],
        identity: Identity,
        on_step: Callable[[str], None],
    ) -> Edition:
        target = self.path(draft.dataset, draft.epoch, draft.edition)
        make_folder(target.parent)
        building = building_path(target)
        on_step("write slices")
        public, private = make_folder(building / "public" / "slices").parent, make_folder(building / "private")
        entries = fill(public / "slices")
        on_step("write manifest")
        payload = draft.manifest(entries).encode()
        (public / MANIFEST).write_bytes(sign_envelope(identity, PAYLOAD_TYPE, payload))
        on_step("write state")
        with pa.ipc.new_file(str(private / "rows.arrow"), STATE_SCHEMA) as writer:
            writer.write_table(draft.state)
        (private / "source.json").write_bytes(draft.source.encode())
        on_step("flush")
        publish_folder(building, target)
        on_step("check")
        edition = self.read(draft.dataset, draft.epoch, draft.edition)
        edition.check_files(base=False)  # that was checked when it was published
        return edition


def _parse_source(content: bytes) -> Source:
    fields = json.loads(content)
    return Source(**{**fields, "withdrawn": tuple(fields.get("withdrawn", ()))})


@dataclass(frozen=True)
class Draft:
    """Everything of an edition but its slices."""

    dataset: str
    epoch: str
    edition: int
    public_key: bytes
    created_at: str
    not_before: str
    not_after: str
    label: LabelSchema
    bucket: int
    divisions: Mapping[str, str]
    previous: str | None
    state: pa.Table
    source: Source
    base: BaseReference | None = None

    def manifest(self, entries: list[SliceEntry]) -> Manifest:
        return Manifest(
            dataset=self.dataset,
            epoch=self.epoch,
            edition=self.edition,
            kind="full" if self.base is None else "delta",
            base=self.base,
            public_key=self.public_key.hex(),
            fingerprint=RISTRETTO255_SHA512.key_fingerprint(self.public_key),
            created_at=self.created_at,
            not_before=self.not_before,
            not_after=self.not_after,
            label=self.label,
            divisions=dict(self.divisions),
            slices=tuple(entries),
            previous=self.previous,
        )
