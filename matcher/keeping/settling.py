"""Saying what a restored home may have lost, and doing what follows from it (matcher.keeping.restored).

That something may be lost is one person's word: it costs work and breaks nothing. That nothing was lost lets keys,
budgets and numbers go on as the backup has them, so two of the home's operators say it, both registered before the
backup was made: one proposes with a reason, and another signs the same words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from keys.clock import Clock
from keys.database import open_database, write_transaction
from keys.envelope import AlreadySigned, add_signature, claimed_signers, sign_envelope, unverified_payload
from keys.files import fsync_folder
from keys.identity import Identity
from keys.keystore import KeyStore
from keys.operators import OperatorNotAllowed, Role
from matcher.audit import append_row
from matcher.keeping.restored import MARK, STORES, Mark, find_mark, open_keys, write_mark
from matcher.province.ledger import Ledger
from psi.errors import InputError

SETTLEMENT_TYPE = "application/vnd.mingce.restore-settlement+json"
SETTLEMENT_FORMAT = "mingce-restore-settlement/1"


class RestoreSettled(InputError):
    """This home waits for nothing of the kind."""

    code = "restore_settled"


class SettlementDiffers(InputError):
    """Another reason waits for its second signature than the one given; ``params["reason"]`` is the one that waits."""

    code = "settlement_differs"


@dataclass(frozen=True)
class Settled:
    """What settling did: the epochs that it ended, as ``dataset/epoch``; ``waits``: for a second operator, and the home
    still for its word."""

    nothing_lost: bool
    ended_epochs: tuple[str, ...] = ()
    waits: bool = False
    reason: str = ""


def settle_with_loss(home: Path, clock: Clock, *, actor: str, reason: str) -> Settled:
    """Something may be lost: end a sender's epochs, and let the work go on.

    A kill leaves the mark: call it again. Raises RestoreSettled, InputError without a reason, DatabaseBusy.
    """
    _require_mark(home)
    _require_reason(reason)
    ended = _end_epochs(home, clock, actor)
    _finish(home, clock, actor, {"reason": reason, "nothing_lost": False, "ended_epochs": ended})
    return Settled(False, tuple(ended), reason=reason)


def settle_without_loss(home: Path, clock: Clock, signer: Identity, *, actor: str, reason: str = "") -> Settled:
    """Nothing was lost: the first operator's word waits in the mark; the second's, on the same reason, takes effect.

    Raises RestoreSettled, InputError without a reason, SettlementDiffers, OperatorNotAllowed (none of this home when
    the backup was made, or without the role), AlreadySigned, SignerUnknown, SignatureInvalid, DatabaseBusy.
    """
    mark = _require_mark(home)
    keys = open_keys(home, clock, actor)
    try:
        if not mark.proposal:
            payload = _payload(keys, mark, _require_reason(reason))
            _require_operator(keys, mark, signer, "propose")
            write_mark(home, mark, sign_envelope(signer, SETTLEMENT_TYPE, payload).decode())
            return Settled(True, waits=True, reason=reason)
        proposal = mark.proposal.encode()
        proposed = str(json.loads(unverified_payload(proposal)).get("reason"))
        if reason.strip() and reason != proposed:
            raise SettlementDiffers("another reason waits to be signed", reason=proposed)
        if signer.public.fingerprint in claimed_signers(proposal):
            raise AlreadySigned("signed by this key already", fingerprint=signer.public.fingerprint)
        _require_operator(keys, mark, signer, "approve")
        signed = add_signature(proposal, signer)
        opened = keys.operators.open_decision(signed, SETTLEMENT_TYPE)
        for one in opened.signers:
            _require_registered(mark, one.fingerprint)
        if opened.payload != _payload(keys, mark, proposed):
            raise SettlementDiffers("what waits is about another restore", reason=proposed)
    finally:
        keys.close()
    detail = {"reason": proposed, "nothing_lost": True, "ended_epochs": [], "signed": signed.decode()}
    _finish(home, clock, actor, detail)
    return Settled(True, reason=proposed)


def _payload(keys: KeyStore, mark: Mark, reason: str) -> bytes:
    """What is signed. It names the home and the restore, so that it settles no other."""
    document = {
        "format": SETTLEMENT_FORMAT,
        "home": keys.get_public_identity().fingerprint,
        "backup_made_at": mark.made_at,
        "restored_at": mark.restored_at,
        "nothing_lost": True,
        "reason": reason,
    }
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _require_mark(home: Path) -> Mark:
    mark = find_mark(home)
    if mark is None:
        raise RestoreSettled("this home was not restored, or it is settled")
    return mark


def _require_reason(reason: str) -> str:
    if not reason.strip():
        raise InputError("settling a restore needs a reason")
    return reason


def _require_operator(keys: KeyStore, mark: Mark, signer: Identity, role: Role) -> None:
    keys.operators.require(signer.public.fingerprint, role)
    _require_registered(mark, signer.public.fingerprint)


def _require_registered(mark: Mark, fingerprint: str) -> None:
    """Whoever has a restored home to themselves could register two keys in it. Raises OperatorNotAllowed."""
    if fingerprint not in mark.operators:
        raise OperatorNotAllowed("registered after the backup was made", role="propose")


def _finish(home: Path, clock: Clock, actor: str, detail: dict[str, object]) -> None:
    """Its record beside the keys and, where there is one, in the audit chain; then the end of the mark."""
    keys = open_keys(home, clock, actor)
    try:
        keys.record_settlement(json.dumps(detail, ensure_ascii=False))
    finally:
        keys.close()
    for name, migrations in STORES.items():
        if not (home / name).exists():
            continue
        database = open_database(home / name, migrations)
        try:
            if database["audit"].exists():
                at, action = clock.now(), "restore.settle"
                with write_transaction(database):
                    append_row(database, at=at, actor=actor, action=action, subject="home", detail=detail)
        finally:
            database.close()
    (home / MARK).unlink()
    fsync_folder(home)


def _end_epochs(home: Path, clock: Clock, actor: str) -> list[str]:
    """Of a sender: every epoch that was or could have been served. Nothing at other parties."""
    if not (home / "province.sqlite").exists():
        return []
    keys, ledger = open_keys(home, clock, actor), Ledger.open(home, clock)
    ended = []
    try:
        for epoch in keys.list_epochs():
            if epoch.state == "pending":  # it may have been served after the backup
                keys.activate_epoch(epoch.dataset, epoch.epoch)
            if epoch.state in ("pending", "active"):
                keys.expire_epoch(epoch.dataset, epoch.epoch)
                ended.append(f"{epoch.dataset}/{epoch.epoch}")
        ledger.record_key_events(keys.list_events())
    finally:
        ledger.close()
        keys.close()
    return ended
