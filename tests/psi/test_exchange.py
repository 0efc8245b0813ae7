"""The one-shot exchange: right answers, and the library's own wire format."""

from __future__ import annotations

import random

import private_set_intersection.python as openmined
import pytest
from exchange_session import Session, number, packed
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.errors import InputError
from psi.exchange import ExchangePeerMessage, Limits, Requester, Responder, decode_fields, encode_fields
from psi.exchange_worker import check_bloom


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


# Right answers


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40), min_size=1), st.randoms())
def test_equals_a_plain_set_intersection(ours: set[int], theirs: set[int], shuffler: random.Random) -> None:
    listed = sorted(ours)
    shuffler.shuffle(listed)
    requester, request = Requester.create(packed(listed))
    responder = Responder(packed(sorted(theirs)), max_requested=len(listed))
    found = requester.intersect(responder.setup, responder.respond(request))
    assert {listed[position] for position in found.positions} == ours & theirs
    assert list(found.positions) == sorted(found.positions)
    assert found.expected_false_matches == 0


def test_a_requester_goes_on_from_its_key(session: Session) -> None:
    again = Requester(session.requester.expose_key(), session.requester.count)
    assert list(again.intersect(session.setup, session.response).positions) == session.positions


def test_the_same_request_gives_the_same_response(session: Session) -> None:
    assert session.responder.respond(session.request) == session.response


def test_two_sessions_share_no_element(session: Session) -> None:
    other = Session()
    assert not set(other.parsed_setup().raw.encrypted_elements) & set(session.parsed_setup().raw.encrypted_elements)
    assert not set(other.parsed_request().encrypted_elements) & set(session.parsed_request().encrypted_elements)


# The library's own wire format


def test_messages_are_exactly_the_librarys(session: Session) -> None:
    setup, request, response = session.parsed_setup(), session.parsed_request(), session.parsed_response()
    assert setup.WhichOneof("data_structure") == "raw"
    assert len(setup.raw.encrypted_elements) == 30
    assert request.reveal_intersection
    assert len(request.encrypted_elements) == len(response.encrypted_elements) == 12
    for message, encoded in ((setup, session.setup), (request, session.request), (response, session.response)):
        assert message.SerializeToString() == encoded


LISTED = 3_000


@pytest.mark.parametrize("structure", list(openmined.DataStructure))
def test_our_requester_with_the_librarys_server(structure: openmined.DataStructure, session: Session) -> None:
    server = openmined.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(1e-6, 12, listed_by_the_library(), structure)
    response = server.ProcessRequest(session.parsed_request())
    found = session.requester.intersect(setup.SerializeToString(), response.SerializeToString())
    wrong = set(found.positions) ^ set(session.positions)
    # A Bloom filter of the library errs in one of some thousand such runs, and says so beforehand.
    assert len(wrong) <= (1 if structure == openmined.DataStructure.BLOOM_FILTER else 0)
    assert found.expected_false_matches < (1e-3 if structure == openmined.DataStructure.BLOOM_FILTER else 1e-5)


def listed_by_the_library() -> list[str]:
    return [number(index) for index in range(30)] + [number(index) for index in range(1_000, 1_000 + LISTED)]


def test_a_small_bloom_filter_is_refused_as_loose(session: Session) -> None:
    server = openmined.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(
        1e-6, 12, [number(index) for index in range(10)], openmined.DataStructure.BLOOM_FILTER
    )
    response = server.ProcessRequest(session.parsed_request())
    with pytest.raises(ExchangePeerMessage) as refused:
        session.requester.intersect(setup.SerializeToString(), response.SerializeToString())
    assert refused.value.params["reason"] == "loose_filter"


def test_the_expected_false_matches_of_a_bloom_filter_are_what_the_library_does() -> None:
    """Ten thousand numbers that are not listed, in one run: about 9 are found; the filter claims 10^-6 in all."""
    asked, listed = 10_000, [number(index) for index in range(30)]
    server, client = openmined.server.CreateWithNewKey(True), openmined.client.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(1e-6, 12, listed, openmined.DataStructure.BLOOM_FILTER)
    response = server.ProcessRequest(client.CreateRequest([number(index) for index in range(100, 100 + asked)]))
    bloom = setup.bloom_filter
    expected = asked * check_bloom(bloom.num_hash_functions, bloom.bits)
    assert 5 < expected < 20
    assert 0 < len(client.GetIntersection(setup, response)) < 5 * expected


def test_the_librarys_client_with_our_responder(session: Session) -> None:
    client = openmined.client.CreateWithNewKey(True)
    request = client.CreateRequest([number(index) for index in session.requested])
    response = session.responder.respond(request.SerializeToString())
    found = client.GetIntersection(session.parsed_setup(), openmined.Response.FromString(response))
    assert sorted(found) == session.positions


# Our own input


@pytest.mark.parametrize(
    "items",
    [b"", b"990000000000000001 ", b"99000000000000000x", b"99000000000000001", "99000000000000000１".encode()],
)
def test_items_that_are_not_normalised_are_refused(items: bytes) -> None:
    with pytest.raises(InputError):
        Requester.create(items)
    with pytest.raises(InputError):
        Responder(items, max_requested=1)


def test_an_item_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        Requester.create(packed([1, 2, 1]))


def test_a_list_over_the_limit_is_refused_before_any_work() -> None:
    with pytest.raises(InputError):
        Requester.create(packed([1, 2, 3]), limits=Limits(max_items=2))


def test_nothing_prints_the_key(session: Session) -> None:
    shown = repr(session.requester) + repr(session.responder)
    assert session.requester.expose_key().hex() not in shown
    assert "key" not in shown


# Frames between the parent and its worker


@given(st.lists(st.binary(max_size=20)))
def test_frames_come_back(fields: list[bytes]) -> None:
    assert decode_fields(encode_fields(fields)) == fields


@given(st.binary(max_size=40))
def test_frames_refuse_what_they_do_not_say(data: bytes) -> None:
    try:
        fields = decode_fields(data)
    except ValueError:
        return
    assert encode_fields(fields) == data
