"""``serve_province`` as a process: it says its port, logs JSON, and stops without losing an answer."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from made_certificates import Authority
from province_home import BANK, BUDGET, EVALUATE, OTHER_BANK, ProvinceHome, RunningProvince, blinded

from api.listening import AddressInUse, InsecureListen, Listening, Tls, TlsFilesInvalid
from api.wire import REQUEST_TYPE, encode_request, idempotency_header
from keys.wrap import KekUnavailable
from psi.errors import InputError

SERVE = """
import sys
from pathlib import Path
from api.limits import Limits
from api.listening import Listening
from api.province import serve_province
from keys.clock import SettableClock
from keys.keystore import KeyStore
from keys.wrap import FileKek
from matcher.province.ledger import Ledger

home, clock, limits = Path(sys.argv[1]), SettableClock(), Limits(body_deadline_s=float(sys.argv[3]))
keystore = KeyStore(home, FileKek(home / "kek"), clock=clock, actor="test")
ledger = Ledger.open(home, clock)
tell = lambda address: print(address.rpartition(":")[2], flush=True)
serve_province(home, keystore, ledger, clock, listening=Listening(sys.argv[2], 0), limits=limits,
               on_listening=tell)
"""


@contextmanager
def served(
    home: ProvinceHome, host: str = "127.0.0.1", body_deadline_s: float = 30
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    arguments = [sys.executable, "-c", SERVE, str(home.path), host, str(body_deadline_s)]
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


def province_at(home: ProvinceHome, port: str) -> RunningProvince:
    """A client's view of a served process."""
    url = f"http://127.0.0.1:{port}"
    client = httpx.Client(base_url=url, timeout=20, trust_env=False)
    return RunningProvince(home, None, None, url, client)  # type: ignore[arg-type]


def half_sent(province: RunningProvince) -> tuple[bytes, bytes]:
    """A signed evaluate request, cut in its body."""
    _, element = blinded(1)
    request = province.request(element * 10)
    body = encode_request(request)
    headers = {"Content-Type": REQUEST_TYPE, "Idempotency-Key": idempotency_header(request)}
    signed = province.signed_headers("POST", EVALUATE, body, headers, sender=OTHER_BANK)
    lines = [f"POST {EVALUATE} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in signed.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body[:100], body[100:]


def test_after_sigterm_new_callers_are_refused_and_begun_requests_finish(province_home: ProvinceHome) -> None:
    with served(province_home) as (process, port):
        province = province_at(province_home, port)
        place = ("127.0.0.1", int(port))
        first, rest = half_sent(province)
        with socket.create_connection(place) as begun, socket.create_connection(place) as idle:
            begun.sendall(first)
            idle.sendall(b"GET /v1/datasets HTTP/1.1\r\n")
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            idle.settimeout(5)
            assert idle.recv(1) == b""  # nobody waits for a head that has not come
            with pytest.raises(ConnectionError):
                socket.create_connection(place, timeout=5)
            begun.sendall(rest)
            begun.settimeout(10)
            received = b""
            while part := begun.recv(65_536):
                received += part
        assert received.startswith(b"HTTP/1.1 200 ")
        assert process.wait(timeout=10) == -signal.SIGTERM
        province.client.close()
    assert province_home.used(OTHER_BANK) == 10


def test_a_slow_body_does_not_keep_a_stopping_process(province_home: ProvinceHome) -> None:
    with served(province_home, body_deadline_s=1) as (process, port):
        province = province_at(province_home, port)
        with socket.create_connection(("127.0.0.1", int(port))) as slow:
            slow.sendall(half_sent(province)[0])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == -signal.SIGTERM
        province.client.close()
    assert province_home.used(OTHER_BANK) == 0


def test_two_processes_on_one_home_charge_a_request_once(province_home: ProvinceHome) -> None:
    """In-flight requests are known to each process alone: harmless, since the charge and the answer's bytes are decided
    in the database and by the key. Both may work on one request; it costs once and both say the same."""
    _, element = blinded(1)
    with served(province_home) as (_, first_port), served(province_home) as (_, second_port):
        provinces = [province_at(province_home, first_port), province_at(province_home, second_port)]
        for number in range(5):
            request = provinces[0].request(element * 2_000)
            callers = [
                threading.Thread(target=province.evaluate, args=(request, OTHER_BANK))
                for province in (*provinces, *provinces)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            assert province_home.used(OTHER_BANK) == 2_000 * (number + 1)
        answers = [answer for province in provinces for answer in province.answers]
        assert len(answers) == 20
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert sum(answer.status_code == 200 for answer in answers) >= 5
        good: dict[str, set[bytes]] = {}
        for answer in answers:
            if answer.status_code == 200:
                good.setdefault(answer.request.headers["idempotency-key"], set()).add(answer.content)
        assert [len(contents) for contents in good.values()] == [1] * 5
        provinces[1].answers.clear()  # the invariants of one cover both: it is one home
        provinces[0].check_invariants()
        for province in provinces:
            province.client.close()


def test_a_nonce_used_at_one_process_is_used_at_the_other(province_home: ProvinceHome) -> None:
    with served(province_home) as (_, first_port), served(province_home) as (_, second_port):
        provinces = [province_at(province_home, first_port), province_at(province_home, second_port)]
        signed = provinces[0].signed_headers("GET", BUDGET, None, {}, sender=BANK)
        answers = [province.client.get(BUDGET, headers=signed) for province in provinces]
        for province in provinces:
            province.client.close()
    assert [answer.status_code for answer in answers] == [200, 401]
    assert answers[1].json()["code"] == "replayed"


def test_a_place_that_is_taken_is_refused(tmp_path: Path) -> None:
    with Listening(port=0).open() as listener, pytest.raises(AddressInUse):
        Listening(port=listener.getsockname()[1]).open()
    on_file = Listening(unix_socket=tmp_path / "s")
    with on_file.open() as listener:
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660
        with pytest.raises(AddressInUse):
            on_file.open()
    on_file.open().close()  # a socket left behind by a killed process is no obstacle


@pytest.mark.parametrize(
    "listening",
    [
        {"host": "0.0.0.0"},  # noqa: S104
        {"host": "10.1.2.3"},
        {"host": "::"},
        {"host": "10.1.2.3", "behind_proxy": True, "allow_plain_http": True},
    ],
)
def test_beyond_loopback_only_with_tls(listening: dict[str, Any]) -> None:
    with pytest.raises(InsecureListen):
        Listening(**listening)


def test_required_certificates_need_somebody_who_asks_for_them() -> None:
    with pytest.raises(InputError):
        Listening(require_client_certificate=True)


@pytest.mark.parametrize("fault", ["missing", "no certificate", "the key of another", "a passphrase"])
def test_tls_files_that_cannot_be_used_say_so(tmp_path: Path, fault: str) -> None:
    authority = Authority(tmp_path, "authority")
    files, other = authority.issue("localhost", server=True), authority.issue("other", server=True)
    key = files.private_key
    if fault == "missing":
        files.certificate.unlink()
    elif fault == "no certificate":
        files.certificate.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    elif fault == "the key of another":
        key = other.private_key
    else:
        opened = load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(TlsFilesInvalid):
        Tls(files.certificate, key).context(require_client_certificate=False)
