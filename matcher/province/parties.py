"""The part of the ledger that says who is who: parties, legal entities, datasets, grants."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from keys.epochs import check_name
from keys.identity import PublicIdentity
from matcher.province.records import (
    Dataset,
    Grant,
    LabelSchemaChanged,
    Party,
    PartyConflict,
    PartyState,
    ReceiverRefused,
    UnknownRecord,
)
from matcher.province.store import ProvinceStore
from psi.edition import LabelSchema
from psi.errors import InputError

DIVISION_PATTERN = re.compile(r"[0-9]{6}")
MAX_ENTITY_CHARACTERS = 200

_PARTY_BY_FINGERPRINT = "SELECT * FROM party WHERE fingerprint = ?"
_PARTY_BY_NAME = "SELECT * FROM party WHERE name = ?"


class Parties:
    """A party is named by its fingerprint. ``actor`` goes into the audit row: who did it."""

    def __init__(self, store: ProvinceStore) -> None:
        self._store = store

    @property
    def store(self) -> ProvinceStore:
        """For what else is kept in the same file, in the same transactions."""
        return self._store

    def register_party(self, identity: PublicIdentity, *, entity: str | None = None, actor: str = "province") -> Party:
        """Register a bank or bureau; again with the same key it changes nothing.

        ``entity`` is the legal entity it acts for, else one of the party's own name. Whoever acts for an
        entity shares its budgets, so another key for the same bank is registered under the same entity.
        Raises PartyConflict if the name stands for another key or the key for another name, kind or
        entity: a changed key is a new party under a new name, and no party changes its entity.
        """
        with self._store.writing() as db:
            known = self._store.find_row(_PARTY_BY_FINGERPRINT, identity.fingerprint)
            if known is None:
                if self._store.find_row(_PARTY_BY_NAME, identity.name):
                    raise PartyConflict("the name belongs to another key", name=identity.name)
                now, entity = self._store.now(), entity_name(identity.name if entity is None else entity)
                db.execute("INSERT INTO entity VALUES (?, ?) ON CONFLICT DO NOTHING", (entity, now))
                db.execute(
                    "INSERT INTO party (fingerprint, name, kind, verify_key, state, registered_at, entity)"
                    " VALUES (?, ?, ?, ?, 'active', ?, ?)",
                    (identity.fingerprint, identity.name, identity.kind, identity.verify_key, now, entity),
                )
                detail = {"name": identity.name, "kind": identity.kind, "entity": entity}
                self._store.audit(actor, "register_party", identity.fingerprint, **detail)
            elif (known["name"], known["kind"]) != (identity.name, identity.kind):
                raise PartyConflict("the key belongs to another name or kind", name=known["name"])
            elif entity is not None and known["entity"] != entity_name(entity):
                raise PartyConflict("the key belongs to another legal entity", entity=known["entity"])
            return self._get_party(identity.fingerprint)

    def set_party_state(self, fingerprint: str, state: PartyState, *, actor: str = "province") -> None:
        """``suspended`` shuts a party out at once, ``active`` lets it in again. Raises UnknownRecord."""
        with self._store.writing() as db:
            self._get_party(fingerprint)
            db.execute("UPDATE party SET state = ? WHERE fingerprint = ?", (state, fingerprint))
            self._store.audit(actor, "set_party_state", fingerprint, state=state)

    def find_party_by_fingerprint(self, fingerprint: str) -> Party | None:
        with self._store.reading():
            row = self._store.find_row(_PARTY_BY_FINGERPRINT, fingerprint)
        return Party.from_row(row) if row else None

    def get_party(self, name: str) -> Party:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_party(name, by=_PARTY_BY_NAME)

    def list_parties(self) -> list[Party]:
        with self._store.reading() as db:
            return [Party.from_row(row) for row in db.query("SELECT * FROM party ORDER BY name")]

    def has_entity(self, name: str) -> bool:
        """Whether a registered party acts for this legal entity."""
        with self._store.reading():
            return self._store.find_row("SELECT 1 FROM entity WHERE name = ?", name) is not None

    def register_dataset(
        self,
        name: str,
        *,
        title: str,
        label_schema: Mapping[str, object],
        receivers: Collection[str] = ("bank", "bureau"),
        actor: str = "province",
    ) -> Dataset:
        """Create a dataset for parties of these kinds. Raises InputError if the name is not usable or is taken."""
        check_name(name, "dataset")
        with self._store.writing() as db:
            if self._store.find_row("SELECT 1 FROM dataset WHERE name = ?", name):
                raise InputError("the dataset exists already", dataset=name)
            schema = json.dumps(label_schema, ensure_ascii=False)
            db.execute(
                "INSERT INTO dataset (name, title, label_schema, created_at, receivers) VALUES (?, ?, ?, ?, ?)",
                (name, title, schema, self._store.now(), json.dumps(sorted(receivers))),
            )
            self._store.audit(actor, "register_dataset", name, label_schema=label_schema, receivers=sorted(receivers))
            return self._get_dataset(name)

    def require_label(self, dataset: str, label: LabelSchema, receivers: Collection[str]) -> None:
        """Raises LabelSchemaChanged unless the dataset was registered with this schema for these kinds of party.

        Else another schema would reach whoever was granted the first. Raises UnknownRecord.
        """
        known = self.get_dataset(dataset)
        registered = known.label_schema.get("schema"), known.label_schema.get("fields"), known.receivers
        if registered != (label.schema_name, list(label.fields), frozenset(receivers)):
            raise LabelSchemaChanged(
                "the dataset was registered with another label schema, or for others",
                dataset=dataset,
                registered=registered[0],
                wanted=label.schema_name,
            )

    def set_current_epoch(self, dataset: str, epoch: str, *, actor: str = "province") -> None:
        """Name the epoch that callers should use. Raises UnknownRecord."""
        check_name(epoch, "epoch")
        with self._store.writing() as db:
            self._get_dataset(dataset)
            db.execute("UPDATE dataset SET current_epoch = ? WHERE name = ?", (epoch, dataset))
            self._store.audit(actor, "set_current_epoch", dataset, epoch=epoch)

    def get_dataset(self, name: str) -> Dataset:
        """Raises UnknownRecord."""
        with self._store.reading():
            return self._get_dataset(name)

    def list_datasets(self, *, granted_to: str | None = None) -> list[Dataset]:
        """All datasets, or those granted to one party (its fingerprint)."""
        with self._store.reading() as db:
            rows = db.query(
                "SELECT * FROM dataset WHERE :party IS NULL"
                " OR name IN (SELECT dataset FROM grant WHERE party = :party) ORDER BY name",
                {"party": granted_to},
            )
            return [Dataset.from_row(row) for row in rows]

    def grant(self, party: str, dataset: str, *, divisions: Sequence[str] | None, actor: str = "province") -> None:
        """Let a party (its fingerprint) use a dataset: slices of these divisions, or of all (None).

        Replaces an earlier grant. Raises UnknownRecord, InputError, ReceiverRefused.
        """
        for division in divisions or ():
            if not DIVISION_PATTERN.fullmatch(division):
                raise InputError("a division is six digits", division=division)
        listed = None if divisions is None else sorted(set(divisions))
        with self._store.writing() as db:
            self.require_receiver(dataset, self._get_party(party).kind)
            row = (party, dataset, None if listed is None else json.dumps(listed), self._store.now())
            db.execute("INSERT OR REPLACE INTO grant VALUES (?, ?, ?, ?)", row)
            self._store.audit(actor, "grant", party, dataset=dataset, divisions=listed)

    def require_receiver(self, dataset: str, kind: str) -> None:
        """Raises ReceiverRefused if the dataset is not for parties of this kind, UnknownRecord."""
        receivers = self.get_dataset(dataset).receivers
        if kind not in receivers:
            raise ReceiverRefused(
                "the dataset is not for such a party",
                dataset=dataset,
                kind=kind,
                receivers=", ".join(sorted(receivers)),
            )

    def revoke(self, party: str, dataset: str, *, actor: str = "province") -> None:
        """Take a grant back. Raises UnknownRecord if there is none."""
        with self._store.writing() as db:
            if db.execute("DELETE FROM grant WHERE party = ? AND dataset = ?", (party, dataset)).rowcount != 1:
                raise UnknownRecord("no such grant", dataset=dataset)
            self._store.audit(actor, "revoke", party, dataset=dataset)

    def find_grant(self, party: str, dataset: str) -> Grant | None:
        with self._store.reading():
            row = self._store.find_row("SELECT * FROM grant WHERE party = ? AND dataset = ?", party, dataset)
        return Grant.from_row(row) if row else None

    def _get_party(self, value: str, *, by: str = _PARTY_BY_FINGERPRINT) -> Party:
        row = self._store.find_row(by, value)
        if row is None:
            raise UnknownRecord("no such party")
        return Party.from_row(row)

    def _get_dataset(self, name: str) -> Dataset:
        row = self._store.find_row("SELECT * FROM dataset WHERE name = ?", name)
        if row is None:
            raise UnknownRecord("no such dataset")
        return Dataset.from_row(row)


def entity_name(text: str) -> str:
    """A legal entity's name in the one spelling that is stored: NFKC, single spaces. Raises InputError."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not 1 <= len(name) <= MAX_ENTITY_CHARACTERS or not name.isprintable():
        raise InputError("a legal entity has a name of 1 to 200 printable characters")
    return name
