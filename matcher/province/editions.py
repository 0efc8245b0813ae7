"""The province's editions as folders: building one, reading one back, making it the current one.

``<home>/editions/<dataset>/<epoch>/<edition>/`` holds ``public/`` (what receivers may fetch) and
``private/`` (what the next refresh needs). A folder gets its name only when everything in it is on
disk, and counts only once the ledger names it; see docs/reference/edition.md.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from keys.envelope import open_envelope, sign_envelope
from keys.files import FILE_MODE, building_path, make_folder, publish_folder, remove_leftovers
from keys.identity import Identity, PublicIdentity
from matcher.province.parts import PART_ROWS, RememberedFiles, count_parts
from matcher.province.plan import SILENT, Observer
from matcher.slices import check_slice_file, describe_slice, open_slice
from psi.columnfile import ColumnFile, ColumnWriter
from psi.edition import (
    PAYLOAD_TYPE,
    BaseReference,
    LabelSchema,
    Manifest,
    Slice,
    SliceEntry,
    SliceInvalid,
    parse_manifest,
    slice_schema,
)
from psi.remembered import STATE_SCHEMA, EditionInconsistent
from psi.slicing import SliceBuilder
from psi.suites import RISTRETTO255_SHA512

MANIFEST = "manifest.json"
Fill = Callable[[Path], list[SliceEntry]]


@dataclass(frozen=True)
class Source:
    """Which file an edition was made from, so that the same file makes no new edition.

    ``whole`` is the last whole list if that file is a change list, else empty. ``rows`` are the list's by then,
    ``divisions`` how many in each; empty if an older version made the edition. ``withdrawn`` are the files that the
    operator rolled back from, ``canaries`` the digest of those planted, ``absent`` the numbers of those left out.
    """

    sha256: str
    rows: int
    rejected: int
    withdrawn: tuple[str, ...] = ()
    canaries: str = ""
    whole: str = ""
    divisions: dict[int, int] = field(default_factory=dict)
    absent: tuple[int, ...] = ()

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, fields: dict[str, Any]) -> Source:
        """From its JSON. Raises TypeError, ValueError, AttributeError if it is not one."""
        lists = {name: tuple(fields.get(name, ())) for name in ("withdrawn", "absent")}
        divisions = {int(name): rows for name, rows in fields.get("divisions", {}).items()}
        return cls(**{**fields, **lists, "divisions": divisions})


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

    def open_divisions(self) -> dict[int, list[ColumnFile]]:
        """What the edition says of every division, in files to be read in pieces: its slice, and a delta's over it.

        Raises SliceInvalid.
        """
        own = self.open_slice_files()
        if self.base is None:
            return {division: [part] for division, part in own.items()}
        return {division: [part, own[division]] for division, part in self.base.open_slice_files().items()}

    def open_slice_files(self) -> dict[int, ColumnFile]:
        """Its own slices by division, to be read in pieces. Raises SliceInvalid."""
        schema = slice_schema(self.manifest.label.width)
        entries = self.manifest.slices
        return {int(entry.division): _open_slice(self.slice_path(entry.division), schema) for entry in entries}

    def open_slices(self) -> dict[int, Slice]:
        """Its own slices, mapped, by division, to look something up. Raises SliceInvalid."""
        return {
            int(entry.division): open_slice(self.slice_path(entry.division), entry, self.manifest.label.width)
            for entry in self.manifest.slices
        }

    def slice_path(self, division: str) -> Path:
        return self.folder / "public" / "slices" / self.manifest.get_slice(division).file

    def open_remembered(self, parts: int) -> RememberedFiles:
        """The remembered rows in so many parts. Raises EditionInconsistent if a file is not what was written."""
        if self.base is None:
            return RememberedFiles(self.open_state(), None, parts)
        return RememberedFiles(self.base.open_state(), self.open_state(), parts)

    def open_state(self) -> ColumnFile:
        """The remembered rows, ordered by ref; of a delta those that it remembers otherwise than its base.

        Raises EditionInconsistent if the file is not what was written.
        """
        try:
            return ColumnFile(self.folder / "private" / "rows.arrow", STATE_SCHEMA)
        except (pa.ArrowInvalid, OSError) as error:
            raise EditionInconsistent(f"private/rows.arrow cannot be read: {type(error).__name__}") from None

    def count_live(self) -> int:
        """How many rows the edition publishes, without dummies."""
        return self.open_remembered(count_parts(len((self.base or self).open_state()))).count_live()

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
            source = Source.decode(json.loads((folder / "private" / "source.json").read_bytes()))
        except (OSError, ValueError, TypeError, AttributeError) as error:
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

    def write(self, draft: Draft, fill: Fill, identity: Identity, observer: Observer = SILENT) -> Edition:
        """Build an edition beside its place, flush it, check it from disk, and give it its name.

        ``fill`` writes the slices into a folder. ``observer`` hears each step's name before it begins. After
        a break there is either no folder of that number or a whole one.
        """
        target = self.path(draft.dataset, draft.epoch, draft.edition)
        make_folder(target.parent)
        building = building_path(target)
        observer.step("write slices", draft.rows_to_write)
        public, private = make_folder(building / "public" / "slices").parent, make_folder(building / "private")
        entries = fill(public / "slices")
        observer.step("write manifest")
        payload = draft.manifest(entries).encode()
        (public / MANIFEST).write_bytes(sign_envelope(identity, PAYLOAD_TYPE, payload))
        observer.step("write state")
        with pa.ipc.new_file(str(private / "rows.arrow"), STATE_SCHEMA) as writer:
            for table in _in_blocks(draft.state):
                writer.write_table(table)
        (private / "source.json").write_bytes(draft.source.encode())
        observer.step("flush")
        publish_folder(building, target)
        observer.step("check")
        edition = self.read(draft.dataset, draft.epoch, draft.edition)
        edition.check_files(base=False)  # that was checked when it was published
        return edition


def copy_slices(earlier: Edition) -> Fill:
    """The slices of an earlier edition, byte for byte."""

    def fill(folder: Path) -> list[SliceEntry]:
        for entry in earlier.manifest.slices:
            shutil.copyfile(earlier.slice_path(entry.division), folder / entry.file)
            (folder / entry.file).chmod(FILE_MODE)
        return list(earlier.manifest.slices)

    return fill


def build_slices(builder: SliceBuilder, bucket: int, label: LabelSchema, progress: Callable[[int], object]) -> Fill:
    """New slices, all of them growing at once as ``builder`` goes through the tags."""

    def fill(folder: Path) -> list[SliceEntry]:
        with ExitStack() as open_files:
            writers = {
                division: open_files.enter_context(
                    ColumnWriter(folder / f"{division:06d}.arrow", slice_schema(label.width), rows)
                )
                for division, rows in builder.rows_to_write.items()
            }
            done = 0
            for division, rows in builder.build():
                writers[division].write((rows.tags, rows.versions, rows.sealed_labels))
                done += rows.rows
                progress(done)
        wanted = builder.rows_to_write.items()
        return [describe_slice(folder / f"{division:06d}.arrow", rows, bucket) for division, rows in wanted]

    return fill


def _open_slice(path: Path, schema: pa.Schema) -> ColumnFile:
    try:
        return ColumnFile(path, schema)
    except (pa.ArrowInvalid, OSError) as error:
        raise SliceInvalid(f"not a slice: {type(error).__name__}") from None


def _in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in blocks of PART_ROWS, so that the file does not depend on the parts they were made in."""
    waiting = STATE_SCHEMA.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table])
        while waiting.num_rows >= PART_ROWS:
            yield _copied(waiting.slice(0, PART_ROWS))
            waiting = waiting.slice(PART_ROWS)
    if waiting.num_rows:
        yield _copied(waiting)


def _copied(table: pa.Table) -> pa.Table:
    """In one chunk of its own: a slice of one would be written with whatever bits stand behind its last row."""
    return pa.concat_tables([table, table.slice(0, 0)]).combine_chunks()


@dataclass(frozen=True)
class Draft:
    """Everything of an edition but its slices. ``state`` is read once, in the order of the references."""

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
    state: Iterable[pa.Table]
    source: Source
    base: BaseReference | None = None
    rows_to_write: int | None = None

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
