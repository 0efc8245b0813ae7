"""Opening drawn positions at the bank, and checking them as the auditor: both know how a request looks."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from api.recording import make_request
from api.wire import ELEMENT_BYTES, decode_request, encode_request
from keys.identity import Identity, PublicIdentity
from matcher.audit_draw import Draw, locate
from matcher.audit_opening import (
    Kind,
    ListReference,
    OpenedPosition,
    Opening,
    OpeningInvalid,
    seal_opening,
    unseal_opening,
)
from matcher.bank.batches import AskedBatch
from matcher.bank.openings import Openings
from matcher.bank.records import verify_countersigned
from matcher.bank.store import BankStore
from matcher.exchange_record import ExchangeRecord, RecordedBatch, decode_record
from psi.errors import InputError, MingceError
from psi.identifiers import ITEM_BYTES, mask, normalise_one
from psi.opening import Blinding, customer_element, derive_blind, derive_padding, padding_element
from psi.transcript import TranscriptMismatch

Verdict = Literal["fits", "withheld", "not_drawn", "request_differs", "element_differs", "item_invalid"]
BLINDING: Blinding = "additive"  # what this bank's client uses (protocol.md section 7)


def open_positions(draw: Draw, draw_sha256: str, *, store: BankStore, openings: Openings, bank: Identity) -> bytes:
    """The sealed file for the auditor, with exactly the drawn positions; the giving out is on record.

    Raises OpeningNotApproved, SignaturesMissing, RecordUnknown, DrawInvalid; TranscriptMismatch if this bank
    cannot make a request again as it was sent.
    """
    record = openings.find_record(draw)
    approved_by = openings.require_approved(draw, draw_sha256)
    lists: dict[int, ListReference] = {}
    bodies: dict[int, bytes] = {}
    opened: list[OpenedPosition] = []
    pinned = store.records.get_pinned_fingerprint(record.dataset, record.epoch)
    for index, positions in groupby(draw.positions, key=lambda position: locate(record, position)[0]):
        recorded = record.batches[index]
        asked = store.batches.get_asked(recorded.request_id)
        run = store.runs.get(asked.batch.run_id)
        seed = store.runs.get_seed(run.run_id)
        bodies[index] = _remake(asked, seed, pinned, recorded)
        lists[index] = ListReference(run.list_name, run.list_sha256)
        opened += [_open(position, locate(record, position)[1], asked, seed) for position in positions]
    opening = Opening(
        bank=bank.public.fingerprint,
        auditor=draw.auditor.fingerprint,
        draw_sha256=draw_sha256,
        record_sha256=draw.record_sha256,
        blinding=BLINDING,
        approved_by=approved_by,
        lists=lists,
        requests={index: len(body) for index, body in bodies.items()},
        positions=tuple(opened),
    )
    sealed = seal_opening(opening, bodies, bank, draw.auditor)
    openings.mark_opened(draw_sha256, hashlib.sha256(sealed).hexdigest())
    return sealed


@dataclass(frozen=True, repr=False)
class Checked:
    """The verdict on one position; ``item`` is whole, to be compared with the customer's file. None: not shown."""

    position: int
    verdict: Verdict
    kind: Kind | None
    item: str | None
    list_name: str | None
    list_sha256: str | None
    row: int | None

    @property
    def masked(self) -> dict[str, object]:
        """For a screen or a log."""
        return {**vars(self), "item": None if self.item is None else mask(self.item)}


@dataclass(frozen=True)
class Report:
    """What an auditor has found: every drawn position, and whatever else the bank showed."""

    record_sha256: str
    draw_sha256: str
    approved_by: tuple[str, ...]
    checked: tuple[Checked, ...]

    @property
    def fits(self) -> bool:
        return all(one.verdict == "fits" for one in self.checked)

    @property
    def counts(self) -> dict[str, int]:
        """How many positions got each verdict, and how many fitting ones are customers' or padding."""
        verdicts = Counter[str](one.verdict for one in self.checked)
        kinds = Counter(one.kind for one in self.checked if one.verdict == "fits")
        return {**verdicts, "customers": kinds["customer"], "padding": kinds["padding"]}


def check_opening(
    content: bytes,
    draw: Draw,
    draw_sha256: str,
    record_envelope: bytes,
    *,
    auditor: Identity,
    bank: PublicIdentity,
    province: PublicIdentity,
) -> Report:
    """Recompute every opened position and compare it with what bank and province signed.

    A position that does not fit is a verdict. Raises a VerificationError for what is not authentic at
    all: OpeningInvalid, SealInvalid, EnvelopeInvalid, UntrustedSigner, SignerUnknown, SignatureInvalid.
    """
    record = decode_record(verify_countersigned(record_envelope, draw.record_sha256, bank, province))
    if (draw.bank, draw.elements) != (bank.fingerprint, record.elements):
        raise OpeningInvalid("the draw is not of this record")
    opening, bodies = unseal_opening(content, auditor, bank)
    if (opening.draw_sha256, opening.record_sha256) != (draw_sha256, draw.record_sha256):
        raise OpeningInvalid("the opening answers another draw")
    drawn, shown = set(draw.positions), {one.position: one for one in opening.positions}
    sound = {index for index, body in bodies.items() if _is_recorded(body, record, index)}
    checked = []
    for position in sorted(drawn | set(shown)):
        one = shown.get(position)
        index = locate(record, position)[0] if position < record.elements else -1
        if position not in drawn:
            verdict: Verdict = "not_drawn"
        elif one is None or index not in bodies or index not in opening.lists:
            verdict = "withheld"
        elif index not in sound:
            verdict = "request_differs"
        else:
            elements = decode_request(bodies[index]).elements
            start = ELEMENT_BYTES * locate(record, position)[1]
            verdict = _judge(one, bytes(elements[start : start + ELEMENT_BYTES]), opening.blinding)
        checked.append(_checked(position, verdict, one, opening.lists.get(index)))
    return Report(draw.record_sha256, draw_sha256, opening.approved_by, tuple(checked))


def _remake(asked: AskedBatch, seed: bytes, pinned: str, recorded: RecordedBatch) -> bytes:
    """The request's body as it was sent. Raises TranscriptMismatch if it does not come out so."""
    _, request = make_request(asked.batch, asked.items, seed, pinned)
    body = encode_request(request)
    if hashlib.sha256(body).hexdigest() != recorded.request_sha256:
        raise TranscriptMismatch("a request cannot be made again as it was sent", part="request")
    return body


def _open(position: int, place: int, asked: AskedBatch, seed: bytes) -> OpenedPosition:
    context, batch = bytes.fromhex(asked.batch.request_id), asked.batch
    if place >= batch.n:
        return OpenedPosition(position, "padding", derive_padding(seed, context, place - batch.n), None, None)
    item = asked.items[place * ITEM_BYTES : (place + 1) * ITEM_BYTES]
    return OpenedPosition(position, "customer", derive_blind(seed, context, place, item), item, asked.rows[place])


def _is_recorded(body: bytes, record: ExchangeRecord, index: int) -> bool:
    """Whether a body is the request that both sides signed, and is one."""
    if index >= len(record.batches) or hashlib.sha256(body).hexdigest() != record.batches[index].request_sha256:
        return False
    try:
        request = decode_request(body)
    except InputError:
        return False
    recorded = record.batches[index]
    return (request.n, request.idempotency_key) == (recorded.elements, recorded.request_id)


def _judge(one: OpenedPosition, element: bytes, blinding: Blinding) -> Verdict:
    """Whether an opened position makes the element that stands in the request."""
    try:
        if one.item is None:
            return "fits" if padding_element(one.scalar) == element else "element_differs"
        item = one.item.decode("ascii")
        if normalise_one(item)[0] != item:
            return "item_invalid"
        return "fits" if customer_element(one.item, one.scalar, blinding) == element else "element_differs"
    except MingceError:  # no scalar at all
        return "element_differs"


def _checked(position: int, verdict: Verdict, one: OpenedPosition | None, listed: ListReference | None) -> Checked:
    if one is None:
        return Checked(position, verdict, None, None, None, None, None)
    customer = one.item is not None and listed is not None
    return Checked(
        position,
        verdict,
        one.kind,
        None if one.item is None else one.item.decode("ascii"),
        listed.name if customer and listed else None,
        listed.sha256 if customer and listed else None,
        one.row,
    )
