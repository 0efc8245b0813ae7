"""TLS by the command line: the authority of the how-to, ``certificate bind``, ``province serve --tls-cert …``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typed

from api.client import Connection, ProvinceClient, TlsUntrusted
from api.refusals import CertificateRefused
from api.retry import ProvinceUnavailable, RetryPolicy
from keys.clock import SystemClock
from keys.identity import Identity
from matcher.province.certificates import CertificateInvalid, certificate_key_hash

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "reverse-proxy.md"
BANK = Identity("演示银行", "bank", bytes([1]) * 32)
ONCE = RetryPolicy(attempts=1, first_wait_s=0)


def mingce(*words: str | Path, folder: Path) -> dict[str, object]:
    done = typed.mingce(*words, "--json", folder=folder)
    assert done.exit_code == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the how-to's commands make."""
    folder = tmp_path_factory.mktemp("tls")
    (commands,) = re.findall(r"^```sh\n(.*?)^```", HOW_TO.read_text("utf-8"), re.M | re.S)
    subprocess.run(["bash", "-euc", commands], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def served(tls: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A province that ends TLS itself, with one bank registered: (folder, address)."""
    folder = tmp_path_factory.mktemp("served")
    mingce("province", "init", "province", folder=folder)
    mingce("keys", "create-epoch", "base", "2026", "--activate", "--config", "province", folder=folder)
    (folder / "bank.identity.json").write_bytes(BANK.public.to_json())
    mingce("province", "register", "bank.identity.json", "--division", "330922", "--config", "province", folder=folder)
    address = folder / "address"
    words = ["province", "serve", "--port", "0", "--address-file", str(address), "--config", "province"]
    words += ["--tls-cert", tls / "server.crt", "--tls-key", tls / "server.key", "--client-ca", tls / "authority.crt"]
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", *map(str, words)],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        until = time.monotonic() + 30
        while not address.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        try:
            yield folder, address.read_text("utf-8")
        finally:
            process.terminate()
            process.wait(timeout=40)


def current_epoch(url: str, authority: Path, certificate: Path | None = None) -> str:
    key = certificate and certificate.with_suffix(".key")
    connection = Connection(url, ca_file=authority, client_cert=certificate, client_key=key, timeout_s=10)
    with ProvinceClient(connection, BANK, SystemClock(), ONCE) as client:
        return client.get_current_epoch("base")


def test_a_bound_certificate_is_needed_from_then_on_and_only_it(served: tuple[Path, str], tls: Path) -> None:
    folder, url = served
    assert url.startswith("https://127.0.0.1:")
    assert current_epoch(url, tls / "authority.crt") == "2026"

    said = mingce("certificate", "fingerprint", tls / "client.crt", folder=folder)
    bound = mingce("certificate", "bind", BANK.public.name, tls / "client.crt", "--config", "province", folder=folder)
    assert bound["spki_sha256"] == said["spki_sha256"]
    listed = mingce("certificate", "list", "--config", "province", folder=folder)["certificates"]
    assert [(entry["party"], entry["spki_sha256"]) for entry in listed] == [(BANK.public.name, said["spki_sha256"])]  # type: ignore[attr-defined]

    assert current_epoch(url, tls / "authority.crt", tls / "client.crt") == "2026"
    with pytest.raises(CertificateRefused):
        current_epoch(url, tls / "authority.crt")
    with pytest.raises(
        (CertificateRefused, ProvinceUnavailable)
    ):  # asyncio closes without saying that it is for servers
        current_epoch(url, tls / "authority.crt", tls / "server.crt")

    mingce("certificate", "unbind", str(said["spki_sha256"]), "--config", "province", folder=folder)
    assert current_epoch(url, tls / "authority.crt") == "2026"


def test_another_servers_certificate_is_not_trusted(served: tuple[Path, str], tls: Path) -> None:
    _, url = served
    with pytest.raises(TlsUntrusted):
        current_epoch(url, tls / "client.crt")
    with pytest.raises(TlsUntrusted):
        current_epoch(url.replace("127.0.0.1", "localhost"), tls / "authority.crt")  # not a name in the certificate


def test_pem_and_der_name_the_same_key(tls: Path) -> None:
    pem = (tls / "client.crt").read_bytes()
    der = subprocess.run(
        ["openssl", "x509", "-in", tls / "client.crt", "-outform", "DER"], check=True, capture_output=True
    ).stdout
    by_openssl = subprocess.run(
        ["bash", "-c", "openssl x509 -in client.crt -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum"],
        cwd=tls, check=True, capture_output=True, text=True,
    ).stdout.split()[0]  # fmt: skip
    assert certificate_key_hash(pem) == certificate_key_hash(der) == by_openssl


@pytest.mark.parametrize("document", [b"", b"-----BEGIN CERTIFICATE-----\n", b"\x30\x82\x01", b"\xff" * 1000])
def test_what_is_no_certificate_says_so(document: bytes) -> None:
    with pytest.raises(CertificateInvalid):
        certificate_key_hash(document)
