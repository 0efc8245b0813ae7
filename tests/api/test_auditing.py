"""Audits: an honest bank's opening fits at every position, and no way of cheating does."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from bank_home import BANK, bank_store, item, match, residents
from fake_province import FakeProvince
from operators_home import LI, WANG, ZHANG, keystore_with_operators

from api.auditing import Report, check_opening, open_positions
from api.wire import EvaluateRequest, decode_request, encode_request
from keys.clock import SettableClock, SystemClock
from keys.envelope import (
    AlreadySigned,
    EnvelopeInvalid,
    SignaturesMissing,
    SignerUnknown,
    UntrustedSigner,
    unverified_payload,
)
from keys.identity import Identity, SealInvalid
from keys.keystore import KeyStore
from keys.operators import OperatorNotAllowed
from matcher.audit_draw import (
    Draw,
    DrawInvalid,
    detection,
    draw_positions,
    locate,
    open_draw,
    openings_needed,
    sign_draw,
)
from matcher.audit_opening import ListReference, OpenedPosition, Opening, OpeningInvalid, seal_opening, unseal_opening
from matcher.bank import plan
from matcher.bank.openings import OpeningNotApproved
from matcher.bank.records import RecordUnknown
from matcher.exchange_record import ExchangeRecord, decode_record
from psi.errors import InputError
from psi.identifiers import ITEM_BYTES
from psi.opening import customer_element, derive_blind, derive_padding, padding_element
from psi.oprf import MODE_VOPRF, BlindedBatch
from psi.transcript import TranscriptMismatch

CUSTOMERS = 50  # three batches of 16, and two customers padded with 14 elements: 64 positions
ELEMENTS = 64
AUDITOR = Identity("审计员", "operator", bytes([31]) * 32)
SEED = bytes(range(32))


@dataclass
class Audit:
    """A bank that asked, its operators, and an auditor with the record of it."""

    home: Path
    province: FakeProvince
    keystore: KeyStore
    record: ExchangeRecord
    envelope: bytes
    sha256: str

    def draw(self, openings: int = ELEMENTS, **changes: object) -> tuple[Draw, str, bytes]:
        """(the draw, its SHA-256, the file); all positions unless said otherwise."""
        drawn = Draw(
            AUDITOR.public, BANK.public.fingerprint, self.sha256, ELEMENTS, openings, SEED, SystemClock().now()
        )
        envelope = sign_draw(replace(drawn, **changes), AUDITOR)  # type: ignore[arg-type]
        return *open_draw(envelope), envelope

    def approve(self, draw: Draw, sha256: str, *signers: Identity) -> None:
        with bank_store(self.home) as store:
            for signer in signers:
                store.openings(self.keystore.operators).approve(draw, sha256, signer)

    def open(self, draw: Draw, sha256: str, *, approved: bool = True) -> bytes:
        if approved:
            self.approve(draw, sha256, ZHANG, LI)
        with bank_store(self.home) as store:
            openings = store.openings(self.keystore.operators)
            return open_positions(draw, sha256, store=store, openings=openings, bank=BANK)

    def check(self, content: bytes, draw: Draw, sha256: str, **changes: object) -> Report:
        parties = {"auditor": AUDITOR, "bank": BANK.public, "province": self.province.public, **changes}
        return check_opening(content, draw, sha256, self.envelope, **parties)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    """One bank for all: audits change nothing but their own table."""
    home = tmp_path_factory.mktemp("audit")
    with pytest.MonkeyPatch.context() as patch, FakeProvince(BANK.public) as province:
        patch.setattr(plan, "BATCH_SIZES", (16,))
        province.publish(residents([item(number) for number in range(10)]))
        match(home, province, [item(number) for number in range(CUSTOMERS)])
        keystore = keystore_with_operators(home, SettableClock())
        with bank_store(home) as store:
            (stored,) = store.records.list_all()
            record = store.records.read(stored.sha256)
        yield Audit(home, province, keystore, record, stored.envelope, stored.sha256)
        keystore.close()


@pytest.fixture
def audit(asked: Audit) -> Audit:
    with bank_store(asked.home) as store:
        store._database.execute("DELETE FROM audit_opening")
    return asked


# Drawing


def test_299_openings_find_one_in_a_hundred_with_95_percent() -> None:
    assert openings_needed(0.01, 0.95) == 299
    assert 0.95 <= detection(299, 0.01) < 0.951
    assert detection(298, 0.01) < 0.95
    for share, confidence in ((0, 0.95), (1, 0.95), (0.01, 0), (0.01, 1), (-1, 2)):
        with pytest.raises(InputError):
            openings_needed(share, confidence)


def test_what_is_stated_is_what_happens() -> None:
    """1 % of 100,000 positions are false: 299 openings find one of them in 95 % of draws."""
    false = set(range(0, 100_000, 100))
    found = sum(bool(false & set(draw_positions(bytes([n]) * 32, f"{n:064x}", 100_000, 299))) for n in range(256))
    assert 0.91 <= found / 256 <= 0.99  # three standard deviations: 0.041


def test_positions_are_distinct_in_range_and_follow_from_the_seed() -> None:
    drawn = draw_positions(SEED, "ab" * 32, 1_000_000, 299)
    assert len(set(drawn)) == 299
    assert drawn == sorted(drawn)
    assert drawn[0] >= 0
    assert drawn[-1] < 1_000_000
    assert drawn == draw_positions(SEED, "ab" * 32, 1_000_000, 299)
    assert drawn != draw_positions(bytes(32), "ab" * 32, 1_000_000, 299)
    assert drawn != draw_positions(SEED, "cd" * 32, 1_000_000, 299)
    assert draw_positions(SEED, "ab" * 32, 64, 64) == draw_positions(SEED, "ab" * 32, 64, 1_000) == list(range(64))
    assert len(set(draw_positions(SEED, "ab" * 32, 64, 63))) == 63


def test_every_position_is_drawn_equally_often() -> None:
    counts = [0] * 10
    for number in range(1_000):
        (position,) = draw_positions(SEED, f"{number:064x}", 10, 1)
        counts[position] += 1
    assert all(70 <= count <= 130 for count in counts)  # 100 each, three standard deviations are 28


def test_a_position_is_a_place_in_a_batch(audit: Audit) -> None:
    assert [locate(audit.record, position) for position in (0, 15, 16, 63)] == [(0, 0), (0, 15), (1, 0), (3, 15)]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e | {"payload": e["payload"][:-4]},
        lambda e: e | {"signatures": []},
        lambda e: json.loads(sign_draw_of(WANG)),
    ],
)
def test_a_draw_is_signed_by_the_auditor_it_names(audit: Audit, change: Callable[[dict[str, object]], object]) -> None:
    _, _, envelope = audit.draw()
    with pytest.raises((DrawInvalid, EnvelopeInvalid, UntrustedSigner)):
        open_draw(json.dumps(change(json.loads(envelope))).encode())


def sign_draw_of(signer: Identity) -> bytes:
    drawn = Draw(AUDITOR.public, "ab" * 32, "cd" * 32, 10, 1, SEED, SystemClock().now())
    return sign_draw(drawn, signer)


# An honest bank


def test_an_honest_opening_fits_everywhere(audit: Audit) -> None:
    draw, sha256, _ = audit.draw()
    report = audit.check(audit.open(draw, sha256), draw, sha256)
    assert report.fits
    assert report.counts == {"fits": ELEMENTS, "customers": CUSTOMERS, "padding": ELEMENTS - CUSTOMERS}
    assert report.approved_by == ("张三", "李四")
    customers = [one for one in report.checked if one.kind == "customer"]
    assert [one.item for one in customers] == [item(number).decode() for number in range(CUSTOMERS)]
    assert [one.row for one in customers] == list(range(2, CUSTOMERS + 2))
    assert {one.list_name for one in customers} == {"customers.csv"}
    assert not [one for one in customers if item(0).decode() in str(one.masked)]


def test_exactly_the_drawn_positions_are_opened(audit: Audit) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    content = audit.open(draw, sha256)
    opening, bodies = unseal_opening(content, AUDITOR, BANK.public)
    assert [one.position for one in opening.positions] == draw.positions
    assert set(bodies) == {locate(audit.record, position)[0] for position in draw.positions}
    plain = AUDITOR.unseal(content[5:])
    shown = {one.item for one in opening.positions}
    assert not [n for n in range(CUSTOMERS) if item(n) in plain and item(n) not in shown]
    assert audit.check(content, draw, sha256).fits


def test_only_the_auditor_reads_it(audit: Audit) -> None:
    draw, sha256, _ = audit.draw()
    content = audit.open(draw, sha256)
    assert not [n for n in range(CUSTOMERS) if item(n) in content]
    for other in (WANG, BANK):
        with pytest.raises(SealInvalid):
            unseal_opening(content, other, BANK.public)


def test_the_derived_scalars_are_the_protocols() -> None:
    context, width = b"request-of-16byt", ITEM_BYTES
    batch = BlindedBatch(MODE_VOPRF, item(1) + item(2), width, seed=SEED, context=context, pad_to=4).blinded_elements
    elements = [batch[start : start + 32] for start in range(0, 128, 32)]
    for place in (0, 1):
        blind = derive_blind(SEED, context, place, item(place + 1))
        assert customer_element(item(place + 1), blind, "additive") == elements[place]
        assert padding_element(derive_padding(SEED, context, place)) == elements[2 + place]


# Two operators


def test_two_operators_approve_or_nothing_is_opened(audit: Audit) -> None:
    draw, sha256, _ = audit.draw()
    with pytest.raises(OpeningNotApproved):
        audit.open(draw, sha256, approved=False)
    with pytest.raises(OperatorNotAllowed):
        audit.approve(draw, sha256, WANG)
    audit.approve(draw, sha256, ZHANG)
    with pytest.raises(SignaturesMissing):
        audit.open(draw, sha256, approved=False)
    with pytest.raises(AlreadySigned):
        audit.approve(draw, sha256, ZHANG)
    audit.approve(draw, sha256, LI)
    assert audit.open(draw, sha256, approved=False)
    with bank_store(audit.home) as store:
        (row,) = store.openings(audit.keystore.operators).list_all()
    assert (row.draw_sha256, row.auditor, row.positions) == (sha256, AUDITOR.public.fingerprint, ELEMENTS)
    assert row.opened_at is not None
    assert row.opening_sha256 is not None


def test_an_approval_is_for_one_draw(audit: Audit) -> None:
    first, first_sha256, _ = audit.draw(openings=5)
    other, other_sha256, _ = audit.draw(openings=6)
    audit.approve(first, first_sha256, ZHANG, LI)
    with pytest.raises(OpeningNotApproved):
        audit.open(other, other_sha256, approved=False)
    with bank_store(audit.home) as store:
        store._database.execute(
            "INSERT INTO audit_opening (draw_sha256, record_sha256, auditor, positions, approval)"
            " SELECT ?, record_sha256, auditor, 6, approval FROM audit_opening",
            [other_sha256],
        )
    with pytest.raises(EnvelopeInvalid):
        audit.open(other, other_sha256, approved=False)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"record_sha256": "00" * 32}, RecordUnknown),
        ({"elements": ELEMENTS - 1}, DrawInvalid),
        ({"bank": "00" * 32}, DrawInvalid),
    ],
)
def test_a_draw_of_something_else_is_not_approved(
    audit: Audit, change: dict[str, object], error: type[Exception]
) -> None:
    draw, sha256, _ = audit.draw(**change)
    with pytest.raises(error):
        audit.approve(draw, sha256, ZHANG)


# Cheating banks

Cheat = Callable[[Opening, dict[int, bytes]], tuple[Opening, dict[int, bytes]]]


def _positions(change: Callable[[OpenedPosition], OpenedPosition | None], at: int = 3) -> Cheat:
    def cheat(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
        changed = [change(one) if one.position == at else one for one in opening.positions]
        return replace(opening, positions=tuple(one for one in changed if one is not None)), bodies

    return cheat


def _swap(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
    """Two customers change places."""
    ones = list(opening.positions)
    ones[3], ones[4] = replace(ones[4], position=3), replace(ones[3], position=4)
    return replace(opening, positions=tuple(ones)), bodies


def _another_seed(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
    """The whole first batch made again with other items and another seed: it opens perfectly, but it was never sent."""
    sent = decode_request(bodies[0])
    invented = [item(1_000 + place) for place in range(16)]
    seed = secrets.token_bytes(32)
    batch = BlindedBatch(MODE_VOPRF, b"".join(invented), ITEM_BYTES, seed=seed, context=sent.request_id, pad_to=16)
    made = EvaluateRequest(sent.fingerprint, sent.request_id, batch.blinded_elements)
    opened = [
        OpenedPosition(place, "customer", derive_blind(seed, sent.request_id, place, one), one, place)
        for place, one in enumerate(invented)
    ]
    return replace(opening, positions=(*opened, *opening.positions[16:])), {**bodies, 0: encode_request(made)}


def _changed_request(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
    """One element of the request replaced by that of the customer whom the bank would like to show."""
    ours = opening.positions[3]
    shown = replace(ours, item=item(1_000))
    element = customer_element(item(1_000), ours.scalar, "additive")
    body = bytearray(bodies[0])
    body[60 + 32 * 3 : 60 + 32 * 4] = element
    ones = (*opening.positions[:3], shown, *opening.positions[4:])
    return replace(opening, positions=ones), {**bodies, 0: bytes(body)}


def _withheld_request(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
    rest = {index: body for index, body in bodies.items() if index}
    return replace(opening, requests={index: len(body) for index, body in rest.items()}), rest


def _exchanged_requests(opening: Opening, bodies: dict[int, bytes]) -> tuple[Opening, dict[int, bytes]]:
    return opening, {**bodies, 0: bodies[1], 1: bodies[0]}


PADDED = 60  # the last batch has two customers, then padding
CHEATS: dict[str, tuple[Cheat, dict[int, str]]] = {
    "swapped item": (_positions(lambda one: replace(one, item=item(1_000))), {3: "element_differs"}),
    "swapped positions": (_swap, {3: "element_differs", 4: "element_differs"}),
    "another scalar": (_positions(lambda one: replace(one, scalar=bytes([1]) + bytes(31))), {3: "element_differs"}),
    "no scalar": (_positions(lambda one: replace(one, scalar=b"")), {3: "element_differs"}),
    "a scalar above the order": (_positions(lambda one: replace(one, scalar=b"\xff" * 32)), {3: "element_differs"}),
    "no ID number": (_positions(lambda one: replace(one, item=b"990000000000000000")), {3: "item_invalid"}),
    "withheld position": (_positions(lambda one: None), {3: "withheld"}),
    "padding claimed as a customer": (
        _positions(lambda one: replace(one, kind="customer", item=item(1_000), row=7), PADDED),
        {PADDED: "element_differs"},
    ),
    "a customer claimed as padding": (
        _positions(lambda one: replace(one, kind="padding", item=None, row=None)),
        {3: "element_differs"},
    ),
    "another position opened": (
        _positions(lambda one: replace(one, position=ELEMENTS + 7)),
        {3: "withheld", ELEMENTS + 7: "not_drawn"},
    ),
    "request bytes changed": (_changed_request, dict.fromkeys(range(16), "request_differs")),
    "request made anew with another seed": (_another_seed, dict.fromkeys(range(16), "request_differs")),
    "request withheld": (_withheld_request, dict.fromkeys(range(16), "withheld")),
    "requests exchanged": (_exchanged_requests, dict.fromkeys(range(32), "request_differs")),
    "another blinding claimed": (
        lambda opening, bodies: (replace(opening, blinding="multiplicative"), bodies),
        dict.fromkeys(range(CUSTOMERS), "element_differs"),
    ),
    "no customer file named": (
        lambda opening, bodies: (replace(opening, lists={index: opening.lists[index] for index in (1, 2, 3)}), bodies),
        dict.fromkeys(range(16), "withheld"),
    ),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheating_bank_is_found_at_exactly_these_positions(audit: Audit, cheat: str) -> None:
    change, expected = CHEATS[cheat]
    draw, sha256, _ = audit.draw()
    opening, bodies = unseal_opening(audit.open(draw, sha256), AUDITOR, BANK.public)
    report = audit.check(seal_opening(*change(opening, bodies), BANK, AUDITOR.public), draw, sha256)
    assert not report.fits
    assert {one.position: one.verdict for one in report.checked if one.verdict != "fits"} == expected


def test_one_made_up_number_among_the_asked_is_shown_as_it_is(audit: Audit) -> None:
    """The software cannot know who is a customer: it proves which number was asked, and names the row to look up."""
    draw, sha256, _ = audit.draw(openings=10)
    report = audit.check(audit.open(draw, sha256), draw, sha256)
    assert all(one.row is not None and one.list_name for one in report.checked if one.kind == "customer")


def test_an_opening_of_another_draw_bank_or_auditor_is_none(audit: Audit) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    other, other_sha256, _ = audit.draw(openings=6)
    content = audit.open(draw, sha256)
    with pytest.raises(OpeningInvalid):
        audit.check(content, other, other_sha256)
    opening, bodies = unseal_opening(content, AUDITOR, BANK.public)
    with pytest.raises(UntrustedSigner):
        audit.check(seal_opening(opening, bodies, WANG, AUDITOR.public), draw, sha256)
    with pytest.raises(OpeningInvalid):
        audit.check(seal_opening(replace(opening, auditor="00" * 32), bodies, BANK, AUDITOR.public), draw, sha256)
    with pytest.raises(SealInvalid):
        audit.check(content[:-1], draw, sha256)
    with pytest.raises(OpeningInvalid):
        audit.check(b"MCHO\x01" + content[5:], draw, sha256)


def test_the_record_must_be_the_one_that_both_sides_signed(audit: Audit) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    content = audit.open(draw, sha256)
    with pytest.raises(SignerUnknown):
        audit.check(content, draw, sha256, province=WANG.public)
    single = json.loads(audit.envelope)
    single["signatures"] = single["signatures"][:1]
    with pytest.raises(EnvelopeInvalid):
        check_opening(
            content, draw, sha256, json.dumps(single).encode(), auditor=AUDITOR, bank=BANK.public,
            province=audit.province.public,
        )  # fmt: skip


def test_a_bank_that_lost_its_seed_cannot_open(audit: Audit) -> None:
    """What was asked without the recorded seed and items is found at the bank itself, before anything leaves."""
    draw, sha256, _ = audit.draw(openings=5)
    audit.approve(draw, sha256, ZHANG, LI)
    with bank_store(audit.home) as store:
        get_seed = store.runs.get_seed
        store.runs.get_seed = lambda run_id: bytes(32)  # type: ignore[method-assign]
        openings = store.openings(audit.keystore.operators)
        with pytest.raises(TranscriptMismatch):
            open_positions(draw, sha256, store=store, openings=openings, bank=BANK)
        assert get_seed(store.runs.list_all()[0].run_id) != bytes(32)
        assert openings.list_all()[0].opened_at is None


@pytest.mark.parametrize("content", [b"", b"MCAO\x01", b"MCAO\x01" + bytes(48), b"MCAO\x01" + bytes(200)])
def test_garbage_is_no_opening(audit: Audit, content: bytes) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    with pytest.raises((OpeningInvalid, SealInvalid)):
        audit.check(content, draw, sha256)


@pytest.mark.parametrize(
    "plain", [b"", b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x02[]x"]
)
def test_a_sealed_file_with_garbage_is_no_opening(audit: Audit, plain: bytes) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    with pytest.raises((OpeningInvalid, EnvelopeInvalid)):
        audit.check(b"MCAO\x01" + AUDITOR.public.seal(plain), draw, sha256)


def test_a_body_longer_or_shorter_than_stated_is_refused(audit: Audit) -> None:
    draw, sha256, _ = audit.draw()
    opening, bodies = unseal_opening(audit.open(draw, sha256), AUDITOR, BANK.public)
    for changed in ({**bodies, 3: bodies[3] + b"x"}, {**bodies, 3: bodies[3][:-1]}):
        with pytest.raises(OpeningInvalid):
            audit.check(seal_opening(opening, changed, BANK, AUDITOR.public), draw, sha256)


def test_lists_and_records_read_back(audit: Audit) -> None:
    draw, sha256, _ = audit.draw(openings=5)
    opening, _ = unseal_opening(audit.open(draw, sha256), AUDITOR, BANK.public)
    assert set(opening.lists.values()) == {ListReference("customers.csv", None)}
    assert decode_record(unverified_payload(audit.envelope)) == audit.record
