"""Where the endpoint listens and who ends TLS: itself, or a reverse proxy on the same machine.

docs/decisions/0013-who-ends-tls.md says why there are these two ways and no third.
"""

from __future__ import annotations

import errno
import socket
import ssl
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from psi.errors import InputError

BACKLOG = 1_024


class InsecureListen(InputError):
    """The endpoint would be reachable from other machines without TLS, or could be told lies about certificates."""

    code = "insecure_listen"


class AddressInUse(InputError):
    """Another process listens there already."""

    code = "address_in_use"


class TlsFilesInvalid(InputError):
    """The certificate, its key or the client authorities cannot be used."""

    code = "tls_files_invalid"


@dataclass(frozen=True)
class Tls:
    """Files in PEM: the server's certificate with its chain, its private key, and the authorities for client
    certificates (None: no client is asked for one)."""

    certificate: Path
    private_key: Path
    client_authorities: Path | None = None

    def context(self, *, require_client_certificate: bool) -> ssl.SSLContext:
        """TLS 1.3 only. Raises TlsFilesInvalid."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # every connection proves its certificate anew
        load_certificate(context, self.certificate, self.private_key)
        try:
            if self.client_authorities is not None:
                context.load_verify_locations(self.client_authorities)
                context.verify_mode = ssl.CERT_REQUIRED if require_client_certificate else ssl.CERT_OPTIONAL
        except OSError as error:  # ssl.SSLError is one
            raise TlsFilesInvalid(f"{self.client_authorities}: {error}") from None
        return context


@dataclass(frozen=True)
class Listening:
    """One listening socket: ``host`` and ``port`` (0 picks a free one), or a ``unix_socket``.

    ``behind_proxy``: a reverse proxy on this machine ends TLS and says in a header which client certificate it
    verified. ``require_client_certificate``: no party is served without one that is bound to it; else only those
    are who have one bound. Raises InsecureListen, InputError.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    unix_socket: Path | None = None
    tls: Tls | None = None
    behind_proxy: bool = False
    require_client_certificate: bool = False
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        local = self.unix_socket is not None or is_loopback(self.host)
        if not local and self.tls is None and not self.allow_plain_http:
            raise InsecureListen("beyond loopback only with TLS", host=self.host)
        if self.behind_proxy and not local:
            raise InsecureListen("behind a proxy only loopback or a unix socket is listened on", host=self.host)
        if self.behind_proxy and self.tls is not None:
            raise InputError("either a proxy ends TLS or this server does")
        asks = self.behind_proxy or (self.tls is not None and self.tls.client_authorities is not None)
        if self.require_client_certificate and not asks:
            raise InputError("client certificates are required, but nobody asks for them")

    @property
    def scheme(self) -> str:
        return "http" if self.tls is None else "https"

    def open(self) -> socket.socket:
        """The listening socket. Raises AddressInUse."""
        try:
            if self.unix_socket is not None:
                return _listen_on_file(self.unix_socket)
            return listen(self.host, self.port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse("another process listens there", address=self.address(self.port)) from None
            raise

    def address(self, port: int) -> str:
        """The URL's beginning, for a person or a proxy's configuration."""
        if self.unix_socket is not None:
            return f"unix:{self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{port}"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``port`` 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Inherited by every connection: head and body of an answer are two writes, and 40 ms lie between them otherwise.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def load_certificate(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    """Raises TlsFilesInvalid: a file is missing, no PEM, under a passphrase, or the key is another's."""
    try:
        context.load_cert_chain(certificate, private_key, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise TlsFilesInvalid(f"{certificate}, {private_key}: {error}") from None


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen_on_file(path: Path) -> socket.socket:
    """A unix socket that owner and group may use; one that nobody answers on any more is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _is_answered(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _no_passphrase() -> str:
    """OpenSSL would ask on the terminal, and a service has none."""
    raise ValueError("the private key is under a passphrase")
