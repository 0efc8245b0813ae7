"""A province that shows banks manifests, honest or not, and the bank stores that accept them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from keys.clock import SettableClock, format_time
from keys.envelope import sign_envelope
from keys.identity import Identity
from matcher.bank.store import BankStore
from psi.edition import PAYLOAD_TYPE, LabelSchema, Manifest

DATASET = "base"
PROVINCE = Identity("演示省", "province", bytes([9]) * 32)
BANK = Identity("演示银行", "bank", bytes([1]) * 32)
OTHER_BANK = Identity("另一银行", "bank", bytes([2]) * 32)


@dataclass
class Publisher:
    """Signs one epoch's editions 1, 2, 3 …, each naming its predecessor's hash."""

    epoch: str = "2026"
    key: bytes = bytes(32)
    signer: Identity = PROVINCE
    remark: str = ""
    days: int = 400
    payloads: list[bytes] = field(default_factory=list)

    def publish(self, count: int = 1) -> None:
        for _ in range(count):
            now = SettableClock().now()
            previous = hashlib.sha256(self.payloads[-1]).hexdigest() if self.payloads else None
            manifest = Manifest(
                dataset=DATASET,
                epoch=self.epoch,
                edition=len(self.payloads) + 1,
                public_key=self.key.hex(),
                fingerprint=hashlib.sha256(self.key).hexdigest(),
                created_at=format_time(now),
                not_before=format_time(now),
                not_after=format_time(now + timedelta(days=self.days)),
                label=LabelSchema(),
                divisions={"330922": f"嵊泗县{self.remark}"},
                slices=(),
                previous=previous,
            )
            self.payloads.append(manifest.encode())

    def fork(self, remark: str) -> Publisher:
        """The same history so far; what is published from here on is another."""
        return Publisher(self.epoch, self.key, self.signer, remark, self.days, list(self.payloads))

    def show(self, store: BankStore, *editions: int) -> None:
        for edition in editions:
            envelope = sign_envelope(self.signer, PAYLOAD_TYPE, self.payloads[edition - 1])
            store.editions.accept(envelope, self.signer.public, DATASET, self.epoch)


def open_store(home: Path, clock: SettableClock | None = None) -> BankStore:
    home.mkdir(exist_ok=True)
    return BankStore(home, bytes([5]) * 32, clock or SettableClock())
