"""What the county adds by itself: households past their label, members no match found, and settled conflicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.conflicts import TWO_HOUSEHOLDS, TWO_NAMES
from matcher.bureau.members import MemberWriter, Person, open_member
from matcher.bureau.office import Office
from matcher.households.cases import care_of, read_case_within
from matcher.households.errors import ConflictUnknown, NumberInvalid, SettlementInvalid
from matcher.households.form_members import put_member_within
from matcher.households.moves import move_within
from matcher.masking import mask_name
from matcher.personal.fields import require_plain
from matcher.personal.reveal import MemberUnknown
from matcher.rows import fetch_all, fetch_records
from psi.errors import InputError
from psi.identifiers import mask, normalise_one


@dataclass(frozen=True)
class Conflict:
    """What a person has to settle, masked. ``names`` are those of one number, to choose from by their place;
    ``elsewhere``: number and 家庭编号 of the other households that the person is in."""

    conflict_id: int
    kind: str
    household_id: int
    household_no: str
    division: str
    found_at: str
    member_id: int | None
    number: str
    names: tuple[str, ...]
    settled_at: str | None
    settled_by: str | None
    settlement: str | None
    elsewhere: tuple[tuple[int, str], ...] = ()


def supplement_within(office: Office, actor: Actor, household_id: int, reasons: Sequence[str], remark: str) -> int:
    """Take a household in past its label. Raises what move_within raises, NotAllowed, TextNotPlain."""
    read_case_within(office, actor, household_id, Permission.SUPPLEMENT)
    remark = require_plain(remark, "remark")
    return move_within(office, actor, household_id, "SUPPLEMENTED", reasons=reasons, remark=remark)


def add_member_within(
    office: Office, actor: Actor, household_id: int, number: str, name: str, relation: str, remark: str
) -> int:
    """A member that the match did not find; returns the member's number."""
    read_case_within(office, actor, household_id, Permission.SUPPLEMENT)
    item, verdict = normalise_one(number)
    if item is None:
        raise NumberInvalid("not an ID number", reason=verdict.code)
    if not name.strip():
        raise InputError("a member needs a name")
    remark, person = require_plain(remark, "remark"), Person(item, name.strip(), relation)
    member_id = put_member_within(office, household_id, person, "county")
    office.record_within(
        actor, "household.add_member", f"household/{household_id}", purpose=remark, after=vars(person), member=member_id
    )
    return member_id


def list_conflicts(
    office: Office,
    actor: Actor,
    *,
    household_id: int | None = None,
    settled: bool = False,
    kind: str = "",
    area: str = "",
    conflict_id: int | None = None,
    after: int = 0,
    size: int = -1,
) -> list[Conflict]:
    """Open ones, or the settled too, of one household or of all in the account's care; by number, all or ``size``."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_records(
        office.database,
        "SELECT conflict_id, kind, conflict.household_id, household_no, division, found_at, conflict.sealed,"  # noqa: S608
        " settled_at, settled_by, settlement, member_id, member.sealed AS member_sealed FROM conflict"
        " JOIN household USING (household_id) LEFT JOIN member ON member.household_id = conflict.household_id"
        " AND member.item_ref = conflict.item_ref"
        " WHERE (?1 IS NULL OR conflict.household_id = ?1) AND (?2 OR settled_at IS NULL)"
        " AND (?3 = '' OR kind = ?3) AND division GLOB ?4 || '*' AND (?5 IS NULL OR conflict_id = ?5)"
        f" AND conflict_id > ?6 AND {care} ORDER BY conflict_id LIMIT {size:d}",
        [household_id, settled, kind, area, conflict_id, after, *values],
    )
    found = []
    for row in rows:
        sealed, member = row.pop("sealed"), row.pop("member_sealed")
        number = mask(open_member(office.personal, row["member_id"], member).item) if member else ""
        names = tuple(mask_name(name) for name in _names(office, row["conflict_id"], sealed))
        found.append(Conflict(**row, number=number, names=names, elsewhere=_elsewhere(office, actor, row)))
    return found


def count_conflicts(office: Office, actor: Actor, area: str) -> dict[str, int]:
    """See Households.count_conflicts."""
    actor.require(Permission.SEE_HOUSEHOLDS)
    care, values = care_of(actor)
    rows = fetch_all(
        office.database,
        "SELECT kind, COUNT(*) FROM conflict JOIN household USING (household_id)"  # noqa: S608
        f" WHERE settled_at IS NULL AND division GLOB ? || '*' AND {care} GROUP BY kind",
        [area, *values],
    )
    return dict(rows)


def show_conflict(office: Office, actor: Actor, conflict_id: int) -> Conflict:
    """See Households.show_conflict."""
    found = list_conflicts(office, actor, settled=True, conflict_id=conflict_id)
    if not found:
        raise ConflictUnknown("no conflict has this number", conflict=conflict_id)
    return found[0]


def _elsewhere(office: Office, actor: Actor, row: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The other households of this list, in the account's care, that the same person is in."""
    if row["kind"] != TWO_HOUSEHOLDS:
        return ()
    care, values = care_of(actor)
    found = fetch_all(
        office.database,
        "SELECT DISTINCT household.household_id, household.household_no FROM conflict here"  # noqa: S608
        " JOIN household home ON home.household_id = here.household_id"
        " JOIN candidate ON candidate.item_ref = here.item_ref"
        " JOIN household ON household.household_id = candidate.household_id AND household.dataset = home.dataset"
        " AND household.list_year = home.list_year AND household.household_id <> home.household_id"
        f" WHERE here.conflict_id = ? AND {care} ORDER BY household.household_id",
        [row["conflict_id"], *values],
    )
    return tuple(found)


def reveal_names_within(office: Office, actor: Actor, conflict_id: int, reason: str) -> list[str]:
    """See Households.reveal_names."""
    actor.require(Permission.REVEAL)
    reason = require_plain(reason, "reason")
    row = office.database.execute(
        "SELECT household_id, sealed FROM conflict WHERE conflict_id = ? AND kind = ?", [conflict_id, TWO_NAMES]
    ).fetchone()
    if row is None:
        raise ConflictUnknown("no conflict of two names has this number", conflict=conflict_id)
    read_case_within(office, actor, row[0], Permission.REVEAL)
    office.record_within(
        actor, "person.reveal", f"household/{row[0]}", purpose=reason, conflict=conflict_id, field="name"
    )
    return _names(office, conflict_id, row[1])


def settle_within(office: Office, actor: Actor, conflict_id: int, remark: str, name: int | None, leaves: bool) -> None:
    """See Households.settle."""
    actor.require(Permission.SETTLE_CONFLICT)
    database = office.database
    rows = fetch_records(
        database,
        "SELECT conflict_id, kind, household_id, item_ref, sealed, settled_at FROM conflict WHERE conflict_id = ?",
        [conflict_id],
    )
    if not rows:
        raise ConflictUnknown("no conflict has this number", conflict=conflict_id)
    (row,) = rows
    read_case_within(office, actor, row["household_id"], Permission.SETTLE_CONFLICT)
    if row["settled_at"] is not None:
        raise SettlementInvalid("the conflict is settled", conflict=conflict_id, reason="settled")
    remark = require_plain(remark, "remark")
    if (name is not None) != (row["kind"] == TWO_NAMES):
        raise SettlementInvalid("which name is right", conflict=conflict_id, reason="name")
    if leaves and row["kind"] != TWO_HOUSEHOLDS:
        raise SettlementInvalid("nobody can leave by this", conflict=conflict_id, reason="leaves")
    if name is not None:
        names = _names(office, conflict_id, row["sealed"])
        if not 0 <= name < len(names):
            raise SettlementInvalid("no such name", conflict=conflict_id, reason="name")
        (member_id,) = _member_of(office, row["household_id"], row["item_ref"])
        MemberWriter(database, office.personal, office.now()).rename(member_id, names[name])
    if leaves:
        (member_id,) = _member_of(office, row["household_id"], row["item_ref"])
        _leave(office, member_id)
    database.execute(
        "UPDATE conflict SET settled_at = ?, settled_by = ?, settlement = ? WHERE conflict_id = ?",
        [office.now(), actor.name, remark, conflict_id],
    )
    office.record_within(
        actor, "household.settle", f"household/{row['household_id']}", purpose=remark, conflict=conflict_id,
        kind=row["kind"], name=name, leaves=leaves,
    )  # fmt: skip


def remove_member_within(office: Office, actor: Actor, member_id: int, remark: str) -> None:
    """Somebody is no member any more: moved out, or died. Raises MemberUnknown, NotAllowed, TextNotPlain."""
    actor.require(Permission.SUPPLEMENT)
    row = office.database.execute(
        "SELECT household_id FROM member WHERE member_id = ? AND left_at IS NULL", [member_id]
    ).fetchone()
    if row is None:
        raise MemberUnknown("no present member has this number", member=member_id)
    read_case_within(office, actor, row[0], Permission.SUPPLEMENT)
    remark = require_plain(remark, "remark")
    _leave(office, member_id)
    office.record_within(actor, "household.member_left", f"household/{row[0]}", purpose=remark, member=member_id)


def _leave(office: Office, member_id: int) -> None:
    now = office.now()
    office.database.execute(
        "UPDATE member SET left_at = ?, updated_at = ?, is_applicant = 0 WHERE member_id = ?", [now, now, member_id]
    )


def _member_of(office: Office, household_id: int, reference: bytes) -> tuple[int]:
    row: tuple[int] | None = office.database.execute(
        "SELECT member_id FROM member WHERE household_id = ? AND item_ref = ?", [household_id, reference]
    ).fetchone()
    if row is None:
        raise MemberUnknown("the person is not stored any more")
    return row


def _names(office: Office, conflict_id: int, sealed: bytes) -> list[str]:
    if not sealed:
        return []
    names: list[str] = office.personal.open(sealed, "conflict", "sealed", conflict_id)["names"]
    return names
