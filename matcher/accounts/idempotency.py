"""The same request twice is one change: a double click, or an answer that was lost on its way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from matcher.bureau.actors import Actor
from matcher.bureau.bulk import Outcome, run_each_within
from matcher.bureau.office import Office
from psi.errors import InputError

_KEY = re.compile(r"[!-~]{1,64}")


class IdempotencyConflict(InputError):
    """The key was used before, with another request."""

    code = "idempotency_conflict"


class IdempotencyKeyInvalid(InputError):
    """A key is 1 to 64 printable ASCII characters."""

    code = "idempotency_key_invalid"


class Idempotency:
    """What each account's keys stand for."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def run(
        self, actor: Actor, key: str | None, request: Mapping[str, Any], do: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """:meth:`run_within` in a transaction of its own."""
        with self._office.writing():
            return self.run_within(actor, key, request, do)

    def run_each(
        self,
        actor: Actor,
        key: str | None,
        request: Mapping[str, Any],
        ids: Iterable[int],
        do: Callable[[int], int | None],
    ) -> list[Outcome]:
        """``do`` for each id, in one transaction; one that is refused leaves nothing behind and stops no other.

        Where a person names the ids, ``request`` holds them too.
        """

        def do_each() -> dict[str, Any]:
            return {"outcomes": [vars(one) for one in run_each_within(self._office.database, actor, ids, do)]}

        return [Outcome(**one) for one in self.run(actor, key, request, do_each)["outcomes"]]

    def run_within(
        self, actor: Actor, key: str | None, request: Mapping[str, Any], do: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """What ``do`` returns, or what it returned when this account first sent ``key``; inside a transaction.

        ``request`` names what is asked, the operation included (JSON); a digest of it is kept. What ``do`` returns
        is kept as JSON and may hold no personal data. An error undoes the whole transaction, so nothing is
        kept and the same key may try again. Without a key ``do`` just runs.
        Raises IdempotencyConflict, IdempotencyKeyInvalid.
        """
        if key is None:
            return do()
        if not _KEY.fullmatch(key):
            raise IdempotencyKeyInvalid("not 1 to 64 printable ASCII characters")
        digest = self._office.digest(request)
        known = self._office.database.execute(
            "SELECT request_digest, outcome FROM idempotency WHERE account = ? AND key = ?", [actor.name, key]
        ).fetchone()
        if known is not None:
            if known[0] != digest:
                raise IdempotencyConflict("the key stands for another request")
            return dict(json.loads(known[1]))
        outcome = json.dumps(do(), ensure_ascii=False, allow_nan=False)
        self._office.database.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)", [actor.name, key, digest, outcome, self._office.now()]
        )
        return dict(json.loads(outcome))
