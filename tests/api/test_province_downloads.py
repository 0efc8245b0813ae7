"""Discovery, manifests and slices at the real endpoint: grants, ETags, byte ranges."""

from __future__ import annotations

import hashlib

import httpx
import pytest
from province_home import BANK, EPOCH, GRANTED, MANIFEST, OTHER_BANK, OTHER_DIVISION, RunningProvince

from keys.envelope import open_envelope
from psi.edition import PAYLOAD_TYPE, parse_manifest

EDITION = "/v1/datasets/base/epochs/2026/editions/1"
SLICE = f"{EDITION}/slices/{GRANTED}"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def content(shared_province: RunningProvince) -> bytes:
    return shared_province.home.edition.slice_path(GRANTED).read_bytes()


def test_a_bank_sees_the_datasets_granted_to_it(province: RunningProvince) -> None:
    province.home.ledger.register_dataset("other", title="别的", label_schema={})
    assert province.get("/v1/datasets").json() == {
        "datasets": [{"dataset": "base", "title": "基础名单库", "current_epoch": EPOCH}]
    }
    province.home.ledger.revoke(BANK.public.fingerprint, "base")
    assert province.get("/v1/datasets").json() == {"datasets": []}
    assert code(province.get("/v1/datasets/base")) == (404, "not_found")
    assert code(province.get(MANIFEST)) == (404, "not_found")


def test_a_dataset_lists_its_epochs_with_their_keys(province: RunningProvince) -> None:
    dataset = province.get("/v1/datasets/base").json()
    assert (dataset["dataset"], dataset["current_epoch"]) == ("base", EPOCH)
    served = {epoch["epoch"]: epoch for epoch in dataset["epochs"]}
    record = province.home.epoch
    assert served[EPOCH] == {
        "epoch": EPOCH,
        "state": "active",
        "public_key": record.public_key.hex(),
        "fingerprint": record.fingerprint,
        "not_before": "2026-01-05T09:00:00Z",
        "not_after": "2027-02-09T09:00:00Z",
        "edition": 1,
    }
    assert (served["2027"]["state"], served["2027"]["edition"]) == ("pending", None)


@pytest.mark.parametrize("path", [MANIFEST, f"{EDITION}/manifest"])
def test_the_manifest_is_the_signed_file(shared_province: RunningProvince, path: str) -> None:
    answer = shared_province.get(path)
    assert answer.content == shared_province.home.edition.manifest_path.read_bytes()
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    payload = open_envelope(answer.content, PAYLOAD_TYPE, shared_province.home.keystore.get_public_identity())
    assert parse_manifest(payload) == shared_province.home.edition.manifest


def test_an_epoch_without_an_edition_has_no_manifest(shared_province: RunningProvince) -> None:
    assert code(shared_province.get(MANIFEST.replace(EPOCH, "2027"))) == (404, "not_found")


def test_a_slice_is_the_file_the_manifest_names(shared_province: RunningProvince, content: bytes) -> None:
    answer = shared_province.get(SLICE)
    entry = shared_province.home.edition.manifest.get_slice(GRANTED)
    assert answer.headers["content-type"] == "application/vnd.apache.arrow.file"
    assert answer.headers["etag"] == f'"{entry.sha256}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert (answer.content, len(answer.content)) == (content, entry.bytes)
    assert hashlib.sha256(answer.content).hexdigest() == entry.sha256


def test_a_slice_of_another_division_looks_like_none(province: RunningProvince) -> None:
    assert code(province.get(f"{EDITION}/slices/{OTHER_DIVISION}")) == (404, "not_found")
    assert code(province.get(f"{EDITION}/slices/330903")) == (404, "not_found")
    assert province.get(f"{EDITION}/slices/{OTHER_DIVISION}", OTHER_BANK).status_code == 200
    assert code(province.get(f"{EDITION}/slices/330903", OTHER_BANK)) == (404, "not_found")
    assert province.home.refusals()[0] == (BANK.public.fingerprint, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        f"{EDITION}/slices/330922.arrow",
        f"{EDITION}/slices/%2e%2e%2fmanifest.json",
        f"{EDITION}/slices/..%2f..%2f..%2fkek",
        f"{EDITION}/slices/%2fetc%2fpasswd",
        f"{EDITION}/slices/33092２",
        f"{EDITION}/slices/330922%00",
        f"{EDITION}/slices/330922%0a",
        "/v1/datasets/base/epochs/2026/editions/0/manifest",
        "/v1/datasets/base/epochs/2026/editions/01/manifest",
        "/v1/datasets/base/epochs/2026/editions/2/manifest",
        "/v1/datasets/base/epochs/2026/editions/-1/manifest",
        "/v1/datasets/base/epochs/2026/editions/%EF%BC%91/manifest",
        "/v1/datasets/base/epochs/2026/editions/9223372036854775808/manifest",
        "/v1/datasets/base/epochs/%2e%2e/manifest",
        "/v1/datasets/base/epochs/1999/budget",
        "/v1/datasets/%2e%2e/epochs/2026/manifest",
        "/v1/datasets/base%00/epochs/2026/manifest",
        "/v1/datasets/%ff/epochs/2026/manifest",
    ],
)
def test_no_path_leads_anywhere_else(shared_province: RunningProvince, path: str) -> None:
    path = httpx.URL(path).raw_path.decode()
    assert code(shared_province.get(path, OTHER_BANK)) == (404, "not_found")


@pytest.mark.parametrize("path", [MANIFEST, SLICE])
@pytest.mark.parametrize("spelling", ["{}", "W/{}", '"x", {}', "*"])
def test_what_the_caller_has_is_not_sent_again(shared_province: RunningProvince, path: str, spelling: str) -> None:
    etag = shared_province.get(path).headers["etag"]
    answer = shared_province.get(path, headers={"If-None-Match": spelling.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert shared_province.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=5-99999999999", 5, None)],
)
def test_one_range_is_served(
    shared_province: RunningProvince, content: bytes, asked: str, first: int, last: int | None
) -> None:
    answer = shared_province.get(SLICE, headers={"Range": asked})
    start, end, _ = slice(first, last).indices(len(content))
    assert (answer.status_code, answer.content) == (206, content[first:last])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(content)}"
    assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'


def test_a_download_that_broke_off_goes_on(shared_province: RunningProvince, content: bytes) -> None:
    etag = f'"{shared_province.home.edition.manifest.get_slice(GRANTED).sha256}"'
    rest = shared_province.get(SLICE, headers={"Range": "bytes=1000-", "If-Range": etag})
    assert (rest.status_code, content[:1000] + rest.content) == (206, content)
    changed = shared_province.get(SLICE, headers={"Range": "bytes=1000-", "If-Range": '"another edition"'})
    assert (changed.status_code, changed.content) == (200, content)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-9", "bytes=a-b", "bytes=-", "items=0-5", "bytes=0-1-2", "bytes=" + "9" * 400 + "-"]
)
def test_a_range_of_another_form_is_ignored(shared_province: RunningProvince, content: bytes, asked: str) -> None:
    answer = shared_province.get(SLICE, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=9-8"])
def test_a_range_that_holds_nothing_is_refused(shared_province: RunningProvince, content: bytes, asked: str) -> None:
    answer = shared_province.get(SLICE, headers={"Range": asked})
    assert code(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(content)}"


def test_the_next_edition_is_served_as_soon_as_it_is_recorded(province: RunningProvince) -> None:
    first = province.get(MANIFEST)
    province.home.publish_next()
    second = province.get(MANIFEST, headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.content == province.home.edition.manifest_path.read_bytes()
    assert province.get(f"{EDITION}/manifest").content == first.content
    assert province.get(SLICE).status_code == 200, "a download of the last edition can be finished"


def test_a_manifest_that_is_not_the_one_recorded_is_not_served(province: RunningProvince) -> None:
    path = province.home.edition.manifest_path
    content = path.read_bytes()
    for damage in (content[:-1], content + b" ", b"", content.replace(b"sig", b"gis")):
        path.write_bytes(damage)
        for served in (MANIFEST, SLICE):
            answer = province.get(served)
            assert answer.status_code == 503 or served == SLICE
            if answer.status_code == 503:
                assert answer.json()["code"] == "unavailable"
    path.unlink()
    assert code(province.get(MANIFEST)) == (503, "unavailable")


def test_a_slice_that_is_gone_is_an_outage_not_a_crash(province: RunningProvince) -> None:
    province.home.edition.slice_path(GRANTED).unlink()
    assert code(province.get(SLICE)) == (503, "unavailable")
