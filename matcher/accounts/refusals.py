"""Refused acts in the audit chain: who asked for what they may not do."""

from __future__ import annotations

from matcher.audit import append_row
from matcher.bureau.office import Office


class RefusedActs:
    def __init__(self, office: Office) -> None:
        self._office = office

    def record_refusal(self, *, actor: str, subject: str, code: str, **detail: object) -> None:
        """One audit row for one refused act. Neither ``subject`` nor ``detail`` may repeat what the caller sent."""
        with self._office.writing() as database:
            append_row(
                database,
                at=self._office.clock.now(),
                actor=actor,
                action="refused",
                subject=subject,
                detail={"code": code, **detail},
            )
