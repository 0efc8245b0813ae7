"""Trials are computed in a thread of their own, one at a time, so that nobody's page waits for one."""

from __future__ import annotations

import threading

import structlog

from matcher.bureau.office import Office
from matcher.households.trials import Trials
from psi.errors import MingceError

_log = structlog.get_logger()


class TrialWorker:
    """What this process is computing. A trial that is running and not here belonged to a process that ended."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._turn = threading.Lock()
        self._known = threading.Lock()
        self._present: set[int] = set()

    def start(self, trial_id: int) -> None:
        """Again it changes nothing while it runs."""
        with self._known:
            if trial_id in self._present:
                return
            self._present.add(trial_id)
        threading.Thread(target=self._run, args=(trial_id,), name=f"trial {trial_id}", daemon=True).start()

    def is_at_work(self, trial_id: int) -> bool:
        with self._known:
            return trial_id in self._present

    def _run(self, trial_id: int) -> None:
        try:
            with self._turn:
                Trials(self._office).compute(trial_id)
        except MingceError as error:  # the store is gone: who looks is told that the trial was interrupted
            _log.warning("trial_interrupted", trial=trial_id, code=error.code)
        finally:
            with self._known:
                self._present.discard(trial_id)
