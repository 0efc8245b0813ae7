"""Two datasets of one sender: each its own key, rows, receivers and budgets, and nothing of one opens in the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from operators_home import keystore_with_operators

from keys.clock import SettableClock
from keys.identity import Identity
from keys.keystore import KeyStore
from matcher.bank.editions import ManifestRefused
from matcher.bank.store import BankStore
from matcher.generate import CountySpec, generate_county
from matcher.province.editions import Edition
from matcher.province.ledger import Ledger
from matcher.province.plan import DatasetPlan
from matcher.province.publisher import Publisher
from matcher.province.records import BudgetExhausted, LabelSchemaChanged, NotGranted, ReceiverRefused
from matcher.schemas import KUOZHONG, ListSchema, get_schema
from matcher.tables import read_labelled_list
from psi.edition import unpack_labels
from psi.errors import LabelInvalid
from psi.identifiers import check_character
from psi.lookup import find_labels
from psi.oprf import MODE_VOPRF, evaluate

EPOCH, COUNTY = "2026", "330922"
BUREAU = Identity("演示县财政局", "bureau", bytes([3]) * 32)
OTHER_BUREAU = Identity("另一县财政局", "bureau", bytes([4]) * 32)
BANK = Identity("演示银行", "bank", bytes([1]) * 32)


def number(person: int) -> str:
    body = f"3399001980{person % 12 + 1:02d}01{person:03d}"
    return body + check_character(body)


@dataclass
class Office:
    """A sender with two datasets whose lists name the same people."""

    home: Path
    keystore: KeyStore
    ledger: Ledger
    publisher: Publisher

    def add(self, name: str, schema: ListSchema) -> DatasetPlan:
        clock = SettableClock()
        self.ledger.register_dataset(
            name,
            title=schema.title,
            label_schema=schema.label().model_dump(mode="json", by_alias=True),
            receivers=schema.receivers,
        )
        self.keystore.create_epoch(name, EPOCH, not_before=clock.now(), not_after=clock.now() + timedelta(days=400))
        self.keystore.activate_epoch(name, EPOCH)
        self.ledger.set_current_epoch(name, EPOCH)
        return DatasetPlan(name, EPOCH, schema=schema, division=COUNTY, bucket=16)

    def refresh(self, plan: DatasetPlan, *lines: str) -> Edition:
        source = self.home.parent / f"{plan.dataset}.csv"
        source.write_text("\n".join(lines), "utf-8")
        outcome, rejects = self.publisher.refresh(plan, source)
        assert (outcome.outcome, rejects) == ("published", [])
        assert outcome.edition is not None
        return self.publisher.folders.read(plan.dataset, EPOCH, outcome.edition)

    def outputs(self, dataset: str, *people: int) -> bytes:
        items = "".join(map(number, people)).encode()
        return evaluate(MODE_VOPRF, self.keystore.open_epoch_key(dataset, EPOCH), items, 18)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    home, clock = tmp_path / "office", SettableClock()
    home.mkdir(mode=0o700)
    keystore = keystore_with_operators(home, clock, "department")
    ledger = Ledger.open(home, clock)
    yield Office(home, keystore, ledger, Publisher(home, keystore, ledger, clock))
    ledger.close()
    keystore.close()


def publish_both(office: Office) -> dict[str, Edition]:
    plans = {name: office.add(name, get_schema(f"{name}/1")) for name in ("minzheng", "budongchan")}
    rows = {
        "minzheng": ["证件号码,救助类别,认定日期", *(f"{number(n)},低保,2024-01-05" for n in range(20))],
        "budongchan": ["证件号码,住房套数", *(f"{number(n)},2" for n in range(20))],
    }
    return {name: office.refresh(plan, *rows[name]) for name, plan in plans.items()}


def found(edition: Edition, outputs: bytes) -> list[dict[str, str]]:
    matches = find_labels(list(edition.open_slices().values()), outputs, edition.manifest)
    fields = unpack_labels(matches.labels, edition.manifest.label)
    return [{name: str(column[place]) for name, column in fields.items()} for place in range(len(matches.positions))]


def test_each_has_a_key_and_labels_of_its_own(office: Office) -> None:
    editions = publish_both(office)
    manifests = [edition.manifest for edition in editions.values()]
    assert len({manifest.public_key for manifest in manifests}) == 2
    assert [(m.label.schema_name, m.label.width) for m in manifests] == [("minzheng/1", 32), ("budongchan/1", 24)]
    assert found(editions["minzheng"], office.outputs("minzheng", 3, 99)) == [
        {"assistance": "N10", "as_of": "2024-01-05"}
    ]
    assert found(editions["budongchan"], office.outputs("budongchan", 3)) == [{"homes": "2", "as_of": ""}]


def test_the_outputs_of_one_find_nothing_in_the_other(office: Office) -> None:
    editions = publish_both(office)
    everybody = range(20)
    assert found(editions["minzheng"], office.outputs("budongchan", *everybody)) == []
    assert found(editions["budongchan"], office.outputs("minzheng", *everybody)) == []
    assert not _tags(editions["minzheng"]) & _tags(editions["budongchan"])


def test_rows_passed_off_as_the_other_datasets_do_not_open(office: Office) -> None:
    """Even under one key: the dataset's name is in every tag and label key."""
    edition = publish_both(office)["minzheng"]
    outputs = office.outputs("minzheng", *range(20))
    renamed = edition.manifest.model_copy(update={"dataset": "budongchan"})
    slices = list(edition.open_slices().values())
    assert find_labels(slices, outputs, renamed).positions == []
    other_epoch = edition.manifest.model_copy(update={"epoch": "2027"})
    assert find_labels(slices, outputs, other_epoch).positions == []
    with pytest.raises(LabelInvalid):
        _open_with_tags_of(edition, outputs)


def _open_with_tags_of(edition: Edition, outputs: bytes) -> None:
    """Rows whose tags are right but whose labels were sealed for another person."""
    (part,) = edition.open_slices().values()
    width = edition.manifest.label.sealed_width
    sealed = bytes(part.sealed_labels)
    turned = replace(part, sealed_labels=pa.py_buffer(sealed[width:] + sealed[:width]))
    find_labels([turned], outputs, edition.manifest)


def _tags(edition: Edition) -> set[bytes]:
    data = b"".join(bytes(part.tags) for part in edition.open_slices().values())
    return {data[at : at + 16] for at in range(0, len(data), 16)}


def test_a_dataset_is_for_the_kinds_of_party_that_its_schema_names(office: Office) -> None:
    publish_both(office)
    for identity in (BUREAU, BANK):
        office.ledger.register_party(identity.public)
    office.ledger.grant(BUREAU.public.fingerprint, "minzheng", divisions=[COUNTY])
    with pytest.raises(ReceiverRefused):
        office.ledger.grant(BANK.public.fingerprint, "minzheng", divisions=[COUNTY])
    assert office.ledger.find_grant(BANK.public.fingerprint, "minzheng") is None
    assert [dataset.name for dataset in office.ledger.list_datasets(granted_to=BUREAU.public.fingerprint)] == [
        "minzheng"
    ]
    office.ledger.verify_audit()


def test_budgets_are_apart(office: Office) -> None:
    publish_both(office)
    fingerprint = office.ledger.register_party(BUREAU.public).fingerprint
    for dataset in ("minzheng", "budongchan"):
        office.ledger.grant(fingerprint, dataset, divisions=[COUNTY])
    office.ledger.set_budget(fingerprint, "minzheng", EPOCH, 256)

    def charge(dataset: str, key: int) -> None:
        office.ledger.charge(
            party=fingerprint, dataset=dataset, epoch=EPOCH, idempotency_key=f"{key:032x}", body_sha256=bytes(32), n=256
        )

    charge("minzheng", 1)
    with pytest.raises(BudgetExhausted):
        charge("minzheng", 2)
    with pytest.raises(NotGranted):
        charge("budongchan", 3)
    office.ledger.set_budget(fingerprint, "budongchan", EPOCH, 256)
    charge("budongchan", 4)
    budgets = [office.ledger.find_budget(fingerprint, dataset, EPOCH) for dataset in ("minzheng", "budongchan")]
    assert [budget and budget.used for budget in budgets] == [256, 256]


def test_an_epoch_of_one_ends_without_the_other(office: Office) -> None:
    editions = publish_both(office)
    office.keystore.expire_epoch("minzheng", EPOCH)
    assert office.keystore.get_epoch("budongchan", EPOCH).state == "active"
    assert found(editions["budongchan"], office.outputs("budongchan", 1)) == [{"homes": "2", "as_of": ""}]


def test_a_dataset_keeps_its_schema_and_its_receivers(office: Office, tmp_path: Path) -> None:
    plan = office.add("minzheng", get_schema("minzheng/1"))
    source = tmp_path / "list.csv"
    source.write_text(f"证件号码,住房套数\n{number(1)},2\n", "utf-8")
    for changed in (
        replace(plan, schema=get_schema("budongchan/1")),
        replace(plan, schema=plan.schema.model_copy(update={"receivers": frozenset({"bank"})})),
        replace(plan, schema=plan.schema.model_copy(update={"fields": plan.schema.fields[:1]})),
    ):
        with pytest.raises(LabelSchemaChanged):
            office.publisher.refresh(changed, source)
        with pytest.raises(LabelSchemaChanged):
            office.publisher.import_list(changed, source)
    assert office.ledger.current_edition("minzheng", EPOCH) is None


def test_a_receiver_takes_only_the_schema_it_expects(office: Office, tmp_path: Path) -> None:
    editions = publish_both(office)
    sender = office.keystore.get_public_identity()
    envelope = editions["minzheng"].manifest_path.read_bytes()
    clock = SettableClock()
    right = BankStore(tmp_path / "right", bytes(32), clock, name="check", schema=get_schema("minzheng/1"))
    assert right.editions.accept(envelope, sender, "minzheng", EPOCH).manifest.label.fields == ("assistance", "as_of")
    for schema in (KUOZHONG, get_schema("budongchan/1")):
        wrong = BankStore(tmp_path / schema.name.replace("/", "-"), bytes(32), clock, name="check", schema=schema)
        with pytest.raises(ManifestRefused, match=f"not {schema.name}"):
            wrong.editions.accept(envelope, sender, "minzheng", EPOCH)
        wrong.close()
    right.close()


def test_a_bank_sees_assistance_as_nx1_only(office: Office, tmp_path: Path) -> None:
    """The base list's own dataset beside a department's: the merging depends on the schema, not on the sender."""
    generate_county(tmp_path / "base.csv", CountySpec(2_000, seed=9))
    listed = read_labelled_list(tmp_path / "base.csv")
    assert {"N10", "N11", "N12"} <= set(",".join(listed.fields["reasons"].to_pylist()).split(","))
    plan = replace(office.add("base", KUOZHONG), division=None)
    outcome, _ = office.publisher.refresh(plan, tmp_path / "base.csv")
    edition = office.publisher.folders.read("base", EPOCH, outcome.edition or 0)
    outputs = evaluate(MODE_VOPRF, office.keystore.open_epoch_key("base", EPOCH), listed.items, 18)
    shown = {code for label in found(edition, outputs) for code in label["reasons"].split(",")}
    assert "NX1" in shown
    assert not shown & {"N10", "N11", "N12"}
