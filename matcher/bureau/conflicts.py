"""What an import notes for a person to settle. Nothing is settled here: both sides of a conflict are kept."""

from __future__ import annotations

from sqlite_utils import Database

from matcher.bureau.personal import PersonalData

TWO_NAMES = "two_names_for_one_number"
TWO_HOUSEHOLDS = "person_in_two_households"

# In all of them ?1 is the hand-over and ?2 the time; the view handover_household has the households that it named.
_CHANGED = """
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT 'label_changed', household_id, x'', ?1, ?2 FROM household
    WHERE household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
    AND state NOT IN ('IMPORTED', 'MATCHED') AND expanding <> (
        SELECT newest.expanding FROM candidate newest WHERE newest.household_id = household.household_id
        ORDER BY epoch_no DESC, edition DESC, row_version DESC, candidate_id LIMIT 1)
    ON CONFLICT DO UPDATE SET handover_id = ?1, found_at = ?2, settled_at = NULL, settled_by = NULL, settlement = NULL
"""
_REFRESH = """
    UPDATE household SET updated_at = ?2, (household_size, division, township, expanding, reasons, list_year) = (
        SELECT household_size, division, substr(division, 1, 9), expanding, reasons, epoch.list_year
        FROM candidate JOIN epoch USING (epoch_no) WHERE candidate.household_id = household.household_id
        ORDER BY epoch_no DESC, edition DESC, row_version DESC, candidate_id LIMIT 1)
    WHERE household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
"""
_NOTED = (
    # The same person in another household of the same list. In the list of another year it is a link.
    """
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT 'person_in_two_households', one.household_id, one.item_ref, ?1, ?2
    FROM candidate one JOIN household home USING (household_id)
    WHERE one.item_ref IN (
        SELECT item_ref FROM candidate JOIN candidate_source USING (candidate_id) WHERE handover_id = ?1)
    AND EXISTS (
        SELECT 1 FROM candidate other JOIN household elsewhere USING (household_id)
        WHERE other.item_ref = one.item_ref AND other.household_id <> one.household_id
        AND elsewhere.dataset = home.dataset AND elsewhere.list_year = home.list_year)
    ON CONFLICT DO NOTHING
    """,
    # Members of one household whose labels of one epoch disagree about it.
    """
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT DISTINCT 'labels_differ', household_id, x'', ?1, ?2 FROM candidate
    WHERE household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
    GROUP BY household_id, epoch_no
    HAVING COUNT(DISTINCT household_size || '/' || division || '/' || expanding) > 1
    ON CONFLICT DO NOTHING
    """,
    # More people than the household has. Fewer is usual: not every member is a bank's customer.
    """
    INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at)
    SELECT 'too_many_members', household_id, x'', ?1, ?2 FROM household
    WHERE household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
    AND CAST(household_size AS INTEGER) BETWEEN 1 AND
        (SELECT COUNT(*) FROM candidate WHERE candidate.household_id = household.household_id) - 1
    ON CONFLICT DO NOTHING
    """,
)
# Another case of the same people, or of the same 家庭编号, of an earlier year's list.
_LINKS = """
    INSERT INTO household_link (household_id, earlier_id, shared, found_at)
    SELECT home.household_id, earlier.household_id, COUNT(*), ?2
    FROM household home JOIN member ON member.household_id = home.household_id
    JOIN member same ON same.item_ref = member.item_ref
    JOIN household earlier ON earlier.household_id = same.household_id AND earlier.list_year < home.list_year
    WHERE home.household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
    GROUP BY home.household_id, earlier.household_id
    ON CONFLICT DO UPDATE SET shared = excluded.shared
"""
_SAME_NUMBER = """
    INSERT INTO household_link (household_id, earlier_id, shared, found_at)
    SELECT home.household_id, earlier.household_id, 0, ?2
    FROM household home JOIN household earlier
    ON earlier.dataset = home.dataset AND earlier.household_no = home.household_no
    AND earlier.list_year < home.list_year
    WHERE home.household_id IN (SELECT household_id FROM handover_household WHERE handover_id = ?1)
    ON CONFLICT DO NOTHING
"""


def refresh_households(database: Database, handover_id: int, now: str) -> int:
    """Each touched household shows what its newest label says; returns how many changed while already at work."""
    changed = database.execute(_CHANGED, [handover_id, now]).rowcount
    database.execute(_REFRESH, [handover_id, now])
    return int(changed)


def note_conflicts(database: Database, handover_id: int, now: str) -> int:
    """Conflicts of the touched households that were not known; returns how many."""
    return sum(database.execute(statement, [handover_id, now]).rowcount for statement in _NOTED)


def note_links(database: Database, handover_id: int, now: str) -> int:
    """Links of the touched households with earlier cases of theirs; returns how many."""
    return sum(int(database.execute(sql, [handover_id, now]).rowcount) for sql in (_LINKS, _SAME_NUMBER))


def note_two_names(
    database: Database,
    personal: PersonalData,
    household_id: int,
    item: str,
    names: tuple[str, str],
    *,
    handover_id: int | None,
    now: str,
) -> bool:
    """One number was given with another name: keep both for a person to settle. False if that is known."""
    reference, shown = personal.item_reference(item), sorted(names)
    known = database.execute(
        "SELECT conflict_id, sealed, settled_at FROM conflict WHERE kind = ? AND household_id = ? AND item_ref = ?",
        [TWO_NAMES, household_id, reference],
    ).fetchone()
    if known is None:
        cursor = database.execute(
            "INSERT INTO conflict (kind, household_id, item_ref, handover_id, found_at) VALUES (?, ?, ?, ?, ?)",
            [TWO_NAMES, household_id, reference, handover_id, now],
        )
        conflict_id = int(cursor.lastrowid or 0)
    else:
        conflict_id, sealed, _ = known
        before = personal.open(sealed, "conflict", "sealed", conflict_id)["names"]
        if set(names) <= set(before):
            return False
        shown = sorted({*names, *before})
    database.execute(
        "UPDATE conflict SET sealed = ?, settled_at = NULL, settled_by = NULL, settlement = NULL WHERE conflict_id = ?",
        [personal.seal({"names": shown}, "conflict", "sealed", conflict_id), conflict_id],
    )
    return True
