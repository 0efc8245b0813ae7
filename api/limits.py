"""How much one endpoint takes on, and for how long: every wait has an end and every buffer a bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The defaults suit one province host; tests set smaller ones.

    ``handshake_deadline_s``: from a connection to the end of its TLS handshake.
    ``head_deadline_s``: from the connection, or the last answer on it, to the end of a request's head.
    ``body_deadline_s``: from the request's head to the last byte of its body.
    ``stall_deadline_s``: after so long, a caller who took less than a kilobyte a second of its answer is cut off.
    ``waiting_connections``: connections that wait for a head; the one that waited longest makes room for another.
    ``open_requests``: signed requests at once, downloads included; ``open_requests_per_party``: how many of
    those one party may hold. ``refused_bodies``: callers who were refused and may still send their body to the end.
    ``authentications``: signatures waiting to be checked; ``authentication_threads`` check them.
    ``evaluations``: batches taken on at once, waiting ones included (at most 4 MiB each);
    ``evaluations_per_party``: how many of those one party may hold. ``evaluation_threads``: batches worked on
    at once; the kernel spreads each over all cores, so two keep it busy while one waits for the disk.
    ``key_check_s``: how often the keys of expired epochs are looked for, to be forgotten.
    ``unknown_refusals_per_minute``: audit rows that callers who prove nothing can cause.
    """

    handshake_deadline_s: float = 10.0
    head_deadline_s: float = 30.0
    body_deadline_s: float = 30.0
    stall_deadline_s: float = 60.0
    waiting_connections: int = 2_000
    open_requests: int = 256
    open_requests_per_party: int = 64
    refused_bodies: int = 32
    authentications: int = 128
    authentication_threads: int = 2
    evaluations: int = 32
    evaluations_per_party: int = 8
    evaluation_threads: int = 2
    key_check_s: float = 2.0
    unknown_refusals_per_minute: int = 60
