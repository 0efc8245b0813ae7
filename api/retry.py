"""When to try again, and how long to wait before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity
from tenacity import RetryCallState
from tenacity.wait import wait_base

from psi.errors import MingceError

T = TypeVar("T")


class ProvinceUnavailable(MingceError):
    """The province did not answer, or asked to come later, until patience ended. Params: attempts, problem."""

    code = "province_unavailable"


class TryLater(Exception):
    """One attempt failed in a way that may pass. Never leaves this package."""

    def __init__(self, problem: str, retry_after_s: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with full jitter: a random wait up to first_wait_s * 2^k, at most longest_wait_s.

    A Retry-After of the server is waited for, as far as longest_wait_s allows.
    """

    attempts: int = 8
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0


class Retrier:
    """Runs one call under a policy. ``stop`` ends all waiting at once, from any thread."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def call(self, attempt: Callable[[], T]) -> T:
        """The result of the first attempt that does not raise TryLater. Raises ProvinceUnavailable."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryLater),
            stop=tenacity.stop_after_attempt(self._policy.attempts) | tenacity.stop_when_event_set(self._stopped),
            wait=_Wait(self._policy),
            sleep=tenacity.sleep_using_event(self._stopped),
            retry_error_callback=_give_up,
        )
        return retrying(attempt)


class _Wait(wait_base):
    def __init__(self, policy: RetryPolicy) -> None:
        self._longest_wait_s = policy.longest_wait_s
        self._back_off = tenacity.wait_random_exponential(multiplier=policy.first_wait_s, max=policy.longest_wait_s)

    def __call__(self, retry_state: RetryCallState) -> float:
        wait_s = self._back_off(retry_state)
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, TryLater) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, self._longest_wait_s))
        return wait_s


def _give_up(retry_state: RetryCallState) -> T:  # type: ignore[type-var]
    error = retry_state.outcome.exception() if retry_state.outcome else None
    raise ProvinceUnavailable(
        f"no answer after {retry_state.attempt_number} attempts: {error}",
        attempts=retry_state.attempt_number,
        problem=str(error),
    )
