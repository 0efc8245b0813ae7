"""A line to a console over which answers get lost: real connections, broken after the server has done its part."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset
_BETWEEN = {"connection", "keep-alive", "transfer-encoding"}  # of one connection, not of the message


@dataclass
class BrokenLine:
    """``lost``: how many answers to each step (the path's last part) never arrived whole. Of a step's answers the
    first breaks off before its first byte, the second in its middle; from then on the line holds."""

    url: str
    steps: re.Pattern[str]
    lost: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def bytes_to_send(self, path: str, answer: bytes) -> int:
        """How much of an answer gets through."""
        if not self.steps.search(path):
            return len(answer)
        step = path.rsplit("/", 1)[1]
        with self.lock:
            if self.lost[step] == 2:
                return len(answer)
            self.lost[step] += 1
            return 0 if self.lost[step] == 1 else len(answer) - 5


@contextmanager
def broken_line(url: str, steps: re.Pattern[str]) -> Iterator[BrokenLine]:
    """Over which the requests whose path ``steps`` finds lose their first answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            try:
                asked.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    asked.putheader(name, value)
                asked.endheaders(body or None)
                found = asked.getresponse()
                content = found.read()
            finally:
                asked.close()
            answer = _whole(found, content)
            sent = line.bytes_to_send(self.path, answer)
            self.wfile.write(answer[:sent])
            if sent < len(answer):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                self.connection.close()

        def finish(self) -> None:
            if self.connection.fileno() != -1:
                super().finish()

        def log_message(self, format: str, *args: object) -> None:
            """Tests say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    line = BrokenLine(f"http://127.0.0.1:{server.server_address[1]}", steps)
    thread = threading.Thread(target=server.serve_forever, name="broken line")
    thread.start()
    try:
        yield line
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _whole(found: http.client.HTTPResponse, content: bytes) -> bytes:
    lines = [f"HTTP/1.1 {found.status} {found.reason}"]
    lines += [
        f"{name}: {value}" for name, value in found.getheaders() if name.lower() not in _BETWEEN | {"content-length"}
    ]
    lines += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + content
