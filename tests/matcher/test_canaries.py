"""Canaries: planted rows stay on the list whatever it does, harm nobody honest, and give a guesser away."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import handed_over
import pytest
from handed_over import BANK, BUREAU, CLOCK, EPOCH, Match, hand_over, item, matches, receipt_key
from publishing import DATASET, PLAN, create_home, number, open_publisher, write_list
from sqlite_utils import Database, Migrations

from keys.clock import SettableClock
from keys.database import open_database
from keys.envelope import UntrustedSigner, sign_envelope
from keys.identity import Identity, SealInvalid
from keys.keystore import KeyStore
from keys.receipts import ReceiptKeys
from keys.sealedfile import SealedFileInvalid
from keys.wrap import FileKek
from matcher.bureau.office import FILE_NAME
from matcher.bureau.schema import handovers
from matcher.bureau.store import BureauStore
from matcher.canaries import PAYLOAD_TYPE, CanariesInvalid, CanaryList, open_canaries
from matcher.province.canaries import Canaries, Canary
from matcher.province.canary_numbers import NumberMaker, imitate
from matcher.province.ledger import Ledger
from matcher.province.publisher import Publisher
from psi.errors import InputError
from psi.identifiers import birth_date, normalise_one

PREFIX, COUNTY = "990000", "330922"
PEOPLE = {person: 3 for person in range(40)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_home(tmp_path / "province")
    return tmp_path / "province"


@pytest.fixture
def publisher(home: Path) -> Publisher:
    return open_publisher(home)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_list(tmp_path / "list.csv", PEOPLE)


def canaries(home: Path) -> Canaries:
    clock = SettableClock()
    return Canaries(home, open_keystore(home), Ledger.open(home, clock), clock, os.urandom)


def plant(home: Path, source: Path, count: int = 5) -> list[Canary]:
    return canaries(home).plant(PLAN, source, division=COUNTY, count=count, prefix=PREFIX, actor="张三")


def open_keystore(home: Path) -> KeyStore:
    return KeyStore(home, FileKek(home / "kek"), clock=SettableClock(), actor="test")


def test_a_canary_looks_like_a_row_of_its_county(home: Path, publisher: Publisher, source: Path) -> None:
    planted = plant(home, source, 30)
    assert canaries(home).list_all(DATASET) == planted
    assert len({canary.item for canary in planted} | {canary.household_no for canary in planted}) == 60
    for canary in planted:
        item, verdict = normalise_one(canary.item)
        assert item == canary.item, verdict
        assert canary.item.startswith(PREFIX)
        assert 18 <= (datetime(2026, 1, 5, tzinfo=UTC).date() - birth_date(canary.item)).days / 365.25 < 65.1
        assert canary.household_no.startswith("H")
        assert canary.household_no not in {f"H{person}" for person in PEOPLE}
        assert canary.item not in repr(canary)


def test_planted_canaries_are_published_and_stay(
    home: Path, publisher: Publisher, source: Path, tmp_path: Path
) -> None:
    first, _ = publisher.refresh(PLAN, source)
    assert (first.outcome, first.rows) == ("published", 40)
    plant(home, source)
    second, _ = publisher.refresh(PLAN, source)
    assert (second.outcome, second.rows, second.added, second.changed) == ("published", 45, 5, 0)
    assert publisher.refresh(PLAN, source)[0].outcome == "unchanged", "the same list and the same canaries"
    longer = write_list(tmp_path / "longer.csv", {**PEOPLE, 500: 2})
    third, _ = publisher.refresh(PLAN, longer)
    assert (third.added, third.changed, third.removed) == (1, 0, 0), "a canary never shows as a change"


def test_canaries_go_through_import_and_encode(home: Path, publisher: Publisher, source: Path) -> None:
    plant(home, source)
    assert publisher.import_list(PLAN, source)[0].rows == 45
    assert publisher.encode(PLAN).rows == 45
    assert publisher.publish(PLAN).rows == 45
    assert publisher.refresh(PLAN, source)[0].outcome == "unchanged"


def test_a_real_person_comes_before_a_canary(home: Path, publisher: Publisher, source: Path, tmp_path: Path) -> None:
    """The number, or the household's number, was assigned meanwhile: the real row is published, with an alarm."""
    one, other, *_ = plant(home, source)
    lines = source.read_text("utf-8").splitlines()
    lines += [f"{one.item},H900,4,{COUNTY},是,", f"{number(77)},{other.household_no},4,{COUNTY},是,"]
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(lines) + "\n", "utf-8")
    outcome, _ = publisher.refresh(PLAN, changed)
    assert outcome.rows == 42 + 3
    ledger = Ledger.open(home, SettableClock())
    alarms = ledger.list_alarms()
    assert [(alarm.code, alarm.params["number"]) for alarm in alarms] == [
        ("canary_assigned", 1),
        ("canary_assigned", 2),
    ]
    assert one.item not in str(alarms)
    publisher.refresh(PLAN, changed, full=True)
    assert len(ledger.list_alarms()) == 2, "each once"


def test_a_county_that_leaves_the_list_takes_its_canaries_along(
    home: Path, publisher: Publisher, source: Path, tmp_path: Path
) -> None:
    plant(home, source)
    publisher.refresh(PLAN, source)
    elsewhere = write_list(tmp_path / "elsewhere.csv", PEOPLE, division="330921")
    assert publisher.refresh(PLAN, elsewhere, accept_shrink=True)[0].rows == 40
    assert publisher.refresh(PLAN, elsewhere)[0].outcome == "unchanged"


def test_the_list_of_canaries_is_sealed(home: Path, publisher: Publisher, source: Path) -> None:
    planted = plant(home, source)
    content = (home / "canaries" / f"{DATASET}.sealed").read_bytes()
    assert not any(canary.item.encode() in content or canary.household_no.encode() in content for canary in planted)
    (home / "canaries" / f"{DATASET}.sealed").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SealedFileInvalid):
        publisher.refresh(PLAN, source)


def test_no_number_of_a_canary_is_in_ledger_or_edition(home: Path, publisher: Publisher, source: Path) -> None:
    planted = plant(home, source)
    publisher.refresh(PLAN, source)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        assert not any(canary.item.encode() in content for canary in planted), path.name


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": 1_001}, {"prefix": "33a922"}, {"prefix": ""}, {"division": "330921"}, {"division": "x"}],
)
def test_what_cannot_be_planted(home: Path, publisher: Publisher, source: Path, wrong: dict[str, object]) -> None:
    good = {"division": COUNTY, "count": 1, "prefix": PREFIX, "actor": "张三"}
    with pytest.raises(InputError):
        canaries(home).plant(PLAN, source, **{**good, **wrong})  # type: ignore[arg-type]
    assert canaries(home).list_all(DATASET) == []


def test_numbers_are_free_and_never_endless() -> None:
    taken: set[str] = set()
    maker = NumberMaker(PREFIX, datetime(2026, 1, 5, tzinfo=UTC), lambda size: bytes(size - 1) + bytes([len(taken)]))
    for _ in range(10):
        made = maker.next_free(lambda item: item in taken)
        taken.add(made)
    with pytest.raises(InputError):
        maker.next_free(lambda item: True)


@pytest.mark.parametrize(
    ("one", "other", "kept"),
    [("H0012", "H0098", "H00"), ("330922-07", "330922-07", ""), ("A1", "B2", ""), ("", "x", "")],
)
def test_household_numbers_imitate_the_lists(one: str, other: str, kept: str) -> None:
    stream = iter(range(10**6))
    made = imitate(one, other, lambda size: next(stream).to_bytes(size, "big"), {one, other} - {""})
    assert len(made) == len(one)
    assert made.startswith(kept)
    assert made not in (one, other) or not one
    assert [c.isdigit() for c in made] == [c.isdigit() for c in one]


def test_where_every_number_of_one_beginning_is_taken_another_is_made() -> None:
    stream = iter(range(10**6))
    taken = {f"H0{last}" for last in range(10)}
    made = imitate("H01", "H02", lambda size: next(stream).to_bytes(size, "big"), taken)
    assert (len(made), made in taken) == (3, False)
    taken = {f"H{last:02d}" for last in range(100)}
    assert len(imitate("H01", "H02", lambda size: next(stream).to_bytes(size, "big"), taken)) == 4


# At the bureau


PROVINCE, OTHER_BUREAU = Identity("演示省", "province", bytes([7]) * 32), Identity("另一局", "bureau", bytes([8]) * 32)


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[BureauStore]:
    store = BureauStore(tmp_path / "bureau", b"s" * 32, CLOCK, [COUNTY])
    store.add_bank(BANK.public)
    store.add_receipt_keys(ReceiptKeys(handed_over.DATASET, EPOCH, {COUNTY: receipt_key(COUNTY)}))
    yield store
    store.close()


def test_the_bureau_gets_the_canaries_of_its_counties(home: Path, publisher: Publisher, source: Path) -> None:
    planted, kept = plant(home, source), canaries(home)
    province = open_keystore(home).get_public_identity()
    content = kept.export(DATASET, BUREAU.public, [COUNTY], actor="张三")
    listed = open_canaries(content, BUREAU, province)
    assert listed == CanaryList(DATASET, tuple(sorted(canary.household_no for canary in planted)))
    assert (
        open_canaries(kept.export(DATASET, BUREAU.public, ["330921"], actor="张三"), BUREAU, province).households == ()
    )
    with pytest.raises(SealInvalid):
        open_canaries(content, OTHER_BUREAU, province)
    with pytest.raises(UntrustedSigner):
        open_canaries(content, BUREAU, PROVINCE.public)


@pytest.mark.parametrize(
    "change",
    [{"bureau": "0" * 64}, {"dataset": "../x"}, {"dataset": 1}, {"households": "H1"}, {"households": [1]}, {"more": 1}],
)
def test_a_file_of_canaries_for_somebody_else_or_malformed(change: dict[str, object]) -> None:
    document = {"bureau": BUREAU.public.fingerprint, "dataset": DATASET, "households": ["H1"], **change}
    content = BUREAU.public.seal(sign_envelope(PROVINCE, PAYLOAD_TYPE, json.dumps(document).encode()))
    with pytest.raises(CanariesInvalid):
        open_canaries(content, BUREAU, PROVINCE.public)


def test_a_hand_over_with_a_canary_sounds_an_alarm(tmp_path: Path, bureau: BureauStore) -> None:
    assert bureau.add_canaries(CanaryList(handed_over.DATASET, ("H000007", "H777777"))) == 2
    assert bureau.add_canaries(CanaryList(handed_over.DATASET, ("H000007",))) == 0
    guessed = Match(item(7), household_no="H777777")
    done = bureau.import_handover(hand_over(tmp_path / "a.mch", [*matches(5), guessed]), "经办员")
    assert (done.accepted, done.refused) == (5, {"canary": 1})
    (alarm,) = bureau.alarms.list_waiting()
    assert (alarm.code, alarm.params["rows"], alarm.params["bank"]) == ("canary_found", 1, BANK.public.fingerprint)
    assert [row["reason"] for row in bureau.list_refused(done.handover_id)] == ["canary"]
    assert "H777777" not in {household.household_no for household in bureau.iterate_households()}
    assert guessed.item not in str(vars(alarm))
    assert "H777777" not in str(vars(alarm))
    again = bureau.import_handover(hand_over(tmp_path / "b.mch", [guessed]), "经办员")
    assert again.refused == {"canary": 1}
    assert len(bureau.alarms.list_waiting()) == 2


def test_without_the_provinces_receipt_a_canary_proves_nothing(tmp_path: Path, bureau: BureauStore) -> None:
    """Nobody can make a bank look guilty who does not hold what only the province's answer gives."""
    bureau.add_canaries(CanaryList(handed_over.DATASET, ("H777777",)))
    rows = [Match(item(7), household_no="H777777")]
    done = bureau.import_handover(hand_over(tmp_path / "a.mch", rows, [bytes(16)]), "经办员")
    assert done.refused == {"receipt_invalid": 1}
    assert [alarm.code for alarm in bureau.alarms.list_waiting()] == ["handover_rows_refused"]


def test_canaries_of_another_dataset_are_no_canaries(tmp_path: Path, bureau: BureauStore) -> None:
    bureau.add_canaries(CanaryList("minzheng", ("H000000",)))
    assert bureau.import_handover(hand_over(tmp_path / "a.mch", matches(2)), "经办员").accepted == 2


def test_household_numbers_of_canaries_are_sealed_at_the_bureau(tmp_path: Path, bureau: BureauStore) -> None:
    bureau.add_canaries(CanaryList(handed_over.DATASET, ("H777777",)))
    files = [path.read_bytes() for path in (tmp_path / "bureau").iterdir() if path.is_file()]
    assert files
    assert not any(b"H777777" in content for content in files)


def test_refused_rows_of_the_first_version_survive_the_migration(tmp_path: Path) -> None:
    first = Migrations("bureau")

    @first(name="m001_first_tables")
    def create(database: Database) -> None:
        for statement in handovers.FIRST_TABLES:
            database.execute(statement)

    old = open_database(tmp_path / FILE_NAME, first)
    old.execute("INSERT INTO bank VALUES ('f', 'n', '{}', 't')")
    old.execute("INSERT INTO epoch VALUES (1, 'base', '2026', 2026)")
    old.execute("INSERT INTO handover VALUES (1, 's', 'f', 'r', 1, 1, x'', 1, 0, 't', 'o')")
    old.execute("INSERT INTO refused_row VALUES (1, 1, 'receipt_invalid', '33**')")
    old.close()
    store = BureauStore(tmp_path, b"s" * 32, CLOCK, [COUNTY])
    assert store.list_refused(1) == [{"row": 1, "reason": "receipt_invalid", "masked_item": "33**"}]
    store.close()
