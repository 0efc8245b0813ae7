"""What must hold between any two steps, read from the files as an auditor would."""

from __future__ import annotations

from datetime import date

from expected import Charge, Label
from hosts import IDENTITIES, query, reading
from world import LIKE_A_TEST_NUMBER, World

BANK_ALARMS = {"hit_rate_low"}  # no attack: here a list loses half its rows at a time
PROVINCE_ALARMS = {"budget_refused", "clock_behind"}  # no attack: a budget was used up, or a clock set back


def check_cheap(world: World) -> None:
    """Charges, budgets, editions, alarms, and that no ID number shows."""
    province, model = world.province, world.model
    names = {identity.public.fingerprint: name for name, identity in IDENTITIES.items()}
    with reading(province.home / "province.sqlite") as ask:
        rows = ask("SELECT party, idempotency_key, epoch, n, from_nightly, day FROM charge")
        budgets = ask("SELECT entity, epoch, used, used_nightly, lim, nightly FROM budget")
        editions = ask("SELECT epoch, edition, state FROM edition ORDER BY epoch, edition")
        alarms = ask("SELECT code FROM alarm")
    charges = [Charge(names[row[0]], *row[1:5], date.fromisoformat(row[5])) for row in rows]
    assert {(charge.bank, charge.request_id): charge for charge in charges} == model.charges
    assert len(charges) == len(model.charges)
    entities = {identity.public.name: name for name, identity in IDENTITIES.items()}
    for entity, epoch, used, used_nightly, limit, nightly in budgets:
        budget = model.epochs[epoch].budgets[entities[entity]]
        assert (limit, nightly) == (budget.limit, budget.nightly)
        assert (used, used_nightly) == model.used(entities[entity], epoch)
    assert editions == [
        (name, number, "current" if number == len(epoch.editions) else "superseded")
        for name, epoch in sorted(model.epochs.items())
        for number in range(1, len(epoch.editions) + 1)
    ]
    for bank in world.banks.values():
        waiting = {code for (code,) in bank.query("SELECT code FROM alarm WHERE acknowledged_at IS NULL")}
        assert waiting <= BANK_ALARMS
    assert {code for (code,) in alarms} <= PROVINCE_ALARMS
    written = world.log.getvalue().encode() + bytes(world.answers)
    assert not LIKE_A_TEST_NUMBER.search(written), "an ID number in a log or an answer"
    world.log.seek(0)
    world.log.truncate()
    world.answers.clear()


def check_dear(
    world: World, results: dict[str, tuple[str, list[Label | None]]], sealed: dict[tuple[str, bytes, int], bytes]
) -> None:
    """Whole databases, chains, editions and stored results. ``sealed`` remembers every row ever published."""
    head = world.province.ledger.verify_audit()
    assert world.province.query("SELECT COUNT(*) FROM audit") == [(head.seq,)]
    for home in (world.province.home, *(bank.home for bank in world.banks.values())):
        for file in home.glob("*.sqlite"):
            assert query(file, "PRAGMA integrity_check") == [("ok",)]
    for name, epoch in world.model.epochs.items():
        for number in world.province.kept_editions(name) if epoch.state != "destroyed" else []:
            check_edition(world, name, number, sealed)
    for name, bank in world.banks.items():
        _check_digests(world, name)
        for epoch_name in world.model.epochs:
            items = bank.list_asked(epoch_name)
            assert len(items) == len(set(items)), "a customer was asked for twice in an epoch"
        for run_id, (owner, due) in results.items():
            if owner == name:
                assert bank.read_labels(run_id) == due


def check_edition(world: World, epoch: str, number: int, sealed: dict[tuple[str, bytes, int], bytes]) -> None:
    """Whole, as signed, and no label key ever seals two texts (protocol.md section 2).

    A tombstone (version 0) has noise for a label, and no key.
    """
    for tag, version, label in world.province.read_edition(epoch, number):
        assert version == 0 or sealed.setdefault((epoch, tag, version), label) == label, "one label key for two labels"


def _check_digests(world: World, bank: str) -> None:
    """Both sides say the same of every batch that the bank holds an answer to."""
    ours = world.banks[bank].query(
        "SELECT epoch, request_id, request_sha256, answer_sha256, padded FROM batch WHERE state = 'DONE'"
    )
    theirs = world.province.query(
        "SELECT epoch, idempotency_key, body_sha256, answer_sha256, n FROM charge WHERE party = ?",
        IDENTITIES[bank].public.fingerprint,
    )
    assert set(ours) <= set(theirs)
