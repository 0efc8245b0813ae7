"""``serve_province`` as a process: it says its port, logs JSON, and stops without losing an answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from province_home import OTHER_BANK, ProvinceHome, RunningProvince, blinded

from api.wire import REQUEST_TYPE, encode_request, idempotency_header
from keys.wrap import KekUnavailable

SERVE = """
import sys
from pathlib import Path
from api.province import serve_province
from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.ledger import Ledger

home, clock = Path(sys.argv[1]), SettableClock()
keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
ledger = Ledger.open(home, clock)
tell = lambda port: print(port, flush=True)
serve_province(home, keystore, ledger, clock, host=sys.argv[2], port=0, on_listening=tell)
"""


@contextmanager
def served(home: ProvinceHome, host: str = "127.0.0.1") -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = [sys.executable, "-c", SERVE, str(home.path), host]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_process_that_is_told_to_stop_finishes_what_it_took_on(province_home: ProvinceHome) -> None:
    _, element = blinded(1)
    with served(province_home) as (process, port):
        url = f"http://127.0.0.1:{port}"
        client = httpx.Client(base_url=url, timeout=20, trust_env=False)
        province = RunningProvince(province_home, None, None, url, client)  # type: ignore[arg-type]
        assert client.get("/healthz").json()["status"] == "ok"
        worker = threading.Thread(target=lambda: province.evaluate(province.request(element * 10_000), OTHER_BANK))
        worker.start()
        while not province_home.query("SELECT 1 FROM charge"):
            pass
        process.send_signal(signal.SIGTERM)
        worker.join()
        assert [answer.status_code for answer in province.answers] == [200]
        assert process.wait(timeout=10) == -signal.SIGTERM
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
        client.close()
    assert [line["status"] for line in lines if line["event"] == "request"] == [200, 200]


def test_a_killed_process_charges_no_batch_twice(province_home: ProvinceHome) -> None:
    _, element = blinded(1)
    elements = element * 10_000
    request = RunningProvince.request(RunningProvince(province_home, None, None, "", None), elements)  # type: ignore[arg-type]
    with served(province_home) as (process, port):
        url = f"http://127.0.0.1:{port}"
        province = RunningProvince(province_home, None, None, url, httpx.Client(base_url=url, trust_env=False))  # type: ignore[arg-type]
        body = encode_request(request)
        headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
        signed = province.signed_headers(
            "POST", "/v1/datasets/base/epochs/2026/evaluate", body, headers, sender=OTHER_BANK
        )
        broken: list[Exception] = []

        def ask() -> None:
            try:
                province.client.post("/v1/datasets/base/epochs/2026/evaluate", content=body, headers=signed)
            except httpx.HTTPError as error:
                broken.append(error)

        worker = threading.Thread(target=ask)
        worker.start()
        while not province_home.query("SELECT 1 FROM charge"):
            pass
        process.kill()
        worker.join()
        province.client.close()
    assert len(broken) == 1
    again = RunningProvince.start(province_home)
    try:
        first = again.evaluate(request, OTHER_BANK)
        assert (first.status_code, again.evaluate(request, OTHER_BANK).content) == (200, first.content)
        assert province_home.used(OTHER_BANK) == 10_000
        again.check_invariants()
    finally:
        again.stop()


def test_a_province_that_cannot_open_its_keys_does_not_start(province_home: ProvinceHome) -> None:
    (province_home.path / "kek").unlink()
    with served(province_home) as (process, port):
        assert port == ""
        assert process.wait(timeout=10) != 0
        assert process.stderr is not None
        assert KekUnavailable.__name__ in process.stderr.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_kinds_of_address_are_listened_on(province_home: ProvinceHome, host: str) -> None:
    with served(province_home, host) as (_, port):
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
