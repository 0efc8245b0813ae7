"""Two hosts that divide the banks: docs/how-to/scale-the-endpoint.md through both nginx files that we ship.

The front's additions are read from that document. Each host is a home, an endpoint and an nginx of its own, here on
loopback.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from entrances import SHIPPED, Certificates, free_port, running_nginx, whole_configuration
from made_certificates import Authority, CertificateFiles
from province_home import BANK, DATASET, EPOCH, EVALUATE, OTHER_BANK, ProvinceHome, RunningProvince, blinded

from api.listening import Listening
from keys.identity import Identity

INNER = SHIPPED.with_name("mingce-inner.conf")
DOCUMENT = SHIPPED.parents[2] / "docs/how-to/scale-the-endpoint.md"
NEXT = "2027"
PATH = EVALUATE.replace(EPOCH, NEXT)


@dataclass
class Divided:
    """``provinces`` by host: BANK's, and OTHER_BANK's behind it."""

    homes: list[ProvinceHome]
    provinces: list[RunningProvince]
    certificates: Certificates
    between: Authority
    front: str
    inner: str

    def ask(self, sender: Identity, files: CertificateFiles) -> httpx.Response:
        """One batch of five through the front."""
        verify = self.certificates.client_context(files)
        asking = self.provinces[0]
        with httpx.Client(base_url=self.front, timeout=20, trust_env=False, verify=verify) as client:
            usual, asking.client, asking.url = asking.client, client, self.front
            try:
                return asking.evaluate(asking.request(blinded(5)[1]), sender, PATH)
            finally:
                asking.client = usual

    def used(self) -> list[list[tuple[str, int]]]:
        return [home.query("SELECT entity, used FROM budget WHERE epoch = ?", NEXT) for home in self.homes]


@pytest.fixture
def divided(province_home: ProvinceHome, tmp_path: Path) -> Iterator[Divided]:
    folders = [tmp_path / "front", tmp_path / "inner"]
    for folder in folders:
        folder.mkdir()
    certificates, between = Certificates(folders[0]), Authority(folders[1], "between")
    certificates.bind(province_home)
    province_home.close()
    shutil.copytree(province_home.path, tmp_path / "second")
    homes = [ProvinceHome.open(province_home.path), ProvinceHome.open(tmp_path / "second")]
    for home, bank in zip(homes, (BANK, OTHER_BANK), strict=True):
        home.epoch = home.keystore.activate_epoch(DATASET, NEXT)
        home.ledger.set_budget(bank.public.fingerprint, DATASET, NEXT, 20)
    with ExitStack() as stack:
        provinces = []
        for home, folder in zip(homes, folders, strict=True):
            listening = Listening(unix_socket=folder / "s", behind_proxy=True, require_client_certificate=True)
            provinces.append(RunningProvince.start(home, None, listening))
            stack.callback(home.close)
            stack.callback(provinces[-1].stop)
        outer, inner = free_port(), free_port()
        stack.enter_context(running_nginx(folders[1], inner_configuration(folders[1], between, inner), inner))
        front = front_configuration(folders[0], certificates, between, outer, inner)
        stack.enter_context(running_nginx(folders[0], front, outer))
        at = [f"https://localhost:{port}" for port in (outer, inner)]
        yield Divided(homes, provinces, certificates, between, *at)


def inner_configuration(folder: Path, between: Authority, port: int) -> str:
    server = between.issue("localhost", server=True)
    ours = {
        "server unix": f"server unix:{folder / 's'};",
        "listen": f"listen 127.0.0.1:{port} ssl backlog=1024;",
        "server_name": "server_name localhost;",
        "ssl_certificate ": f"ssl_certificate {server.certificate};",
        "ssl_certificate_key": f"ssl_certificate_key {server.private_key};",
        "ssl_client_certificate": f"ssl_client_certificate {between.file};",
        "access_log": f"access_log {folder / 'access.log'} mingce;",
        "error_log": f"error_log {folder / 'error.log'} crit;",
    }
    return whole_configuration(folder, INNER.read_text("utf-8"), ours)


def front_configuration(folder: Path, certificates: Certificates, between: Authority, port: int, inner: int) -> str:
    """The shipped file with the document's two blocks in it."""
    blocks = [textwrap.dedent(each) for each in re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)]
    beside, within = blocks[1:]
    shipped = SHIPPED.read_text("utf-8").replace("\nserver {\n", f"\n{beside}\nserver {{\n{within}\n", 1)
    own = between.issue("front")
    ours = {
        "server unix": f"server unix:{folder / 's'};",
        "server 10.0.0.6": f"server 127.0.0.1:{inner};",
        "0000000000000000000000000000000000000000": f"{fingerprint(certificates.other_bank)} https://mingce_b;",
        "proxy_ssl_certificate ": f"proxy_ssl_certificate {own.certificate};",
        "proxy_ssl_certificate_key": f"proxy_ssl_certificate_key {own.private_key};",
        "proxy_ssl_trusted_certificate": f"proxy_ssl_trusted_certificate {between.file};",
        "proxy_ssl_name": "proxy_ssl_name localhost;",
        "listen": f"listen 127.0.0.1:{port} ssl backlog=1024;",
        "server_name": "server_name localhost;",
        "ssl_certificate ": f"ssl_certificate {certificates.server.certificate};",
        "ssl_certificate_key": f"ssl_certificate_key {certificates.server.private_key};",
        "ssl_client_certificate": f"ssl_client_certificate {certificates.authority.file};",
        "access_log": f"access_log {folder / 'access.log'} mingce;",
        "error_log": f"error_log {folder / 'error.log'} crit;",
    }
    return whole_configuration(folder, shipped, ours)


def fingerprint(files: CertificateFiles) -> str:
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303  nginx's name for a certificate it has verified


def renewed(files: CertificateFiles, authority: Authority) -> CertificateFiles:
    key = serialization.load_pem_private_key(files.private_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return authority.issue("renewed", key=key)


def test_each_bank_is_charged_at_its_own_host(divided: Divided) -> None:
    certificates = divided.certificates
    assert divided.ask(BANK, certificates.bank).status_code == 200
    assert divided.ask(OTHER_BANK, certificates.other_bank).status_code == 200
    assert divided.used() == [[(BANK.public.name, 5)], [(OTHER_BANK.public.name, 5)]]
    astray = divided.ask(OTHER_BANK, renewed(certificates.other_bank, certificates.authority))
    assert (astray.status_code, astray.json()["code"]) == (403, "not_granted")
    anothers = divided.ask(BANK, certificates.other_bank)
    assert (anothers.status_code, anothers.json()["code"]) == (401, "bad_certificate")
    assert divided.used() == [[(BANK.public.name, 5)], [(OTHER_BANK.public.name, 5)]]


def test_nobody_but_the_front_comes_in_behind_it(divided: Divided) -> None:
    """The header that names a certificate is believed there; so whoever could send it could be any bank."""
    context = divided.certificates.client_context(divided.certificates.bank)
    none = divided.certificates.client_context(None)
    for each in (context, none):
        each.load_verify_locations(divided.between.file)
        with httpx.Client(base_url=divided.inner, timeout=20, trust_env=False, verify=each) as client:
            assert client.get("/healthz").status_code == 400
    own = divided.certificates.client_context(divided.between.issue("another front"))
    own.load_verify_locations(divided.between.file)
    with httpx.Client(base_url=divided.inner, timeout=20, trust_env=False, verify=own) as client:
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.get("/metrics").status_code == 404


def test_a_host_that_is_gone_is_a_busy_one(divided: Divided) -> None:
    divided.provinces[1].stop()
    gone = divided.ask(OTHER_BANK, divided.certificates.other_bank)
    assert (gone.status_code, gone.json()["code"], gone.headers["Retry-After"]) == (503, "busy", "5")
    assert divided.ask(BANK, divided.certificates.bank).status_code == 200
