"""Serving an application until it is told to stop: the same for every endpoint."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from starlette.types import ASGIApp

from api.connections import GuardedServer
from api.limits import Limits
from api.listening import Listening
from api.logs import configure_logging
from keys.database import require_sound_disk


def serve(
    create: Callable[[], ASGIApp],
    listening: Listening,
    limits: Limits,
    on_listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests finish, within SHUTDOWN_S; log to standard error.

    ``on_listening`` hears the address once connections are taken. Raises AddressInUse, TlsFilesInvalid, what
    ``create`` raises; DatabaseUnavailable when it ended because the disk failed: the service manager starts it anew.
    """
    configure_logging(sys.stderr)
    app = create()
    required = listening.require_client_certificate
    tls = None if listening.tls is None else listening.tls.context(require_client_certificate=required)
    with listening.open() as listener:
        port = 0 if listening.unix_socket is not None else listener.getsockname()[1]
        on_listening(listening.address(port))
        gc.freeze()  # what is there now stays: the collector need not look at it with every request
        GuardedServer(app, limits, tls).run(sockets=[listener])
    require_sound_disk()
