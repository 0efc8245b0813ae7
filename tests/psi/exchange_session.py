"""One honest session of the one-shot exchange, for the tests to spoil."""

from __future__ import annotations

import private_set_intersection.python as openmined

from psi.exchange import Requester, Responder


def number(index: int) -> str:
    return f"990000{index:011d}{'X' if index % 11 == 7 else index % 10}"


def packed(indices: list[int]) -> bytes:
    return "".join(map(number, indices)).encode()


class Session:
    """One honest run: 8 of the requester's 12 numbers are among the responder's 30."""

    def __init__(self) -> None:
        self.requested = list(range(22, 34))
        self.requester, self.request = Requester.create(packed(self.requested))
        self.responder = Responder(packed(list(range(30))), max_requested=20)
        self.setup = self.responder.setup
        self.response = self.responder.respond(self.request)
        self.positions = list(range(8))

    def parsed_setup(self) -> openmined.ServerSetup:
        return openmined.ServerSetup.FromString(self.setup)

    def parsed_request(self) -> openmined.Request:
        return openmined.Request.FromString(self.request)

    def parsed_response(self) -> openmined.Response:
        return openmined.Response.FromString(self.response)
