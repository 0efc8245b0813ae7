"""How much one endpoint takes on, and for how long: every wait has an end and every buffer a bound."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The defaults suit one province host; tests set smaller ones.

    ``head_deadline_s``: from the connection, or the last answer on it, to the end of a request's head.
    ``body_deadline_s``: from the request's head to the last byte of its body.
    ``open_requests``: requests at once, downloads included. ``evaluations``: batches taken on
    at once, waiting ones included (at most 4 MiB each); ``evaluations_per_party``: how many of
    those one party may hold. ``evaluation_threads``: batches worked on at once; the kernel
    spreads each over all cores, so two keep it busy while one waits for the disk.
    ``unknown_refusals_per_minute``: audit rows that callers who prove nothing can cause.
    """

    head_deadline_s: float = 30.0
    body_deadline_s: float = 30.0
    open_requests: int = 256
    evaluations: int = 32
    evaluations_per_party: int = 8
    evaluation_threads: int = 2
    unknown_refusals_per_minute: int = 60
