"""What the province showed this bank, in a form that two banks can compare: does it show both the same?

A province could give one bank another key, or another list, than the rest (equivocation). Each manifest
names the hash of the one before it, so the newest one both know vouches for everything before.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlite_utils import Database

from keys.clock import format_time
from keys.envelope import claimed_signer, unverified_payload
from keys.epochs import context
from keys.identity import MAX_NAME_CHARACTERS, PublicIdentity
from keys.strictjson import JsonInvalid, parse_object
from matcher.rows import fetch_all
from psi.edition import Hex32, Moment, Name, first_fault
from psi.errors import InputError, VerificationError

FORMAT: Literal["mingce-fingerprint/1"] = "mingce-fingerprint/1"
MAX_BYTES = 8 * 1024 * 1024
CODE_DIGITS = 30

Verdict = Literal["same", "compatible", "unlinked", "different", "only_mine", "only_theirs"]


class FingerprintInvalid(InputError):
    """Not a fingerprint file, nor a code of 30 digits."""

    code = "fingerprint_invalid"


class EquivocationFound(VerificationError):
    """The province showed two banks different things; params: dataset, epoch, part, edition, mine, theirs."""

    code = "equivocation"


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class SeenEdition(_Document):
    """An accepted manifest: its edition's number, its payload's hash, and the hash it names as its predecessor's."""

    edition: int = Field(ge=1, le=999_999_999)
    manifest_sha256: Hex32
    previous: Hex32 | None


class EpochView(_Document):
    """What one bank saw of one epoch: who signed, which key, which editions (numbers rising)."""

    dataset: Name
    epoch: Name
    signer: Hex32
    fingerprint: Hex32
    editions: Annotated[list[SeenEdition], Field(min_length=1, max_length=20_000)]

    @cached_property
    def hashes(self) -> dict[int, str]:
        """The manifest's hash by edition number: as seen, or as the next one names it."""
        named = {each.edition - 1: each.previous for each in self.editions if each.previous is not None}
        return {**named, **{each.edition: each.manifest_sha256 for each in self.editions}}

    @property
    def latest(self) -> int:
        return self.editions[-1].edition

    def code(self, edition: int) -> str | None:
        """Six groups of five digits to read over the telephone, or None for an edition this bank does not know.

        The SHA-256 of ``"mingce/1 fingerprint" ‖ 0x00 ‖ context ‖ signer ‖ fingerprint ‖ I2OSP(edition,4) ‖
        manifest_sha256`` as a big-endian number modulo 10**30 (docs/reference/edition.md).
        """
        if edition not in self.hashes:
            return None
        parts = b"".join(bytes.fromhex(value) for value in (self.signer, self.fingerprint))
        number = edition.to_bytes(4, "big") + bytes.fromhex(self.hashes[edition])
        digest = hashlib.sha256(b"mingce/1 fingerprint\x00" + context(self.dataset, self.epoch) + parts + number)
        digits = f"{int.from_bytes(digest.digest(), 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"
        return " ".join(digits[start : start + 5] for start in range(0, CODE_DIGITS, 5))


class View(_Document):
    """Everything one bank saw, and who it says it is (nothing proves that: compare the codes by telephone)."""

    format: Literal["mingce-fingerprint/1"] = FORMAT
    party: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
    party_fingerprint: Hex32
    made_at: Moment
    epochs: list[EpochView]


@dataclass(frozen=True)
class Comparison:
    """Of one epoch. ``part`` says where two views differ: signer, public_key, edition or chain.

    ``edition`` is the number at which they differ, or the newest one on which they agree.
    ``mine`` and ``theirs`` are the newest numbers, or, where they differ, what each saw.
    """

    dataset: str
    epoch: str
    verdict: Verdict
    part: str = ""
    edition: int | None = None
    mine: str = ""
    theirs: str = ""

    @property
    def error(self) -> EquivocationFound:
        params = {name: value for name, value in vars(self).items() if name != "verdict"}
        return EquivocationFound("the province showed two banks different things", **params)


class Views:
    """The accepted manifests of a bank's store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_epochs(self) -> list[EpochView]:
        """One view for each epoch ever seen, in the order in which they were pinned."""
        pins = fetch_all(self._database, "SELECT dataset, epoch, fingerprint FROM epoch_pin ORDER BY rowid")
        return [self._read(*pin) for pin in pins]

    def make(self, party: PublicIdentity, now: datetime) -> View:
        return View(
            party=party.name,
            party_fingerprint=party.fingerprint,
            made_at=format_time(now),
            epochs=self.list_epochs(),
        )

    def _read(self, dataset: str, epoch: str, fingerprint: str) -> EpochView:
        rows = fetch_all(
            self._database,
            "SELECT edition, manifest_sha256, envelope FROM edition WHERE dataset = ? AND epoch = ? ORDER BY edition",
            [dataset, epoch],
        )
        editions = [
            SeenEdition(
                edition=number, manifest_sha256=sha256, previous=json.loads(unverified_payload(envelope))["previous"]
            )
            for number, sha256, envelope in rows
        ]
        signer = claimed_signer(rows[-1][2])
        return EpochView(dataset=dataset, epoch=epoch, signer=signer, fingerprint=fingerprint, editions=editions)


def encode_view(view: View) -> bytes:
    return (view.model_dump_json(indent=1) + "\n").encode()


def decode_view(document: bytes) -> View:
    """A file that another bank made. Raises FingerprintInvalid."""
    try:
        parse_object(document, View.model_fields, max_bytes=MAX_BYTES)  # one reading or none
        view = View.model_validate_json(document)
    except JsonInvalid as error:
        raise FingerprintInvalid(error.detail) from None
    except ValidationError as error:
        field, message = first_fault(error)
        raise FingerprintInvalid(f"{field}: {message}") from None
    if not view.party.isprintable():
        raise FingerprintInvalid("the party's name is not printable")
    places = [(each.dataset, each.epoch) for each in view.epochs]
    if len(set(places)) != len(places):
        raise FingerprintInvalid("an epoch stands twice")
    for epoch in view.epochs:
        numbers = [each.edition for each in epoch.editions]
        if numbers != sorted(set(numbers)):
            raise FingerprintInvalid("editions are not in order, or one stands twice")
    return view


def parse_code(text: str) -> str:
    """A code as a person types it; spaces, dashes and full-width digits are forgiven. Raises FingerprintInvalid."""
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text))
    if not re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", digits):
        raise FingerprintInvalid("a code is six groups of five digits")
    return " ".join(digits[start : start + 5] for start in range(0, CODE_DIGITS, 5))


def compare_views(mine: Sequence[EpochView], theirs: Sequence[EpochView]) -> list[Comparison]:
    """Epoch by epoch, in the order of ``mine`` and then what only they saw."""
    known = {(view.dataset, view.epoch): view for view in theirs}
    found = []
    for view in mine:
        other = known.pop((view.dataset, view.epoch), None)
        only = Comparison(view.dataset, view.epoch, "only_mine", mine=str(view.latest))
        found.append(only if other is None else _compare(view, other))
    found += [Comparison(*place, "only_theirs", theirs=str(view.latest)) for place, view in known.items()]
    return found


def compare_code(mine: Sequence[EpochView], code: str, epoch: str | None, edition: int | None) -> Comparison | None:
    """Look for a code that was read out (:func:`parse_code`) among what this bank saw.

    With ``edition`` the code is known to be of that number, and another one is equivocation; None if this
    bank does not know that number, or if no code of its own is equal.
    """
    for view in reversed(mine):
        if epoch is not None and view.epoch != epoch:
            continue
        numbers = sorted(view.hashes, reverse=True) if edition is None else [edition]
        for number in numbers:
            own = view.code(number)
            if own == code:
                verdict: Verdict = "same" if number == view.latest else "compatible"
                return Comparison(view.dataset, view.epoch, verdict, "", number, str(view.latest), str(number))
            if edition is not None and own is not None and epoch is not None:
                return Comparison(view.dataset, view.epoch, "different", "edition", number, own, code)
    return None


def _compare(mine: EpochView, theirs: EpochView) -> Comparison:
    place = (mine.dataset, mine.epoch)
    if mine.signer != theirs.signer:
        return Comparison(*place, "different", "signer", None, mine.signer, theirs.signer)
    if mine.fingerprint != theirs.fingerprint:
        return Comparison(*place, "different", "public_key", None, mine.fingerprint, theirs.fingerprint)
    common = sorted(mine.hashes.keys() & theirs.hashes.keys())
    for number in common:
        if mine.hashes[number] != theirs.hashes[number]:
            both_saw = all(number in {each.edition for each in view.editions} for view in (mine, theirs))
            part = "edition" if both_saw else "chain"
            return Comparison(*place, "different", part, number, mine.hashes[number], theirs.hashes[number])
    for view in (mine, theirs):
        if broken := _broken_link(view):
            number, seen, named = broken
            return Comparison(*place, "different", "chain", number, seen, named)
    newest = (str(mine.latest), str(theirs.latest))
    agreed = common[-1] if common else None
    if agreed is None or agreed < min(mine.latest, theirs.latest):
        return Comparison(*place, "unlinked", "", agreed, *newest)
    return Comparison(*place, "same" if mine.latest == theirs.latest else "compatible", "", agreed, *newest)


def _broken_link(view: EpochView) -> tuple[int, str, str] | None:
    """An edition of which one bank alone has two hashes: the number, the one it saw, the one its successor names."""
    seen = {each.edition: each.manifest_sha256 for each in view.editions}
    for each in view.editions:
        before = each.edition - 1
        if each.previous is not None and seen.get(before, each.previous) != each.previous:
            return before, seen[before], each.previous
    return None
