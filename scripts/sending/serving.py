"""What ``serve`` does for every sender: from the settings and options to a listening endpoint."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.limits import Limits
from api.listening import Listening, Tls
from keys.files import write_atomic
from psi.errors import InputError
from scripts.home import Home
from scripts.language import say
from scripts.output import notice
from scripts.sending.ledgers import check_budgets, open_ledger
from scripts.settings import ServeSettings

MOST_FILES = 16_384

HostOption = Annotated[str | None, typer.Option(help="else the `serve.host` setting")]
PortOption = Annotated[int | None, typer.Option(help="else the `serve.port` setting; 0 picks a free one")]
UnixSocketOption = Annotated[Path | None, typer.Option(help="listen on this unix socket instead, for a reverse proxy")]
TlsCertOption = Annotated[Path | None, typer.Option("--tls-cert", help="the server's certificate with its chain, PEM")]
TlsKeyOption = Annotated[Path | None, typer.Option("--tls-key", help="its private key, PEM")]
ClientCaOption = Annotated[
    Path | None, typer.Option("--client-ca", help="authorities for client certificates, PEM; asks every caller for one")
]
AddressFileOption = Annotated[Path | None, typer.Option(help="write the address here once connections are taken")]


@dataclass(frozen=True)
class ServeOptions:
    """What the command line says instead of the settings."""

    host: str | None = None
    port: int | None = None
    unix_socket: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None


def serve_home(home: Home, options: ServeOptions, address_file: Path | None) -> None:
    """Answer receivers until stopped. Raises what serve_province and Listening raise."""
    from api.province import serve_province  # loaded for this alone: it takes as long as most commands

    settings = home.settings.serve
    raise_file_limit()
    check_budgets(home)

    serve_province(
        home.path,
        home.open_keys(),
        open_ledger(home),
        home.clock,
        listening=listening_for(home, settings, options),
        limits=Limits(evaluation_threads=settings.workers),
        on_listening=announce(address_file),
    )


def announce(address_file: Path | None) -> Callable[[str], None]:
    """Says where connections are taken."""

    def on_listening(address: str) -> None:
        if address_file is not None:
            write_atomic(address_file, address.encode())
        notice(say(f"正在服务：{address}（Ctrl-C 停止）", f"Serving {address} (Ctrl-C stops)"))

    return on_listening


def listening_for(home: Home, settings: ServeSettings, options: ServeOptions) -> Listening:
    """Where to listen: options before settings; paths of the settings are relative to the home. Raises InputError."""

    def chosen(option: Path | None, setting: Path | None) -> Path | None:
        return option or (setting and home.resolve(setting))

    certificate = chosen(options.tls_cert, settings.tls_cert)
    private_key = chosen(options.tls_key, settings.tls_key)
    authorities = chosen(options.client_ca, settings.client_ca)
    if (certificate is None) != (private_key is None):
        raise InputError("tls_cert and tls_key belong together")
    if certificate is None and authorities is not None:
        raise InputError("client_ca needs tls_cert and tls_key")
    return Listening(
        host=options.host or settings.host,
        port=settings.port if options.port is None else options.port,
        unix_socket=chosen(options.unix_socket, settings.unix_socket),
        tls=Tls(certificate, private_key, authorities) if certificate and private_key else None,
        behind_proxy=settings.behind_proxy,
        require_client_certificate=settings.require_client_certificate,
        allow_plain_http=settings.allow_plain_http,
    )


def raise_file_limit() -> None:
    """As many open files as the system allows us: the usual 1,024 are not enough for a crowd of idle connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
