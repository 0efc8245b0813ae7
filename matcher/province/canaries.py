"""Canary rows: made-up members of a list whose numbers nobody has, so that whoever finds one has been guessing.

The province plants them, per dataset and county, and every edition carries them like any other row. No
honest bank asks for them. A bureau that is handed one, with the province's own receipt on it, knows that
the bank asked for numbers of no customer; it recognises them by their household numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from keys.clock import Clock, format_time
from keys.envelope import sign_envelope
from keys.files import exclusive_lock, make_folder
from keys.identity import PublicIdentity
from keys.keystore import KeyStore
from keys.sealedfile import read_sealed, write_sealed
from matcher.canaries import PAYLOAD_TYPE
from matcher.province.canary_numbers import NumberMaker, imitate, pick
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan
from matcher.province.staging import StagedList, read_list
from psi.columns import Column, fixed, pc
from psi.edition import pack_labels, unpack_labels
from psi.encoding import ITEM_BYTES, BaseRows
from psi.errors import InputError, MingceError
from psi.identifiers import mask

SECRET = "canaries"  # noqa: S105  the name of a secret, not one
MAX_AT_ONCE = 1_000
HOUSEHOLD = "household_no"


class CanaryAssigned(MingceError):
    """A canary's number, or its household's, is on the list now: it belongs to somebody. Only ever an alarm."""

    code = "canary_assigned"


@dataclass(frozen=True, repr=False)
class Canary:
    """One planted row: its 18-character item, its household's number, its county, its packed label in hex."""

    number: int
    item: str
    household_no: str
    division: str
    label: str
    planted_at: str


class Canaries:
    """The canaries of one province's home: one sealed file for each dataset, ``<home>/canaries/<dataset>.sealed``."""

    def __init__(
        self, home: Path, keystore: KeyStore, ledger: Ledger, clock: Clock, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._home = home
        self._keys = keystore
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes

    def list_all(self, dataset: str) -> list[Canary]:
        """In the order of planting. Raises SealedFileInvalid."""
        path = self._path(dataset)
        if not path.exists():
            return []
        content = b"".join(read_sealed(path, self._keys.get_store_secret(SECRET), _context(dataset)))
        return [Canary(**row) for row in json.loads(content)]

    def digest(self, dataset: str) -> str:
        """Changes when canaries are planted; empty while there are none."""
        canaries = self.list_all(dataset)
        return hashlib.sha256(json.dumps([c.item for c in canaries]).encode()).hexdigest() if canaries else ""

    def plant(
        self, plan: DatasetPlan, source: Path, *, division: str, count: int, prefix: str, actor: str
    ) -> list[Canary]:
        """Make ``count`` canaries for a county of the list in ``source``; the next refresh publishes them.

        Each imitates a row of that county but for its number, which begins with ``prefix`` and is on nobody's
        row, and its household's. Raises InputError kinds, and what reading the list raises; Locked.
        """
        if not 1 <= count <= MAX_AT_ONCE:
            raise InputError("1 to 1,000 canaries are planted at once", count=count)
        if plan.label.fields[0] != HOUSEHOLD:
            raise InputError("canaries need a label that begins with the household's number", dataset=plan.dataset)
        with exclusive_lock(make_folder(self._home / "editions") / "lock"):
            rows = read_list(plan, source)
            known = self.list_all(plan.dataset)
            new = self._make(plan, rows, known, division, count, prefix)
            content = json.dumps([asdict(canary) for canary in [*known, *new]], ensure_ascii=False).encode()
            make_folder(self._home / "canaries")
            secret = self._keys.get_store_secret(SECRET)
            write_sealed(self._path(plan.dataset), secret, [content], _context(plan.dataset))
            self._ledger.record_act(actor, "plant_canaries", plan.dataset, division=division, count=count)
        return new

    def join(self, plan: DatasetPlan, staged: StagedList, reference_key: bytes, *, dry_run: bool = False) -> StagedList:
        """The list with its canaries. One whose number or household is somebody's by now stays out, with an alarm."""
        divisions = staged.about.rows_by_division
        known = self.list_all(plan.dataset)
        fitting = (c for c in known if len(c.label) == 2 * plan.label.width)
        here = [canary for canary in fitting if int(canary.division) in divisions]
        free = _find_free(here, staged, plan.label.width)
        if not dry_run:
            self._sound_alarms(plan.dataset, [canary for canary in here if canary not in free])
        rows = BaseRows(
            "".join(c.item for c in free).encode("ascii"),
            b"".join(bytes.fromhex(c.label) for c in free),
            pa.array([int(c.division) for c in free], pa.uint32()),
        )
        absent = tuple(canary.number for canary in known if canary not in free)
        return staged.with_extra(rows, reference_key, self.digest(plan.dataset), absent)

    def find_assigned(
        self, plan: DatasetPlan, present: Sequence[Canary], rows: BaseRows, *, dry_run: bool = False
    ) -> list[Canary]:
        """Of canaries in an edition those whose number or household is on one of these rows, with an alarm for each."""
        items, labels = fixed(rows.items, ITEM_BYTES), fixed(rows.labels, plan.label.width)
        assigned = _find_taken(present, items, labels) if len(rows) else []
        if not dry_run:
            self._sound_alarms(plan.dataset, assigned)
        return assigned

    def _sound_alarms(self, dataset: str, assigned: Sequence[Canary]) -> None:
        for canary in assigned:
            error = CanaryAssigned("a canary's number is on the list", number=canary.number, item=mask(canary.item))
            self._ledger.sound_alarm(error, f"{dataset} canary {canary.number}")

    def export(self, dataset: str, bureau: PublicIdentity, divisions: Sequence[str], *, actor: str) -> bytes:
        """A file by which one bureau recognises the canaries of its counties: signed, and sealed to it.

        It holds household numbers and no ID number.
        """
        households = sorted(c.household_no for c in self.list_all(dataset) if c.division in divisions)
        document = {"bureau": bureau.fingerprint, "dataset": dataset, "households": households}
        payload = json.dumps(document, ensure_ascii=False).encode()
        detail = {"dataset": dataset, "divisions": sorted(divisions), "count": len(households)}
        self._ledger.record_act(actor, "export_canaries", bureau.fingerprint, **detail)
        return bureau.seal(sign_envelope(self._keys.get_identity(), PAYLOAD_TYPE, payload))

    def _make(
        self, plan: DatasetPlan, rows: BaseRows, known: Sequence[Canary], division: str, count: int, prefix: str
    ) -> list[Canary]:
        if not division.isascii() or not division.isdigit() or len(division) != 6:
            raise InputError("a division is six digits", division=division)
        width = plan.label.width
        places = pc.indices_nonzero(pc.equal(rows.slices, int(division))).to_pylist()
        if not places:
            raise InputError("the list has no row in this division", division=division)
        fields = unpack_labels(bytes(rows.labels), plan.label)
        households = {canary.household_no for canary in known}.union(map(str, fields[HOUSEHOLD].to_pylist()))
        items = bytes(rows.items)
        numbers = NumberMaker(prefix, self._clock.now(), self._random_bytes)
        taken = {canary.item for canary in known}
        made: list[Canary] = []
        for number in range(len(known) + 1, len(known) + count + 1):
            item = numbers.next_free(lambda body: body in taken or _holds(items, body))
            one, other = (str(fields[HOUSEHOLD][pick(places, self._random_bytes)]) for _ in range(2))
            household = imitate(one, other, self._random_bytes, households)
            template = pick(places, self._random_bytes)
            cells = [household, *(fields[name][template].as_py() for name in plan.label.fields[1:])]
            label = pack_labels([pa.array([cell], pa.string()) for cell in cells], width).hex()
            made.append(Canary(number, item, household, division, label, format_time(self._clock.now())))
            taken.add(item)
            households.add(household)
        return made

    def _path(self, dataset: str) -> Path:
        return self._home / "canaries" / f"{dataset}.sealed"


def _find_free(canaries: Sequence[Canary], staged: StagedList, width: int) -> list[Canary]:
    """Those whose number and household are on no row of the list."""
    free = list(canaries)
    for part in range(staged.parts if canaries else 0):
        rows = staged.read(part)
        items, labels = fixed(rows.items, ITEM_BYTES), fixed(rows.labels, width)
        free = [canary for canary in free if canary not in _find_taken(free, items, labels)]
    return free


def _find_taken(canaries: Sequence[Canary], items: Column, labels: Column) -> list[Canary]:
    own = pa.array([canary.item.encode("ascii") for canary in canaries], pa.binary(ITEM_BYTES))
    has_item = pc.is_in(own, value_set=items).to_pylist()
    heads = [bytes.fromhex(canary.label)[: 1 + len(canary.household_no.encode())] for canary in canaries]
    found: set[bytes] = set()
    for length in {len(head) for head in heads}:  # a label begins with its household's length and number
        starts = pc.binary_slice(labels, 0, length)
        wanted = pa.array([head for head in heads if len(head) == length], starts.type)
        found.update(pc.unique(starts.filter(pc.is_in(starts, value_set=wanted))).to_pylist())
    return [canary for canary, taken, head in zip(canaries, has_item, heads, strict=True) if taken or head in found]


def _holds(items: bytes, item: str) -> bool:
    """Whether an item is among n*18 bytes of them."""
    wanted, start = item.encode("ascii"), 0
    while (place := items.find(wanted, start)) >= 0:
        if place % ITEM_BYTES == 0:
            return True
        start = place + 1
    return False


def _context(dataset: str) -> bytes:
    return f"mingce/1 canaries {dataset}".encode()
