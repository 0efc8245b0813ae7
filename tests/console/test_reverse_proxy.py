"""The console behind nginx with the configuration we ship: only the lines marked (*) differ."""

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
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from bureau_office import HANDLER, make_account
from console_server import Visitor, running_console
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from matcher.bureau.office import Office

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx" / "mingce-bureau.conf"
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")

pytestmark = pytest.mark.skipif(NGINX is None, reason="NOT RUN: nginx is not installed")


def test_people_work_through_nginx(office: Office, tmp_path: Path) -> None:
    with running_console(office) as console, nginx(tmp_path, console.url) as (client, plain):
        url = str(client.base_url).rstrip("/")
        visitor = Visitor(url, client, [])
        assert visitor.get("/queue").headers["location"].startswith("/sign-in")
        form = {"name": HANDLER.name, "password": make_account(office, HANDLER)}
        assert visitor.post("/sign-in", form).status_code == 303
        assert "工作台" in visitor.get("/queue").text
        strange = visitor.post("/sign-in", form, origin="https://elsewhere.example")
        assert strange.status_code == 403  # nginx passes on where a form comes from
        large = visitor.send("POST", "/policies/_propose", content=bytes(3 * 1024**2))
        assert large.status_code not in (413, 502, 503)  # more than the province's configuration lets in
        assert visitor.send("POST", "/policies/_propose", content=bytes(18 * 1024**2)).status_code == 413
        assert visitor.get("/metrics").status_code == 404
        assert visitor.get("/static/console.css").status_code == 200
        assert 'route="/static",status="200"' in console.client.get("/metrics").text
        moved = httpx.get(f"{plain}/queue?stage=to_confirm", trust_env=False)
        assert (moved.status_code, moved.headers["location"]) == (301, "https://127.0.0.1/queue?stage=to_confirm")
        written = "".join(path.read_text("utf-8", "replace") for path in tmp_path.glob("*.log"))
        assert "/queue" not in written
        assert HANDLER.name not in written


def test_a_refusal_is_not_lost_with_what_is_still_sent(office: Office, tmp_path: Path) -> None:
    """A console that cut off a sender in the middle would look stopped from behind nginx."""
    large = bytes(8 * 1024**2)
    with running_console(office) as console, nginx(tmp_path, console.url) as (client, _):
        stranger = Visitor(str(client.base_url).rstrip("/"), client, [])
        for _ in range(5):
            assert stranger.send("POST", "/policies/_propose", content=large).status_code == 401
            assert stranger.send("POST", "/sign-in", content=large).status_code == 403


def test_a_stopped_console_is_told_in_words(office: Office, tmp_path: Path) -> None:
    with running_console(office) as console:
        gone = console.url
    with nginx(tmp_path, gone) as (client, _):
        answer = client.get("/queue")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "再刷新本页" in answer.text


@contextmanager
def nginx(folder: Path, console: str) -> Iterator[tuple[httpx.Client, str]]:
    """A client of https that trusts the certificate, and the address without TLS."""
    certificate, key = write_certificate(folder)
    secure, plain = free_port(), free_port()
    changed = {
        "server 127.0.0.1:8444": f"server {console.removeprefix('http://')};",
        "listen 443 ssl": f"listen 127.0.0.1:{secure} ssl;",
        "listen 80": f"listen 127.0.0.1:{plain};",
        "ssl_certificate ": f"ssl_certificate {certificate};",
        "ssl_certificate_key": f"ssl_certificate_key {key};",
        "access_log": f"access_log {folder / 'access.log'} mingce_bureau;",
        "error_log": f"error_log {folder / 'error.log'} crit;",
    }
    text = SHIPPED.read_text("utf-8").replace("server_name bureau.example;", "server_name localhost;")
    for name, line in changed.items():
        text, found = re.subn(rf"(?m)^( *){re.escape(name)}[^;]*;", rf"\1{line}", text)
        assert found == 1, name
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    config.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder / 'nginx.pid'};"
        f"events {{ worker_connections 64; }} http {{ {temporary}\n{text}\n}}"
    )
    trusted = ssl.create_default_context(cafile=str(certificate))
    command = [str(NGINX), "-p", str(folder), "-c", str(config), "-e", str(folder / "start.log")]
    with subprocess.Popen(command) as process:
        try:
            wait_until_taken(secure, process)
            base = f"https://localhost:{secure}"
            with httpx.Client(base_url=base, verify=trusted, timeout=20, trust_env=False) as client:
                yield client, f"http://127.0.0.1:{plain}"
        finally:
            process.terminate()


def wait_until_taken(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError("nginx does not start") from None
            time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def write_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].chmod(0o600)
    return files
