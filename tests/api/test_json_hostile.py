"""Hostile JSON at the one route that reads any, ``POST …/records``: cases D18 to D22, over HTTP."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from province_home import BANK, DATASET, EPOCH, RunningProvince

from keys.envelope import sign_envelope
from matcher.exchange_record import RECORD_TYPE, ExchangeRecord, RecordedBatch, encode_record

RECORDS = f"/v1/datasets/{DATASET}/epochs/{EPOCH}/records"
SOUND = encode_record(
    ExchangeRecord(
        bank=BANK.public.fingerprint,
        run_id="0" * 32,
        warrant_sha256="0" * 64,
        dataset=DATASET,
        epoch=EPOCH,
        edition=1,
        manifest_sha256="0" * 64,
        signed_at=datetime(2026, 1, 5, 9, 0, tzinfo=UTC),
        batches=(RecordedBatch("1" * 32, 256, "2" * 64, "3" * 64),),
    )
)
ENVELOPE = sign_envelope(BANK, RECORD_TYPE, SOUND)


def hand_in(province: RunningProvince, body: bytes, media_type: str = RECORD_TYPE) -> tuple[int, str]:
    answer = province.post(body, {"Content-Type": media_type}, path=RECORDS)
    assert province.home.query("SELECT COUNT(*) FROM exchange_record") == [(0,)]
    return answer.status_code, answer.json()["code"]


def refused(province: RunningProvince, body: bytes) -> None:
    status, code = hand_in(province, body)
    assert (status, code) == (400, "record_invalid")


def signed(payload: bytes) -> bytes:
    """The bank itself is hostile: its signature is good."""
    return sign_envelope(BANK, RECORD_TYPE, payload)


def test_the_sound_record_is_refused_only_for_what_it_says(shared_province: RunningProvince) -> None:
    """Otherwise every refusal below would show nothing."""
    status, code = hand_in(shared_province, ENVELOPE)
    assert code != "record_invalid"
    assert 400 <= status < 500


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json", f"{RECORD_TYPE}; charset=utf-16"])
def test_d18_another_content_type(shared_province: RunningProvince, media_type: str) -> None:
    assert hand_in(shared_province, ENVELOPE, media_type) == (415, "unsupported_media_type")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_d18_another_encoding(shared_province: RunningProvince, encoding: str) -> None:
    refused(shared_province, ENVELOPE.decode().encode(encoding))
    refused(shared_province, signed(SOUND.decode().encode(encoding)))


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"])
def test_d18_bad_utf_8(shared_province: RunningProvince, bad: bytes) -> None:
    refused(shared_province, ENVELOPE.replace(b'"payload"', b'"payl' + bad + b'"', 1))
    refused(shared_province, signed(SOUND.replace(b'"base"', b'"ba' + bad + b'"', 1)))


def test_d19_a_member_twice_or_unknown(shared_province: RunningProvince) -> None:
    for document in (ENVELOPE, SOUND):
        wrap = signed if document is SOUND else bytes
        loaded = json.loads(document)
        name = next(iter(loaded))
        twice = b"{" + json.dumps({name: loaded[name]}).encode()[1:-1] + b"," + document.lstrip()[1:]
        unknown = json.dumps({**loaded, "extra": 1}).encode()
        missing = json.dumps({key: value for key, value in loaded.items() if key != name}).encode()
        for changed in (twice, unknown, missing):
            refused(shared_province, wrap(changed))


@pytest.mark.parametrize(
    "value", [b'"\\ud800"', b"NaN", b"Infinity", b"-Infinity", b"9223372036854775808", b"1e999", b"-0", b"null", b"[]"]
)
def test_d20_values_that_no_store_can_hold(shared_province: RunningProvince, value: bytes) -> None:
    for member in (b'"edition":1', b'"epoch":"2026"', b'"elements":256'):
        name = member.split(b":")[0]
        assert member in SOUND
        refused(shared_province, signed(SOUND.replace(member, name + b":" + value)))
    refused(shared_province, ENVELOPE.replace(b'"payload":', b'"payload":' + value + b',"p":', 1))


@pytest.mark.parametrize(
    "value", [b"true", b'"256"', b"256.0", b"2.56e2", b"-256", b"0", b"9" * 5_000, b"0256", b"+256", b"0x100", b"65536"]
)
def test_d21_a_number_in_another_form(shared_province: RunningProvince, value: bytes) -> None:
    payload = SOUND.replace(b'"elements":256', b'"elements":' + value).replace(b',256,"', b"," + value + b',"')
    assert payload.count(value) >= 2
    refused(shared_province, signed(payload))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_d22_a_hundred_thousand_brackets(shared_province: RunningProvince, opening: bytes) -> None:
    deep = opening * 100_000
    refused(shared_province, deep[:200_000])
    refused(shared_province, signed(deep[:150_000]))
    refused(shared_province, signed(SOUND.replace(b'"edition":1', b'"edition":' + deep[:150_000])))
    assert shared_province.client.get("/healthz").status_code == 200


def test_a_payload_that_is_no_base64(shared_province: RunningProvince) -> None:
    encoded = base64.b64encode(SOUND)
    assert encoded in ENVELOPE
    for changed in (
        encoded[:-1],
        encoded + b"=",
        encoded.replace(b"e", b"\xc3\xa9", 1),
        b"",
        b" " + encoded,
        b"-_" + encoded,
    ):
        refused(shared_province, ENVELOPE.replace(encoded, changed))
