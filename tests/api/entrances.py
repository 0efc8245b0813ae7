"""The ways into a province: HTTP on loopback, TLS by the endpoint itself, and nginx with the configuration we ship."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from made_certificates import Authority, CertificateFiles
from province_home import BANK, OTHER_BANK, ProvinceHome, RunningProvince

from api.limits import Limits
from api.listening import Listening, Tls
from matcher.province.certificates import certificate_key_hash

Kind = Literal["http", "tls", "nginx"]
KINDS: tuple[Kind, ...] = ("http", "tls", "nginx")
SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "mingce.conf"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
without_nginx: list[str] = []  # told at the end of the run (conftest.py)


@dataclass
class Certificates:
    """What both sides of TLS hold. ``bank`` and ``other_bank`` are to be bound to those parties."""

    folder: Path
    authority: Authority = field(init=False)
    server: CertificateFiles = field(init=False)
    bank: CertificateFiles = field(init=False)
    other_bank: CertificateFiles = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder, "authority")
        self.server = self.authority.issue("localhost", server=True)
        self.bank = self.authority.issue("bank")
        self.other_bank = self.authority.issue("other bank")

    def bind(self, home: ProvinceHome) -> None:
        for identity, files in ((BANK, self.bank), (OTHER_BANK, self.other_bank)):
            key = certificate_key_hash(files.certificate.read_bytes())
            home.ledger.certificates.bind(identity.public.fingerprint, key)

    def client_context(self, files: CertificateFiles | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if files is not None:
            context.load_cert_chain(files.certificate, files.private_key)
        return context


@dataclass
class Entrance:
    kind: Kind
    province: RunningProvince
    listening: Listening
    certificates: Certificates
    folder: Path
    host: str
    port: int
    processes: list[int]

    def context(self, files: CertificateFiles | None) -> ssl.SSLContext | None:
        return None if self.kind == "http" else self.certificates.client_context(files)

    @contextmanager
    def connected(self, files: CertificateFiles | None = None) -> Iterator[socket.socket]:
        """A connection whose TLS handshake is done."""
        connection = socket.create_connection((self.host, self.port), timeout=10)
        context = self.context(files)
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        with connection:
            yield connection

    @contextmanager
    def coming_with(self, files: CertificateFiles | None) -> Iterator[RunningProvince]:
        """The province with a client that shows this certificate."""
        usual = self.province.client
        context = self.context(files)
        verify = context if context is not None else True
        with httpx.Client(base_url=self.province.url, timeout=20, trust_env=False, verify=verify) as client:
            self.province.client = client
            try:
                yield self.province
            finally:
                self.province.client = usual

    def resident_bytes(self) -> int:
        pages = sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in self.processes)
        return pages * os.sysconf("SC_PAGE_SIZE")

    def logs(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.log"))


@contextmanager
def entrance(
    kind: Kind,
    home: ProvinceHome,
    folder: Path,
    limits: Limits | None = None,
    *,
    required: bool = False,
    **changes: str,
) -> Iterator[Entrance]:
    """A running province behind one of the entrances, both banks with their certificates bound where there is TLS.

    ``required``: no party is served without one. ``changes`` replace values in nginx's configuration:
    ``client_header_timeout="1s"``.
    """
    folder.mkdir(exist_ok=True)
    certificates = Certificates(folder)
    tls = Tls(certificates.server.certificate, certificates.server.private_key, certificates.authority.file)
    listening = {
        "http": Listening(port=0),
        "tls": Listening(port=0, tls=tls, require_client_certificate=required),
        "nginx": Listening(unix_socket=folder / "s", behind_proxy=True, require_client_certificate=required),
    }[kind]
    if kind != "http":
        certificates.bind(home)
    province = RunningProvince.start(home, limits, listening)
    here = os.getpid()
    try:
        if kind == "nginx":
            with _nginx(folder, certificates, changes) as (port, processes):
                yield from _through(kind, province, listening, certificates, folder, port, [here, *processes])
        else:
            yield from _through(kind, province, listening, certificates, folder, province.address[1], [here])
    finally:
        province.stop()


def _through(
    kind: Kind,
    province: RunningProvince,
    listening: Listening,
    certificates: Certificates,
    folder: Path,
    port: int,
    processes: list[int],
) -> Iterator[Entrance]:
    scheme = "http" if kind == "http" else "https"
    province.url = f"{scheme}://localhost:{port}"
    found = Entrance(kind, province, listening, certificates, folder, "127.0.0.1", port, processes)
    with found.coming_with(certificates.bank):
        yield found
        province.check_invariants()


@contextmanager
def _nginx(folder: Path, certificates: Certificates, changes: dict[str, str]) -> Iterator[tuple[int, list[int]]]:
    """nginx with the shipped configuration: (port, process ids). Only the lines marked (*) and ``changes`` differ."""
    port = free_port()
    with running_nginx(folder, _configuration(folder, certificates, port, changes), port) as processes:
        yield port, processes


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running_nginx(folder: Path, content: str, port: int) -> Iterator[list[int]]:
    """nginx with all its files in ``folder``, once it listens on ``port``: its process ids."""
    if NGINX is None:
        without_nginx.append(os.environ.get("PYTEST_CURRENT_TEST", ""))
        pytest.skip("nginx is not installed")
    config = folder / "nginx.conf"
    config.write_text(content)
    command = [NGINX, "-p", str(folder), "-c", str(config), "-e", str(folder / "start.log")]
    with subprocess.Popen(command) as process:
        try:
            _wait_until_taken(port, process, folder)
            workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield [process.pid, *map(int, workers)]
        finally:
            process.terminate()


def _configuration(folder: Path, certificates: Certificates, port: int, changes: dict[str, str]) -> str:
    ours = {
        "server unix": f"server unix:{folder / 's'};",
        "listen": f"listen 127.0.0.1:{port} ssl backlog=1024;",
        "server_name": "server_name localhost;",
        "ssl_certificate ": f"ssl_certificate {certificates.server.certificate};",
        "ssl_certificate_key": f"ssl_certificate_key {certificates.server.private_key};",
        "ssl_client_certificate": f"ssl_client_certificate {certificates.authority.file};",
        "access_log": f"access_log {folder / 'access.log'} mingce;",
        "error_log": f"error_log {folder / 'error.log'} crit;",
    } | {name: f"{name} {value};" for name, value in changes.items()}
    return whole_configuration(folder, SHIPPED.read_text("utf-8"), ours)


def whole_configuration(folder: Path, shipped: str, ours: dict[str, str]) -> str:
    """A file that goes into the http context, with ``ours`` in place of the lines that begin so; each must be there."""
    for name, line in ours.items():
        shipped, replaced = re.subn(rf"(?m)^( *){re.escape(name)}[^;]*;", rf"\g<1>{line}", shipped)
        assert replaced == 1, name
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {folder / 'temporary'};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"{user} daemon off; worker_processes 1; worker_rlimit_nofile 8192; pid {folder / 'nginx.pid'};"
        f"events {{ worker_connections 4096; }} http {{ {temporary}\n{shipped}\n}}"
    )


def _wait_until_taken(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"nginx does not start: {(folder / 'start.log').read_text()}") from None
            time.sleep(0.05)
