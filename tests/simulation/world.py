"""One province and its banks, all real: stores on disk, cryptography, the ASGI application, the client.

Only three things are made up: the line between them (network.py), their clocks, and death (mortal.py). The world
is driven by test_simulation.py and knows how today's interfaces are called; nothing here says what should come out.
"""

from __future__ import annotations

import io
import random
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import expected
from expected import Sent
from hosts import BANKS, BEGIN, DATASET, HEADINGS, IDENTITIES, KEK, PROVINCE_NAME, STORE_SECRET, Bank, Province
from mortal import Killed, Mortal
from network import Answer

from api.logs import configure_logging
from keys.clock import SettableClock
from keys.keystore import KeyStore
from matcher.bank.store import BankStore
from matcher.province.ledger import Ledger
from matcher.province.records import PartyState
from psi.edition import LabelSchema

LIKE_A_TEST_NUMBER = re.compile(rb"990000\d{11}[0-9X]")


@dataclass
class Clocks:
    """True time only goes on; a party's clock may be off by an offset."""

    now: datetime
    parties: dict[str, SettableClock]
    offsets: dict[str, timedelta]

    @classmethod
    def create(cls) -> Clocks:
        names = ["province", *BANKS]
        return cls(BEGIN, {name: SettableClock(BEGIN) for name in names}, dict.fromkeys(names, timedelta()))

    def go_on(self, time: timedelta) -> None:
        """And every clock is put right."""
        self.now += time
        self.offsets = dict.fromkeys(self.parties, timedelta())
        self._set()

    def put(self, party: str, offset: timedelta) -> None:
        self.offsets[party] = offset
        self._set()

    def _set(self) -> None:
        for name, clock in self.parties.items():
            clock.at = self.now + self.offsets[name]


class World:
    """Everything there is. ``model`` is what the province's plain model says about every request that arrived."""

    def __init__(self, folder: Path, template: Path, seed: int) -> None:
        shutil.copytree(template, folder)
        self.folder = folder
        self.random = random.Random(seed)
        self.clocks = Clocks.create()
        self.log = io.StringIO()
        configure_logging(self.log)
        self.model = expected.Province()
        self.held: list[tuple[Sent, dict[str, Any]]] = []  # requests that the network still has
        self._unsettled: Sent | None = None
        self.answers = bytearray()  # every refusal's and document's text since the last look
        self.banks = {name: Bank(folder / f"bank {name}", name, self.clocks.parties[name], seed) for name in BANKS}
        self.province = Province(folder / "province", self.clocks.parties["province"])
        self.province.start()

    @property
    def province_time(self) -> datetime:
        return self.clocks.parties["province"].now()

    def end(self) -> None:
        self.province.end()
        for party in (self.province, *self.banks.values()):
            del Mortal.living[party.home]
        shutil.rmtree(self.folder)

    def create_epoch(self, name: str) -> None:
        now = self.clocks.now
        span = {"not_before": now - timedelta(days=30), "not_after": now + timedelta(days=400)}
        self.province.keystore.create_epoch(DATASET, name, **span)

    def activate_epoch(self, name: str) -> None:
        assert self.province.rotation.activate(DATASET, name) == ""

    def expire_epoch(self, name: str) -> None:
        self.province.rotation.expire(DATASET, name)

    def destroy_epoch(self, name: str) -> None:
        self.province.rotation.destroy(DATASET, name, "演练")

    def set_budget(self, bank: str, epoch: str, limit: int, nightly: int) -> None:
        """Declared numbers of no consequence: the alarms on pace have tests of their own."""
        party = IDENTITIES[bank].public.fingerprint
        self.province.ledger.set_budget(party, DATASET, epoch, limit, nightly=nightly, expected=1_000_000)

    def set_party_state(self, bank: str, state: PartyState) -> None:
        self.province.ledger.set_party_state(IDENTITIES[bank].public.fingerprint, state)

    def deliver(self, sent: Sent, scope: dict[str, Any]) -> Answer:
        """A request arrives. Asserts that the answer is what the model says. Raises Killed."""
        due = self.model.answer(sent, self.clocks.parties["province"].at)
        try:
            answer = self.province.answer(scope, sent.body)
        except Killed:
            self._unsettled = sent
            raise
        status, headers, body = answer
        if dict(headers).get("content-type", "").endswith("json"):
            self.answers += body
        code = "ok" if status < 400 else _code(body)
        assert code == due, f"{sent.method} {sent.path} by {sent.bank}: {code}, and the model says {due}"
        return answer

    def raise_province(self) -> None:
        """Start the province again on what its death left."""
        self.province.stop()
        self.province.rise()
        self.province.start()
        sent, self._unsettled = self._unsettled, None
        if sent is not None and sent.is_evaluate and not self.province.has_charge(sent):
            self.model.charges.pop((sent.bank, sent.request_id), None)

    def older_manifest(self, bank: str, epoch: str) -> bytes | None:
        """The manifest of an edition below the highest that the bank accepted."""
        ((seen,),) = self.banks[bank].query("SELECT MAX(edition) FROM edition WHERE epoch = ?", epoch)
        older = [number for number in self.province.kept_editions(epoch) if number < (seen or 0)]
        if not older:
            return None
        folder = self.province.home / "editions" / DATASET / epoch / str(older[-1])
        return (folder / "public" / "manifest.json").read_bytes()


def make_template(folder: Path) -> None:
    """The homes as all worlds begin: one epoch, active, without an edition."""
    clock = SettableClock(BEGIN)
    home = folder / "province" / "0"
    home.mkdir(parents=True, mode=0o700)
    keystore = KeyStore(home, KEK, clock=clock, actor="simulation")
    keystore.create_identity(PROVINCE_NAME, "province")
    ledger = Ledger.open(home, clock)
    ledger.register_dataset(DATASET, title="基础名单库", label_schema=LabelSchema().model_dump(by_alias=True))
    for name, divisions in BANKS.items():
        party = ledger.register_party(IDENTITIES[name].public).fingerprint
        ledger.grant(party, DATASET, divisions=list(divisions))
        bank_home = folder / f"bank {name}" / "0"
        bank_home.mkdir(parents=True, mode=0o700)
        BankStore(bank_home, STORE_SECRET, clock).close()
    ledger.close()
    keystore.close()


def write_source(path: Path, people: Iterable[tuple[str, expected.Person]]) -> Path:
    rows = [person.as_row(item) for item, person in people]
    path.write_text("\n".join([HEADINGS, *rows]) + "\n", "utf-8")
    return path


def _code(body: bytes) -> str:
    found = re.search(rb'"code":"([a-z_]+)"', body)
    return found[1].decode() if found else "no problem document"
