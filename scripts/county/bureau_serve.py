"""``mingce bureau serve``: the console, and the JSON interface beside it."""

from __future__ import annotations

from scripts.county.acting import open_office
from scripts.county.checking import open_links
from scripts.home import ConfigOption, open_home
from scripts.sending.serving import (
    AddressFileOption,
    HostOption,
    PortOption,
    ServeOptions,
    TlsCertOption,
    TlsKeyOption,
    UnixSocketOption,
    announce,
    listening_for,
    raise_file_limit,
)


def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    unix_socket: UnixSocketOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    address_file: AddressFileOption = None,
) -> None:
    """Serve the console, and JSON under /v1, until stopped (Ctrl-C or SIGTERM lets running requests finish).

    Example: mingce bureau serve --port 8444
    """
    from api.bureau_endpoint import serve_bureau  # loaded for this alone: it takes as long as most commands
    from api.console.app import Site

    home = open_home(config, "bureau")
    options = ServeOptions(host, port, unix_socket, tls_cert, tls_key)
    listening = listening_for(home, home.settings.serve, options)
    raise_file_limit()
    office = open_office(home)
    serve_bureau(
        office,
        Site(home.settings.name, demo=home.settings.demo, townships=home.settings.townships),
        second_factor=home.settings.sign_in.second_factor,
        links=open_links(home),
        listening=listening,
        on_listening=announce(address_file),
    )
